"""What each answer of FCM means (Firebase, "REST Resource: ErrorCode" of HTTP v1)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.notifier.push.outcome import Outcome, Verdict, code_word, retry_after_seconds

# Google, "Scale FCM": without a Retry-After wait a minute after a 429.
QUOTA_PAUSE = 60.0
UNAUTHENTICATED = "UNAUTHENTICATED"

# By `details[].errorCode` where FCM names one, else by the canonical `status` of the error.
BY_REASON: dict[str, Verdict] = {
    "UNREGISTERED": Verdict.RETIRE,
    # The token belongs to another project: dead for ours. Many at once is our misconfiguration.
    "SENDER_ID_MISMATCH": Verdict.RETIRE,
    "INVALID_ARGUMENT": Verdict.OURS,
    "PERMISSION_DENIED": Verdict.CREDENTIALS,
    "THIRD_PARTY_AUTH_ERROR": Verdict.CREDENTIALS,
    UNAUTHENTICATED: Verdict.CREDENTIALS,
    "QUOTA_EXCEEDED": Verdict.THROTTLE,
    "RESOURCE_EXHAUSTED": Verdict.THROTTLE,
    "UNAVAILABLE": Verdict.TRANSIENT,
    "INTERNAL": Verdict.TRANSIENT,
    "DEADLINE_EXCEEDED": Verdict.TRANSIENT,
}

BY_STATUS: dict[int, Verdict] = {
    401: Verdict.CREDENTIALS,
    403: Verdict.CREDENTIALS,
    408: Verdict.TRANSIENT,
    413: Verdict.OURS,
    429: Verdict.THROTTLE,
}

_LONGEST = 200
"""Characters of a word of the vendor's that are kept."""
INVALID_TOKEN = "INVALID_ARGUMENT: token"  # noqa: S105 - a reason, no secret
# FCM's own sentence for a malformed token, which often comes without field violations.
_TOKEN_SENTENCE = "registration token is not a valid"  # noqa: S105 - a sentence, no secret


@dataclass(frozen=True, slots=True)
class FcmAnswer:
    """One response; the body raw."""

    status: int
    retry_after: str | None
    body: bytes


def read_fcm(answer: FcmAnswer, now: datetime) -> Outcome:
    """The outcome of an answer; any body, readable or not, gives one."""
    body = _object(answer.body)
    if answer.status == 200:
        name = body.get("name")
        if isinstance(name, str) and name:
            return Outcome(Verdict.ACCEPTED, "accepted", 200, name[:_LONGEST])
        # A proxy's page, not FCM's word: a repeat is harmless, a lost page is not.
        return Outcome(Verdict.TRANSIENT, "unreadable answer", 200)
    error = _mapping(body.get("error"))
    reason = _reason(error)
    verdict = BY_REASON.get(reason) or _by_status(answer.status, reason)
    if reason == "INVALID_ARGUMENT" and _is_about_token(error):
        reason, verdict = INVALID_TOKEN, Verdict.RETIRE
    retry_after = retry_after_seconds(answer.retry_after, now)
    if verdict is Verdict.THROTTLE and retry_after is None:
        retry_after = QUOTA_PAUSE
    return Outcome(verdict, reason or f"HTTP {answer.status}", answer.status, None, retry_after)


def _by_status(status: int, reason: str) -> Verdict:
    if status in BY_STATUS:
        return BY_STATUS[status]
    # Without a reason it is not FCM's word but that of a proxy in between: it may be another one the next time.
    return Verdict.OURS if reason and 400 <= status < 500 else Verdict.TRANSIENT


def _reason(error: Mapping[str, Any]) -> str:
    """FCM's error code, else the canonical status, else ""."""
    codes = [detail["errorCode"] for detail in _details(error) if isinstance(detail.get("errorCode"), str)]
    word = codes[0] if codes else error.get("status")
    return code_word(word)


def _is_about_token(error: Mapping[str, Any]) -> bool:
    for detail in _details(error):
        violations = detail.get("fieldViolations")
        for violation in violations if isinstance(violations, list) else []:
            if _mapping(violation).get("field") in ("message.token", "token"):
                return True
    return _TOKEN_SENTENCE in str(error.get("message", ""))


def _details(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    details = error.get("details")
    return [_mapping(detail) for detail in details] if isinstance(details, list) else []


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(raw))
    except (ValueError, RecursionError):
        return {}
