"""An incident: what is known of it after each event, and what may be asked of it.

Paging comes in runs. The creation is run 1 (run 0 for a suppressed one: nobody has been paged), and every request to
page again is the next; an answer stops all runs up to the present one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.incident_alerts import AlertAdded, AlertResolved, AlertsOverflowed
from libs.contracts.incidents import (
    Acknowledgement,
    AcknowledgementTimedOut,
    AlertPlace,
    AlertsGrouped,
    CountedFact,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEdited,
    IncidentEscalated,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    PagingRequested,
    PriorityLowered,
    PriorityRaised,
    SnoozeEnded,
    Status,
    SuppressionEnded,
)
from libs.contracts.model import Lane, Priority
from services.incidents.domain import alerts
from services.incidents.domain.alerts import AddAlert, Alerts, ResolveAlert

OPEN = (Status.CREATED, Status.ESCALATED, Status.ACKNOWLEDGED)

KEPT_ACKNOWLEDGEMENTS = 20
"""The newest, so that neither a state nor a view grows with age; the timeline has them all."""

Place = tuple[int, int, int]
"""(run, round, level) of an escalation; it only grows."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What a person who answered had heard: all that was taken by `at`, the newest of which stands at `place`."""

    at: datetime
    place: AlertPlace | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """`created` is None before the first event: there is no such incident. Its words are those of the newest edit."""

    created: IncidentCreated | None = None
    status: Status = Status.CREATED
    priority: Priority = Priority.LOW
    worst: Priority = Priority.LOW
    """So far: what a person has lowered is raised by an alert only if that is worse than all before."""
    assigned_to: UUID | None = None
    alert_count: int = 1
    """At least: what events have told of."""
    title: str = ""
    """With `description`: what its first alert says now, as far as events have told; `told_at`: when they last did."""
    description: str | None = None
    told_at: datetime | None = None
    updated_at: datetime | None = None
    acknowledgements: tuple[Acknowledgement, ...] = ()
    resolved: IncidentResolved | None = None
    closed: IncidentClosed | None = None
    run: int = 0
    suppressed: bool = False
    snoozed_until: datetime | None = None
    heard: Heard | None = None
    """By the newest answer of a person to the present run: it stands whatever a sender says of what was before it."""
    insisted_at: datetime | None = None
    """When a person last reopened it: no answer of a sender speaks of that which was given before."""
    resumed_at: datetime | None = None
    """When an acknowledgement timed out or a snooze ended: whoever acknowledges had to do so after it."""
    paged: Place = (0, 0, 0)
    """The last place of its escalation that is known here."""
    alerts: Alerts = field(default_factory=Alerts)

    @property
    def lane(self) -> Lane:
        """Of its worst priority so far: what is on its way to people must not be overtaken by their answers."""
        return self.worst.lane

    @property
    def is_open(self) -> bool:
        return self.created is not None and self.status in OPEN


def initial() -> Incident:
    return Incident()


def evolve(state: Incident, fact: Fact) -> Incident:
    if isinstance(fact, CountedFact) and fact.alert_count is not None and fact.alert_count > state.alert_count:
        state = replace(state, alert_count=fact.alert_count)
    match fact:
        case IncidentCreated():
            return replace(
                state,
                created=fact,
                priority=fact.priority,
                worst=fact.priority,
                assigned_to=fact.assigned_to,
                title=fact.title,
                description=fact.description,
                told_at=fact.created_at,
                updated_at=fact.created_at,
                run=0 if fact.suppressed else 1,
                suppressed=fact.suppressed,
                alerts=alerts.evolve(state.alerts, fact),
            )
        case AlertAdded() | AlertResolved() | AlertsOverflowed():
            return replace(state, alerts=alerts.evolve(state.alerts, fact), updated_at=fact.at)
        case AlertsGrouped():
            return _grouped(state, fact)
        case IncidentEscalated():
            return _escalated(state, fact)
        case IncidentAcknowledged():
            return _acknowledged(state, fact)
        case IncidentResolved():
            return replace(state, status=Status.RESOLVED, resolved=fact, updated_at=fact.at, snoozed_until=None)
        case IncidentClosed():
            return replace(state, status=Status.CLOSED, closed=fact, updated_at=fact.at)
        case PriorityLowered():
            return replace(state, priority=fact.priority, updated_at=fact.at)
        case IncidentEdited() if state.created is not None:
            said = {"title": fact.title, "description": fact.description, "metadata": fact.metadata}
            return replace(state, created=state.created.model_copy(update=said), updated_at=fact.at)
        case _:
            return _paging(state, fact)


