package dev.pager.alerts;

/** Text from outside, made fit to be shown: short, of one line where that is wanted, and plain. */
final class Texts {

    static final int TITLE = 200;
    static final int BODY = 1_000;
    static final int REASON = 300;

    private Texts() {}

    /** At most `limit` characters on one line. */
    static String line(String text, int limit) {
        return plain(text, limit, false);
    }

    /** At most `limit` characters; line breaks stay. */
    static String block(String text, int limit) {
        return plain(text, limit, true);
    }

    private static String plain(String text, int limit, boolean breaks) {
        if (text == null) {
            return "";
        }
        StringBuilder kept = new StringBuilder(Math.min(text.length(), 2 * limit));
        int count = 0;
        boolean gap = false;
        for (int at = 0; at < text.length(); ) {
            int point = text.codePointAt(at);
            at += Character.charCount(point);
            if (point == '\n' && breaks && count > 0) {
                trimEnd(kept);
                kept.append('\n');
                count++;
                gap = false;
            } else if (Character.isWhitespace(point) || Character.isSpaceChar(point) || Character.isISOControl(point)) {
                gap = count > 0;
            } else if (isHidden(point)) {
                continue;
            } else {
                if (gap && kept.charAt(kept.length() - 1) != '\n') {
                    kept.append(' ');
                    count++;
                }
                gap = false;
                kept.appendCodePoint(point);
                count++;
            }
            if (count >= limit && at < text.length()) {
                trimEnd(kept);
                return kept.append('…').toString();
            }
        }
        trimEnd(kept);
        return kept.toString();
    }

    /**
     * What turns the direction of all that follows, so that a text could be read as another one, and halves of
     * characters. Direction itself follows from the letters, as the platform does it.
     */
    private static boolean isHidden(int point) {
        return (
            (point >= 0x202A && point <= 0x202E) ||
            (point >= 0x2066 && point <= 0x2069) ||
            (point >= 0xD800 && point <= 0xDFFF) ||
            point == 0xFEFF
        );
    }

    private static void trimEnd(StringBuilder text) {
        int end = text.length();
        while (end > 0 && Character.isWhitespace(text.charAt(end - 1))) {
            end--;
        }
        text.setLength(end);
    }
}
