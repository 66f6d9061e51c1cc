package dev.pager.alerts;

import java.net.URI;
import java.net.URISyntaxException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Locale;
import java.util.Set;

/** Where the gateway is; checked once, when it is stored. Pushes name no address that is ever used. */
final class ServerAddress {

    private static final int LONGEST = 2_048;
    /** This machine, and the one that an emulator runs on. */
    private static final Set<String> LOCAL = new HashSet<>(Arrays.asList("localhost", "127.0.0.1", "10.0.2.2"));

    private ServerAddress() {}

    /**
     * Without a slash at the end.
     *
     * @throws IllegalArgumentException it is no address that a credential may be sent to
     */
    static String checked(String text) {
        URI uri;
        try {
            uri = new URI(text == null || text.length() > LONGEST ? "" : text);
        } catch (URISyntaxException notOne) {
            throw new IllegalArgumentException("serverUrl: must be an address such as https://pager.example.org");
        }
        String scheme = uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(Locale.ROOT);
        String host = uri.getHost() == null ? "" : uri.getHost().toLowerCase(Locale.ROOT);
        boolean plain = uri.getUserInfo() == null && uri.getQuery() == null && uri.getFragment() == null;
        if (host.isEmpty() || !plain) {
            throw new IllegalArgumentException("serverUrl: must be an address such as https://pager.example.org");
        }
        if (!"https".equals(scheme) && !("http".equals(scheme) && LOCAL.contains(host))) {
            throw new IllegalArgumentException("serverUrl: must begin with https://");
        }
        return text.replaceAll("/+$", "");
    }
}
