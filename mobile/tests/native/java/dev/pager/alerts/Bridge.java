package dev.pager.alerts;

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import org.json.JSONArray;
import org.json.JSONException;
import org.json.JSONObject;

/** Lets the tests call what is pure of the plugin: a question a line on the standard input, an answer a line. */
public final class Bridge {

    private static KeyPair key;

    private Bridge() {}

    public static void main(String[] arguments) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
        generator.initialize(new ECGenParameterSpec("secp256r1"));
        key = generator.generateKeyPair();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line; (line = in.readLine()) != null; ) {
            JSONObject answer;
            try {
                answer = new JSONObject().put("is", answer(new JSONObject(line)));
            } catch (IllegalArgumentException refused) {
                answer = new JSONObject().put("refused", refused.getMessage());
            }
            System.out.write((answer + "\n").getBytes(StandardCharsets.UTF_8));
            System.out.flush();
        }
    }

    private static Object answer(JSONObject asked) throws Exception {
        switch (asked.getString("ask")) {
            case "push":
                Push push = Push.read(strings(asked.getJSONObject("data")));
                return push == null ? JSONObject.NULL : push.shown();
            case "test":
                return Push.read(strings(asked.getJSONObject("data"))).isTest;
            case "deed":
                return deed(asked);
            case "text":
                return asked.getBoolean("block")
                    ? Texts.block(asked.getString("text"), asked.getInt("limit"))
                    : Texts.line(asked.getString("text"), asked.getInt("limit"));
            case "answer":
                return meaning(asked);
            case "proof":
                return new JSONObject()
                    .put("jwk", DeviceKey.jwk((ECPublicKey) key.getPublic()))
                    .put(
                        "proof",
                        Proof.of(
                            asked.getString("of"),
                            asked.getString("method"),
                            asked.getString("path"),
                            asked.getLong("seconds"),
                            Bridge::sign
                        )
                    );
            case "raw":
                return Proof.encode(Signature.raw(bytes(asked.getString("hex"))));
            case "address":
                return ServerAddress.checked(asked.getString("text"));
            case "body":
                return body(asked);
            case "bounded":
                return bounded(asked.getInt("acknowledgements"), asked.getInt("receipts"));
            case "remembered":
                return remembered(asked.getInt("count"));
            default:
                throw new IllegalStateException("what?");
        }
    }

    private static byte[] sign(byte[] input) throws java.security.GeneralSecurityException {
        java.security.Signature signing = java.security.Signature.getInstance("SHA256withECDSA");
        signing.initSign(key.getPrivate());
        signing.update(input);
        return Signature.raw(signing.sign());
    }

    /** What is done about each of these pushes in turn. */
    private static JSONArray deed(JSONObject asked) throws JSONException {
        JSONArray seen = new JSONArray();
        JSONArray deeds = new JSONArray();
        JSONArray pushes = asked.getJSONArray("pushes");
        for (int at = 0; at < pushes.length(); at++) {
            JSONObject one = pushes.getJSONObject(at);
            if (one.has("answered")) {
                seen = Memory.remember(seen, one.getString("answered"), "a");
                continue;
            }
            Push push = Push.read(strings(one));
            deeds.put(Memory.deed(push, seen).name());
            seen = Memory.remember(seen, push.notificationId, push.kind.word().substring(0, 1));
        }
        return deeds;
    }

    private static JSONObject meaning(JSONObject asked) throws JSONException {
        String body = asked.isNull("body") ? null : asked.getString("body");
        String retryAfter = asked.isNull("retryAfter") ? null : asked.getString("retryAfter");
        Answer answer = Answer.of(asked.getInt("status"), body, retryAfter);
        return new JSONObject()
            .put("meaning", answer.meaning.name())
            .put("code", answer.code)
            .put("reason", answer.reason)
            .put("wait", answer.wait);
    }

    private static JSONObject body(JSONObject asked) throws JSONException {
        Now then = now(asked.getJSONObject("then"));
        Outbox.Item item = asked.has("state")
            ? Outbox.Item.receipt("i", "n", asked.getString("state"), then)
            : Outbox.Item.acknowledge("i", "n", "title", then);
        Outbox.Item kept = Outbox.Item.read(new JSONObject(item.kept().toString()));
        return new JSONObject()
            .put("key", kept.key)
            .put("body", Courier.body(kept, now(asked.getJSONObject("now")), asked.optBoolean("times", true)));
    }

    private static Now now(JSONObject said) throws JSONException {
        return new Now(said.getLong("millis"), said.getLong("sinceBoot"), said.getInt("boot"));
    }

    private static JSONArray bounded(int acknowledgements, int receipts) {
        List<Outbox.Item> items = new ArrayList<>();
        for (int at = 0; at < acknowledgements; at++) {
            items.add(Outbox.Item.acknowledge("i", "a" + at, "", new Now(at, at, 1)));
        }
        for (int at = 0; at < receipts; at++) {
            items.add(Outbox.Item.receipt("i", "r" + at, "received", new Now(at, at, 1)));
        }
        JSONArray keys = new JSONArray();
        for (Outbox.Item one : Outbox.bounded(items)) {
            keys.put(one.notificationId);
        }
        return keys;
    }

    private static int remembered(int count) {
        JSONArray seen = new JSONArray();
        for (int at = 0; at < count; at++) {
            seen = Memory.remember(seen, "id" + at, "p");
        }
        return seen.length();
    }

    private static Map<String, String> strings(JSONObject data) {
        Map<String, String> map = new HashMap<>();
        for (Iterator<String> names = data.keys(); names.hasNext(); ) {
            String name = names.next();
            map.put(name, data.optString(name));
        }
        return map;
    }

    private static byte[] bytes(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int at = 0; at < bytes.length; at++) {
            bytes[at] = (byte) Integer.parseInt(hex.substring(2 * at, 2 * at + 2), 16);
        }
        return bytes;
    }
}
