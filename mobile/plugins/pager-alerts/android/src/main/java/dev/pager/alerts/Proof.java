package dev.pager.alerts;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.UUID;
import org.json.JSONException;
import org.json.JSONObject;

/** What this phone signs to show that it is there: a JWT for one use. The server's word for it is `Pager-Proof`. */
final class Proof {

    static final String TYPE = "pager-proof+jwt";
    static final String AUDIENCE = "pager";

    /** Signs with the phone's key: `r` and `s`, 64 bytes. */
    interface Signer {
        byte[] sign(byte[] input) throws GeneralSecurityException;
    }

    private Proof() {}

    /**
     * For one try of one request: another try needs another proof.
     *
     * @param shownWith the device credential
     * @param path of the request, as the gateway sees it, without the query
     * @param seconds of this phone's clock, which may be wrong
     */
    static String of(String shownWith, String method, String path, long seconds, Signer signer)
        throws GeneralSecurityException {
        String head;
        String claims;
        try {
            head = new JSONObject().put("typ", TYPE).put("alg", "ES256").toString();
            claims = new JSONObject()
                .put("aud", AUDIENCE)
                .put("ath", hash(shownWith))
                .put("jti", UUID.randomUUID().toString())
                .put("iat", Math.max(seconds, 0))
                .put("htm", method)
                .put("htu", path)
                .toString();
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
        String input = encode(utf8(head)) + "." + encode(utf8(claims));
        return input + "." + encode(signer.sign(utf8(input)));
    }

    static String encode(byte[] bytes) {
        return android.util.Base64.encodeToString(
            bytes,
            android.util.Base64.URL_SAFE | android.util.Base64.NO_PADDING | android.util.Base64.NO_WRAP
        );
    }

    private static String hash(String text) throws GeneralSecurityException {
        return encode(MessageDigest.getInstance("SHA-256").digest(utf8(text)));
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}
