import Foundation

/// Text from outside, made fit to be shown: short, of one line where that is wanted, and plain.
public enum Texts {
    public static let title = 200
    public static let body = 1_000
    public static let reason = 300

    /// At most `limit` characters on one line.
    public static func line(_ text: Any?, _ limit: Int) -> String {
        plain(text as? String ?? "", limit, breaks: false)
    }

    /// At most `limit` characters; line breaks stay.
    public static func block(_ text: Any?, _ limit: Int) -> String {
        plain(text as? String ?? "", limit, breaks: true)
    }

    private static func plain(_ text: String, _ limit: Int, breaks: Bool) -> String {
        var kept = ""
        var count = 0
        var gap = false
        for character in text {
            if character.isNewline && breaks {
                if count > 0 {
                    kept = trimmed(kept) + "\n"
                    count += 1
                }
                gap = false
            } else if character.isWhitespace || isControl(character) {
                gap = count > 0
            } else {
                let shown = visible(character)
                if shown.isEmpty {
                    continue
                }
                if gap && kept.last != "\n" {
                    kept.append(" ")
                    count += 1
                }
                gap = false
                kept += shown
                count += 1
            }
            if count >= limit {
                return trimmed(kept) + "…"
            }
        }
        return trimmed(kept)
    }

    /// Without what turns the direction of all that follows, so that a text could be read as another one. Direction
    /// itself follows from the letters, as the platform does it. A stack of a hundred accents is cut.
    private static func visible(_ character: Character) -> String {
        var kept = String.UnicodeScalarView()
        for scalar in character.unicodeScalars.prefix(16) where !isHidden(scalar) {
            kept.append(scalar)
        }
        return String(kept)
    }

    private static func isHidden(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x202A...0x202E, 0x2066...0x2069, 0xFEFF:
            return true
        default:
            return scalar.properties.generalCategory == .control
        }
    }

    private static func isControl(_ character: Character) -> Bool {
        character.unicodeScalars.allSatisfy { $0.properties.generalCategory == .control }
    }

    private static func trimmed(_ text: String) -> String {
        var end = text
        while let last = end.last, last.isWhitespace || last.isNewline {
            end.removeLast()
        }
        return end
    }
}
