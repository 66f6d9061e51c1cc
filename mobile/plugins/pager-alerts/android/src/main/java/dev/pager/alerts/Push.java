package dev.pager.alerts;

import java.util.Map;
import java.util.regex.Pattern;
import org.json.JSONException;
import org.json.JSONObject;

/** What a push says, checked and shortened. Whatever sent it, nothing in it is followed but two ids. */
final class Push {

    /** What is not listed here rings: an unknown kind must not be a silent page. */
    enum Kind {
        PAGE,
        ACKNOWLEDGED,
        RESOLVED,
        WITHDRAWN;

        static Kind of(String word) {
            if (word != null) {
                switch (word) {
                    case "acknowledged":
                        return ACKNOWLEDGED;
                    case "resolved":
                        return RESOLVED;
                    case "withdrawn":
                        return WITHDRAWN;
                    default:
                        return PAGE;
                }
            }
            return PAGE;
        }

        String word() {
            switch (this) {
                case ACKNOWLEDGED:
                    return "acknowledged";
                case RESOLVED:
                    return "resolved";
                case WITHDRAWN:
                    return "withdrawn";
                default:
                    return "page";
            }
        }
    }

    // The keys of the notifier's data messages.
    static final String INCIDENT_ID = "incidentId";
    static final String NOTIFICATION_ID = "notificationId";
    static final String PRIORITY = "priority";
    static final String KIND = "kind";
    static final String TITLE = "title";
    static final String BODY = "body";
    static final String LEVEL = "level";
    static final String TEST = "test";

    private static final Pattern UUID =
        Pattern.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}");
    private static final Pattern NUMBER = Pattern.compile("[0-9]{1,4}");

    /** Of a test, which is about none: its own id. */
    final String incidentId;
    final String notificationId;
    /** Its person has sent it to themselves: there is nothing to acknowledge. */
    final boolean isTest;
    final Priority priority;
    final Kind kind;
    final String title;
    final String body;
    /** Of the escalation; null: not told. */
    final Integer level;

    private Push(String incidentId, String notificationId, Map<String, String> data) {
        this.incidentId = incidentId;
        this.notificationId = notificationId;
        this.isTest = isTest(data);
        this.priority = Priority.of(data.get(PRIORITY));
        this.kind = Kind.of(data.get(KIND));
        String shown = Texts.line(data.get(TITLE), Texts.TITLE);
        this.title = shown.isEmpty() ? "Page" : shown;
        this.body = Texts.block(data.get(BODY), Texts.BODY);
        String said = data.get(LEVEL);
        this.level = said != null && NUMBER.matcher(said).matches() ? Integer.valueOf(said) : null;
    }

    /** Null: it is none of ours, since it does not say what it is about. */
    static Push read(Map<String, String> data) {
        String notification = data.get(NOTIFICATION_ID);
        String incident = isTest(data) ? notification : data.get(INCIDENT_ID);
        return isId(incident) && isId(notification) ? new Push(incident, notification, data) : null;
    }

    private static boolean isTest(Map<String, String> data) {
        return "true".equals(data.get(TEST)) && data.get(INCIDENT_ID) == null;
    }

    /** A UUID as the API writes it. */
    static boolean isId(String text) {
        return text != null && UUID.matcher(text).matches();
    }

    boolean rings() {
        return kind == Kind.PAGE;
    }

    /** For the app's screens. */
    JSONObject shown() {
        try {
            return new JSONObject()
                .put(INCIDENT_ID, incidentId)
                .put(NOTIFICATION_ID, notificationId)
                .put(PRIORITY, priority.word())
                .put(KIND, kind.word())
                .put(TITLE, title)
                .put(BODY, body)
                .put(LEVEL, level == null ? JSONObject.NULL : level);
        } catch (JSONException impossible) {
            throw new IllegalStateException(impossible);
        }
    }
}
