import Foundation

/// Where the gateway is; checked once, when it is stored. Pushes name no address that is ever used.
public enum ServerAddress {
    public struct Invalid: Error {
        public let message: String
    }

    private static let longest = 2_048

    /// Without a slash at the end.
    public static func checked(_ text: String?) throws -> String {
        guard let text = text, text.count <= longest, let parts = URLComponents(string: text),
            let scheme = parts.scheme?.lowercased(), let host = parts.host?.lowercased(), !host.isEmpty,
            parts.user == nil, parts.password == nil, parts.query == nil, parts.fragment == nil
        else {
            throw Invalid(message: "serverUrl: must be an address such as https://pager.example.org")
        }
        let isLocal = ["localhost", "127.0.0.1"].contains(host)
        guard scheme == "https" || (scheme == "http" && isLocal) else {
            throw Invalid(message: "serverUrl: must begin with https://")
        }
        var address = text
        while address.hasSuffix("/") {
            address.removeLast()
        }
        return address
    }
}
