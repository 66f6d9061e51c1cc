"""One notification: intended, sent until a vendor takes it, withdrawn or replaced when nobody is needed any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Lane
from libs.contracts.notifier import (
    AttemptFailed,
    Method,
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
    NotificationState,
    NotificationWithdrawn,
    ReceiptRecorded,
    ReceiptState,
)
from services.notifier.domain.place import Place

REPLACEMENT_LIFE = timedelta(hours=1)
EXPIRED = "expired"
"""Why a page is withdrawn that could not be sent in time."""
BUNDLED = "bundled"
"""Why a page is withdrawn for which a newer one speaks."""
DEACTIVATED = "deactivated"
"""Why a page is withdrawn whose person is so; all other reasons are answers."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is to be sent next: `due_at` is when, `deadline` until when, `failures` how often it failed so far."""

    kind: NotificationKind
    due_at: datetime
    deadline: datetime
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Notification:
    """`attempts` counts what was recorded, of pages and replacements alike; `sending` is None when nothing is owed."""

    intent: NotificationIntended
    stage: NotificationState
    attempts: int = 0
    sending: Sending | None = None
    shown: NotificationKind | None = None
    """The newest kind that is, or is about to be, on the phone."""
    withdrawn_for: str | None = None
    receipts: Mapping[ReceiptState, datetime] = field(default_factory=dict)
    """When its phone has said that each happened."""

    def is_sending(self, kind: NotificationKind) -> bool:
        return self.sending is not None and self.sending.kind is kind

    @property
    def given_up(self) -> bool:
        """No vendor has taken the page and none will be asked again, and not because of an answer."""
        in_vain = self.stage is NotificationState.WITHDRAWN and self.withdrawn_for in (EXPIRED, DEACTIVATED)
        return in_vain or self.stage is NotificationState.FAILED


State = Notification | None
"""None: it was never intended."""


@dataclass(frozen=True, slots=True)
class Stop:
    """An answer: the incident's runs up to `run` page nobody any more.

    `reason` is `acknowledged`, `snoozed`, `suppressed`, `resolved` or `closed`.
    """

    reason: str
    run: int

    def covers(self, run: int) -> bool:
        """Whether it is about the pages of a run: a later one has begun again and goes on."""
        return run <= self.run

    @property
    def kind(self) -> NotificationKind:
        """What replaces a page on the phone."""
        return replacement(self.reason)


def replacement(reason: str) -> NotificationKind:
    """What a phone shows instead of a page that was answered: it is over, or somebody sees to it."""
    taken = reason in ("acknowledged", "snoozed", "suppressed")
    return NotificationKind.ACKNOWLEDGED if taken else NotificationKind.RESOLVED


@dataclass(frozen=True, slots=True)
class IntendNotification:
    """Tell this person over this method; `stop` is the incident's last one, if any, `next_due_at` the level's end."""

    notification_id: UUID
    user_id: UUID
    method: Method
    place: Place
    lane: Lane
    brief: IncidentBrief
    decided_at: datetime
    next_due_at: datetime | None
    stop: Stop | None
    now: datetime
    step: int = 1
    not_before: datetime | None = None
    """When it is to be sent; None: at once."""
    further: int = 0
    """For how many pages it speaks beside its own."""


def paging_since(page: NotificationIntended) -> datetime:
    """Since when the incident needs people: an answer since then may still be on its way to us."""
    return page.brief.paging_since or page.decided_at


@dataclass(frozen=True, slots=True)
class StopNotification:
    """The incident was answered."""

    stop: Stop
    now: datetime


@dataclass(frozen=True, slots=True)
class BundleNotification:
    """A newer page about the same incident speaks for it, if it still waits."""

    now: datetime


@dataclass(frozen=True, slots=True)
class LeaveOut:
    """Its person is deactivated."""

    now: datetime


@dataclass(frozen=True, slots=True)
class RecordAccepted:
    """The vendor took attempt `attempt`, which carried `kind`."""

    attempt: int
    kind: NotificationKind
    provider: str
    vendor_id: str | None
    now: datetime
    credentials: str | None = None


@dataclass(frozen=True, slots=True)
class RecordFailure:
    """Attempt `attempt` failed. `again`: trying once more can help.

    `retry_after`: the least pause in seconds that the vendor asks for. `chance`: a random number of [0, 1).
    """

    attempt: int
    kind: NotificationKind
    provider: str
    verdict: str
    reason: str
    again: bool
    retry_after: float | None
    chance: float
    now: datetime


@dataclass(frozen=True, slots=True)
class ExpireNotification:
    """Its deadline may have passed before it could be sent."""

    now: datetime


@dataclass(frozen=True, slots=True)
class RecordReceipt:
    """Its phone says that this happened, at `said_at` by its own clock."""

    state: ReceiptState
    said_at: datetime
    now: datetime


Command = (
    IntendNotification
    | StopNotification
    | BundleNotification
    | LeaveOut
    | RecordAccepted
    | RecordFailure
    | ExpireNotification
    | RecordReceipt
)


def initial() -> State:
    return None


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case None, NotificationIntended():
            page = Sending(NotificationKind.PAGE, fact.not_before or fact.at, fact.expires_at)
            return Notification(fact, NotificationState.INTENDED, sending=page)
        case None, _:
            return None
        case Notification(), NotificationAccepted():
            first = fact.kind is NotificationKind.PAGE
            return replace(
                state,
                stage=NotificationState.ACCEPTED if first else state.stage,
                shown=NotificationKind.PAGE if first else state.shown,
                attempts=fact.attempt,
                sending=None if state.is_sending(fact.kind) else state.sending,
            )
        case Notification(), AttemptFailed():
            return _after_failure(replace(state, attempts=fact.attempt), fact)
        case Notification(), NotificationReplaced():
            silent = Sending(fact.kind, fact.at, fact.at + REPLACEMENT_LIFE)
            return replace(state, stage=NotificationState.REPLACED, shown=fact.kind, sending=silent)
        case Notification(), ReceiptRecorded():
            return replace(state, receipts={**state.receipts, fact.state: fact.seen_at})
        case Notification(), NotificationWithdrawn():
            return replace(state, stage=NotificationState.WITHDRAWN, withdrawn_for=fact.reason, sending=None)
        case _:
            return state


def _after_failure(state: Notification, fact: AttemptFailed) -> Notification:
    if state.sending is None or state.sending.kind is not fact.kind:
        return state
    if fact.retry_at is not None:
        again = replace(state.sending, due_at=fact.retry_at, failures=state.sending.failures + 1)
        return replace(state, sending=again)
    last = NotificationState.FAILED if fact.kind is NotificationKind.PAGE else state.stage
    return replace(state, stage=last, sending=None)
