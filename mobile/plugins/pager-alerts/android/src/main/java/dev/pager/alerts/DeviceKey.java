package dev.pager.alerts;

import android.os.Build;
import android.security.keystore.KeyGenParameterSpec;
import android.security.keystore.KeyInfo;
import android.security.keystore.KeyProperties;
import android.security.keystore.StrongBoxUnavailableException;
import java.io.IOException;
import java.math.BigInteger;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.ProviderException;
import java.security.PublicKey;
import java.security.cert.Certificate;
import java.security.interfaces.ECPublicKey;
import java.security.spec.ECGenParameterSpec;
import org.json.JSONException;
import org.json.JSONObject;

/** The phone's own key: ES256, made in Android's Keystore, which never gives it out. */
final class DeviceKey {

    private static final String STORE = "AndroidKeyStore";
    private static final String ALIAS = "pager.device";
    private static final int COORDINATE = 32;

    private DeviceKey() {}

    /** The public half as a JWK; makes the key where there is none, or where it is to be `replaced`. */
    static synchronized JSONObject make(boolean replaced) throws GeneralSecurityException, IOException {
        KeyStore store = open();
        if (replaced || !isThere(store)) {
            store.deleteEntry(ALIAS);
            generate();
        }
        return jwk((ECPublicKey) publicKey(open()));
    }

    /** `r` and `s`, 64 bytes, over the SHA-256 of `input`. Null: there is no key. */
    static byte[] sign(byte[] input) throws GeneralSecurityException, IOException {
        Key key = open().getKey(ALIAS, null);
        if (!(key instanceof PrivateKey)) {
            return null;
        }
        java.security.Signature signing = java.security.Signature.getInstance("SHA256withECDSA");
        signing.initSign((PrivateKey) key);
        signing.update(input);
        return Signature.raw(signing.sign());
    }

    static synchronized void forget() throws GeneralSecurityException, IOException {
        open().deleteEntry(ALIAS);
    }

    /** Whether it is in hardware, from which nobody copies it; null: there is no key, or the phone does not say. */
    static Boolean isInHardware() {
        try {
            Key key = open().getKey(ALIAS, null);
            if (!(key instanceof PrivateKey)) {
                return null;
            }
            KeyFactory factory = KeyFactory.getInstance(key.getAlgorithm(), STORE);
            KeyInfo info = factory.getKeySpec(key, KeyInfo.class);
            if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.S) {
                int level = info.getSecurityLevel();
                return (
                    level == KeyProperties.SECURITY_LEVEL_STRONGBOX ||
                    level == KeyProperties.SECURITY_LEVEL_TRUSTED_ENVIRONMENT ||
                    level == KeyProperties.SECURITY_LEVEL_UNKNOWN_SECURE
                );
            }
            return info.isInsideSecureHardware();
        } catch (GeneralSecurityException | IOException unknown) {
            return null;
        }
    }

    private static KeyStore open() throws GeneralSecurityException, IOException {
        KeyStore store = KeyStore.getInstance(STORE);
        store.load(null);
        return store;
    }

    private static boolean isThere(KeyStore store) throws GeneralSecurityException {
        return store.containsAlias(ALIAS) && publicKey(store) instanceof ECPublicKey;
    }

    private static PublicKey publicKey(KeyStore store) throws GeneralSecurityException {
        Certificate certificate = store.getCertificate(ALIAS);
        return certificate == null ? null : certificate.getPublicKey();
    }

    /** Not bound to an unlocked phone: whoever is woken answers from the lock screen. */
    private static void generate() throws GeneralSecurityException {
        if (Build.VERSION.SDK_INT >= Build.VERSION_CODES.P) {
            try {
                generate(spec().setIsStrongBoxBacked(true).build());
                return;
            } catch (StrongBoxUnavailableException none) {
                // Few phones have one: the trusted environment of all others does.
            } catch (ProviderException broken) {
                // Some say that they have one and fail.
            }
        }
        generate(spec().build());
    }

    private static KeyGenParameterSpec.Builder spec() {
        return new KeyGenParameterSpec.Builder(ALIAS, KeyProperties.PURPOSE_SIGN)
            .setAlgorithmParameterSpec(new ECGenParameterSpec("secp256r1"))
            .setDigests(KeyProperties.DIGEST_SHA256);
    }

    private static void generate(KeyGenParameterSpec spec) throws GeneralSecurityException {
        KeyPairGenerator generator = KeyPairGenerator.getInstance(KeyProperties.KEY_ALGORITHM_EC, STORE);
        generator.initialize(spec);
        generator.generateKeyPair();
    }

    static JSONObject jwk(ECPublicKey key) {
        try {
            return new JSONObject()
                .put("kty", "EC")
                .put("crv", "P-256")
                .put("x", coordinate(key.getW().getAffineX()))
                .put("y", coordinate(key.getW().getAffineY()));
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    private static String coordinate(BigInteger number) {
        byte[] bytes = number.toByteArray();
        byte[] whole = new byte[COORDINATE];
        int length = Math.min(bytes.length, COORDINATE);
        System.arraycopy(bytes, bytes.length - length, whole, COORDINATE - length, length);
        return Proof.encode(whole);
    }
}
