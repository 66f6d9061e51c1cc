import Foundation

/// What the app and its notification service extension share, as the build has named it.
public enum Shared {
    /// `PagerAppGroup` of Info.plist, e.g. `group.dev.pager.app`.
    public static var appGroup: String? {
        setting("PagerAppGroup")
    }

    /// `PagerKeychainGroup` of Info.plist, with the team's prefix.
    public static var keychainGroup: String? {
        setting("PagerKeychainGroup")
    }

    /// A folder that both can read and write once the phone was unlocked after its start. Made where it is missing.
    public static func folder(_ name: String) throws -> URL {
        let files = FileManager.default
        let root = appGroup.flatMap { files.containerURL(forSecurityApplicationGroupIdentifier: $0) }
            ?? files.urls(for: .applicationSupportDirectory, in: .userDomainMask)[0]
        var folder = root.appendingPathComponent("pager/\(name)", isDirectory: true)
        try files.createDirectory(
            at: folder,
            withIntermediateDirectories: true,
            attributes: [.protectionKey: FileProtectionType.completeUntilFirstUserAuthentication])
        var values = URLResourceValues()
        values.isExcludedFromBackup = true
        try? folder.setResourceValues(values)
        return folder
    }

    /// Bodies of background requests, which the system reads when it sends them.
    public static let uploads = "uploads"
    /// The extension is gone when its requests are done, and nobody tidies up after it.
    private static let kept: TimeInterval = 2 * 24 * 60 * 60

    public static func sweep() {
        let files = FileManager.default
        let keys: [URLResourceKey] = [.contentModificationDateKey]
        guard let folder = try? Shared.folder(uploads),
            let all = try? files.contentsOfDirectory(at: folder, includingPropertiesForKeys: keys)
        else {
            return
        }
        for file in all {
            let values = try? file.resourceValues(forKeys: [.contentModificationDateKey])
            let age = Date().timeIntervalSince(values?.contentModificationDate ?? .distantPast)
            if abs(age) > kept {
                try? files.removeItem(at: file)
            }
        }
    }

    private static func setting(_ name: String) -> String? {
        let value = Bundle.main.object(forInfoDictionaryKey: name) as? String
        // A build variable that nobody has set stays as it was written.
        return value.flatMap { $0.isEmpty || $0.contains("$(") ? nil : $0 }
    }
}
