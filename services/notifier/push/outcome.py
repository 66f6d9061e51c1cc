"""What one push attempt came to, in words that are the same for every vendor."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

_CODE = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
LONGEST_PAUSE = 60.0
"""Seconds: what a vendor wishes beyond that would cost a page its life."""


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
    `everybodys`: it would have befallen any device, e.g. there was no connection.
    """

    verdict: Verdict
    reason: str
    status: int | None = None
    vendor_id: str | None = None
    retry_after: float | None = None
    retired_at: datetime | None = None
    everybodys: bool = field(default=False, compare=False)


def code_word(value: object) -> str:
    """What a vendor calls its reason, where it is a word of code; "" for anything else: this is told to many, and a
    sentence may quote what we sent.
    """
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds asked for by a `Retry-After` header, in either of its two forms (RFC 9110 section 10.2.3).

    A date in the past is 0.0, more than a minute is a minute; an absent or unreadable value is None.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return min(max(0.0, (at - now).total_seconds()), LONGEST_PAUSE)
