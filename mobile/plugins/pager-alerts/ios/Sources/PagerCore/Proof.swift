import CryptoKit
import Foundation

/// What this phone signs to show that it is there: a JWT for one use. The server's word for it is `Pager-Proof`.
public enum Proof {
    public static let type = "pager-proof+jwt"
    public static let audience = "pager"

    /// For one try of one request: another try needs another proof.
    ///
    /// - Parameters:
    ///   - shownWith: the device credential
    ///   - path: of the request, as the gateway sees it, without the query
    ///   - now: by this phone's clock, which may be wrong
    public static func of(
        _ shownWith: String, method: String, path: String, now: Date, sign: (Data) throws -> Data
    ) throws -> String {
        let head: [String: Any] = ["typ": type, "alg": "ES256"]
        let claims: [String: Any] = [
            "aud": audience,
            "ath": Base64Url.encode(Data(SHA256.hash(data: Data(shownWith.utf8)))),
            "jti": UUID().uuidString.lowercased(),
            "iat": max(0, Int(now.timeIntervalSince1970)),
            "htm": method,
            "htu": path
        ]
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
        let parts = try [head, claims].map {
            Base64Url.encode(try JSONSerialization.data(withJSONObject: $0, options: options))
        }
        let input = parts.joined(separator: ".")
        return input + "." + Base64Url.encode(try sign(Data(input.utf8)))
    }
}
