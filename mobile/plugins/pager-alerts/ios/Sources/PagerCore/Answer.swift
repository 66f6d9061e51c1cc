import Foundation

/// What an answer of the gateway means for what was sent. Only its own envelope can refuse anything.
public enum Answer: Equatable {
    case done
    /// It will never be taken.
    case refused(code: String, reason: String)
    /// The proof was not: try at once with another one.
    case otherProof
    /// What it says of time is not taken: try at once without it.
    case withoutTimes
    /// Try again, after so many seconds at least.
    case later(wait: Int)
    /// Nobody answered: nothing else will get through now either.
    case away

    private static let longestWait = 600

    public init(status: Int, body: Data?, retryAfter: String?) {
        let envelope = body.flatMap { try? JSONSerialization.jsonObject(with: $0) } as? [String: Any]
        if (200..<300).contains(status) {
            // A proxy or a login page of some network may answer 200 as well.
            self = envelope?["success"] as? Bool == true ? .done : .later(wait: 0)
            return
        }
        guard let error = envelope?["error"] as? [String: Any], status != 408, status != 429,
            (400..<500).contains(status)
        else {
            self = .later(wait: min(max(retryAfter.flatMap { Int($0) } ?? 0, 0), Answer.longestWait))
            return
        }
        let field = (error["details"] as? [String: Any])?["field"] as? String
        switch (status, field) {
        case (401, "proof"):
            self = .otherProof
        case (409, "Idempotency-Key"):
            // The same page was acknowledged by an earlier try, whose answer did not reach us.
            self = .done
        case (400, "occurredAt"), (400, "sentAt"):
            self = .withoutTimes
        default:
            let code = Texts.line(error["code"], 40).uppercased()
            self = .refused(code: code, reason: Texts.line(error["message"], Texts.reason))
        }
    }
}
