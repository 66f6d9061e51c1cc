import Foundation
import Security

/// The phone's own key: ES256, made in the Secure Enclave where there is one, which never gives it out.
public enum DeviceKey {
    public enum Failure: Error {
        case missing
        case refused(String)
    }

    private static let tag = Data("pager.device".utf8)
    private static let coordinate = 32

    /// The public half as a JWK; makes the key where there is none, or where it is to be replaced.
    public static func make(replaced: Bool) throws -> [String: String] {
        if replaced {
            try forget()
        }
        let key = try find() ?? generate()
        guard let publicKey = SecKeyCopyPublicKey(key),
            let bytes = SecKeyCopyExternalRepresentation(publicKey, nil) as Data?,
            bytes.count == 1 + 2 * coordinate, bytes.first == 4
        else {
            throw Failure.refused("the key has no public half")
        }
        let body = bytes.dropFirst()
        return [
            "kty": "EC",
            "crv": "P-256",
            "x": Base64Url.encode(Data(body.prefix(coordinate))),
            "y": Base64Url.encode(Data(body.suffix(coordinate)))
        ]
    }

    /// `r` and `s`, 64 bytes, over the SHA-256 of `input`.
    public static func sign(_ input: Data) throws -> Data {
        guard let key = try find() else {
            throw Failure.missing
        }
        var error: Unmanaged<CFError>?
        let algorithm = SecKeyAlgorithm.ecdsaSignatureMessageX962SHA256
        guard let der = SecKeyCreateSignature(key, algorithm, input as CFData, &error) as Data? else {
            throw Failure.refused(said(error))
        }
        return try Signature.raw(der)
    }

    /// Whether nobody can copy it out of the hardware; nil: there is no key, or it cannot be read now.
    public static func isInHardware() -> Bool? {
        guard let key = try? find(), let attributes = SecKeyCopyAttributes(key) as? [String: Any] else {
            return nil
        }
        let token = attributes[kSecAttrTokenID as String] as? String
        return token == kSecAttrTokenIDSecureEnclave as String
    }

    public static func forget() throws {
        let status = SecItemDelete(item() as CFDictionary)
        if status != errSecItemNotFound {
            try Keychain.check(status)
        }
    }

    private static func find() throws -> SecKey? {
        var query = item()
        query[kSecReturnRef as String] = true
        var found: CFTypeRef?
        let status = SecItemCopyMatching(query as CFDictionary, &found)
        if status == errSecItemNotFound {
            return nil
        }
        try Keychain.check(status)
        guard let reference = found, CFGetTypeID(reference) == SecKeyGetTypeID() else {
            return nil
        }
        return (reference as! SecKey)
    }

    /// Not bound to an unlocked phone: whoever is woken answers from the lock screen.
    private static func generate() throws -> SecKey {
        var error: Unmanaged<CFError>?
        let flags: SecAccessControlCreateFlags = [.privateKeyUsage]
        let accessible = kSecAttrAccessibleAfterFirstUnlockThisDeviceOnly
        if let control = SecAccessControlCreateWithFlags(nil, accessible, flags, nil) {
            var attributes = creation([kSecAttrAccessControl as String: control])
            attributes[kSecAttrTokenID as String] = kSecAttrTokenIDSecureEnclave
            if let key = SecKeyCreateRandomKey(attributes as CFDictionary, &error) {
                return key
            }
        }
        // A simulator has no Secure Enclave: its key is in the Keychain, and cannot be exported by the app's own doing.
        let attributes = creation([
            kSecAttrAccessible as String: accessible,
            kSecAttrIsExtractable as String: false
        ])
        error = nil
        guard let key = SecKeyCreateRandomKey(attributes as CFDictionary, &error) else {
            throw Failure.refused(said(error))
        }
        return key
    }

    private static func creation(_ more: [String: Any]) -> [String: Any] {
        var kept: [String: Any] = [
            kSecAttrIsPermanent as String: true,
            kSecAttrApplicationTag as String: tag
        ]
        if let group = Shared.keychainGroup {
            kept[kSecAttrAccessGroup as String] = group
        }
        return [
            kSecAttrKeyType as String: kSecAttrKeyTypeECSECPrimeRandom,
            kSecAttrKeySizeInBits as String: 256,
            kSecPrivateKeyAttrs as String: kept.merging(more) { _, new in new }
        ]
    }

    private static func item() -> [String: Any] {
        var item: [String: Any] = [
            kSecClass as String: kSecClassKey,
            kSecAttrKeyClass as String: kSecAttrKeyClassPrivate,
            kSecAttrApplicationTag as String: tag
        ]
        if let group = Shared.keychainGroup {
            item[kSecAttrAccessGroup as String] = group
        }
        return item
    }

    private static func said(_ error: Unmanaged<CFError>?) -> String {
        error.map { String(CFErrorGetCode($0.takeRetainedValue())) } ?? "unknown"
    }
}
