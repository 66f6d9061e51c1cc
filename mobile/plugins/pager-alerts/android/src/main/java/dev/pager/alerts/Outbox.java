package dev.pager.alerts;

import android.content.Context;
import android.content.SharedPreferences;
import java.util.ArrayList;
import java.util.List;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** What has to reach the server, and has not yet: kept over restarts, each thing once, the oldest first. */
final class Outbox {

    static final String ACKNOWLEDGE = "acknowledge";
    static final String RECEIPT = "receipt";

    /** Acknowledgements that wait; beyond that nobody reads what they acknowledge. */
    static final int MOST_ACKNOWLEDGEMENTS = 100;
    static final int MOST_RECEIPTS = 200;

    private static final String FILE = "pager-outbox";
    private static final String ITEMS = "items";
    private static final Object LOCK = new Object();

    /** One request that has to be made. */
    static final class Item {

        /** `Idempotency-Key`, and its name here: it follows from the notification, so a repeat is the same one. */
        final String key;
        final String what;
        final String incidentId;
        final String notificationId;
        /** Of a receipt. */
        final String state;
        /** Milliseconds by this phone's clock, and since its start: the second is right while it is not restarted. */
        final long doneAt;
        final long doneSinceBoot;
        final int boot;
        /** What the notification said, for the notices about it. */
        final String title;

        Item(
            String key,
            String what,
            String incidentId,
            String notificationId,
            String state,
            long doneAt,
            long doneSinceBoot,
            int boot,
            String title
        ) {
            this.key = key;
            this.what = what;
            this.incidentId = incidentId;
            this.notificationId = notificationId;
            this.state = state;
            this.doneAt = doneAt;
            this.doneSinceBoot = doneSinceBoot;
            this.boot = boot;
            this.title = title;
        }

        static Item acknowledge(String incidentId, String notificationId, String title, Now now) {
            String key = "ack-" + notificationId;
            return new Item(
                key, ACKNOWLEDGE, incidentId, notificationId, "", now.millis, now.sinceBoot, now.boot, title
            );
        }

        static Item receipt(String incidentId, String notificationId, String state, Now now) {
            String key = "receipt-" + notificationId + "-" + state;
            return new Item(key, RECEIPT, incidentId, notificationId, state, now.millis, now.sinceBoot, now.boot, "");
        }

        boolean isAcknowledgement() {
            return ACKNOWLEDGE.equals(what);
        }

        /** Milliseconds that have passed since, whatever became of the clock meanwhile. */
        long age(Now now) {
            boolean sameStart = boot == now.boot && now.sinceBoot >= doneSinceBoot;
            return Math.max(0, sameStart ? now.sinceBoot - doneSinceBoot : now.millis - doneAt);
        }

        JSONObject kept() throws JSONException {
            return new JSONObject()
                .put("key", key)
                .put("what", what)
                .put("incidentId", incidentId)
                .put("notificationId", notificationId)
                .put("state", state)
                .put("doneAt", doneAt)
                .put("doneSinceBoot", doneSinceBoot)
                .put("boot", boot)
                .put("title", title);
        }

        static Item read(JSONObject kept) {
            return new Item(
                kept.optString("key"),
                kept.optString("what"),
                kept.optString("incidentId"),
                kept.optString("notificationId"),
                kept.optString("state"),
                kept.optLong("doneAt"),
                kept.optLong("doneSinceBoot"),
                kept.optInt("boot"),
                kept.optString("title")
            );
        }
    }

    private final SharedPreferences kept;

    Outbox(Context context) {
        kept = Storage.file(context, FILE);
    }

    /** Committed when it returns; false: it waits already. */
    boolean add(Item item) {
        synchronized (LOCK) {
            List<Item> items = items();
            for (Item one : items) {
                if (one.key.equals(item.key)) {
                    return false;
                }
            }
            items.add(item);
            write(bounded(items));
            return true;
        }
    }

    void remove(String key) {
        synchronized (LOCK) {
            List<Item> left = new ArrayList<>();
            for (Item one : items()) {
                if (!one.key.equals(key)) {
                    left.add(one);
                }
            }
            write(left);
        }
    }

    /** Acknowledgements first: nobody waits for a receipt. */
    List<Item> due() {
        List<Item> first = new ArrayList<>();
        List<Item> then = new ArrayList<>();
        for (Item one : items()) {
            (one.isAcknowledgement() ? first : then).add(one);
        }
        first.addAll(then);
        return first;
    }

    int count(String what) {
        int count = 0;
        for (Item one : items()) {
            count += one.what.equals(what) ? 1 : 0;
        }
        return count;
    }

    void forget() {
        synchronized (LOCK) {
            kept.edit().clear().commit();
        }
    }

    /** The newest of each kind, in their order. */
    static List<Item> bounded(List<Item> items) {
        int acknowledgements = 0;
        int receipts = 0;
        List<Item> left = new ArrayList<>();
        for (int at = items.size() - 1; at >= 0; at--) {
            Item one = items.get(at);
            boolean stays = one.isAcknowledgement()
                ? acknowledgements++ < MOST_ACKNOWLEDGEMENTS
                : receipts++ < MOST_RECEIPTS;
            if (stays) {
                left.add(0, one);
            }
        }
        return left;
    }

    private List<Item> items() {
        List<Item> items = new ArrayList<>();
        try {
            JSONArray read = new JSONArray(kept.getString(ITEMS, "[]"));
            for (int at = 0; at < read.length(); at++) {
                JSONObject one = read.optJSONObject(at);
                if (one != null) {
                    items.add(Item.read(one));
                }
            }
        } catch (JSONException broken) {
            // Nothing that can be read is nothing that can be sent.
        }
        return items;
    }

    private void write(List<Item> items) {
        JSONArray written = new JSONArray();
        try {
            for (Item one : items) {
                written.put(one.kept());
            }
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
        kept.edit().putString(ITEMS, written.toString()).commit();
    }
}
