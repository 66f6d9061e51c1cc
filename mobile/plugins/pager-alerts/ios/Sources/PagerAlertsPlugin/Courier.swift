import Foundation
import PagerCore
import UIKit

/// Takes what waits in the outbox to the server, without a WebView, and tells the person what became of it.
///
/// First at once, while the system lets the app run; then, where nobody answers, by a background session, for whose
/// outcome the system starts the app again.
final class Courier: NSObject, URLSessionDataDelegate {
    static let shared = Courier()
    static let identifier = "pager.courier"

    private static let proofs = 3
    /// What could not be delivered within a day is over: whoever was paged after it has answered or not.
    private static let longest: TimeInterval = 24 * 60 * 60
    /// After so long the system gives up, and another request says anew how long ago it was done.
    private static let longestTry: TimeInterval = 300
    private static let pause: TimeInterval = 15
    private static let longestPause: TimeInterval = 600
    private static let largestAnswer = 65_536
    private static let aheadName = "pager.clockAhead"

    private let queue = DispatchQueue(label: "pager.courier")
    private let outbox = Outbox()
    private var answers: [Int: Data] = [:]
    private var whenDone: (() -> Void)?
    private var isUnderWay = false
    private var isAskedAgain = false

    private var direct: URLSession!
    /// One of its name at a time: so both are made with this object, and not when somebody first wants them.
    private var background: URLSession!

    override private init() {
        super.init()
        let quick = URLSessionConfiguration.ephemeral
        quick.timeoutIntervalForRequest = Requests.timeout
        quick.timeoutIntervalForResource = 2 * Requests.timeout
        quick.httpCookieStorage = nil
        direct = URLSession(configuration: quick, delegate: self, delegateQueue: nil)
        let patient = URLSessionConfiguration.background(withIdentifier: Courier.identifier)
        patient.isDiscretionary = false
        patient.sessionSendsLaunchEvents = true
        patient.timeoutIntervalForResource = Courier.longestTry
        patient.httpCookieStorage = nil
        background = URLSession(configuration: patient, delegate: self, delegateQueue: nil)
    }

    /// Seconds by which the phone's clock is ahead, as last heard.
    var clockAhead: Int? {
        UserDefaults.standard.object(forKey: Courier.aheadName) as? Int
    }

    func forget() {
        outbox.forget()
        UserDefaults.standard.removeObject(forKey: Courier.aheadName)
        background.getAllTasks { tasks in tasks.forEach { $0.cancel() } }
    }

    /// Tries everything that waits; `done` is called when that was tried once.
    func deliver(_ done: @escaping () -> Void = {}) {
        var task = UIBackgroundTaskIdentifier.invalid
        let finish = {
            DispatchQueue.main.async {
                if task != .invalid {
                    UIApplication.shared.endBackgroundTask(task)
                    task = .invalid
                }
                done()
            }
        }
        DispatchQueue.main.async {
            task = UIApplication.shared.beginBackgroundTask(withName: "pager.courier") {
                // Time is up: what waits is in the outbox, and goes by the background session.
                self.queue.async { self.outbox.due().forEach { self.handOver($0, .away) } }
                if task != .invalid {
                    UIApplication.shared.endBackgroundTask(task)
                    task = .invalid
                }
            }
            self.queue.async { self.begin(finish) }
        }
    }

    /// The system has started the app, or woken it, for what became of a background request.
    func resume(_ identifier: String, _ done: @escaping () -> Void) -> Bool {
        guard identifier == Courier.identifier else {
            return false
        }
        whenDone = done
        return true
    }

    private func begin(_ finish: @escaping () -> Void) {
        if isUnderWay {
            isAskedAgain = true
            return finish()
        }
        isUnderWay = true
        next([]) {
            self.isUnderWay = false
            if self.isAskedAgain {
                self.isAskedAgain = false
                self.begin(finish)
            } else {
                finish()
            }
        }
    }

    /// Looked up anew each time: an acknowledgement that comes in meanwhile goes before all receipts.
    private func next(_ tried: Set<String>, _ finish: @escaping () -> Void) {
        guard let item = outbox.due().first(where: { !tried.contains($0.key) }) else {
            return finish()
        }
        let now = tried.union([item.key])
        let who: Credential?
        do {
            who = try Vault.credential()
        } catch {
            return finish() // shut until the first unlock
        }
        guard let credential = who else {
            outbox.forget() // nobody is signed in: it was somebody else's
            return finish()
        }
        attempt(item, credential, times: true, left: Courier.proofs) { answer in
            self.queue.async {
                if self.settle(item, answer) {
                    return self.next(now, finish)
                }
                self.handOver(item, answer)
                if answer == .away {
                    finish() // nothing else gets through now; the rest goes with the next try
                } else {
                    self.next(now, finish)
                }
            }
        }
    }

    private func attempt(
        _ item: Item, _ who: Credential, times: Bool, left: Int, _ done: @escaping (Answer) -> Void
    ) {
        guard left > 0 else {
            // Its key is not the one that signed in: it will not be another one later.
            return done(.refused(code: "UNAUTHENTICATED", reason: ""))
        }
        let request: URLRequest
        let body: Data
        do {
            (request, body) = try Requests.make(item, who, now: Now.now(), times: times)
        } catch DeviceKey.Failure.missing {
            return done(.refused(code: "UNAUTHENTICATED", reason: ""))
        } catch {
            return done(.away)
        }
        let task = direct.uploadTask(with: request, from: body) { data, response, _ in
            guard let response = response as? HTTPURLResponse else {
                return done(.away)
            }
            self.noteClock(response)
            let answer = Courier.read(response, data)
            switch answer {
            case .otherProof:
                self.attempt(item, who, times: times, left: left - 1, done)
            case .withoutTimes:
                self.attempt(item, who, times: false, left: left - 1, done)
            default:
                done(answer)
            }
        }
        task.resume()
    }

