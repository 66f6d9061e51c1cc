import Foundation

/// What a push says, checked and shortened. Whatever sent it, nothing in it is followed but two ids.
public struct Push {
    /// What is not listed here rings: an unknown kind must not be a silent page.
    public enum Kind: String {
        case page
        case acknowledged
        case resolved
        case withdrawn

        init(word: Any?) {
            self = (word as? String).flatMap(Kind.init(rawValue:)) ?? .page
        }
    }

    /// The keys of the notifier's payload, beside `aps`.
    public enum Key {
        public static let incidentId = "incidentId"
        public static let notificationId = "notificationId"
        public static let priority = "priority"
        public static let kind = "kind"
        public static let level = "level"
        public static let test = "test"
    }

    /// Of a test, which is about none: its own id.
    public let incidentId: String
    public let notificationId: String
    /// Its person has sent it to themselves: there is nothing to acknowledge.
    public let isTest: Bool
    public let priority: Priority
    public let kind: Kind
    public let title: String
    public let body: String
    /// Of the escalation; nil: not told.
    public let level: Int?

    /// Nil: it is none of ours, since it does not say what it is about.
    public init?(_ payload: [AnyHashable: Any]) {
        guard let (incident, notification, isTest) = Push.reference(payload) else {
            return nil
        }
        self.isTest = isTest
        let aps = payload["aps"] as? [String: Any]
        let alert = aps?["alert"] as? [String: Any]
        let shown = Texts.line(alert?["title"], Texts.title)
        incidentId = incident
        notificationId = notification
        priority = Priority(word: payload[Key.priority])
        kind = Kind(word: payload[Key.kind])
        title = shown.isEmpty ? "Page" : shown
        body = Texts.block(alert?["body"], Texts.body)
        level = (payload[Key.level] as? Int).flatMap { (0...9_999).contains($0) ? $0 : nil }
    }

    public var rings: Bool {
        kind == .page
    }

    /// For the app's screens.
    public var shown: [String: Any] {
        let told: Any? = level
        return [
            Key.incidentId: incidentId,
            Key.notificationId: notificationId,
            Key.priority: priority.rawValue,
            Key.kind: kind.rawValue,
            "title": title,
            "body": body,
            Key.level: told ?? NSNull()
        ]
    }

    /// Which incident and which notification it is about, and whether it is a test.
    public static func reference(_ payload: [AnyHashable: Any]) -> (String, String, Bool)? {
        guard let notification = id(payload[Key.notificationId]) else {
            return nil
        }
        if payload[Key.incidentId] == nil, payload[Key.test] as? Bool == true {
            return (notification, notification, true)
        }
        guard let incident = id(payload[Key.incidentId]) else {
            return nil
        }
        return (incident, notification, false)
    }

    /// A UUID as the API writes it.
    public static func id(_ value: Any?) -> String? {
        guard let text = value as? String, text.count == 36, let uuid = UUID(uuidString: text) else {
            return nil
        }
        return uuid.uuidString.lowercased() == text ? text : nil
    }
}
