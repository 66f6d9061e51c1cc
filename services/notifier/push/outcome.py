"""What one push attempt came to, in words that are the same for every vendor."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum


class Verdict(StrEnum):
    """What the notifier should do next; the vendors' own words are in `Outcome.reason`."""

    ACCEPTED = "accepted"
    """The vendor took it. Never call this delivered."""
    RETIRE = "retire"
    """The token is no good for us. Retire it only when few are refused: many at once are our misconfiguration."""
    OURS = "ours"
    """We sent something wrong: no retry, alert the operator."""
    CREDENTIALS = "credentials"
    """The vendor refuses us, not the message: next channel, page the operator."""
    THROTTLE = "throttle"
    """Back off for `retry_after` seconds."""
    TRANSIENT = "transient"
    """No answer, or one that may change: start the next channel at once, retry with jitter."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one attempt.

    `reason`: the vendor's word ("Unregistered", "QUOTA_EXCEEDED") or ours ("timeout", "connection refused").
    `status`: the HTTP status, None when no answer came.
    `vendor_id`: APNs' `apns-id` or FCM's message name.
    `retry_after`: seconds, from `Retry-After` or the vendor's documented default.
    `retired_at`: with a 410 of APNs, since when the token is invalid (UTC): retire it only if it was registered before.
    """

    verdict: Verdict
    reason: str
    status: int | None = None
    vendor_id: str | None = None
    retry_after: float | None = None
    retired_at: datetime | None = None


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds asked for by a `Retry-After` header, in either of its two forms (RFC 9110 section 10.2.3).

    A date in the past is 0.0; an absent or unreadable value is None.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
