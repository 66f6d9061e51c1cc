package androidx.work;

import java.util.concurrent.TimeUnit;

public abstract class WorkRequest {

    public abstract static class Builder<B extends Builder<B, W>, W extends WorkRequest> {

        public final B setConstraints(Constraints constraints) {
            return null;
        }

        public final B setBackoffCriteria(BackoffPolicy policy, long delay, TimeUnit unit) {
            return null;
        }

        public final W build() {
            return null;
        }
    }
}
