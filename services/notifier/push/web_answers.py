"""What each answer of a push service means (RFC 8030 sections 5 and 7.3, RFC 8292 section 4)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from services.notifier.push.outcome import Outcome, Verdict, code_word, retry_after_seconds

TOO_LARGE: Final = 413
_TAKEN: Final = frozenset({200, 201, 202})
_BY_STATUS: Final[dict[int, Verdict]] = {
    401: Verdict.CREDENTIALS,
    403: Verdict.CREDENTIALS,
    404: Verdict.RETIRE,
    408: Verdict.TRANSIENT,
    410: Verdict.RETIRE,
    429: Verdict.THROTTLE,
}
_OTHER_KEY: Final = "VapidPkHashMismatch"
"""Apple's word for a subscription that was made with another key than ours."""
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """One response; the body raw, and only its beginning."""

    status: int
    retry_after: str | None
    location: str | None
    body: bytes


def read_web(answer: WebAnswer, now: datetime, *, trusted: bool) -> Outcome:
    """The outcome of an answer; any body, readable or not, gives one.

    `trusted`: this service takes pages that are signed with our key. One that it refuses for its signature was then
    subscribed with another key: services do not tell that from a key of ours that is no good.
    """
    if answer.status in _TAKEN:
        return Outcome(Verdict.ACCEPTED, "accepted", answer.status, _message_id(answer.location))
    reason = _reason(answer.body) or f"HTTP {answer.status}"
    verdict = _BY_STATUS.get(answer.status)
    if verdict is None:
        verdict = Verdict.TRANSIENT if answer.status >= 500 or answer.status < 200 else Verdict.OURS
    if reason == _OTHER_KEY or (verdict is Verdict.CREDENTIALS and trusted):
        verdict = Verdict.RETIRE
    return Outcome(verdict, reason, answer.status, None, retry_after_seconds(answer.retry_after, now))


def _reason(body: bytes) -> str:
    """The service's word of code: `reason` of Apple's JSON, `error` of Mozilla's; "" where there is none."""
    try:
        document: Any = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(document, Mapping):
        return ""
    return code_word(document.get("reason")) or code_word(document.get("error"))


def _message_id(location: str | None) -> str | None:
    """The last part of where the service keeps the message: with the whole address it could be taken back."""
    try:
        name = urlsplit(location or "").path.rpartition("/")[2]
    except ValueError:
        return None
    return name[:_LONGEST] if name.isascii() and name.isprintable() and name else None
