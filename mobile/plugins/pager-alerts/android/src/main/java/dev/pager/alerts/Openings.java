package dev.pager.alerts;

import android.app.PendingIntent;
import android.content.Context;
import android.content.Intent;
import android.content.SharedPreferences;
import android.content.pm.PackageManager;
import android.content.pm.ResolveInfo;
import android.net.Uri;
import java.util.List;
import java.util.UUID;

/** Ways from a notification into the app. Other apps may start it too: what they say is not believed. */
final class Openings {

    static final String OPEN = "open";
    static final String CALL_LEAD = "callLead";
    /** Of a test page: there is no incident to be shown. */
    static final String TEST = "test";

    private static final String ACTION = "dev.pager.alerts.OPENED";
    private static final String HOW = "how";
    private static final String SEAL = "seal";
    private static final String FILE = "pager-openings";

    /** What a touch was about. */
    static final class Opened {

        final String incidentId;
        final String notificationId;
        final String how;

        Opened(String incidentId, String notificationId, String how) {
            this.incidentId = incidentId;
            this.notificationId = notificationId;
            this.how = how;
        }
    }

    private Openings() {}

    static PendingIntent incident(Context context, String incidentId, String notificationId, String how) {
        return pending(context, intent(context, incidentId, notificationId, how));
    }

    static PendingIntent app(Context context) {
        return pending(context, launch(context));
    }

    static Intent intent(Context context, String incidentId, String notificationId, String how) {
        return launch(context)
            .setAction(ACTION)
            .setData(Uri.fromParts("pager-open", notificationId + "/" + how, null))
            .putExtra(Push.INCIDENT_ID, incidentId)
            .putExtra(Push.NOTIFICATION_ID, notificationId)
            .putExtra(HOW, how)
            .putExtra(SEAL, seal(context));
    }

    /**
     * Null: it is none of our notifications that has started the app. Read once: neither turning the phone nor coming
     * back from the list of recent apps is a touch, which might call somebody.
     */
    static Opened read(Context context, Intent intent) {
        if (intent == null || !ACTION.equals(intent.getAction())) {
            return null;
        }
        boolean isOld = (intent.getFlags() & Intent.FLAG_ACTIVITY_LAUNCHED_FROM_HISTORY) != 0;
        String incidentId = intent.getStringExtra(Push.INCIDENT_ID);
        String notificationId = intent.getStringExtra(Push.NOTIFICATION_ID);
        boolean ours = seal(context).equals(intent.getStringExtra(SEAL));
        intent.setAction(Intent.ACTION_MAIN);
        if (isOld || !ours || !Push.isId(incidentId) || !Push.isId(notificationId)) {
            return null;
        }
        String how = intent.getStringExtra(HOW);
        boolean isKnown = CALL_LEAD.equals(how) || TEST.equals(how);
        return new Opened(incidentId, notificationId, isKnown ? how : OPEN);
    }

    private static Intent launch(Context context) {
        Intent launch = new Intent(Intent.ACTION_MAIN)
            .addCategory(Intent.CATEGORY_LAUNCHER)
            .setPackage(context.getPackageName());
        // Also before the first unlock, when the app's own screen cannot be opened yet: the page may stand until then.
        int always = PackageManager.MATCH_DIRECT_BOOT_AWARE | PackageManager.MATCH_DIRECT_BOOT_UNAWARE;
        List<ResolveInfo> found = context.getPackageManager().queryIntentActivities(launch, always);
        if (!found.isEmpty()) {
            launch.setClassName(context.getPackageName(), found.get(0).activityInfo.name);
        }
        return launch.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK | Intent.FLAG_ACTIVITY_SINGLE_TOP);
    }

    private static PendingIntent pending(Context context, Intent intent) {
        int flags = PendingIntent.FLAG_UPDATE_CURRENT | PendingIntent.FLAG_IMMUTABLE;
        return PendingIntent.getActivity(context, 0, intent, flags);
    }

    /** What only this app knows. */
    private static synchronized String seal(Context context) {
        SharedPreferences kept = Storage.file(context, FILE);
        String seal = kept.getString(SEAL, null);
        if (seal == null) {
            seal = UUID.randomUUID().toString();
            kept.edit().putString(SEAL, seal).commit();
        }
        return seal;
    }
}
