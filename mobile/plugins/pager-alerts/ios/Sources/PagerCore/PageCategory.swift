import Foundation
import UserNotifications

/// What a page offers without opening the app. The notifier names the category in each push.
public enum PageCategory {
    public static let incident = "INCIDENT"
    public static let acknowledge = "ACK"
    public static let callLead = "CALL_LEAD"

    /// ACK works on a locked phone: whoever is woken need not unlock it to say so.
    public static func make() -> UNNotificationCategory {
        let acknowledge = UNNotificationAction(
            identifier: PageCategory.acknowledge, title: Words.acknowledge, options: [])
        let callLead = UNNotificationAction(
            identifier: PageCategory.callLead, title: Words.callLead, options: [.foreground])
        return UNNotificationCategory(
            identifier: incident, actions: [acknowledge, callLead], intentIdentifiers: [],
            hiddenPreviewsBodyPlaceholder: Words.hidden, options: [])
    }
}

/// Every word that the native part says, by the key under which `Localizable.strings` may translate it.
public enum Words {
    public static var acknowledge: String { said("pager.acknowledge", "ACK") }
    public static var callLead: String { said("pager.callLead", "Call lead") }
    public static var hidden: String { said("pager.hidden", "A page for you") }
    public static var waits: String { said("pager.waits", "Not acknowledged yet: waiting for the network") }
    public static var notice: String { said("pager.notice", "Pager needs you") }
    public static var nobody: String {
        said("pager.nobody", "A page came, and nobody is signed in on this phone. Open Pager and sign in.")
    }
    public static var token: String {
        said(
            "pager.token",
            "The address under which this phone is paged has changed. Open Pager, so that pages reach you.")
    }
    public static var signIn: String {
        said("pager.signIn", "Not acknowledged: this phone is not signed in any more. Open Pager and sign in.")
    }
    public static var undelivered: String {
        said("pager.undelivered", "Not acknowledged: the server was not reached for a day.")
    }

    public static func refused(_ reason: String) -> String {
        // Isolated: a name of another direction must not turn the words around it.
        String(format: said("pager.refused", "Not acknowledged: %@"), "\u{2068}" + reason + "\u{2069}")
    }

    private static func said(_ key: String, _ english: String) -> String {
        NSLocalizedString(key, bundle: .main, value: english, comment: "")
    }
}
