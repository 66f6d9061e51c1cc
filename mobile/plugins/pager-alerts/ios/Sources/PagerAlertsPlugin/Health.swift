import Foundation
import PagerCore
import UserNotifications

/// "Would you be woken?": what the phone's settings say.
enum Health {
    static func read(_ done: @escaping ([String: Any]) -> Void) {
        UNUserNotificationCenter.current().getNotificationSettings { settings in
            done(said(settings))
        }
    }

    private static func said(_ settings: UNNotificationSettings) -> [String: Any] {
        let outbox = Outbox().due()
        let acknowledgements = outbox.filter { $0.what == .acknowledge }.count
        let received = Memory().lastReceivedAt().map(Now.written)
        let hardware = DeviceKey.isInHardware()
        let canSign = hardware != nil && ((try? Vault.credential()) ?? nil) != nil
        return [
            "platform": "ios",
            "notifications": permission(settings.authorizationStatus),
            "criticalAlerts": answer(settings.criticalAlertSetting),
            "timeSensitive": answer(settings.timeSensitiveSetting),
            "channelSound": answer(settings.soundSetting),
            "dndBypass": answer(settings.criticalAlertSetting),
            "fullScreenIntent": "notApplicable",
            "batteryUnrestricted": "notApplicable",
            "focus": "unknown",
            "alarmVolume": "unknown",
            "pushConfigured": pushConfigured(),
            "token": token(),
            "canAcknowledge": canSign,
            "hardwareKey": hardware.map { $0 ? "yes" : "no" } ?? "unknown",
            "lastReceivedAt": orNull(received),
            "waiting": ["acknowledgements": acknowledgements, "receipts": outbox.count - acknowledgements],
            "clockAhead": orNull(Courier.shared.clockAhead)
        ]
    }

    private static func orNull(_ value: Any?) -> Any {
        value ?? NSNull()
    }

    private static func permission(_ status: UNAuthorizationStatus) -> String {
        switch status {
        case .authorized, .ephemeral:
            return "granted"
        case .provisional:
            return "provisional"
        case .notDetermined:
            return "prompt"
        default:
            return "denied"
        }
    }

    private static func answer(_ setting: UNNotificationSetting) -> String {
        switch setting {
        case .enabled:
            return "yes"
        case .disabled:
            return "no"
        default:
            return "notApplicable"
        }
    }

    private static func pushConfigured() -> String {
        if PagerCenter.shared.failure != nil {
            return "no"
        }
        return ((try? Vault.token()) ?? nil) == nil ? "unknown" : "yes"
    }

    private static func token() -> String {
        guard let token = (try? Vault.token()) ?? nil else {
            return "none"
        }
        return Vault.isConfirmed(token) ? "confirmed" : "unconfirmed"
    }
}
