package dev.pager.alerts;

import android.content.Context;
import android.util.Log;
import androidx.annotation.NonNull;
import com.google.firebase.messaging.FirebaseMessagingService;
import com.google.firebase.messaging.RemoteMessage;
import java.io.IOException;
import java.security.GeneralSecurityException;

/** Pushes and tokens as Firebase brings them, also where the app was killed or the phone was never unlocked. */
public final class PushService extends FirebaseMessagingService {

    private static final String TAG = "Pager";

    @Override
    public void onMessageReceived(@NonNull RemoteMessage message) {
        handle(this, Push.read(message.getData()));
    }

    /** More than a hundred waited, and Google has dropped them all. */
    @Override
    public void onDeletedMessages() {
        if (new Vault(this).isPaged()) {
            new Tray(this).tell("dropped", R.string.pager_notice_dropped);
        }
    }

    @Override
    public void onNewToken(@NonNull String token) {
        Vault vault = new Vault(this);
        try {
            vault.keepToken(token);
        } catch (GeneralSecurityException | IOException shut) {
            Log.w(TAG, "the push token is not kept: " + shut.getClass().getSimpleName());
        }
        Events.token(token);
        if (!Events.isInFront() && vault.isPaged() && !vault.isConfirmed(token)) {
            // Only a session can tell the server, and none may be here: until then pages go nowhere.
            new Tray(this).tell("token", R.string.pager_notice_token);
        }
    }

    /** One at a time: two of one page must not both find that it was never shown. */
    static synchronized void handle(Context context, Push push) {
        if (push == null) {
            Log.w(TAG, "a push that says nothing about an incident");
            return;
        }
        Tray tray = new Tray(context);
        if (!new Vault(context).isPaged()) {
            // It is somebody's page, and not for whoever holds the phone now; but it must not get lost in silence.
            if (push.rings()) {
                tray.tell("nobody", R.string.pager_notice_nobody);
            }
            return;
        }
        Memory memory = new Memory(context);
        Now now = Now.of(context);
        switch (memory.deed(push)) {
            case SHOW:
                boolean inFront = Events.isInFront() && !push.isTest; // no screen of the app's shows a test
                tray.show(push, inFront);
                if (inFront) {
                    Ringer.ring(context, push.priority, Ringer.USUAL, push.incidentId);
                }
                receipts(context, push, now);
                break;
            case REPLACE:
                tray.replace(push);
                break;
            case TAKE_AWAY:
                tray.takeAway(push);
                break;
            default:
                return;
        }
        memory.note(push, now.millis);
        if (!push.rings()) {
            Ringer.silence(push.incidentId);
        }
        if (!push.isTest) {
            Events.received(push);
        }
    }

    private static void receipts(Context context, Push push, Now now) {
        if (new Vault(context).credential() == null) {
            return;
        }
        Outbox outbox = new Outbox(context);
        outbox.add(Outbox.Item.receipt(push.incidentId, push.notificationId, "received", now));
        if (Health.shows(context, push.priority)) {
            outbox.add(Outbox.Item.receipt(push.incidentId, push.notificationId, "displayed", now));
        }
        Courier.send(context, () -> {});
    }
}
