"""What may be asked of an incident, by people, senders, escalations and times."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.contracts.envelope import Actor
from libs.contracts.incidents import AlertPlace, IncidentCreated, Suppression
from libs.contracts.model import Priority
from services.incidents.domain.alerts import AddAlert, ResolveAlert


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """An alert, or a person, opens it; `fact` says all there is to say."""

    fact: IncidentCreated


@dataclass(frozen=True, slots=True)
class GroupAlerts:
    """Its alert came `more` times again, the last at `last_at`, saying `title` and `description`.

    `counted`: its alerts before these, as the rows say that count them. `alert_id`: which of its alerts came last;
    None: the first.
    """

    counted: int
    more: int
    last_at: datetime
    title: str
    description: str | None = None
    alert_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """`resolves_at`: when it is resolved by itself, unless something happens before."""

    by: Actor
    at: datetime
    notes: str | None = None
    resolves_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Resolve:
    by: Actor
    at: datetime
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Close:
    by: Actor
    at: datetime
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Escalate:
    """A level beyond the first has fired, or the first one again: nobody has answered so far."""

    run: int
    level: int
    round: int
    user_ids: tuple[UUID, ...]
    next_at: datetime | None
    exhausted: bool = False


@dataclass(frozen=True, slots=True)
class Raise:
    """It has become as bad as `priority`; it is never lowered by this."""

    priority: Priority
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Snooze:
    by: Actor
    at: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class EndSnooze:
    """The time of the snooze that ended at `until` has come."""

    until: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class LiftSuppression:
    """Whatever suppressed it is over; `until`: the suppression that ends then."""

    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Suppress:
    """It is to page nobody for a while."""

    suppression: Suppression
    by: Actor
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LimitAcknowledgement:
    """The policy of run `run` gives whoever acknowledged it so much time, and resolves it after so long a quiet.

    None of either: it says nothing of that.
    """

    run: int
    time: timedelta | None
    at: datetime
    quiet: timedelta | None = None


@dataclass(frozen=True, slots=True)
class TimeOutAcknowledgement:
    """Whoever acknowledged it has had the time that they were given, until `until`."""

    until: datetime
    at: datetime


@dataclass(frozen=True, slots=True)
class ResolveQuiet:
    """Nothing has become of it since it was acknowledged, and no alert has come."""

    by: Actor
    at: datetime
    notes: str


@dataclass(frozen=True, slots=True)
class Reopen:
    """`within`: so long after it was resolved this may be asked; None: at any time."""

    by: Actor
    at: datetime
    notes: str | None = None
    within: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Reassign:
    """It is this person's now."""

    to: UUID
    by: Actor
    at: datetime
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class AskLevel:
    """Somebody wants this level of the policy to look at it now; None: its leads."""

    level: int | None
    by: Actor
    at: datetime
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class AddResponders:
    """These people are to help."""

    people: tuple[UUID, ...]
    by: Actor
    at: datetime
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class AddNote:
    note_id: UUID
    text: str
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Edit:
    """A person says what it is to say, and how bad it is."""

    title: str
    description: str | None
    metadata: dict[str, Any]
    priority: Priority
    by: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Late:
    """`command`, which was asked for at `said_at` and has come only now."""

    command: Act
    said_at: datetime


@dataclass(frozen=True, slots=True)
class Counted:
    """`command`, where `alerts` have come in so far, exactly, the newest of them at `place`."""

    command: Change | Late | AddAlert | ResolveAlert
    alerts: int
    place: AlertPlace | None = None


Act = Acknowledge | Resolve | Close | Reopen | Snooze | Suppress | Reassign | AskLevel | AddResponders | AddNote | Edit
"""What people do; senders acknowledge, resolve and reopen as well."""
Time = EndSnooze | LiftSuppression | LimitAcknowledgement | TimeOutAcknowledgement | ResolveQuiet
"""What times do."""
Change = Act | Time | Escalate | Raise
Command = OpenIncident | GroupAlerts | AddAlert | ResolveAlert | Change | Late | Counted
