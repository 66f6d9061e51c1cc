import Capacitor
import Foundation
import PagerCore
import UIKit
import UserNotifications

/// The app's side of the plugin; `definitions.ts` says what each call is for.
@objc(PagerAlertsPlugin)
public class PagerAlertsPlugin: CAPPlugin, CAPBridgedPlugin {
    public let identifier = "PagerAlertsPlugin"
    public let jsName = "PagerAlerts"
    public let pluginMethods: [CAPPluginMethod] = [
        CAPPluginMethod(name: "checkHealth", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "requestPermissions", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "register", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "confirmToken", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "createKey", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "sign", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "storeCredential", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "wipe", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "ring", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "silence", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "clear", returnType: CAPPluginReturnPromise),
        CAPPluginMethod(name: "openSettings", returnType: CAPPluginReturnPromise)
    ]

    private static let longestInput = 65_536
    private static let longestField = 4_096
    private static let keychain = "the phone's keychain does not open"

    override public func load() {
        PagerCenter.shared.isListening = { [weak self] in
            UIApplication.shared.applicationState == .active && self?.hasListeners("received") == true
        }
        PagerCenter.shared.listen { [weak self] event, data, kept in
            self?.notifyListeners(event, data: data, retainUntilConsumed: kept)
        }
        let center = NotificationCenter.default
        center.addObserver(
            self, selector: #selector(inFront), name: UIApplication.didBecomeActiveNotification, object: nil)
        center.addObserver(
            self, selector: #selector(away), name: UIApplication.didEnterBackgroundNotification, object: nil)
    }

    deinit {
        NotificationCenter.default.removeObserver(self)
    }

    @objc func inFront() {
        PagerCenter.shared.take()
        if !Outbox().due().isEmpty {
            Courier.shared.deliver()
        }
    }

    @objc func away() {
        Ringer.shared.silence()
    }

    @objc func checkHealth(_ call: CAPPluginCall) {
        Health.read { call.resolve($0) }
    }

    @objc override public func requestPermissions(_ call: CAPPluginCall) {
        let options: UNAuthorizationOptions = [.alert, .sound, .badge, .criticalAlert]
        let center = UNUserNotificationCenter.current()
        center.requestAuthorization(options: options) { granted, error in
            if error != nil && !granted {
                // A build without Apple's entitlement for critical alerts may still show pages.
                center.requestAuthorization(options: [.alert, .sound, .badge]) { _, _ in self.asked(call) }
            } else {
                self.asked(call)
            }
        }
    }

    private func asked(_ call: CAPPluginCall) {
        enrol()
        Health.read { call.resolve($0) }
    }

    @objc func register(_ call: CAPPluginCall) {
        do {
            try Vault.page()
        } catch {
            return reject(call, error)
        }
        enrol()
        call.resolve()
    }

    /// Apple answers the app's delegate; what it said before is told at once where the server does not know it yet.
    private func enrol() {
        DispatchQueue.main.async {
            UIApplication.shared.registerForRemoteNotifications()
        }
    }

    @objc func confirmToken(_ call: CAPPluginCall) {
        do {
            try Vault.confirm(try field(call, "token"))
            PagerCenter.shared.confirmed()
            call.resolve()
        } catch {
            reject(call, error)
        }
    }

    @objc func createKey(_ call: CAPPluginCall) {
        do {
            let jwk = try DeviceKey.make(replaced: call.getBool("replace", false))
            call.resolve(["jwk": jwk, "hardware": DeviceKey.isInHardware() ?? false])
        } catch {
            reject(call, error)
        }
    }

    @objc func sign(_ call: CAPPluginCall) {
        guard let input = call.getString("input"), !input.isEmpty, input.utf16.count <= PagerAlertsPlugin.longestInput
        else {
            call.reject("input: must be 1 to \(PagerAlertsPlugin.longestInput) characters", "INVALID")
            return
        }
        do {
            call.resolve(["signature": Base64Url.encode(try DeviceKey.sign(Data(input.utf8)))])
        } catch {
            reject(call, error)
        }
    }

    @objc func storeCredential(_ call: CAPPluginCall) {
        do {
            let given = Credential(
                serverUrl: try ServerAddress.checked(call.getString("serverUrl")),
                deviceCredential: try field(call, "deviceCredential"),
                deviceId: try field(call, "deviceId"),
                userId: try field(call, "userId"))
            if let before = try Vault.credential() {
                if before.userId != given.userId {
                    try forget() // another person's
                } else if before.serverUrl != given.serverUrl {
                    try Vault.unconfirm() // the server has moved, or it is another one, which knows no token of ours
                }
            }
            try Vault.keep(given)
            try Vault.page()
            call.resolve()
        } catch {
            reject(call, error)
        }
    }

    @objc func wipe(_ call: CAPPluginCall) {
        do {
            try forget()
            try Vault.forgetToken()
            if call.getBool("key", false) {
                try DeviceKey.forget()
            }
        } catch {
            return reject(call, error)
        }
        // A phone that nobody is signed in on gets no pages: its token is dead from now on.
        DispatchQueue.main.async {
            UIApplication.shared.unregisterForRemoteNotifications()
            call.resolve()
        }
    }

    private func forget() throws {
        try Vault.forgetPerson() // first: from here on nothing is sent in this person's name
        Courier.shared.forget()
        Memory().forget()
        Ringer.shared.silence()
        PagerCenter.shared.clearAll()
    }

    @objc func ring(_ call: CAPPluginCall) {
        let seconds = call.getInt("seconds", Ringer.usual)
        Ringer.shared.ring(Priority(word: call.getString("priority")), seconds: seconds, about: nil)
        call.resolve()
    }

    @objc func silence(_ call: CAPPluginCall) {
        Ringer.shared.silence()
        call.resolve()
    }

    @objc func clear(_ call: CAPPluginCall) {
        guard let asked = call.getString("incidentId") else {
            Ringer.shared.silence()
            PagerCenter.shared.clearAll()
            return call.resolve()
        }
        guard let incidentId = Push.id(asked) else {
            return call.reject("incidentId: must be the id of an incident", "INVALID")
        }
        Ringer.shared.silence(incidentId)
        PagerCenter.shared.clear(incidentId, answered: true)
        call.resolve()
    }

    @objc func openSettings(_ call: CAPPluginCall) {
        var page: String?
        switch call.getString("which") {
        case "app", "dnd", "sound":
            page = UIApplication.openSettingsURLString
        case "notifications", "channel":
            if #available(iOS 16.0, *) {
                page = UIApplication.openNotificationSettingsURLString
            } else {
                page = UIApplication.openSettingsURLString
            }
        default:
            page = nil
        }
        guard let text = page, let url = URL(string: text) else {
            call.reject("this phone has no such page", "UNSUPPORTED")
            return
        }
        DispatchQueue.main.async {
            UIApplication.shared.open(url) { opened in
                opened ? call.resolve() : call.reject("this phone has no such page", "UNSUPPORTED")
            }
        }
    }

    private struct Missing: Error {
        let message: String
    }

    private func field(_ call: CAPPluginCall, _ name: String) throws -> String {
        guard let text = call.getString(name), !text.isEmpty, text.utf16.count <= PagerAlertsPlugin.longestField else {
            throw Missing(message: "\(name): must be 1 to \(PagerAlertsPlugin.longestField) characters")
        }
        return text
    }

    /// Without the system's words: they may hold what was stored.
    private func reject(_ call: CAPPluginCall, _ error: Error) {
        switch error {
        case let missing as Missing:
            call.reject(missing.message, "INVALID")
        case let invalid as ServerAddress.Invalid:
            call.reject(invalid.message, "INVALID")
        case DeviceKey.Failure.missing:
            call.reject("this device has no key: sign in", "NO_KEY")
        default:
            call.reject(PagerAlertsPlugin.keychain, "KEY_STORE")
        }
    }
}
