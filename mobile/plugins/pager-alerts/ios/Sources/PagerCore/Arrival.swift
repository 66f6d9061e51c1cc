import Foundation
import UserNotifications

/// A push that has arrived while the app may be dead: what the notification service extension does with it.
public final class Arrival: NoRedirects {
    private static let longestTry: TimeInterval = 3_600

    private var handler: ((UNNotificationContent) -> Void)?
    private var content: UNMutableNotificationContent?

    /// Never holds a page up: receipts are handed to the system, which sends them when this process is gone.
    public func receive(_ request: UNNotificationRequest, _ handler: @escaping (UNNotificationContent) -> Void) {
        self.handler = handler
        guard let content = request.content.mutableCopy() as? UNMutableNotificationContent else {
            return handler(request.content)
        }
        self.content = content
        guard let push = Push(request.content.userInfo) else {
            return finish()
        }
        content.title = push.title
        content.body = push.body
        let credential: Credential?
        let isPaged: Bool
        do {
            isPaged = try Vault.isPaged()
            credential = try Vault.credential()
        } catch {
            // Not unlocked since its start: nobody can be asked who is signed in. The page is shown as it came.
            return finish()
        }
        guard isPaged else {
            // Somebody's page, and not for whoever holds the phone now; but it must not get lost in silence.
            content.title = Words.notice
            content.body = Words.nobody
            content.categoryIdentifier = ""
            return finish()
        }
        let memory = Memory()
        let now = Now.now()
        if memory.deed(push) == .show {
            memory.note(push, now: now.date)
            if push.isTest || credential == nil {
                content.categoryIdentifier = "" // there is nothing to acknowledge, or nothing to do it with
            }
            finish()
            if let who = credential {
                receipts(push, who, now)
            }
        } else {
            // Seen before, over, or nothing but the end of one: it stands there, and wakes nobody.
            content.sound = nil
            content.interruptionLevel = .passive
            if !push.rings {
                content.categoryIdentifier = "" // there is nothing left to acknowledge
            }
            memory.note(push, now: now.date)
            finish()
        }
    }

    /// The system's patience is over.
    public func finish() {
        guard let handler = handler, let content = content else {
            return
        }
        self.handler = nil
        handler(content)
    }

    private func receipts(_ push: Push, _ who: Credential, _ now: Now) {
        UNUserNotificationCenter.current().getNotificationSettings { settings in
            let isShown = settings.authorizationStatus == .authorized && settings.alertSetting == .enabled
            self.upload(push, who, now, isShown ? ["received", "displayed"] : ["received"])
        }
    }

    private func upload(_ push: Push, _ who: Credential, _ now: Now, _ states: [String]) {
        guard let group = Shared.appGroup, let folder = try? Shared.folder(Shared.uploads) else {
            return
        }
        let configuration = URLSessionConfiguration.background(withIdentifier: "pager.receipts." + push.notificationId)
        configuration.sharedContainerIdentifier = group
        configuration.isDiscretionary = false
        configuration.sessionSendsLaunchEvents = false
        configuration.timeoutIntervalForResource = Arrival.longestTry
        let session = URLSession(configuration: configuration, delegate: self, delegateQueue: nil)
        for state in states {
            let item = Item.receipt(
                incidentId: push.incidentId, notificationId: push.notificationId, state: state, now: now)
            guard let (request, body) = try? Requests.make(item, who, now: now, times: true) else {
                continue
            }
            let file = folder.appendingPathComponent(item.key + ".json")
            let options: Data.WritingOptions = [.atomic, .completeFileProtectionUntilFirstUserAuthentication]
            guard (try? body.write(to: file, options: options)) != nil else {
                continue
            }
            session.uploadTask(with: request, fromFile: file).resume()
        }
        session.finishTasksAndInvalidate()
    }
}
