"""Between the notifier's words and the vendors': a row as a page, and an outcome as something to record."""

from __future__ import annotations

from datetime import datetime

from libs.contracts.links import app_url, incident_url
from libs.contracts.notifier import NotificationKind
from services.notifier.application import Sent
from services.notifier.domain.notification import ExpireNotification, RecordAccepted, RecordFailure
from services.notifier.domain.token import RetireToken
from services.notifier.outbox import Sendable
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome, Verdict

_AGAIN = frozenset({Verdict.TRANSIENT, Verdict.THROTTLE, Verdict.CREDENTIALS})
_PREFIX = {
    NotificationKind.PAGE: "",
    NotificationKind.ACKNOWLEDGED: "Acknowledged: ",
    NotificationKind.RESOLVED: "Resolved: ",
}


def page_of(row: Sendable, public_url: str) -> Page:
    """What the phone is to show; a replacement goes under the id of the page that it replaces."""
    kind, test = NotificationKind(row.kind), row.incident_id == row.notification_id
    body = row.description or f"Incident #{row.number}"
    if row.further and kind is NotificationKind.PAGE:
        # In front, where no shortening reaches it.
        body = f"{row.further} further page{'s' if row.further > 1 else ''}. {body}"
    return Page(
        notification_id=row.notification_id,
        incident_id=row.incident_id,
        kind=row.kind,
        title=_PREFIX[kind] + row.title,
        body=body,
        priority=row.priority,
        incident_url=app_url(public_url) if test else incident_url(public_url, row.incident_id),
        level=None if test else row.level,
        expires_at=row.deadline,
        test=test,
    )


def as_result(
    row: Sendable,
    outcome: Outcome,
    now: datetime,
    chance: float,
    *,
    final: bool = False,
    credentials: str | None = None,
) -> Sent:
    """`final`: not to be tried again whatever the verdict; `chance`: a random number of [0, 1) for the back-off."""
    kind = NotificationKind(row.kind)
    command: RecordAccepted | RecordFailure
    if outcome.verdict is Verdict.ACCEPTED:
        command = RecordAccepted(row.attempt, kind, row.provider, outcome.vendor_id, now, credentials)
    else:
        command = RecordFailure(
            attempt=row.attempt,
            kind=kind,
            provider=row.provider,
            verdict=str(outcome.verdict),
            reason=outcome.reason,
            again=outcome.verdict in _AGAIN and not final,
            retry_after=outcome.retry_after,
            chance=chance,
            now=now,
        )
    return Sent(row.notification_id, command, row.cause)


def expired(row: Sendable, now: datetime) -> Sent:
    """Its deadline has passed unsent."""
    return Sent(row.notification_id, ExpireNotification(now), row.cause)


def refused_token(row: Sendable, outcome: Outcome, sent_at: datetime) -> RetireToken | None:
    """The token that a RETIRE is about: dead since the moment that its vendor names, at latest when we asked.

    A moment in the future would kill the token that the phone registers next.
    """
    if row.registered_at is None:
        return None
    dead_at = min(outcome.retired_at or sent_at, sent_at)
    return RetireToken(row.user_id, row.method_id, row.registered_at, dead_at, outcome.reason)
