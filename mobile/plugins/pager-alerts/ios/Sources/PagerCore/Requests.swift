import Foundation

/// The two requests that a phone makes with its credential, each with a proof of its own.
public enum Requests {
    static let timeout: TimeInterval = 10

    /// What is asked for, and its body, which a background upload reads from a file.
    ///
    /// - Parameter times: whether it says when it was done; the server believes the difference, and no clock.
    public static func make(_ item: Item, _ who: Credential, now: Now, times: Bool) throws -> (URLRequest, Data) {
        let path = item.what == .acknowledge
            ? "/api/v1/incidents/\(item.incidentId)/acknowledge"
            : "/api/v1/notifications/\(item.notificationId)/receipts"
        guard let url = URL(string: who.serverUrl + path) else {
            throw ServerAddress.Invalid(message: "serverUrl: is no address")
        }
        var request = URLRequest(url: url, cachePolicy: .reloadIgnoringLocalCacheData, timeoutInterval: timeout)
        request.httpMethod = "POST"
        request.httpShouldHandleCookies = false
        let proof = try Proof.of(
            who.deviceCredential, method: "POST", path: path, now: now.date, sign: DeviceKey.sign)
        request.setValue("Bearer " + who.deviceCredential, forHTTPHeaderField: "Authorization")
        request.setValue(proof, forHTTPHeaderField: "Pager-Proof")
        request.setValue(item.key, forHTTPHeaderField: "Idempotency-Key")
        request.setValue("application/json", forHTTPHeaderField: "Content-Type")
        request.setValue("application/json", forHTTPHeaderField: "Accept")
        return (request, try JSONSerialization.data(withJSONObject: body(item, now: now, times: times)))
    }

    static func body(_ item: Item, now: Now, times: Bool) -> [String: String] {
        let done = Now.written(now.date.addingTimeInterval(-item.age(now)))
        switch item.what {
        case .receipt:
            return ["state": item.state, "at": done]
        case .acknowledge:
            return times ? ["occurredAt": done, "sentAt": Now.written(now.date)] : [:]
        }
    }
}

/// Wherever a redirect points, the credential is for its server alone.
open class NoRedirects: NSObject, URLSessionTaskDelegate {
    open func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }
}
