package dev.pager.alerts;

import android.content.Context;
import android.content.SharedPreferences;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * What this phone was told of each notification, so that the same push comes to be shown once, and one that comes after
 * its own end never rings.
 */
final class Memory {

    /** What is to be done about a push. */
    enum Deed {
        SHOW,
        /** Silently, in the place of the page. */
        REPLACE,
        TAKE_AWAY,
        NOTHING,
    }

    static final String FILE = "pager-memory";
    /** Notifications that are remembered; more than are ever open for one person. */
    static final int MOST = 300;

    private static final String SEEN = "seen";
    private static final String LAST = "lastReceivedAt";
    private static final Object LOCK = new Object();

    private final SharedPreferences kept;

    Memory(Context context) {
        kept = Storage.file(context, FILE);
    }

    Deed deed(Push push) {
        return deed(push, read());
    }

    /** After it was shown: whoever dies in between shows a page twice, and never not at all. */
    void note(Push push, long now) {
        synchronized (LOCK) {
            JSONArray next = remember(read(), push.notificationId, mark(push.kind));
            kept.edit().putString(SEEN, next.toString()).putLong(LAST, now).commit();
        }
    }

    /** It was answered on this phone: a page of it that comes again stays silent. */
    void answered(String notificationId) {
        synchronized (LOCK) {
            kept.edit().putString(SEEN, remember(read(), notificationId, "a").toString()).commit();
        }
    }

    /** Milliseconds; 0: never. */
    long lastReceivedAt() {
        return kept.getLong(LAST, 0);
    }

    void forget() {
        synchronized (LOCK) {
            kept.edit().clear().commit();
        }
    }

    /** `seen`: pairs of an id and the marks of what was heard of it. */
    static Deed deed(Push push, JSONArray seen) {
        String marks = marksOf(seen, push.notificationId);
        if (push.rings()) {
            return marks.isEmpty() ? Deed.SHOW : Deed.NOTHING;
        }
        if (marks.contains(mark(push.kind))) {
            return Deed.NOTHING;
        }
        return push.kind == Push.Kind.ACKNOWLEDGED ? Deed.REPLACE : Deed.TAKE_AWAY;
    }

    /** With the mark, as the newest; the oldest go where there are too many. */
    static JSONArray remember(JSONArray seen, String id, String mark) {
        String marks = marksOf(seen, id);
        JSONArray next = new JSONArray();
        int first = Math.max(0, seen.length() - MOST + 1);
        for (int at = first; at < seen.length(); at++) {
            JSONArray pair = seen.optJSONArray(at);
            if (pair != null && !id.equals(pair.optString(0))) {
                next.put(pair);
            }
        }
        return next.put(new JSONArray().put(id).put(marks.contains(mark) ? marks : marks + mark));
    }

    private static String marksOf(JSONArray seen, String id) {
        for (int at = seen.length() - 1; at >= 0; at--) {
            JSONArray pair = seen.optJSONArray(at);
            if (pair != null && id.equals(pair.optString(0))) {
                return pair.optString(1);
            }
        }
        return "";
    }

    private static String mark(Push.Kind kind) {
        return kind.word().substring(0, 1);
    }

    private JSONArray read() {
        try {
            return new JSONArray(kept.getString(SEEN, "[]"));
        } catch (JSONException broken) {
            return new JSONArray();
        }
    }
}
