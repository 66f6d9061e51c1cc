package dev.pager.alerts;

import android.app.NotificationChannel;
import android.app.NotificationManager;
import android.content.Context;
import android.media.AudioManager;
import android.os.Build;
import android.os.PowerManager;
import com.getcapacitor.JSObject;
import org.json.JSONObject;

/** "Would you be woken?": what the phone's settings say. */
final class Health {

    private static final String YES = "yes";
    private static final String NO = "no";
    private static final String UNKNOWN = "unknown";
    private static final String NONE = "notApplicable";

    private Health() {}

    /** `permission`: granted, denied or prompt, as the plugin knows it. */
    static JSObject read(Context context, String permission, boolean pushConfigured) {
        Vault vault = new Vault(context);
        Outbox outbox = new Outbox(context);
        String token = vault.token();
        Boolean inHardware = DeviceKey.isInHardware();
        Integer ahead = new Courier(context).clockAhead();
        long received = new Memory(context).lastReceivedAt();
        JSObject waiting = new JSObject();
        waiting.put("acknowledgements", outbox.count(Outbox.ACKNOWLEDGE));
        waiting.put("receipts", outbox.count(Outbox.RECEIPT));
        JSObject health = new JSObject();
        health.put("platform", "android");
        health.put("notifications", areEnabled(context) ? permission : "granted".equals(permission) ? "denied" : permission);
        health.put("criticalAlerts", NONE);
        health.put("timeSensitive", NONE);
        health.put("channelSound", channelSound(context));
        health.put("dndBypass", dndBypass(context));
        health.put("fullScreenIntent", fullScreenIntent(context));
        health.put("batteryUnrestricted", battery(context));
        health.put("focus", focus(context));
        health.put("alarmVolume", alarmVolume(context));
        health.put("pushConfigured", pushConfigured ? YES : NO);
        health.put("token", token == null ? "none" : vault.isConfirmed(token) ? "confirmed" : "unconfirmed");
        health.put("canAcknowledge", vault.credential() != null && inHardware != null);
        health.put("hardwareKey", inHardware == null ? UNKNOWN : inHardware ? YES : NO);
        health.put("lastReceivedAt", received == 0 ? JSONObject.NULL : Now.written(received));
        health.put("waiting", waiting);
        health.put("clockAhead", ahead == null ? JSONObject.NULL : ahead);
        return health;
    }

    /** Whether a page of this priority comes to be seen at all. */
    static boolean shows(Context context, Priority priority) {
        if (!areEnabled(context)) {
            return false;
        }
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O) {
            return true;
        }
        NotificationChannel channel = channel(context, priority);
        return channel != null && channel.getImportance() != NotificationManager.IMPORTANCE_NONE;
    }

    private static boolean areEnabled(Context context) {
        NotificationManager manager = context.getSystemService(NotificationManager.class);
        return manager != null && manager.areNotificationsEnabled();
    }

    private static String channelSound(Context context) {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O) {
            return NONE;
        }
        NotificationChannel channel = channel(context, Priority.CRITICAL);
        if (channel == null) {
            return NO;
        }
        boolean isLoud = channel.getImportance() >= NotificationManager.IMPORTANCE_HIGH && channel.getSound() != null;
        return isLoud ? YES : NO;
    }

    private static String dndBypass(Context context) {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O) {
            return NONE;
        }
        NotificationChannel channel = channel(context, Priority.CRITICAL);
        return channel != null && channel.canBypassDnd() ? YES : NO;
    }

    @androidx.annotation.RequiresApi(Build.VERSION_CODES.O)
    private static NotificationChannel channel(Context context, Priority priority) {
        NotificationManager manager = context.getSystemService(NotificationManager.class);
        return manager == null ? null : manager.getNotificationChannel(Channels.of(priority));
    }

    private static String fullScreenIntent(Context context) {
        if (Build.VERSION.SDK_INT < Build.VERSION_CODES.UPSIDE_DOWN_CAKE) {
            return YES; // a permission that is given with the installation
        }
        NotificationManager manager = context.getSystemService(NotificationManager.class);
        return manager != null && manager.canUseFullScreenIntent() ? YES : NO;
    }

    private static String battery(Context context) {
        PowerManager power = context.getSystemService(PowerManager.class);
        if (power == null) {
            return UNKNOWN;
        }
        return power.isIgnoringBatteryOptimizations(context.getPackageName()) ? YES : NO;
    }

    /** Whether Do Not Disturb is on. */
    private static String focus(Context context) {
        NotificationManager manager = context.getSystemService(NotificationManager.class);
        int filter = manager == null
            ? NotificationManager.INTERRUPTION_FILTER_UNKNOWN
            : manager.getCurrentInterruptionFilter();
        if (filter == NotificationManager.INTERRUPTION_FILTER_UNKNOWN) {
            return UNKNOWN;
        }
        return filter == NotificationManager.INTERRUPTION_FILTER_ALL ? NO : YES;
    }

    private static String alarmVolume(Context context) {
        AudioManager audio = context.getSystemService(AudioManager.class);
        if (audio == null) {
            return UNKNOWN;
        }
        return audio.getStreamVolume(AudioManager.STREAM_ALARM) > 0 ? YES : NO;
    }
}