    /// Whether nothing more is to be done about it.
    private func settle(_ item: Item, _ answer: Answer) -> Bool {
        switch answer {
        case .later, .away, .otherProof, .withoutTimes:
            if item.age(Now.now()) <= Courier.longest {
                if item.what == .acknowledge {
                    PagerCenter.shared.waits(item)
                }
                return false
            }
            outbox.remove(item.key)
            if item.what == .acknowledge {
                PagerCenter.shared.refused(item, code: "UNDELIVERED", reason: "")
            }
        case .done:
            outbox.remove(item.key)
            if item.what == .acknowledge {
                PagerCenter.shared.acknowledged(item)
            }
        case .refused(let code, let reason):
            outbox.remove(item.key)
            if item.what == .acknowledge {
                PagerCenter.shared.refused(item, code: code, reason: reason)
            }
        }
        return true
    }

    /// To the system, which goes on without us. Each try has a proof of its own, so this one is good once: where the
    /// system repeats it after a lost answer, the server asks for another, and we are woken to make it.
    private func handOver(_ item: Item, _ answer: Answer) {
        var wait = 0
        if case .later(let seconds) = answer {
            wait = seconds
        }
        background.getAllTasks { tasks in
            self.queue.async {
                if tasks.contains(where: { $0.taskDescription == item.key && $0.state == .running }) {
                    return
                }
                self.upload(item, wait: TimeInterval(wait))
            }
        }
    }

    private func upload(_ item: Item, wait: TimeInterval) {
        guard var waiting = outbox.item(item.key), let who = try? Vault.credential(),
            let folder = try? Shared.folder(Shared.uploads)
        else {
            return
        }
        let pause = max(wait, min(Courier.pause * TimeInterval(waiting.tries), Courier.longestPause))
        // It says how long ago it was done when it is sent, which the system does no earlier than after the pause.
        let then = Now.now().later(by: pause)
        guard let (request, body) = try? Requests.make(waiting, who, now: then, times: true) else {
            return
        }
        let file = folder.appendingPathComponent(waiting.key + ".json")
        let options: Data.WritingOptions = [.atomic, .completeFileProtectionUntilFirstUserAuthentication]
        guard (try? body.write(to: file, options: options)) != nil else {
            return
        }
        waiting.tries = min(waiting.tries + 1, 1_000)
        outbox.write(waiting)
        let task = background.uploadTask(with: request, fromFile: file)
        task.taskDescription = waiting.key
        if pause > 0 {
            task.earliestBeginDate = Date(timeIntervalSinceNow: pause)
        }
        task.resume()
    }

    private func noteClock(_ response: HTTPURLResponse) {
        let format = DateFormatter()
        format.locale = Locale(identifier: "en_US_POSIX")
        format.timeZone = TimeZone(identifier: "GMT")
        format.dateFormat = "EEE, dd MMM yyyy HH:mm:ss zzz"
        if let text = response.value(forHTTPHeaderField: "Date"), let date = format.date(from: text) {
            let ahead = Date().timeIntervalSince(date)
            UserDefaults.standard.set(Int(min(max(ahead, -1e9), 1e9)), forKey: Courier.aheadName)
        }
    }

    private static func read(_ response: HTTPURLResponse, _ data: Data?) -> Answer {
        let body = data.flatMap { $0.count <= largestAnswer ? $0 : nil }
        let retryAfter = response.value(forHTTPHeaderField: "Retry-After")
        return Answer(status: response.statusCode, body: body, retryAfter: retryAfter)
    }

    /// Wherever a redirect points, the credential is for its server alone. (The system asks this of no background
    /// session: there our own server, whose certificate was checked, is the only one that could point elsewhere.)
    func urlSession(
        _ session: URLSession, task: URLSessionTask, willPerformHTTPRedirection response: HTTPURLResponse,
        newRequest request: URLRequest, completionHandler: @escaping (URLRequest?) -> Void
    ) {
        completionHandler(nil)
    }

    // MARK: background session

    func urlSession(_ session: URLSession, dataTask: URLSessionDataTask, didReceive data: Data) {
        guard session === background else {
            return
        }
        queue.async {
            let so = self.answers[dataTask.taskIdentifier] ?? Data()
            if so.count <= Courier.largestAnswer {
                self.answers[dataTask.taskIdentifier] = so + data
            }
        }
    }

    func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: Error?) {
        guard session === background, let key = task.taskDescription else {
            return
        }
        queue.async {
            let data = self.answers.removeValue(forKey: task.taskIdentifier)
            guard let item = self.outbox.item(key) else {
                return // delivered directly meanwhile, or wiped
            }
            var answer = Answer.away
            if let response = task.response as? HTTPURLResponse {
                self.noteClock(response)
                answer = Courier.read(response, data)
            }
            switch answer {
            case .otherProof, .withoutTimes:
                self.deliver()
            default:
                if !self.settle(item, answer) {
                    self.handOver(item, answer)
                }
            }
        }
    }

    func urlSessionDidFinishEvents(forBackgroundURLSession session: URLSession) {
        // A moment later: what follows from the last event may have to be handed over before we are put to sleep.
        queue.asyncAfter(deadline: .now() + 1) {
            DispatchQueue.main.async {
                self.whenDone?()
                self.whenDone = nil
            }
        }
    }
}
