package dev.pager.alerts;

import android.os.Handler;
import android.os.Looper;
import com.getcapacitor.JSObject;
import java.lang.ref.WeakReference;
import org.json.JSONException;

/** From what runs without the app to the app, while it lives. */
final class Events {

    private static volatile WeakReference<PagerAlertsPlugin> plugin = new WeakReference<>(null);

    private Events() {}

    static void listen(PagerAlertsPlugin to) {
        plugin = new WeakReference<>(to);
    }

    /** Whether the app is in front and shows pages itself. */
    static boolean isInFront() {
        PagerAlertsPlugin one = plugin.get();
        return one != null && one.showsPages();
    }

    static void token(String token) {
        JSObject event = new JSObject();
        event.put("token", token);
        event.put("platform", "android");
        tell("token", event, true);
    }

    static void received(Push push) {
        try {
            tell("received", JSObject.fromJSONObject(push.shown()), false);
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    static void opened(Openings.Opened opened) {
        JSObject event = new JSObject();
        event.put("incidentId", opened.incidentId);
        event.put("notificationId", opened.notificationId);
        event.put("action", opened.how);
        tell("opened", event, true);
    }

    /** `state`: accepted or queued. */
    static void acknowledged(Outbox.Item item, String state) {
        JSObject event = about(item);
        event.put("state", state);
        tell("acknowledged", event, true);
    }

    static void refused(Outbox.Item item, String code, String reason) {
        JSObject event = about(item);
        event.put("code", code);
        event.put("reason", reason);
        tell("refused", event, true);
    }

    private static JSObject about(Outbox.Item item) {
        JSObject event = new JSObject();
        event.put("incidentId", item.incidentId);
        event.put("notificationId", item.notificationId);
        event.put("at", Now.written(item.doneAt));
        return event;
    }

    private static void tell(String name, JSObject event, boolean kept) {
        PagerAlertsPlugin one = plugin.get();
        if (one != null) {
            new Handler(Looper.getMainLooper()).post(() -> one.tell(name, event, kept));
        }
    }
}
