package dev.pager.alerts;

import android.content.BroadcastReceiver;
import android.content.Context;
import android.content.Intent;
import android.os.Handler;
import android.os.Looper;
import java.util.concurrent.atomic.AtomicBoolean;

/** The button ACK of a notification. Nobody but this app can call it. */
public final class AckReceiver extends BroadcastReceiver {

    /** Android wants an answer within ten seconds; what is not done by then goes on in WorkManager. */
    private static final long PATIENCE_MS = 8_000;

    @Override
    public void onReceive(Context context, Intent intent) {
        String incidentId = intent.getStringExtra(Push.INCIDENT_ID);
        String notificationId = intent.getStringExtra(Push.NOTIFICATION_ID);
        if (!Push.isId(incidentId) || !Push.isId(notificationId)) {
            return;
        }
        String title = Texts.line(intent.getStringExtra(Push.TITLE), Texts.TITLE);
        PendingResult result = goAsync();
        AtomicBoolean isOver = new AtomicBoolean();
        Runnable finish = () -> {
            if (isOver.compareAndSet(false, true)) {
                result.finish();
            }
        };
        new Handler(Looper.getMainLooper()).postDelayed(finish, PATIENCE_MS);
        Acks.acknowledge(context, incidentId, notificationId, title, finish);
    }
}
