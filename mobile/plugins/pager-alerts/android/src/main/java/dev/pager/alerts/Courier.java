package dev.pager.alerts;

import android.content.Context;
import android.content.SharedPreferences;
import android.util.Log;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import org.json.JSONException;
import org.json.JSONObject;

/** Takes what waits in the outbox to the server, without a WebView, and tells the person what became of it. */
final class Courier {

    private static final String TAG = "Pager";
    private static final int TIMEOUT_MS = 10_000;
    private static final int LARGEST_ANSWER = 65_536;
    private static final int PROOFS = 3;
    /** What could not be delivered within a day is over: whoever was paged after it has answered or not. */
    private static final long LONGEST = 24 * 60 * 60 * 1_000L;
    private static final String FILE = "pager-courier";
    private static final String AHEAD = "clockAhead";
    private static final Object ONE_AT_A_TIME = new Object();
    private static final ExecutorService THREAD = Executors.newSingleThreadExecutor();

    private final Context context;
    private final Vault vault;
    private final Outbox outbox;
    private final SharedPreferences kept;

    Courier(Context context) {
        this.context = context.getApplicationContext() == null ? context : context.getApplicationContext();
        vault = new Vault(this.context);
        outbox = new Outbox(this.context);
        kept = Storage.file(this.context, FILE);
    }

    /** Tries at once, and leaves the rest to WorkManager; `done` is called in the end, whatever came of it. */
    static void send(Context context, Runnable done) {
        CourierWork.later(context); // first: this process may die before it has tried
        THREAD.execute(() -> {
            try {
                new Courier(context).deliver();
            } finally {
                done.run();
            }
        });
    }

    /** True: nothing waits any more. Repeated and side by side it sends nothing twice for good. */
    boolean deliver() {
        synchronized (ONE_AT_A_TIME) {
            boolean isEmpty = true;
            Set<String> tried = new HashSet<>();
            for (Outbox.Item item; (item = next(tried)) != null; ) {
                Vault.Credential who = vault.credential();
                if (who == null) {
                    outbox.forget(); // nobody is signed in: it was somebody else's
                    return true;
                }
                Answer answer = deliver(item, who);
                isEmpty &= settled(item, answer);
                if (answer.meaning == Answer.Meaning.AWAY) {
                    return false;
                }
            }
            return isEmpty;
        }
    }

    /** Looked up anew each time: an acknowledgement that comes in meanwhile goes before all receipts. */
    private Outbox.Item next(Set<String> tried) {
        for (Outbox.Item item : outbox.due()) {
            if (tried.add(item.key)) {
                return item;
            }
        }
        return null;
    }

    /** Seconds by which the phone's clock is ahead, as last heard; null: not known. */
    Integer clockAhead() {
        return kept.contains(AHEAD) ? kept.getInt(AHEAD, 0) : null;
    }

    void forget() {
        kept.edit().clear().commit();
    }

    private boolean settled(Outbox.Item item, Answer answer) {
        boolean tooOld = item.age(Now.of(context)) > LONGEST;
        boolean waits = answer.meaning == Answer.Meaning.LATER || answer.meaning == Answer.Meaning.AWAY;
        if (waits && !tooOld) {
            Log.w(TAG, item.what + " waits: " + answer.reason);
            if (item.isAcknowledgement()) {
                new Tray(context).waits(item);
                Events.acknowledged(item, "queued");
            }
            return false;
        }
        outbox.remove(item.key);
        if (item.isAcknowledgement()) {
            Tray tray = new Tray(context);
            if (answer.meaning == Answer.Meaning.DONE) {
                tray.acknowledged(item);
                Events.acknowledged(item, "accepted");
            } else {
                String code = waits ? "UNDELIVERED" : answer.code;
                tray.refused(item, code, answer.reason);
                Events.refused(item, code, answer.reason);
            }
        }
        return true;
    }

