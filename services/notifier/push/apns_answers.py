"""What each answer of APNs means (Apple, "Handling notification responses from APNs")."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime

from services.notifier.push.outcome import Outcome, Verdict, code_word, retry_after_seconds

EXPIRED_TOKEN = "ExpiredProviderToken"  # noqa: S105 - Apple's word, no secret
TOO_MANY_UPDATES = "TooManyProviderTokenUpdates"

# Apple's reasons are unique, so that the status is only asked about the ones that we don't know.
BY_REASON: dict[str, Verdict] = {
    "BadDeviceToken": Verdict.RETIRE,
    "DeviceTokenNotForTopic": Verdict.RETIRE,
    "Unregistered": Verdict.RETIRE,
    "ExpiredToken": Verdict.RETIRE,
    "BadCollapseId": Verdict.OURS,
    "BadExpirationDate": Verdict.OURS,
    "BadMessageId": Verdict.OURS,
    "BadPath": Verdict.OURS,
    "BadPriority": Verdict.OURS,
    "BadTopic": Verdict.OURS,
    "DuplicateHeaders": Verdict.OURS,
    "InvalidPushType": Verdict.OURS,
    "MethodNotAllowed": Verdict.OURS,
    "MissingDeviceToken": Verdict.OURS,
    "MissingTopic": Verdict.OURS,
    "PayloadEmpty": Verdict.OURS,
    "PayloadTooLarge": Verdict.OURS,
    "BadCertificate": Verdict.CREDENTIALS,
    "BadCertificateEnvironment": Verdict.CREDENTIALS,
    "BadEnvironmentKeyIdInToken": Verdict.CREDENTIALS,
    "BadEnvironmentKeyInToken": Verdict.CREDENTIALS,
    EXPIRED_TOKEN: Verdict.CREDENTIALS,
    "Forbidden": Verdict.CREDENTIALS,
    "InvalidProviderToken": Verdict.CREDENTIALS,
    "MissingProviderToken": Verdict.CREDENTIALS,
    "TopicDisallowed": Verdict.CREDENTIALS,
    "UnrelatedKeyIdInToken": Verdict.CREDENTIALS,
    "TooManyRequests": Verdict.THROTTLE,
    # Not this device's fault: the token that was kept is good again for the next attempt.
    TOO_MANY_UPDATES: Verdict.TRANSIENT,
    "IdleTimeout": Verdict.TRANSIENT,
    "InternalServerError": Verdict.TRANSIENT,
    "ServiceUnavailable": Verdict.TRANSIENT,
    "Shutdown": Verdict.TRANSIENT,
}

BY_STATUS: dict[int, Verdict] = {
    401: Verdict.CREDENTIALS,
    403: Verdict.CREDENTIALS,
    408: Verdict.TRANSIENT,
    413: Verdict.OURS,  # whoever says so, the minimal page is smaller
    429: Verdict.THROTTLE,
}

FIRST_YEAR = datetime(2009, 1, 1, tzinfo=UTC)
"""APNs is no older (Apple, June 2009): an earlier moment is seconds taken for milliseconds, or nonsense."""

# After these Apple wants a new connection.
NEW_CONNECTION = frozenset({"IdleTimeout", "InternalServerError", "ServiceUnavailable", "Shutdown"})


@dataclass(frozen=True, slots=True)
class ApnsAnswer:
    """One response as it came off the connection; header values are text, the body raw."""

    status: int
    apns_id: str | None
    retry_after: str | None
    body: bytes


def read_apns(answer: ApnsAnswer, now: datetime) -> Outcome:
    """The outcome of an answer; any body, readable or not, gives one."""
    if answer.status == 200:
        return Outcome(Verdict.ACCEPTED, "accepted", 200, answer.apns_id)
    reason, timestamp = _body(answer.body)
    verdict = BY_REASON.get(reason) or _by_status(answer.status, reason)
    return Outcome(
        verdict=verdict,
        reason=reason or f"HTTP {answer.status}",
        status=answer.status,
        vendor_id=answer.apns_id,
        retry_after=retry_after_seconds(answer.retry_after, now),
        retired_at=timestamp if verdict is Verdict.RETIRE else None,
    )


def goaway_reason(data: bytes | None) -> str:
    """The reason inside a GOAWAY frame's debug data, "GOAWAY" where there is none."""
    return _body(data or b"")[0] or "GOAWAY"


def _by_status(status: int, reason: str) -> Verdict:
    if status in BY_STATUS:
        return BY_STATUS[status]
    # Without a reason it is not Apple's word but that of a proxy in between: it may be another one the next time.
    if not reason or not 400 <= status < 500:
        return Verdict.TRANSIENT
    return Verdict.RETIRE if status == 410 else Verdict.OURS


def _body(raw: bytes) -> tuple[str, datetime | None]:
    """Reason ("" if there is none) and 410 timestamp (milliseconds on the wire) of an error body."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return "", None
    if not isinstance(body, dict):
        return "", None
    reason, milliseconds = body.get("reason"), body.get("timestamp")
    at: datetime | None = None
    if isinstance(milliseconds, int | float) and not isinstance(milliseconds, bool):
        try:
            at = datetime.fromtimestamp(milliseconds / 1000, UTC)
        except (OverflowError, ValueError, OSError):
            at = None
        if at is not None and at < FIRST_YEAR:
            at = None
    return code_word(reason), at
