import Foundation
import PagerCore
import UIKit
import UserNotifications

/// The app's ear for notifications, from its very start and without a WebView: the app's delegate hands it what comes.
public final class PagerCenter: NSObject, UNUserNotificationCenterDelegate {
    public static let shared = PagerCenter()

    /// Of what we say ourselves; a push's identifier is its incident's.
    private static let prefix = "pager."
    private static let refusedPrefix = prefix + "refused."
    private static let tokenNotice = prefix + "notice.token"

    /// Whoever had this place before: local notifications of other plugins are for them.
    private weak var before: UNUserNotificationCenterDelegate?
    private let center = UNUserNotificationCenter.current()
    /// The app's side; what happens before it is there waits.
    private var tell: ((String, [String: Any], Bool) -> Void)?
    private var untold: [(String, [String: Any])] = []
    private static let mostUntold = 50
    /// Why Apple gave no token, if so.
    private(set) var failure: String?
    /// Whether the app shows pages itself.
    var isListening: () -> Bool = { false }

    // MARK: what the app's delegate calls

    /// First of all, also where the system starts the app for a button of a notification.
    public func start() {
        take()
        center.setNotificationCategories([PageCategory.make()])
        Vault.forgetOfFormerInstallation()
        Shared.sweep()
        if (try? Vault.isPaged()) == true {
            // The token may have changed while the app was dead; Apple says so only when it is asked.
            UIApplication.shared.registerForRemoteNotifications()
            if !Outbox().due().isEmpty {
                Courier.shared.deliver()
            }
        }
    }

    public func registered(_ data: Data) {
        failure = nil
        let token = data.map { String(format: "%02x", $0) }.joined()
        try? Vault.keep(token: token)
        guard !Vault.isConfirmed(token) else {
            return
        }
        say("token", ["token": token, "platform": "ios"])
        if (try? Vault.isPaged()) == true && UIApplication.shared.applicationState == .background {
            // Only a session can tell the server, and none may be here: until then pages go nowhere.
            notice(PagerCenter.tokenNotice, Words.notice, Words.token, [:])
        }
    }

    public func failed(_ error: Error) {
        failure = (error as NSError).domain + " " + String((error as NSError).code)
    }

    /// For `handleEventsForBackgroundURLSession`. False: it is nobody's of ours.
    public func resume(_ identifier: String, _ done: @escaping () -> Void) -> Bool {
        Courier.shared.resume(identifier, done)
    }

    /// A push that asks for no banner (`content-available`), or one that came while the app runs.
    public func woken(_ info: [AnyHashable: Any], _ done: @escaping () -> Void) {
        if let push = Push(info), !push.rings, (try? Vault.isPaged()) == true {
            Memory().note(push, now: Date())
            Ringer.shared.silence(push.incidentId)
            clear(push.incidentId, only: push.notificationId, answered: false)
        }
        Courier.shared.deliver(done)
    }

    // MARK: what the plugin calls

    /// Capacitor takes this place for itself while its bridge comes up.
    func take() {
        if center.delegate !== self {
            before = center.delegate
            center.delegate = self
        }
    }

    func listen(_ tell: @escaping (String, [String: Any], Bool) -> Void) {
        take()
        self.tell = tell
        untold.forEach { tell($0.0, $0.1, true) }
        untold = []
    }

    func confirmed() {
        center.removeDeliveredNotifications(withIdentifiers: [PagerCenter.tokenNotice])
    }

    /// The pages of an incident, as long as they are shown; notices of ours about it stay.
    func clear(_ incidentId: String, only notificationId: String? = nil, answered: Bool) {
        center.getDeliveredNotifications { shown in
            let pages = shown.filter { one in
                guard !one.request.identifier.hasPrefix(PagerCenter.prefix),
                    let push = Push(one.request.content.userInfo), push.incidentId == incidentId
                else {
                    return false
                }
                return notificationId == nil || notificationId == push.notificationId
            }
            if answered {
                let memory = Memory()
                pages.compactMap { Push($0.request.content.userInfo)?.notificationId }.forEach(memory.answered)
            }
            self.center.removeDeliveredNotifications(withIdentifiers: pages.map { $0.request.identifier })
        }
    }

    func clearAll() {
        center.removeAllDeliveredNotifications()
        center.removeAllPendingNotificationRequests()
    }

    // MARK: what became of an acknowledgement

    func acknowledged(_ item: Item) {
        clear(item.incidentId, answered: false)
        center.removeDeliveredNotifications(withIdentifiers: [PagerCenter.refusedPrefix + item.incidentId])
        say("acknowledged", about(item, ["state": "accepted"]))
    }

    func waits(_ item: Item) {
        say("acknowledged", about(item, ["state": "queued"]))
        if item.tries == 0 {
            notice(PagerCenter.refusedPrefix + item.incidentId, item.title, Words.waits, reference(item))
        }
    }

    /// Aloud, and in the server's words: somebody believes to have it who has not.
    func refused(_ item: Item, code: String, reason: String) {
        let body: String
        switch code {
        case "UNAUTHENTICATED":
            body = Words.signIn
        case "UNDELIVERED":
            body = Words.undelivered
        default:
            body = Words.refused(reason.isEmpty ? code : reason)
        }
        clear(item.incidentId, answered: false)
        notice(PagerCenter.refusedPrefix + item.incidentId, item.title, body, reference(item))
        say("refused", about(item, ["code": code, "reason": reason]))
    }

