import Foundation

/// What this phone was told of each notification, so that the same push comes to be shown once, and one that comes
/// after its own end never rings. One small file a notification: the app and the extension may write side by side.
public struct Memory {
    public enum Deed {
        case show
        /// Silently, in the place of the page.
        case replace
        case takeAway
        case nothing
    }

    /// Notifications that are remembered; more than are ever open for one person.
    static let most = 300
    private static let lastName = "last"

    private let folder: URL?

    public init() {
        folder = try? Shared.folder("memory")
    }

    public func deed(_ push: Push) -> Deed {
        Memory.deed(push, marks: marks(push.notificationId))
    }

    static func deed(_ push: Push, marks: String) -> Deed {
        if push.rings {
            return marks.isEmpty ? .show : .nothing
        }
        if marks.contains(mark(push.kind)) {
            return .nothing
        }
        return push.kind == .acknowledged ? .replace : .takeAway
    }

    /// After it was shown: whoever dies in between shows a page twice, and never not at all.
    public func note(_ push: Push, now: Date) {
        add(Memory.mark(push.kind), to: push.notificationId)
        write(Memory.lastName, String(now.timeIntervalSince1970))
        prune()
    }

    /// It was answered on this phone: a page of it that comes again stays silent.
    public func answered(_ notificationId: String) {
        add("a", to: notificationId)
    }

    public func lastReceivedAt() -> Date? {
        guard let text = read(Memory.lastName), let seconds = TimeInterval(text) else {
            return nil
        }
        return Date(timeIntervalSince1970: seconds)
    }

    public func forget() {
        for file in files() {
            try? FileManager.default.removeItem(at: file)
        }
    }

    private static func mark(_ kind: Push.Kind) -> Character {
        kind.rawValue.first ?? "p"
    }

    private func marks(_ id: String) -> String {
        read(id) ?? ""
    }

    private func add(_ mark: Character, to id: String) {
        let marks = self.marks(id)
        if !marks.contains(mark) {
            write(id, marks + String(mark))
        }
    }

    private func read(_ name: String) -> String? {
        guard let file = folder?.appendingPathComponent(name) else {
            return nil
        }
        return try? String(contentsOf: file, encoding: .utf8)
    }

    private func write(_ name: String, _ text: String) {
        guard let file = folder?.appendingPathComponent(name) else {
            return
        }
        try? Data(text.utf8).write(
            to: file, options: [.atomic, .completeFileProtectionUntilFirstUserAuthentication])
    }

    private func files() -> [URL] {
        guard let folder = folder else {
            return []
        }
        let keys: [URLResourceKey] = [.contentModificationDateKey]
        return (try? FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: keys)) ?? []
    }

    private func prune() {
        let all = files()
        guard all.count > Memory.most else {
            return
        }
        let dated = all.map { file -> (URL, Date) in
            let values = try? file.resourceValues(forKeys: [.contentModificationDateKey])
            return (file, values?.contentModificationDate ?? .distantPast)
        }
        for (file, _) in dated.sorted(by: { $0.1 < $1.1 }).prefix(all.count - Memory.most) {
            try? FileManager.default.removeItem(at: file)
        }
    }
}
