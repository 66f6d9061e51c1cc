package dev.pager.alerts;

import android.app.NotificationChannel;
import android.app.NotificationManager;
import android.content.ContentResolver;
import android.content.Context;
import android.media.AudioAttributes;
import android.net.Uri;
import android.os.Build;
import java.util.ArrayList;
import java.util.List;

/**
 * One notification channel a priority, so that a person can tell them apart in the phone's settings. What a channel
 * does is fixed when it is made: whoever changes it here gives it another number.
 */
final class Channels {

    static final String CRITICAL = "pager.critical.1";
    static final String HIGH = "pager.high.1";
    static final String MEDIUM = "pager.medium.1";
    static final String LOW = "pager.low.1";
    /** What silently replaces a page. */
    static final String UPDATES = "pager.updates.1";
    /** What a person has to do so that pages reach them, and acknowledgements that were not taken. */
    static final String NOTICES = "pager.notices.1";

    private static final long[] ALARM = { 0, 800, 200, 800, 200, 800, 600 };
    private static final long[] KNOCK = { 0, 400, 250, 400 };

    private Channels() {}

    static String of(Priority priority) {
        switch (priority) {
            case CRITICAL:
                return CRITICAL;
            case MEDIUM:
                return MEDIUM;
            case LOW:
                return LOW;
            default:
                return HIGH;
        }
    }

    static long[] vibration(Priority priority) {
        return priority == Priority.CRITICAL ? ALARM : priority == Priority.LOW ? null : KNOCK;
    }

    static Uri sound(Context context, Priority priority) {
        // By name: the number of a resource is another one in the next build, and a channel keeps the address.
        String name = priority == Priority.CRITICAL ? "page_critical" : "page";
        return new Uri.Builder()
            .scheme(ContentResolver.SCHEME_ANDROID_RESOURCE)
            .authority(context.getPackageName())
            .appendPath("raw")
            .appendPath(name)
            .build();
    }

    /**
     * Makes those that are missing. Repeated, it changes names, and lets channels past Do Not Disturb where the person
     * has allowed it since they were made (they may be made before).
     */
    static void make(Context context) {
        NotificationManager manager = context.getSystemService(NotificationManager.class);
        if (manager == null || Build.VERSION.SDK_INT < Build.VERSION_CODES.O) {
            return;
        }
        List<NotificationChannel> channels = new ArrayList<>();
        for (Priority priority : Priority.values()) {
            channels.add(page(context, priority));
        }
        channels.add(quiet(context));
        channels.add(notices(context));
        manager.createNotificationChannels(channels);
    }

    @androidx.annotation.RequiresApi(Build.VERSION_CODES.O)
    private static NotificationChannel page(Context context, Priority priority) {
        int importance = priority == Priority.LOW
            ? NotificationManager.IMPORTANCE_DEFAULT
            : NotificationManager.IMPORTANCE_HIGH; // `MAX` exists and is used by nothing
        NotificationChannel channel = new NotificationChannel(of(priority), name(context, priority), importance);
        channel.setSound(sound(context, priority), attributes(priority));
        channel.enableVibration(vibration(priority) != null);
        channel.setVibrationPattern(vibration(priority));
        channel.enableLights(true);
        channel.setBypassDnd(priority.isUrgent());
        channel.setShowBadge(true);
        return channel;
    }

    /** Alarms sound where everything else is silent, at a volume of their own. */
    static AudioAttributes attributes(Priority priority) {
        return new AudioAttributes.Builder()
            .setUsage(priority.isUrgent() ? AudioAttributes.USAGE_ALARM : AudioAttributes.USAGE_NOTIFICATION)
            .setContentType(AudioAttributes.CONTENT_TYPE_SONIFICATION)
            .build();
    }

    @androidx.annotation.RequiresApi(Build.VERSION_CODES.O)
    private static NotificationChannel quiet(Context context) {
        String name = context.getString(R.string.pager_channel_updates);
        NotificationChannel channel = new NotificationChannel(UPDATES, name, NotificationManager.IMPORTANCE_LOW);
        channel.setShowBadge(false);
        return channel;
    }

    @androidx.annotation.RequiresApi(Build.VERSION_CODES.O)
    private static NotificationChannel notices(Context context) {
        String name = context.getString(R.string.pager_channel_notices);
        return new NotificationChannel(NOTICES, name, NotificationManager.IMPORTANCE_HIGH);
    }

    private static String name(Context context, Priority priority) {
        switch (priority) {
            case CRITICAL:
                return context.getString(R.string.pager_channel_critical);
            case MEDIUM:
                return context.getString(R.string.pager_channel_medium);
            case LOW:
                return context.getString(R.string.pager_channel_low);
            default:
                return context.getString(R.string.pager_channel_high);
        }
    }
}