    // MARK: UNUserNotificationCenterDelegate

    public func userNotificationCenter(
        _ center: UNUserNotificationCenter, willPresent notification: UNNotification,
        withCompletionHandler completionHandler: @escaping (UNNotificationPresentationOptions) -> Void
    ) {
        let content = notification.request.content
        let isRemote = notification.request.trigger is UNPushNotificationTrigger
        guard isRemote, let push = Push(content.userInfo) else {
            if notification.request.identifier.hasPrefix(PagerCenter.prefix) || isRemote {
                return completionHandler([.banner, .list, .sound])
            }
            let others = before?.userNotificationCenter?(
                center, willPresent: notification, withCompletionHandler: completionHandler)
            if others == nil {
                completionHandler([.banner, .list, .sound])
            }
            return
        }
        guard (try? Vault.isPaged()) == true else {
            return completionHandler([.banner, .list, .sound]) // as the extension has written it
        }
        if !push.rings {
            Ringer.shared.silence(push.incidentId)
            completionHandler([])
            clear(push.incidentId, only: push.notificationId, answered: false)
            say("received", push.shown, kept: false)
            return
        }
        // The extension has noted it: what comes twice, or after its end, has no sound any more.
        let isAloud = content.sound != nil
        if push.isTest {
            return completionHandler(isAloud ? [.banner, .list, .sound] : [.list]) // no screen of the app's shows it
        }
        if isAloud && isListening() {
            Ringer.shared.ring(push.priority, seconds: Ringer.usual, about: push.incidentId)
            completionHandler([.list])
        } else {
            completionHandler(isAloud ? [.banner, .list, .sound] : [.list])
        }
        say("received", push.shown, kept: false)
    }

    public func userNotificationCenter(
        _ center: UNUserNotificationCenter, didReceive response: UNNotificationResponse,
        withCompletionHandler completionHandler: @escaping () -> Void
    ) {
        let request = response.notification.request
        guard let push = opened(request.content.userInfo) else {
            if request.identifier.hasPrefix(PagerCenter.prefix) || before == nil {
                return completionHandler()
            }
            let others = before?.userNotificationCenter?(
                center, didReceive: response, withCompletionHandler: completionHandler)
            if others == nil {
                completionHandler()
            }
            return
        }
        Ringer.shared.silence(push.incidentId)
        switch response.actionIdentifier {
        case PageCategory.acknowledge where push.isTest:
            receipt(push)
            Courier.shared.deliver(completionHandler)
        case PageCategory.acknowledge:
            acknowledge(push, Texts.line(request.content.title, Texts.title), completionHandler)
        case UNNotificationDismissActionIdentifier:
            completionHandler()
        default:
            let isCall = response.actionIdentifier == PageCategory.callLead
            receipt(push)
            if !push.isTest {
                say(
                    "opened",
                    [
                        Push.Key.incidentId: push.incidentId, Push.Key.notificationId: push.notificationId,
                        "action": isCall ? "callLead" : "open"
                    ])
            }
            Courier.shared.deliver(completionHandler)
        }
    }

    private struct Opened {
        let incidentId: String
        let notificationId: String
        let isTest: Bool
    }

    /// Of a push, or of a notice of ours about one.
    private func opened(_ info: [AnyHashable: Any]) -> Opened? {
        Push.reference(info).map { Opened(incidentId: $0.0, notificationId: $0.1, isTest: $0.2) }
    }

    /// On the disk before anything else; twice for one notification it is one.
    private func acknowledge(_ push: Opened, _ title: String, _ done: @escaping () -> Void) {
        let item = Item.acknowledge(
            incidentId: push.incidentId, notificationId: push.notificationId, title: title, now: Now.now())
        do {
            guard try Vault.credential() != nil else {
                refused(item, code: "UNAUTHENTICATED", reason: "")
                return done()
            }
        } catch {
            // Shut until the first unlock: it waits in the outbox until the app starts after it.
        }
        Outbox().add(item)
        Memory().answered(push.notificationId)
        receipt(push)
        Courier.shared.deliver(done)
    }

    private func receipt(_ push: Opened) {
        Outbox().add(
            Item.receipt(
                incidentId: push.incidentId, notificationId: push.notificationId, state: "opened", now: Now.now()))
    }

    // MARK: telling

    private func about(_ item: Item, _ more: [String: Any]) -> [String: Any] {
        let common: [String: Any] = ["at": Now.written(item.doneAt)]
        return common.merging(reference(item)) { _, new in new }.merging(more) { _, new in new }
    }

    private func reference(_ item: Item) -> [String: Any] {
        [Push.Key.incidentId: item.incidentId, Push.Key.notificationId: item.notificationId]
    }

    private func say(_ event: String, _ data: [String: Any], kept: Bool = true) {
        DispatchQueue.main.async {
            if let tell = self.tell {
                tell(event, data, kept)
            } else if kept {
                self.untold = Array(self.untold.suffix(PagerCenter.mostUntold - 1)) + [(event, data)]
            }
        }
    }

    private func notice(_ identifier: String, _ title: String, _ body: String, _ info: [String: Any]) {
        let content = UNMutableNotificationContent()
        content.title = title.isEmpty ? Words.notice : title
        content.body = body
        content.sound = .default
        content.interruptionLevel = .timeSensitive
        content.userInfo = info
        center.add(UNNotificationRequest(identifier: identifier, content: content, trigger: nil))
    }
}
