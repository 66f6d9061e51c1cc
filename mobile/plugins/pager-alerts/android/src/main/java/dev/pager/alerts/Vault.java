package dev.pager.alerts;

import android.content.Context;
import android.content.SharedPreferences;
import android.security.keystore.KeyGenParameterSpec;
import android.security.keystore.KeyProperties;
import android.util.Base64;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyStore;
import javax.crypto.Cipher;
import javax.crypto.KeyGenerator;
import javax.crypto.spec.GCMParameterSpec;
import org.json.JSONException;
import org.json.JSONObject;

/**
 * Small secrets, sealed with a key of Android's Keystore that never leaves it. The storage itself is open before the
 * first unlock, so that a page can be answered then; a backup holds none of it.
 */
final class Vault {

    /** Who is signed in here, and with what a request is made. */
    static final class Credential {

        final String serverUrl;
        final String deviceCredential;
        final String deviceId;
        final String userId;

        Credential(String serverUrl, String deviceCredential, String deviceId, String userId) {
            this.serverUrl = serverUrl;
            this.deviceCredential = deviceCredential;
            this.deviceId = deviceId;
            this.userId = userId;
        }
    }

    private static final String FILE = "pager-vault";
    private static final String ALIAS = "pager.vault";
    private static final String CREDENTIAL = "credential";
    private static final String TOKEN = "token";
    private static final String CONFIRMED = "confirmed";
    private static final String IS_PAGED = "isPaged";
    private static final int NONCE = 12;
    private static final int TAG_BITS = 128;

    private final SharedPreferences kept;

    Vault(Context context) {
        kept = Storage.file(context, FILE);
    }

    /** Null: nobody is signed in here, or what was kept cannot be opened any more. */
    Credential credential() {
        String text = open(CREDENTIAL);
        if (text == null) {
            return null;
        }
        try {
            JSONObject said = new JSONObject(text);
            return new Credential(
                said.getString("serverUrl"),
                said.getString("deviceCredential"),
                said.getString("deviceId"),
                said.getString("userId")
            );
        } catch (JSONException broken) {
            return null;
        }
    }

    void keep(Credential credential) throws GeneralSecurityException, IOException {
        try {
            JSONObject said = new JSONObject()
                .put("serverUrl", credential.serverUrl)
                .put("deviceCredential", credential.deviceCredential)
                .put("deviceId", credential.deviceId)
                .put("userId", credential.userId);
            seal(CREDENTIAL, said.toString());
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** The push token as it was last given to us; null: none. */
    String token() {
        return open(TOKEN);
    }

    void keepToken(String token) throws GeneralSecurityException, IOException {
        seal(TOKEN, token);
    }

    /** Whether the server was told this very token. */
    boolean isConfirmed(String token) {
        return token != null && token.equals(open(CONFIRMED));
    }

    void confirm(String token) throws GeneralSecurityException, IOException {
        seal(CONFIRMED, token);
    }

    /**
     * Whether somebody is signed in whom pages on this phone are for. They may have no credential: a changed password
     * ends it, and pages come all the same.
     */
    boolean isPaged() {
        return kept.getBoolean(IS_PAGED, false);
    }

    void page() {
        kept.edit().putBoolean(IS_PAGED, true).commit();
    }

    /** Whoever signs in next may have another server: it has to be told the token again. */
    void forgetPerson() {
        kept.edit().remove(CREDENTIAL).remove(CONFIRMED).remove(IS_PAGED).commit();
    }

    void unconfirm() {
        kept.edit().remove(CONFIRMED).commit();
    }

    void forgetToken() {
        kept.edit().remove(TOKEN).remove(CONFIRMED).commit();
    }

    private void seal(String name, String text) throws GeneralSecurityException, IOException {
        Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
        cipher.init(Cipher.ENCRYPT_MODE, key());
        cipher.updateAAD(name.getBytes(StandardCharsets.UTF_8));
        byte[] sealed = cipher.doFinal(text.getBytes(StandardCharsets.UTF_8));
        byte[] nonce = cipher.getIV();
        byte[] whole = new byte[NONCE + sealed.length];
        System.arraycopy(nonce, 0, whole, 0, NONCE);
        System.arraycopy(sealed, 0, whole, NONCE, sealed.length);
        if (!kept.edit().putString(name, Base64.encodeToString(whole, Base64.NO_WRAP)).commit()) {
            throw new IOException("the phone's storage is full");
        }
    }

    private String open(String name) {
        String text = kept.getString(name, null);
        if (text == null) {
            return null;
        }
        try {
            byte[] whole = Base64.decode(text, Base64.NO_WRAP);
            Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
            cipher.init(Cipher.DECRYPT_MODE, key(), new GCMParameterSpec(TAG_BITS, whole, 0, NONCE));
            cipher.updateAAD(name.getBytes(StandardCharsets.UTF_8));
            return new String(cipher.doFinal(whole, NONCE, whole.length - NONCE), StandardCharsets.UTF_8);
        } catch (GeneralSecurityException | IOException | IllegalArgumentException lost) {
            return null; // another key than it was sealed with: as if nobody had signed in
        }
    }

    private static synchronized Key key() throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance("AndroidKeyStore");
        store.load(null);
        Key found = store.getKey(ALIAS, null);
        if (found != null) {
            return found;
        }
        KeyGenerator generator = KeyGenerator.getInstance(KeyProperties.KEY_ALGORITHM_AES, "AndroidKeyStore");
        int purposes = KeyProperties.PURPOSE_ENCRYPT | KeyProperties.PURPOSE_DECRYPT;
        generator.init(
            new KeyGenParameterSpec.Builder(ALIAS, purposes)
                .setBlockModes(KeyProperties.BLOCK_MODE_GCM)
                .setEncryptionPaddings(KeyProperties.ENCRYPTION_PADDING_NONE)
                .setKeySize(256)
                .build()
        );
        return generator.generateKey();
    }
}
