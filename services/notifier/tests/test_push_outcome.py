"""Every row of the vendors' answer tables gives the promised outcome."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.notifier.push.apns_answers import ApnsAnswer, goaway_reason, read_apns
from services.notifier.push.fcm_answers import FcmAnswer, read_fcm
from services.notifier.push.outcome import Verdict, retry_after_seconds
from services.notifier.tests.push_pages import NOW

APNS_ROWS = [
    (400, "BadDeviceToken", Verdict.RETIRE),
    (400, "DeviceTokenNotForTopic", Verdict.RETIRE),
    (410, "Unregistered", Verdict.RETIRE),
    (410, "ExpiredToken", Verdict.RETIRE),
    (413, "PayloadTooLarge", Verdict.OURS),
    (400, "BadCollapseId", Verdict.OURS),
    (400, "BadExpirationDate", Verdict.OURS),
    (400, "BadMessageId", Verdict.OURS),
    (400, "BadPriority", Verdict.OURS),
    (400, "BadTopic", Verdict.OURS),
    (400, "InvalidPushType", Verdict.OURS),
    (400, "DuplicateHeaders", Verdict.OURS),
    (400, "PayloadEmpty", Verdict.OURS),
    (400, "MissingDeviceToken", Verdict.OURS),
    (400, "MissingTopic", Verdict.OURS),
    (404, "BadPath", Verdict.OURS),
    (405, "MethodNotAllowed", Verdict.OURS),
    (403, "ExpiredProviderToken", Verdict.CREDENTIALS),
    (403, "InvalidProviderToken", Verdict.CREDENTIALS),
    (403, "MissingProviderToken", Verdict.CREDENTIALS),
    (403, "BadCertificate", Verdict.CREDENTIALS),
    (403, "BadCertificateEnvironment", Verdict.CREDENTIALS),
    (403, "BadEnvironmentKeyIdInToken", Verdict.CREDENTIALS),
    (403, "UnrelatedKeyIdInToken", Verdict.CREDENTIALS),
    (403, "Forbidden", Verdict.CREDENTIALS),
    (400, "TopicDisallowed", Verdict.CREDENTIALS),
    (429, "TooManyRequests", Verdict.THROTTLE),
    (429, "TooManyProviderTokenUpdates", Verdict.TRANSIENT),
    (400, "IdleTimeout", Verdict.TRANSIENT),
    (500, "InternalServerError", Verdict.TRANSIENT),
    (503, "ServiceUnavailable", Verdict.TRANSIENT),
    (503, "Shutdown", Verdict.TRANSIENT),
    (400, "SomethingNew", Verdict.OURS),
    (403, "SomethingNew", Verdict.CREDENTIALS),
    (404, "SomethingNew", Verdict.OURS),
    (410, "SomethingNew", Verdict.RETIRE),
    (429, "SomethingNew", Verdict.THROTTLE),
    (500, "SomethingNew", Verdict.TRANSIENT),
    (302, "SomethingNew", Verdict.TRANSIENT),
]


@pytest.mark.parametrize(("status", "reason", "verdict"), APNS_ROWS)
def test_an_apns_refusal_gives_its_verdict_and_reason(status: int, reason: str, verdict: Verdict) -> None:
    outcome = read_apns(ApnsAnswer(status, "id", None, json.dumps({"reason": reason}).encode()), NOW)
    assert (outcome.verdict, outcome.reason, outcome.status) == (verdict, reason, status)


def test_an_accepted_apns_push_carries_its_id() -> None:
    outcome = read_apns(ApnsAnswer(200, "an-id", None, b""), NOW)
    assert (outcome.verdict, outcome.vendor_id) == (Verdict.ACCEPTED, "an-id")


@pytest.mark.parametrize("status", [400, 404, 410, 418, 502])
@pytest.mark.parametrize("body", [b"", b"<html>gone</html>", b'{"error": "gone"}', b"[" * 60_000])
def test_a_proxys_refusal_is_not_the_vendors_word_on_a_token(status: int, body: bytes) -> None:
    assert read_apns(ApnsAnswer(status, None, None, body), NOW).verdict is Verdict.TRANSIENT
    assert read_fcm(FcmAnswer(status, None, body), NOW).verdict is Verdict.TRANSIENT


def test_a_410_tells_since_when_the_token_is_dead() -> None:
    body = json.dumps({"reason": "Unregistered", "timestamp": 1_760_000_000_123}).encode()
    outcome = read_apns(ApnsAnswer(410, None, None, body), NOW)
    assert outcome.retired_at == datetime.fromtimestamp(1_760_000_000.123, UTC)


@pytest.mark.parametrize(
    "timestamp", ["soon", None, True, 1e300, [], -1, 0, 1_760_000_000, float("nan"), float("-inf"), 10**400]
)
def test_an_unreadable_410_timestamp_is_none(timestamp: Any) -> None:
    body = json.dumps({"reason": "Unregistered", "timestamp": timestamp}).encode()
    assert read_apns(ApnsAnswer(410, None, None, body), NOW).retired_at is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b"\xff", b'{"reason": 3}', b"null"])
def test_an_unreadable_apns_body_still_gives_an_outcome(body: bytes) -> None:
    outcome = read_apns(ApnsAnswer(503, None, "7", body), NOW)
    assert (outcome.verdict, outcome.reason, outcome.retry_after) == (Verdict.TRANSIENT, "HTTP 503", 7.0)


def test_a_goaway_gives_its_reason() -> None:
    assert goaway_reason(b'{"reason":"Shutdown"}') == "Shutdown"
    assert goaway_reason(None) == "GOAWAY"


def fcm_error(status: str, code: str | None = None, **more: Any) -> bytes:
    details: list[dict[str, Any]] = more.pop("details", [])
    if code is not None:
        details.append({"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code})
    return json.dumps({"error": {"status": status, "details": details, **more}}).encode()


TOKEN_VIOLATION = [{"fieldViolations": [{"field": "message.token", "description": "Invalid registration token"}]}]
TTL_VIOLATION = [{"fieldViolations": [{"field": "message.android.ttl", "description": "Invalid ttl"}]}]

FCM_ROWS = [
    (404, fcm_error("NOT_FOUND", "UNREGISTERED"), Verdict.RETIRE, "UNREGISTERED", None),
    (404, fcm_error("NOT_FOUND"), Verdict.OURS, "NOT_FOUND", None),
    (400, fcm_error("INVALID_ARGUMENT", "INVALID_ARGUMENT"), Verdict.OURS, "INVALID_ARGUMENT", None),
    (400, fcm_error("INVALID_ARGUMENT", details=TTL_VIOLATION), Verdict.OURS, "INVALID_ARGUMENT", None),
    (400, fcm_error("INVALID_ARGUMENT", details=TOKEN_VIOLATION), Verdict.RETIRE, "INVALID_ARGUMENT: token", None),
    (
        400,
        fcm_error("INVALID_ARGUMENT", message="The registration token is not a valid FCM registration token"),
        Verdict.RETIRE,
        "INVALID_ARGUMENT: token",
        None,
    ),
    (403, fcm_error("PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Verdict.RETIRE, "SENDER_ID_MISMATCH", None),
    (403, fcm_error("PERMISSION_DENIED"), Verdict.CREDENTIALS, "PERMISSION_DENIED", None),
    (
        401,
        fcm_error("UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR"),
        Verdict.CREDENTIALS,
        "THIRD_PARTY_AUTH_ERROR",
        None,
    ),
    (401, fcm_error("UNAUTHENTICATED"), Verdict.CREDENTIALS, "UNAUTHENTICATED", None),
    (429, fcm_error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"), Verdict.THROTTLE, "QUOTA_EXCEEDED", 60.0),
    (503, fcm_error("UNAVAILABLE", "UNAVAILABLE"), Verdict.TRANSIENT, "UNAVAILABLE", None),
    (500, fcm_error("INTERNAL", "INTERNAL"), Verdict.TRANSIENT, "INTERNAL", None),
    (400, fcm_error("SOMETHING_NEW"), Verdict.OURS, "SOMETHING_NEW", None),
    (500, fcm_error("SOMETHING_NEW"), Verdict.TRANSIENT, "SOMETHING_NEW", None),
    (401, b"<html>", Verdict.CREDENTIALS, "HTTP 401", None),
    (429, b"", Verdict.THROTTLE, "HTTP 429", 60.0),
    (502, b"<html>bad gateway", Verdict.TRANSIENT, "HTTP 502", None),
    (413, b"[]", Verdict.OURS, "HTTP 413", None),
    (302, b"\xff", Verdict.TRANSIENT, "HTTP 302", None),
    (400, b'{"error": "text"}', Verdict.TRANSIENT, "HTTP 400", None),
    (400, b'{"error": {"details": [1, {"fieldViolations": 3}]}}', Verdict.TRANSIENT, "HTTP 400", None),
    (200, b"<html>welcome to the hotel", Verdict.TRANSIENT, "unreadable answer", None),
]


@pytest.mark.parametrize(("status", "body", "verdict", "reason", "retry_after"), FCM_ROWS)
def test_an_fcm_refusal_gives_its_verdict_and_reason(
    status: int, body: bytes, verdict: Verdict, reason: str, retry_after: float | None
) -> None:
    outcome = read_fcm(FcmAnswer(status, None, body), NOW)
    assert (outcome.verdict, outcome.reason, outcome.status) == (verdict, reason, status)
    assert outcome.retry_after == retry_after


def test_an_accepted_fcm_message_carries_its_name() -> None:
    outcome = read_fcm(FcmAnswer(200, None, b'{"name":"projects/p/messages/1"}'), NOW)
    assert (outcome.verdict, outcome.vendor_id) == (Verdict.ACCEPTED, "projects/p/messages/1")


def test_fcm_retry_after_wins_over_the_default() -> None:
    body = fcm_error("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert read_fcm(FcmAnswer(429, "12", body), NOW).retry_after == 12.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("30", 30.0),
        (" 5 ", 5.0),
        ("Mon, 19 Oct 2026 09:00:30 GMT", 30.0),
        ("Mon, 19 Oct 2026 09:01:30 GMT", 60.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 60.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 60.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Mon, 19 Oct 99999999999 09:00:00 GMT", None),
        ("Mon, 19 Oct 2026 09:00:00 +99999999999999999999", None),
        ("1764000000000", 60.0),
        ("9" * 5000, 60.0),
        ("NaN", None),
        ("-1764000000000", None),
        ("Mon, 19 Oct 2026 08:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("²", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds
