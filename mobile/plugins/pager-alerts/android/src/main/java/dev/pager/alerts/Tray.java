package dev.pager.alerts;

import android.app.Notification;
import android.app.NotificationManager;
import android.app.PendingIntent;
import android.content.Context;
import android.content.Intent;
import android.media.AudioManager;
import android.net.Uri;
import android.os.Build;
import android.os.Bundle;
import android.service.notification.StatusBarNotification;
import android.text.BidiFormatter;
import androidx.core.app.NotificationCompat;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.List;

/** What stands in the notification drawer: one entry an incident, and what a person has to be told besides. */
final class Tray {

    private static final int PAGE = 1;
    private static final int NOTICE = 2;
    /** Android takes no more than some fifty of one app, and drops the newest without a word. */
    private static final int MOST = 40;
    private static final long SHORTLY_MS = 60_000;
    private static final long A_WHILE_MS = 30 * 60_000;
    private static final String ID = "dev.pager.alerts.notificationId";

    private final Context context;
    private final NotificationManager manager;

    Tray(Context context) {
        this.context = context;
        manager = context.getSystemService(NotificationManager.class);
    }

    /** `silently`: the app is in front and rings itself. */
    void show(Push push, boolean silently) {
        Channels.make(context);
        makeRoom();
        String channel = silently ? Channels.UPDATES : Channels.of(push.priority);
        NotificationCompat.Builder page = entry(channel, push.incidentId, push.notificationId, push.title, push.body)
            .setCategory(NotificationCompat.CATEGORY_ALARM)
            .setPriority(silently ? NotificationCompat.PRIORITY_LOW : NotificationCompat.PRIORITY_MAX)
            .setPublicVersion(hidden(channel, push.priority))
            .setContentIntent(opening(push, push.isTest ? Openings.TEST : Openings.OPEN));
        if (!push.isTest && new Vault(context).credential() != null) {
            page.addAction(0, context.getString(R.string.pager_acknowledge), acknowledging(push));
        }
        if (!push.isTest) {
            page.addAction(0, context.getString(R.string.pager_call_lead), opening(push, Openings.CALL_LEAD));
        }
        if (!silently) {
            if (push.priority.isUrgent()) {
                page.setFullScreenIntent(covering(push), true);
            }
            if (Build.VERSION.SDK_INT < Build.VERSION_CODES.O) {
                int stream = push.priority.isUrgent() ? AudioManager.STREAM_ALARM : AudioManager.STREAM_NOTIFICATION;
                page.setSound(Channels.sound(context, push.priority), stream);
                page.setVibrate(Channels.vibration(push.priority));
            }
        }
        Notification built = page.build();
        if (!silently && push.priority == Priority.CRITICAL) {
            built.flags |= Notification.FLAG_INSISTENT; // until somebody touches it, answers it or is faster
        }
        post(push.incidentId, PAGE, built);
    }

    /** In the place of the page that it is about, if that is still shown. */
    void replace(Push push) {
        if (push.notificationId.equals(shown(push.incidentId))) {
            AlertActivity.finish(push.incidentId);
            NotificationCompat.Builder quiet =
                entry(Channels.UPDATES, push.incidentId, push.notificationId, push.title, push.body);
            post(push.incidentId, PAGE, quiet.setTimeoutAfter(A_WHILE_MS).build());
        }
    }

    /** It is over; a newer page of the same incident stays. */
    void takeAway(Push push) {
        if (push.notificationId.equals(shown(push.incidentId))) {
            clear(push.incidentId);
        }
    }

    void acknowledging(Outbox.Item item) {
        AlertActivity.finish(item.incidentId);
        state(item, R.string.pager_acknowledging, true, 0);
    }

    /** Said only where it still stands: who has swept it away has read it. */
    void waits(Outbox.Item item) {
        if (item.notificationId.equals(shown(item.incidentId))) {
            state(item, R.string.pager_waits, true, 0);
        }
    }

    void acknowledged(Outbox.Item item) {
        if (item.notificationId.equals(shown(item.incidentId))) {
            state(item, R.string.pager_acknowledged, false, SHORTLY_MS);
        }
    }

    /** Aloud, and in the server's words: somebody believes to have it who has not. */
    void refused(Outbox.Item item, String code, String reason) {
        if (item.notificationId.equals(shown(item.incidentId))) {
            clear(item.incidentId);
        }
        String said;
        if ("UNAUTHENTICATED".equals(code)) {
            said = context.getString(R.string.pager_refused_sign_in);
        } else if ("UNDELIVERED".equals(code)) {
            said = context.getString(R.string.pager_refused_undelivered);
        } else {
            String shown = BidiFormatter.getInstance().unicodeWrap(reason.isEmpty() ? code : reason);
            said = context.getString(R.string.pager_refused, shown);
        }
        NotificationCompat.Builder notice =
            entry(Channels.NOTICES, item.incidentId, item.notificationId, item.title, said);
        post("refused-" + item.incidentId, NOTICE, notice.build());
    }

