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

    private static func setting(_ name: String) -> String? {
        let value = Bundle.main.object(forInfoDictionaryKey: name) as? String
        // A build variable that nobody has set stays as it was written.
        return value.flatMap { $0.isEmpty || $0.contains("$(") ? nil : $0 }
    }
}