    private Answer deliver(Outbox.Item item, Vault.Credential who) {
        boolean times = true;
        Answer answer = Answer.later("not tried");
        for (int tries = 0; tries < PROOFS; tries++) {
            try {
                answer = request(item, who, times);
            } catch (IOException | GeneralSecurityException | JSONException away) {
                // Its class says enough: a message may hold an address.
                return Answer.away(away.getClass().getSimpleName());
            }
            if (answer.meaning == Answer.Meaning.WITHOUT_TIMES && times) {
                times = false;
            } else if (answer.meaning != Answer.Meaning.OTHER_PROOF) {
                return answer;
            }
        }
        // Its key is not the one that signed in: it will not be another one later.
        return answer;
    }

    private Answer request(Outbox.Item item, Vault.Credential who, boolean times)
        throws IOException, GeneralSecurityException, JSONException {
        String path = item.isAcknowledgement()
            ? "/api/v1/incidents/" + item.incidentId + "/acknowledge"
            : "/api/v1/notifications/" + item.notificationId + "/receipts";
        Now now = Now.of(context);
        byte[] body = body(item, now, times).toString().getBytes(StandardCharsets.UTF_8);
        String proof = Proof.of(who.deviceCredential, "POST", path, now.millis / 1_000, Courier::sign);
        HttpURLConnection connection = (HttpURLConnection) new URL(who.serverUrl + path).openConnection();
        try {
            connection.setRequestMethod("POST");
            connection.setConnectTimeout(TIMEOUT_MS);
            connection.setReadTimeout(TIMEOUT_MS);
            // Wherever it points, the credential is for this server alone.
            connection.setInstanceFollowRedirects(false);
            connection.setUseCaches(false);
            connection.setDoOutput(true);
            connection.setFixedLengthStreamingMode(body.length);
            connection.setRequestProperty("Authorization", "Bearer " + who.deviceCredential);
            connection.setRequestProperty("Pager-Proof", proof);
            connection.setRequestProperty("Idempotency-Key", item.key);
            connection.setRequestProperty("Content-Type", "application/json");
            connection.setRequestProperty("Accept", "application/json");
            try (OutputStream out = connection.getOutputStream()) {
                out.write(body);
            }
            int status = connection.getResponseCode();
            noteClock(connection.getDate());
            return Answer.of(status, text(connection, status), connection.getHeaderField("Retry-After"));
        } finally {
            connection.disconnect();
        }
    }

    private static byte[] sign(byte[] input) throws GeneralSecurityException {
        try {
            byte[] signed = DeviceKey.sign(input);
            if (signed == null) {
                throw new GeneralSecurityException("this phone has no key");
            }
            return signed;
        } catch (IOException closed) {
            throw new GeneralSecurityException(closed);
        }
    }

    /**
     * The server believes how long ago it was done, and no clock: so both times are by this one, and how long ago it
     * was is counted by the one that cannot be set.
     */
    static JSONObject body(Outbox.Item item, Now now, boolean times) throws JSONException {
        String done = Now.written(now.millis - item.age(now));
        if (!item.isAcknowledgement()) {
            return new JSONObject().put("state", item.state).put("at", done);
        }
        return times
            ? new JSONObject().put("occurredAt", done).put("sentAt", Now.written(now.millis))
            : new JSONObject();
    }

    private void noteClock(long serverMillis) {
        if (serverMillis > 0) {
            long ahead = (System.currentTimeMillis() - serverMillis) / 1_000;
            kept.edit().putInt(AHEAD, (int) Math.max(Integer.MIN_VALUE, Math.min(ahead, Integer.MAX_VALUE))).apply();
        }
    }

    private static String text(HttpURLConnection connection, int status) throws IOException {
        InputStream in = status >= 400 ? connection.getErrorStream() : connection.getInputStream();
        if (in == null) {
            return null;
        }
        try (InputStream open = in) {
            ByteArrayOutputStream read = new ByteArrayOutputStream();
            byte[] some = new byte[8_192];
            for (int count; (count = open.read(some)) >= 0; ) {
                read.write(some, 0, count);
                if (read.size() > LARGEST_ANSWER) {
                    return null;
                }
            }
            return new String(read.toByteArray(), StandardCharsets.UTF_8);
        }
    }
}
