package dev.pager.alerts;

import android.content.Context;

/** ACK without the app: from a notification's button, or from the screen that covers the lock screen. */
final class Acks {

    private Acks() {}

    /** Kept before anything else; twice for one notification it is one. `done` is called when it was tried. */
    static void acknowledge(Context context, String incidentId, String notificationId, String title, Runnable done) {
        Now now = Now.of(context);
        Outbox outbox = new Outbox(context);
        Outbox.Item item = Outbox.Item.acknowledge(incidentId, notificationId, title, now);
        outbox.add(item);
        outbox.add(Outbox.Item.receipt(incidentId, notificationId, "opened", now));
        new Memory(context).answered(notificationId);
        Ringer.silence(incidentId);
        if (new Vault(context).credential() == null) {
            outbox.forget();
            new Tray(context).refused(item, "UNAUTHENTICATED", "");
            Events.refused(item, "UNAUTHENTICATED", "");
            done.run();
            return;
        }
        new Tray(context).acknowledging(item);
        Courier.send(context, done);
    }
}