    /** What stops pages from coming, or may have kept some away. */
    void tell(String tag, int text) {
        Channels.make(context);
        NotificationCompat.Builder notice = new NotificationCompat.Builder(context, Channels.NOTICES)
            .setSmallIcon(R.drawable.pager_page)
            .setContentTitle(context.getString(R.string.pager_notice))
            .setContentText(context.getString(text))
            .setStyle(new NotificationCompat.BigTextStyle().bigText(context.getString(text)))
            .setPriority(NotificationCompat.PRIORITY_HIGH)
            .setAutoCancel(true)
            .setContentIntent(Openings.app(context));
        post("notice-" + tag, NOTICE, notice.build());
    }

    void untell(String tag) {
        if (manager != null) {
            manager.cancel("notice-" + tag, NOTICE);
        }
    }

    /** The notification id of the page that is shown of an incident; null: none. */
    String shown(String incidentId) {
        for (StatusBarNotification one : active()) {
            if (one.getId() == PAGE && incidentId.equals(one.getTag())) {
                return one.getNotification().extras.getString(ID);
            }
        }
        return null;
    }

    void clear(String incidentId) {
        AlertActivity.finish(incidentId);
        if (manager != null) {
            manager.cancel(incidentId, PAGE);
        }
    }

    void clearAll() {
        AlertActivity.finish(null);
        if (manager != null) {
            manager.cancelAll();
        }
    }

    private void state(Outbox.Item item, int text, boolean stays, long shortly) {
        String said = context.getString(text);
        NotificationCompat.Builder state =
            entry(Channels.UPDATES, item.incidentId, item.notificationId, item.title, said).setOngoing(stays);
        if (shortly > 0) {
            state.setTimeoutAfter(shortly);
        }
        post(item.incidentId, PAGE, state.build());
    }

    private NotificationCompat.Builder entry(
        String channel,
        String incidentId,
        String notificationId,
        String title,
        String body
    ) {
        Bundle extras = new Bundle();
        extras.putString(ID, notificationId);
        return new NotificationCompat.Builder(context, channel)
            .setSmallIcon(R.drawable.pager_page)
            .setContentTitle(title)
            .setContentText(body)
            .setStyle(new NotificationCompat.BigTextStyle().bigText(body))
            .setVisibility(NotificationCompat.VISIBILITY_PRIVATE)
            .setPriority(NotificationCompat.PRIORITY_LOW)
            .setOnlyAlertOnce(false)
            .setAutoCancel(true)
            .addExtras(extras)
            .setContentIntent(Openings.incident(context, incidentId, notificationId, Openings.OPEN));
    }

    /** On a locked screen whose owner hides what is private. */
    private Notification hidden(String channel, Priority priority) {
        int text = priority == Priority.CRITICAL ? R.string.pager_hidden_critical : R.string.pager_hidden;
        return new NotificationCompat.Builder(context, channel)
            .setSmallIcon(R.drawable.pager_page)
            .setContentTitle(context.getString(text))
            .build();
    }

    private PendingIntent acknowledging(Push push) {
        Intent intent = new Intent(context, AckReceiver.class)
            // Two intents that differ in extras alone are one to Android.
            .setData(Uri.fromParts("pager-ack", push.notificationId, null))
            .putExtra(Push.INCIDENT_ID, push.incidentId)
            .putExtra(Push.NOTIFICATION_ID, push.notificationId)
            .putExtra(Push.TITLE, push.title);
        int flags = PendingIntent.FLAG_UPDATE_CURRENT | PendingIntent.FLAG_IMMUTABLE;
        return PendingIntent.getBroadcast(context, 0, intent, flags);
    }

    private PendingIntent opening(Push push, String action) {
        return Openings.incident(context, push.incidentId, push.notificationId, action);
    }

    private PendingIntent covering(Push push) {
        Intent intent = AlertActivity.of(context, push);
        int flags = PendingIntent.FLAG_UPDATE_CURRENT | PendingIntent.FLAG_IMMUTABLE;
        return PendingIntent.getActivity(context, 0, intent, flags);
    }

    private void post(String tag, int id, Notification notification) {
        if (manager != null) {
            manager.notify(tag, id, notification);
        }
    }

    private List<StatusBarNotification> active() {
        List<StatusBarNotification> found = new ArrayList<>();
        if (manager != null) {
            Collections.addAll(found, manager.getActiveNotifications());
        }
        return found;
    }

    /** The oldest of what is least urgent goes: the page that comes now has to be seen. */
    private void makeRoom() {
        List<StatusBarNotification> active = active();
        if (active.size() < MOST) {
            return;
        }
        Comparator<StatusBarNotification> order = Comparator.comparingInt(Tray::urgency);
        active.sort(order.thenComparingLong(StatusBarNotification::getPostTime));
        for (StatusBarNotification one : active.subList(0, active.size() - MOST + 1)) {
            manager.cancel(one.getTag(), one.getId());
        }
    }

    private static int urgency(StatusBarNotification one) {
        String channel = Build.VERSION.SDK_INT >= Build.VERSION_CODES.O
            ? one.getNotification().getChannelId()
            : null;
        if (Channels.CRITICAL.equals(channel)) {
            return 4;
        }
        if (Channels.HIGH.equals(channel) || Channels.NOTICES.equals(channel)) {
            return 3;
        }
        return Channels.MEDIUM.equals(channel) ? 2 : Channels.LOW.equals(channel) ? 1 : 0;
    }
}
