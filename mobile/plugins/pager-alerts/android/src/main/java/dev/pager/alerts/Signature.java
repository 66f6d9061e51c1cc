package dev.pager.alerts;

/** From the form in which Java gives an ES256 signature to the one that JWTs have. */
final class Signature {

    private static final int HALF = 32;

    private Signature() {}

    /**
     * `r` and `s` of a DER sequence of two integers, 32 bytes each (RFC 7518, section 3.4).
     *
     * @throws IllegalArgumentException it is no such sequence
     */
    static byte[] raw(byte[] der) {
        // Of P-256 a sequence is at most 72 bytes: lengths have one byte.
        if (der.length < 8 || der.length > 72 || der[0] != 0x30 || der[1] != der.length - 2) {
            throw new IllegalArgumentException("no ES256 signature in DER");
        }
        byte[] raw = new byte[2 * HALF];
        int next = copy(der, 2, raw, 0);
        if (copy(der, next, raw, HALF) != der.length) {
            throw new IllegalArgumentException("no ES256 signature in DER");
        }
        return raw;
    }

    private static int copy(byte[] der, int at, byte[] raw, int to) {
        if (at + 2 > der.length || der[at] != 0x02) {
            throw new IllegalArgumentException("no ES256 signature in DER");
        }
        int length = der[at + 1];
        int start = at + 2;
        int end = start + length;
        if (length < 1 || end > der.length) {
            throw new IllegalArgumentException("no ES256 signature in DER");
        }
        while (start < end - 1 && der[start] == 0) {
            start++; // a sign, which these numbers have not
        }
        if (end - start > HALF) {
            throw new IllegalArgumentException("no ES256 signature in DER");
        }
        System.arraycopy(der, start, raw, to + HALF - (end - start), end - start);
        return end;
    }
}
