import Foundation

/// Who is signed in here, and with what a request is made.
public struct Credential: Codable, Equatable {
    public let serverUrl: String
    public let deviceCredential: String
    public let deviceId: String
    public let userId: String

    public init(serverUrl: String, deviceCredential: String, deviceId: String, userId: String) {
        self.serverUrl = serverUrl
        self.deviceCredential = deviceCredential
        self.deviceId = deviceId
        self.userId = userId
    }
}

/// The phone's secrets by name. Each call throws where the Keychain is still shut, and only there says nothing.
public enum Vault {
    private static let credentialName = "credential"
    private static let tokenName = "token"
    private static let confirmedName = "confirmed"
    private static let pagedName = "isPaged"
    private static let installed = "installed"

    public static func credential() throws -> Credential? {
        guard let data = try Keychain.read(credentialName) else {
            return nil
        }
        return try? JSONDecoder().decode(Credential.self, from: data)
    }

    public static func keep(_ credential: Credential) throws {
        try Keychain.write(credentialName, try JSONEncoder().encode(credential))
    }

    /// The push token as it was last given to us.
    public static func token() throws -> String? {
        try text(tokenName)
    }

    public static func keep(token: String) throws {
        try Keychain.write(tokenName, Data(token.utf8))
    }

    /// Whether the server was told this very token.
    public static func isConfirmed(_ token: String) -> Bool {
        (try? text(confirmedName)) == token
    }

    public static func confirm(_ token: String) throws {
        try Keychain.write(confirmedName, Data(token.utf8))
    }

    /// Whether somebody is signed in whom pages on this phone are for. They may have no credential: a changed password
    /// ends it, and pages come all the same.
    public static func isPaged() throws -> Bool {
        try Keychain.read(pagedName) != nil
    }

    public static func page() throws {
        try Keychain.write(pagedName, Data([1]))
    }

    /// Whoever signs in next may have another server: it has to be told the token again.
    public static func forgetPerson() throws {
        try Keychain.remove(credentialName)
        try Keychain.remove(confirmedName)
        try Keychain.remove(pagedName)
    }

    public static func unconfirm() throws {
        try Keychain.remove(confirmedName)
    }

    public static func forgetToken() throws {
        try Keychain.remove(tokenName)
    }

    /// The Keychain outlives the app: what a removed one has left is no sign-in of this one. Call it first.
    public static func forgetOfFormerInstallation() {
        do {
            _ = try Keychain.read(credentialName)
        } catch {
            return // shut until the first unlock: then no file is seen either, and nothing can be said of it
        }
        guard let folder = try? Shared.folder("state") else {
            return
        }
        let mark = folder.appendingPathComponent(installed)
        if FileManager.default.fileExists(atPath: mark.path) {
            return
        }
        do {
            try forgetPerson()
            try forgetToken()
            try DeviceKey.forget()
            try Data().write(to: mark)
        } catch {
            // The next start tries again.
        }
    }

    private static func text(_ name: String) throws -> String? {
        try Keychain.read(name).flatMap { String(data: $0, encoding: .utf8) }
    }
}
