import Foundation

/// base64url without padding (RFC 4648, section 5).
public enum Base64Url {
    public static func encode(_ data: Data) -> String {
        data.base64EncodedString()
            .replacingOccurrences(of: "+", with: "-")
            .replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }
}

/// From the form in which Apple gives an ES256 signature to the one that JWTs have.
public enum Signature {
    public struct NotOne: Error {}

    private static let half = 32

    /// `r` and `s` of a DER sequence of two integers, 32 bytes each (RFC 7518, section 3.4).
    public static func raw(_ der: Data) throws -> Data {
        let bytes = [UInt8](der)
        // Of P-256 a sequence is at most 72 bytes: lengths have one byte.
        guard bytes.count >= 8, bytes.count <= 72, bytes[0] == 0x30, Int(bytes[1]) == bytes.count - 2 else {
            throw NotOne()
        }
        let (r, next) = try integer(bytes, 2)
        let (s, end) = try integer(bytes, next)
        guard end == bytes.count else {
            throw NotOne()
        }
        return Data(r + s)
    }

    private static func integer(_ bytes: [UInt8], _ at: Int) throws -> ([UInt8], Int) {
        guard at + 2 <= bytes.count, bytes[at] == 0x02 else {
            throw NotOne()
        }
        let end = at + 2 + Int(bytes[at + 1])
        guard end > at + 2, end <= bytes.count else {
            throw NotOne()
        }
        // In front there may be a zero as a sign, which these numbers have not.
        let number = Array(bytes[(at + 2)..<end].drop(while: { $0 == 0 }))
        guard number.count <= half else {
            throw NotOne()
        }
        return ([UInt8](repeating: 0, count: half - number.count) + number, end)
    }
}
