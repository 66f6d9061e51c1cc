import Foundation
import Security

/// Small secrets in the Keychain: readable once the phone was unlocked after its start, and in no backup.
struct Keychain {
    enum Failure: Error {
        /// The phone was not unlocked since it was started.
        case locked
        case refused(OSStatus)
    }

    private static let service = "pager"

    static func read(_ name: String) throws -> Data? {
        var query = item(name)
        query[kSecReturnData as String] = true
        query[kSecMatchLimit as String] = kSecMatchLimitOne
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        switch status {
        case errSecSuccess:
            return found as? Data
        case errSecItemNotFound:
            return nil
        case errSecInteractionNotAllowed:
            throw Failure.locked
        default:
            throw Failure.refused(status)
        }
    }

    static func write(_ name: String, _ data: Data) throws {
        let values: [String: Any] = [
            kSecValueData as String: data,
            kSecAttrAccessible as String: kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        ]
        var status = SecItemUpdate(item(name) as CFDictionary, values as CFDictionary)
        if status == errSecItemNotFound {
            let whole = item(name).merging(values) { _, new in new }
            status = SecItemAdd(whole as CFDictionary, nil)
        }
        try check(status)
    }

    static func remove(_ name: String) throws {
        let status = SecItemDelete(item(name) as CFDictionary)
        if status != errSecItemNotFound {
            try check(status)
        }
    }

    static func check(_ status: OSStatus) throws {
        switch status {
        case errSecSuccess:
            return
        case errSecInteractionNotAllowed:
            throw Failure.locked
        default:
            throw Failure.refused(status)
        }
    }

    private static func item(_ name: String) -> [String: Any] {
        var item: [String: Any] = [
            kSecClass as String: kSecClassGenericPassword,
            kSecAttrService as String: service,
            kSecAttrAccount as String: name
        ]
        if let group = Shared.keychainGroup {
            item[kSecAttrAccessGroup as String] = group
        }
        return item
    }
}
