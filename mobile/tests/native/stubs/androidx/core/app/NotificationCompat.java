package androidx.core.app;

import android.app.Notification;
import android.app.PendingIntent;
import android.content.Context;
import android.net.Uri;
import android.os.Bundle;

public class NotificationCompat {

    public static final int PRIORITY_LOW = -1;
    public static final int PRIORITY_HIGH = 1;
    public static final int PRIORITY_MAX = 2;
    public static final int VISIBILITY_PRIVATE = 0;
    public static final String CATEGORY_ALARM = "alarm";

    public abstract static class Style {}

    public static class BigTextStyle extends Style {

        public BigTextStyle bigText(CharSequence text) {
            return this;
        }
    }

    public static class Builder {

        public Builder(Context context, String channelId) {}

        public Builder setSmallIcon(int icon) {
            return this;
        }

        public Builder setContentTitle(CharSequence title) {
            return this;
        }

        public Builder setContentText(CharSequence text) {
            return this;
        }

        public Builder setStyle(Style style) {
            return this;
        }

        public Builder setVisibility(int visibility) {
            return this;
        }

        public Builder setPriority(int priority) {
            return this;
        }

        public Builder setOnlyAlertOnce(boolean once) {
            return this;
        }

        public Builder setAutoCancel(boolean cancel) {
            return this;
        }

        public Builder setOngoing(boolean ongoing) {
            return this;
        }

        public Builder addExtras(Bundle extras) {
            return this;
        }

        public Builder setContentIntent(PendingIntent intent) {
            return this;
        }

        public Builder setFullScreenIntent(PendingIntent intent, boolean highPriority) {
            return this;
        }

        public Builder setCategory(String category) {
            return this;
        }

        public Builder setPublicVersion(Notification notification) {
            return this;
        }

        public Builder addAction(int icon, CharSequence title, PendingIntent intent) {
            return this;
        }

        public Builder setTimeoutAfter(long milliseconds) {
            return this;
        }

        public Builder setSound(Uri sound, int streamType) {
            return this;
        }

        public Builder setVibrate(long[] pattern) {
            return this;
        }

        public Notification build() {
            return new Notification();
        }
    }
}
