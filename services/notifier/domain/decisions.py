"""What follows for one notification from each command, by its state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.contracts.envelope import Fact
from libs.contracts.notifier import (
    AttemptFailed,
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
    NotificationState,
    NotificationWithdrawn,
    ReceiptRecorded,
    ReceiptState,
)
from services.notifier.domain.notification import (
    BUNDLED,
    DEACTIVATED,
    EXPIRED,
    BundleNotification,
    Command,
    ExpireNotification,
    IntendNotification,
    LeaveOut,
    Notification,
    RecordAccepted,
    RecordFailure,
    RecordReceipt,
    Sending,
    State,
    Stop,
    StopNotification,
    replacement,
)

SHORTEST_LIFE = timedelta(minutes=1)
"""A page is tried at least this long, also where the level's time-out is shorter or has passed while we were down."""
USUAL_LIFE = timedelta(hours=1)
LONGEST_LIFE = timedelta(hours=24)
"""Technical specification, Push Notifications: offline alerts are kept for 24 hours."""
CLOCKS_APART = timedelta(minutes=1)
"""So far ahead of ours a phone's clock may be and is still believed."""
_STATES = tuple(ReceiptState)
LONGEST_PAUSE = 60.0
"""Seconds."""


def decide(command: Command, state: State) -> Sequence[Fact]:
    """The table: one arm per row; whatever is not in it has happened already or came too late, and does nothing."""
    match command, state:
        case IntendNotification(), None:
            return _intend(command)
        case StopNotification(), Notification(stage=NotificationState.INTENDED) if _covers(command.stop, state):
            return [_withdrawn(state, command.stop.reason, command.now)]
        case StopNotification(), Notification(stage=NotificationState.ACCEPTED) if _covers(command.stop, state):
            return [_replaced(state, command.stop.kind, command.now)]
        case StopNotification(), Notification(shown=NotificationKind.ACKNOWLEDGED) if _ends(command.stop, state):
            return [_replaced(state, NotificationKind.RESOLVED, command.now)]
        case BundleNotification(), Notification(sending=Sending(due_at=due_at)) if (
            _waits(state) and due_at > command.now
        ):
            return [_withdrawn(state, BUNDLED, command.now)]
        case LeaveOut(), Notification(stage=NotificationState.INTENDED):
            return [_withdrawn(state, DEACTIVATED, command.now)]
        case ((RecordAccepted() | RecordFailure()), Notification()) if command.attempt <= state.attempts:
            return []
        case RecordAccepted(), Notification(stage=NotificationState.WITHDRAWN):
            return _accepted_after_withdrawal(command, state)
        case RecordAccepted(), Notification():
            return [_accepted(command, state)]
        case RecordFailure(), Notification():
            return [_failed(command, state)]
        case RecordReceipt(), Notification() if command.state not in state.receipts:
            return [_receipt(command, state)]
        case ExpireNotification(), Notification(sending=Sending(deadline=deadline)) if deadline <= command.now:
            return _expired(command, state)
        case _:
            return []


def retry_pause(failures: int, retry_after: float | None, chance: float) -> float:
    """Seconds before the next attempt after `failures` failed ones: 1, 2, 4 … 60, with full jitter.

    A vendor's own wish is a floor, of a minute at most, spread over a second so that not all come back at once.
    """
    jittered = chance * min(LONGEST_PAUSE, 2.0 ** min(failures - 1, 10))
    return jittered if retry_after is None else max(jittered, min(retry_after, LONGEST_PAUSE) + chance)


def _covers(stop: Stop, state: Notification) -> bool:
    return stop.covers(state.intent.run)


def _ends(stop: Stop, state: Notification) -> bool:
    return stop.kind is NotificationKind.RESOLVED and _covers(stop, state)


def _waits(state: Notification) -> bool:
    return state.stage is NotificationState.INTENDED and not state.attempts


