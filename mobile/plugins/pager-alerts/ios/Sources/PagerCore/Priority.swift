import Foundation

/// How urgent an incident is.
public enum Priority: String {
    case low
    case medium
    case high
    case critical

    /// What is not known is urgent: nobody may sleep through it because of a word.
    public init(word: Any?) {
        self = (word as? String).flatMap(Priority.init(rawValue:)) ?? .high
    }

    /// Sounds in silent mode and through Focus.
    public var isUrgent: Bool {
        self == .critical || self == .high
    }
}
