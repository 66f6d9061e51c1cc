import PagerCore
import UserNotifications

/// Runs for each page before it is shown, also where the app is dead: see `Arrival`.
final class NotificationService: UNNotificationServiceExtension {
    private let arrival = Arrival()

    override func didReceive(
        _ request: UNNotificationRequest, withContentHandler contentHandler: @escaping (UNNotificationContent) -> Void
    ) {
        arrival.receive(request, contentHandler)
    }

    override func serviceExtensionTimeWillExpire() {
        arrival.finish()
    }
}
