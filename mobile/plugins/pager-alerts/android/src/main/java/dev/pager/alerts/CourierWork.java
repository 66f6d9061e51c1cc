package dev.pager.alerts;

import android.content.Context;
import android.util.Log;
import androidx.annotation.NonNull;
import androidx.work.BackoffPolicy;
import androidx.work.Constraints;
import androidx.work.ExistingWorkPolicy;
import androidx.work.NetworkType;
import androidx.work.OneTimeWorkRequest;
import androidx.work.WorkManager;
import androidx.work.Worker;
import androidx.work.WorkerParameters;
import java.util.concurrent.TimeUnit;

/** What the courier could not deliver at once: again as soon as there is a network, then with growing pauses. */
public final class CourierWork extends Worker {

    private static final String NAME = "pager-courier";
    private static final long PAUSE = 15;

    public CourierWork(@NonNull Context context, @NonNull WorkerParameters parameters) {
        super(context, parameters);
    }

    /** In the place of what was planned: a new acknowledgement must not wait for an old one's pause. */
    static void later(Context context) {
        if (!Storage.isUnlocked(context)) {
            return; // WorkManager's own storage is shut until then; `AfterStart` comes when it opens
        }
        Constraints online = new Constraints.Builder().setRequiredNetworkType(NetworkType.CONNECTED).build();
        OneTimeWorkRequest work = new OneTimeWorkRequest.Builder(CourierWork.class)
            .setConstraints(online)
            .setBackoffCriteria(BackoffPolicy.LINEAR, PAUSE, TimeUnit.SECONDS)
            .build();
        try {
            WorkManager.getInstance(context).enqueueUniqueWork(NAME, ExistingWorkPolicy.REPLACE, work);
        } catch (IllegalStateException notYet) {
            Log.w("Pager", "nothing can be planned now; what waits is sent when the app starts");
        }
    }

    @NonNull
    @Override
    public Result doWork() {
        return new Courier(getApplicationContext()).deliver() ? Result.success() : Result.retry();
    }
}
