package dev.pager.alerts;

import java.util.Locale;
import org.json.JSONException;
import org.json.JSONObject;

/** What an answer of the gateway means for what was sent. Only its own envelope can refuse anything. */
final class Answer {

    enum Meaning {
        DONE,
        /** It will never be taken: `code` and `reason` say why. */
        REFUSED,
        /** The proof was not: try at once with another one. */
        OTHER_PROOF,
        /** What it says of time is not taken: try at once without it. */
        WITHOUT_TIMES,
        LATER,
        /** Nobody answered: nothing else will get through now either. */
        AWAY,
    }

    private static final int LONGEST_WAIT = 600;

    final Meaning meaning;
    final String code;
    final String reason;
    /** Seconds that the server wants us to wait, at least; 0: it does not say. */
    final int wait;

    private Answer(Meaning meaning, String code, String reason, int wait) {
        this.meaning = meaning;
        this.code = code;
        this.reason = reason;
        this.wait = wait;
    }

    static Answer away(String reason) {
        return new Answer(Meaning.AWAY, "", reason, 0);
    }

    static Answer later(String reason) {
        return new Answer(Meaning.LATER, "", reason, 0);
    }

    /**
     * @param body as much of it as was read, or null
     * @param retryAfter the header, or null
     */
    static Answer of(int status, String body, String retryAfter) {
        JSONObject envelope = envelope(body);
        if (status >= 200 && status < 300) {
            // A proxy or a login page of some network may answer 200 as well.
            boolean ours = envelope != null && envelope.optBoolean("success");
            return ours ? new Answer(Meaning.DONE, "", "", 0) : later("an answer that is not the server's");
        }
        JSONObject error = envelope == null ? null : envelope.optJSONObject("error");
        if (error == null || status == 408 || status == 429 || status >= 500) {
            return new Answer(Meaning.LATER, "", "HTTP " + status, seconds(retryAfter));
        }
        JSONObject details = error.optJSONObject("details");
        String field = details == null ? "" : details.optString("field");
        String code = error.optString("code").toUpperCase(Locale.ROOT);
        if (status == 401 && "proof".equals(field)) {
            return new Answer(Meaning.OTHER_PROOF, code, "", 0);
        }
        if (status == 409 && "Idempotency-Key".equals(field)) {
            // The same page was acknowledged by an earlier try, whose answer did not reach us.
            return new Answer(Meaning.DONE, "", "", 0);
        }
        if (status == 400 && ("occurredAt".equals(field) || "sentAt".equals(field))) {
            return new Answer(Meaning.WITHOUT_TIMES, code, "", 0);
        }
        if (status >= 400) {
            return new Answer(
                Meaning.REFUSED,
                Texts.line(code, 40),
                Texts.line(error.optString("message"), Texts.REASON),
                0
            );
        }
        return later("HTTP " + status);
    }

    private static JSONObject envelope(String body) {
        if (body == null) {
            return null;
        }
        try {
            return new JSONObject(body);
        } catch (JSONException | StackOverflowError notOurs) {
            return null;
        }
    }

    private static int seconds(String header) {
        try {
            return header == null ? 0 : Math.max(0, Math.min(Integer.parseInt(header.trim()), LONGEST_WAIT));
        } catch (NumberFormatException date) {
            return 0;
        }
    }
}