def _intend(command: IntendNotification) -> list[Fact]:
    later = command.not_before if command.not_before is not None and command.not_before > command.now else None
    begins = later or command.now
    wanted = command.next_due_at or begins + USUAL_LIFE
    intended = NotificationIntended(
        notification_id=command.notification_id,
        incident_id=command.brief.incident_id,
        user_id=command.user_id,
        method=command.method,
        run=command.place.run,
        round=command.place.round,
        level=command.place.level,
        step=command.step,
        lane=command.lane,
        decided_at=command.decided_at,
        at=command.now,
        not_before=later,
        further=command.further,
        expires_at=min(max(wanted, begins + SHORTEST_LIFE), begins + LONGEST_LIFE),
        brief=command.brief,
    )
    stop = command.stop
    if stop is None or not stop.covers(intended.run):
        return [intended]
    # The answer was seen first: the intent is kept, so that it can be explained, and never sent.
    withdrawn = NotificationWithdrawn(
        notification_id=command.notification_id,
        incident_id=command.brief.incident_id,
        user_id=command.user_id,
        reason=stop.reason,
        at=command.now,
    )
    return [intended, withdrawn]


def _withdrawn(state: Notification, reason: str, now: datetime) -> NotificationWithdrawn:
    intent = state.intent
    return NotificationWithdrawn(
        notification_id=intent.notification_id,
        incident_id=intent.incident_id,
        user_id=intent.user_id,
        reason=reason,
        at=now,
    )


def _replaced(state: Notification, kind: NotificationKind, now: datetime) -> NotificationReplaced:
    intent = state.intent
    return NotificationReplaced(
        notification_id=intent.notification_id,
        incident_id=intent.incident_id,
        user_id=intent.user_id,
        kind=kind,
        at=now,
    )


def _accepted(command: RecordAccepted, state: Notification) -> NotificationAccepted:
    intent = state.intent
    return NotificationAccepted(
        notification_id=intent.notification_id,
        incident_id=intent.incident_id,
        user_id=intent.user_id,
        attempt=command.attempt,
        kind=command.kind,
        provider=command.provider,
        vendor_id=command.vendor_id,
        credentials=command.credentials,
        at=command.now,
    )


def _accepted_after_withdrawal(command: RecordAccepted, state: Notification) -> list[Fact]:
    """It was under way when it was withdrawn: the phone shows it, so what it shows is replaced."""
    facts: list[Fact] = [_accepted(command, state)]
    if state.withdrawn_for not in (None, EXPIRED, BUNDLED, DEACTIVATED):
        facts.append(_replaced(state, replacement(state.withdrawn_for), command.now))
    return facts


def _failed(command: RecordFailure, state: Notification) -> AttemptFailed:
    intent, sending = state.intent, state.sending
    retry_at: datetime | None = None
    if command.again and sending is not None and sending.kind is command.kind:
        pause = retry_pause(sending.failures + 1, command.retry_after, command.chance)
        retry_at = command.now + timedelta(seconds=pause)
        if retry_at >= sending.deadline:
            retry_at = None
    return AttemptFailed(
        notification_id=intent.notification_id,
        incident_id=intent.incident_id,
        user_id=intent.user_id,
        attempt=command.attempt,
        kind=command.kind,
        provider=command.provider,
        verdict=command.verdict,
        reason=command.reason,
        at=command.now,
        retry_at=retry_at,
    )


def _expired(command: ExpireNotification, state: Notification) -> list[Fact]:
    if state.is_sending(NotificationKind.PAGE):
        return [_withdrawn(state, EXPIRED, command.now)]
    assert state.sending is not None  # noqa: S101 - the only arm that calls this has one
    given_up = RecordFailure(
        attempt=state.attempts + 1,
        kind=state.sending.kind,
        provider="none",
        verdict="transient",
        reason=EXPIRED,
        again=False,
        retry_after=None,
        chance=0.0,
        now=command.now,
    )
    return [_failed(given_up, state)]


def _receipt(command: RecordReceipt, state: Notification) -> ReceiptRecorded:
    """Whatever comes late or out of order is kept, each state once; what is shown of them is in their order."""
    intent = state.intent
    believed = intent.at <= command.said_at <= command.now + CLOCKS_APART
    seen_at = min(command.said_at, command.now) if believed else command.now
    place = _STATES.index(command.state)
    before = [at for one, at in state.receipts.items() if _STATES.index(one) < place]
    after = [at for one, at in state.receipts.items() if _STATES.index(one) > place]
    return ReceiptRecorded(
        notification_id=intent.notification_id,
        incident_id=intent.incident_id,
        user_id=intent.user_id,
        state=command.state,
        seen_at=min([max([seen_at, *before]), *after]),
        at=command.now,
    )
