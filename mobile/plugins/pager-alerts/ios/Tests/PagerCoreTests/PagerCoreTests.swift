import XCTest

@testable import PagerCore

/// What is pure of the native part; the same cases as in `mobile/tests/native` for Android.
final class PagerCoreTests: XCTestCase {
    private let incident = "0190f5a2-0000-7000-8000-000000000001"
    private let notification = "0190f5a2-0000-5000-8000-000000000002"

    private func payload(_ more: [String: Any] = [:]) -> [AnyHashable: Any] {
        let alert = ["title": "db down", "body": "no replica left"]
        let whole: [String: Any] = [
            "aps": ["alert": alert], "incidentId": incident, "notificationId": notification,
            "priority": "critical", "kind": "page", "level": 2
        ]
        return whole.merging(more) { _, new in new }
    }

    func testAPageIsReadAndAnUnknownKindRings() throws {
        let push = try XCTUnwrap(Push(payload()))
        XCTAssertEqual(push.title, "db down")
        XCTAssertEqual(push.level, 2)
        XCTAssertTrue(try XCTUnwrap(Push(payload(["kind": "new kind"]))).rings)
        XCTAssertEqual(try XCTUnwrap(Push(payload(["priority": 7]))).priority, .high)
    }

    func testWhatNamesNoIncidentIsNoneOfOurs() {
        let all: [Any] = ["", "../../etc", incident.uppercased(), incident + "0", 3, NSNull()]
        for wrong in all {
            XCTAssertNil(Push(payload(["incidentId": wrong])))
        }
    }

    func testTextsAreShortPlainAndOfTheirOwnDirection() {
        XCTAssertEqual(Texts.line("a\n\u{0}b\u{202E}c", 200), "a bc")
        XCTAssertEqual(Texts.line("<b>&amp;</b>", 200), "<b>&amp;</b>")
        XCTAssertEqual(Texts.line(String(repeating: "x", count: 500), 200).count, 201)
        XCTAssertEqual(Texts.line("שלום", 200), "שלום")
    }

    func testTheSamePageIsShownOnce() throws {
        let page = try XCTUnwrap(Push(payload()))
        let over = try XCTUnwrap(Push(payload(["kind": "resolved"])))
        XCTAssertEqual(Memory.deed(page, marks: ""), .show)
        XCTAssertEqual(Memory.deed(page, marks: "p"), .nothing)
        XCTAssertEqual(Memory.deed(page, marks: "r"), .nothing)
        XCTAssertEqual(Memory.deed(over, marks: "p"), .takeAway)
        XCTAssertEqual(Memory.deed(over, marks: "pr"), .nothing)
    }

    func testOnlyTheServersEnvelopeRefuses() {
        let said = #"{"success":false,"error":{"code":"CONFLICT","message":"resolved by Bo at 03:12 UTC"}}"#
        XCTAssertEqual(
            Answer(status: 409, body: Data(said.utf8), retryAfter: nil),
            .refused(code: "CONFLICT", reason: "resolved by Bo at 03:12 UTC"))
        XCTAssertEqual(Answer(status: 404, body: Data("<html>".utf8), retryAfter: nil), .later(wait: 0))
        XCTAssertEqual(Answer(status: 200, body: Data("<html>".utf8), retryAfter: nil), .later(wait: 0))
        XCTAssertEqual(Answer(status: 503, body: nil, retryAfter: "99999"), .later(wait: 600))
    }

    func testASignatureIsOfSixtyFourBytes() throws {
        var der: [UInt8] = [0x30, 0x07, 0x02, 0x02, 0x00, 0x81, 0x02, 0x01, 0x05]
        let raw = try Signature.raw(Data(der))
        XCTAssertEqual(raw.count, 64)
        XCTAssertEqual(raw[31], 0x81)
        XCTAssertEqual(raw[63], 5)
        der[1] = 0x08
        XCTAssertThrowsError(try Signature.raw(Data(der)))
    }

    func testHowLongAgoItWasDependsOnNoClockThatCanBeSet() {
        let then = Now(date: Date(timeIntervalSince1970: 1_000_000), sinceBoot: 50)
        let item = Item.acknowledge(incidentId: incident, notificationId: notification, title: "", now: then)
        XCTAssertEqual(item.age(Now(date: then.date.addingTimeInterval(90), sinceBoot: 140)), 90)
        XCTAssertEqual(item.age(Now(date: then.date.addingTimeInterval(-7_200), sinceBoot: 140)), 90)
        XCTAssertEqual(item.age(Now(date: then.date.addingTimeInterval(3_600), sinceBoot: 10)), 3_600)
    }
}