def _grouped(state: Incident, fact: AlertsGrouped) -> Incident:
    if fact.title is not None and fact.alert_id in (None, state.alerts.first):
        state = replace(state, title=fact.title, description=fact.description)
    state = replace(state, alerts=alerts.evolve(state.alerts, fact))
    count = state.alert_count + fact.count if fact.alert_count is None else max(state.alert_count, fact.alert_count)
    return replace(state, alert_count=count, told_at=fact.last_at, updated_at=fact.last_at)


def _paging(state: Incident, fact: Fact) -> Incident:
    """What ends, interrupts or begins a run."""
    match fact:
        case PagingRequested():
            again = Status.ESCALATED if state.status is Status.ACKNOWLEDGED else state.status
            return replace(state, run=fact.run, status=again, suppressed=False, snoozed_until=None, heard=None)
        case PriorityRaised():
            worst = fact.priority if fact.priority.is_worse_than(state.worst) else state.worst
            return replace(state, priority=fact.priority, worst=worst, updated_at=fact.at)
        case IncidentSnoozed():
            return replace(state, snoozed_until=fact.until, updated_at=fact.at, heard=_heard(fact, state))
        case SnoozeEnded():
            return replace(state, snoozed_until=None, resumed_at=fact.at)
        case AcknowledgementTimedOut():
            return replace(state, resumed_at=fact.at)
        case SuppressionEnded():
            return replace(state, suppressed=False)
        case IncidentReopened():
            insisted_at = fact.at if _person(fact.by) else state.insisted_at
            opened = replace(state, status=Status.CREATED, resolved=None, closed=None)
            return replace(opened, updated_at=fact.at, insisted_at=insisted_at)
        case _:
            return state


def _acknowledged(state: Incident, fact: IncidentAcknowledged) -> Incident:
    taken = Acknowledgement(user_id=fact.by.id, at=fact.at, notes=fact.notes, run=fact.run)
    return replace(
        state,
        status=Status.ACKNOWLEDGED,
        assigned_to=_person(fact.by) or state.assigned_to,
        acknowledgements=(*state.acknowledgements, taken)[-KEPT_ACKNOWLEDGEMENTS:],
        updated_at=fact.at,
        snoozed_until=None,
        heard=_heard(fact, state),
    )


def _heard(fact: IncidentAcknowledged | IncidentSnoozed, state: Incident) -> Heard | None:
    """A sender answers for what it said itself: it has heard of nothing."""
    return Heard(fact.at, fact.place) if _person(fact.by) else state.heard


def _escalated(state: Incident, fact: IncidentEscalated) -> Incident:
    state = replace(state, paged=(fact.run, fact.round, fact.level))
    if state.status is Status.ACKNOWLEDGED:
        return state  # it fired before the acknowledgement was seen: whoever has taken it keeps it
    return replace(state, status=Status.ESCALATED, assigned_to=next(iter(fact.user_ids), state.assigned_to))


def _person(actor: Actor) -> UUID | None:
    return UUID(actor.id) if actor.kind == "user" else None


# --- Commands --------------------------------------------------------------------------------------------------------


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
    by: Actor
    at: datetime
    notes: str | None = None


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
    """Whatever suppressed it is over."""

    at: datetime


@dataclass(frozen=True, slots=True)
class TimeOutAcknowledgement:
    """Whoever acknowledged run `run` has had the time they were given."""

    run: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Reopen:
    by: Actor
    at: datetime
    notes: str | None = None


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
class Counted:
    """`command`, where `alerts` have come in so far, exactly, the newest of them at `place`."""

    command: Escalate | Answer | Restart | Edit | AddAlert | ResolveAlert
    alerts: int
    place: AlertPlace | None = None


Answer = Acknowledge | Resolve | Close | Snooze
Restart = Raise | EndSnooze | LiftSuppression | TimeOutAcknowledgement | Reopen
Command = OpenIncident | GroupAlerts | AddAlert | ResolveAlert | Escalate | Answer | Restart | Edit | Counted
