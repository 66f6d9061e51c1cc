import Foundation

/// One request that has to be made.
public struct Item: Codable {
    public enum What: String, Codable {
        case acknowledge
        case receipt
    }

    /// `Idempotency-Key`, and its name here: it follows from the notification, so a repeat is the same one.
    public let key: String
    public let what: What
    public let incidentId: String
    public let notificationId: String
    /// Of a receipt: received, displayed or opened.
    public let state: String
    /// By this phone's clock, and since its start: the second is right while it is not restarted.
    public let doneAt: Date
    public let doneSinceBoot: TimeInterval
    /// By this phone's clock then.
    public let bootedAt: Date
    /// What the notification said, for the notices about it.
    public let title: String
    /// Tries so far.
    public var tries = 0

    public static func acknowledge(incidentId: String, notificationId: String, title: String, now: Now) -> Item {
        Item(
            key: "ack-" + notificationId, what: .acknowledge, incidentId: incidentId, notificationId: notificationId,
            state: "", doneAt: now.date, doneSinceBoot: now.sinceBoot, bootedAt: now.bootedAt, title: title)
    }

    public static func receipt(incidentId: String, notificationId: String, state: String, now: Now) -> Item {
        Item(
            key: "receipt-" + notificationId + "-" + state, what: .receipt, incidentId: incidentId,
            notificationId: notificationId, state: state, doneAt: now.date, doneSinceBoot: now.sinceBoot,
            bootedAt: now.bootedAt, title: "")
    }

    /// Seconds that have passed since, whatever became of the clock meanwhile.
    public func age(_ now: Now) -> TimeInterval {
        let byClock = now.date.timeIntervalSince(doneAt)
        let bySteady = now.sinceBoot - doneSinceBoot
        if bySteady >= 0 && abs(now.bootedAt.timeIntervalSince(bootedAt)) < Item.sameStart {
            return bySteady
        }
        // Started again, or the clock was set: it is not too old for sure, and never younger than it may be.
        return max(0, byClock, bySteady)
    }

    /// Clocks are set right by seconds all the time.
    private static let sameStart: TimeInterval = 300
}

/// This moment, by the phone's two clocks: the one that may be set, and the one that only runs, asleep too.
public struct Now {
    public let date: Date
    public let sinceBoot: TimeInterval
    /// Of this start, by the clock as it is set now.
    public var bootedAt: Date {
        date.addingTimeInterval(-sinceBoot)
    }

    public init(date: Date, sinceBoot: TimeInterval) {
        self.date = date
        self.sinceBoot = sinceBoot
    }

    public static func now() -> Now {
        let steady = TimeInterval(clock_gettime_nsec_np(CLOCK_MONOTONIC_RAW)) / 1_000_000_000
        return Now(date: Date(), sinceBoot: steady)
    }

    public func later(by seconds: TimeInterval) -> Now {
        Now(date: date.addingTimeInterval(seconds), sinceBoot: sinceBoot + seconds)
    }

    /// RFC 3339 in UTC, in the years that four digits have.
    public static func written(_ date: Date) -> String {
        let format = ISO8601DateFormatter()
        format.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
        let seconds = min(max(date.timeIntervalSince1970, 0), 253_402_300_799)
        return format.string(from: Date(timeIntervalSince1970: seconds))
    }
}

/// What has to reach the server, and has not yet: kept over restarts, each thing once. One file an item.
public struct Outbox {
    /// Items that wait; beyond that nobody reads what they acknowledge.
    static let most = 200

    private let folder: URL?

    public init() {
        folder = try? Shared.folder("outbox")
    }

    /// On the disk when it returns. False: it waits already.
    @discardableResult
    public func add(_ item: Item) -> Bool {
        guard let file = self.file(item.key), !FileManager.default.fileExists(atPath: file.path) else {
            return false
        }
        write(item)
        let all = due()
        let receipts = all.filter { $0.what == .receipt }.count
        for old in all.filter({ $0.what == .receipt }).prefix(max(0, receipts - Outbox.most)) {
            remove(old.key)
        }
        return true
    }

    public func write(_ item: Item) {
        guard let file = self.file(item.key), let data = try? JSONEncoder().encode(item) else {
            return
        }
        try? data.write(to: file, options: [.atomic, .completeFileProtectionUntilFirstUserAuthentication])
    }

    public func item(_ key: String) -> Item? {
        guard let file = self.file(key), let data = try? Data(contentsOf: file) else {
            return nil
        }
        return try? JSONDecoder().decode(Item.self, from: data)
    }

    public func remove(_ key: String) {
        if let file = self.file(key) {
            try? FileManager.default.removeItem(at: file)
        }
    }

    /// Acknowledgements first, the oldest first: nobody waits for a receipt.
    public func due() -> [Item] {
        guard let folder = folder,
            let files = try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        else {
            return []
        }
        let items = files.compactMap { file -> Item? in
            guard let data = try? Data(contentsOf: file) else {
                return nil
            }
            return try? JSONDecoder().decode(Item.self, from: data)
        }
        return items.sorted {
            ($0.what == .acknowledge ? 0 : 1, $0.doneAt) < ($1.what == .acknowledge ? 0 : 1, $1.doneAt)
        }
    }

    public func forget() {
        for item in due() {
            remove(item.key)
        }
    }

    private func file(_ key: String) -> URL? {
        let isName = key.count <= 128 && key.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        return isName ? folder?.appendingPathComponent(key + ".json") : nil
    }
}
