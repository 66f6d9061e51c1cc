"""An incident: what is known of it after each event.

Paging comes in runs. The creation is run 1 (run 0 for a suppressed one: nobody has been paged), and every request to
page again is the next; an answer stops all runs up to the present one. A run that only asks others for help ends
nothing: whoever has the incident keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.incident_alerts import AlertAdded, AlertResolved, AlertsOverflowed
from libs.contracts.incidents import (
    Acknowledgement,
    AcknowledgementLimited,
    AcknowledgementTimedOut,
    AlertPlace,
    AlertsGrouped,
    CountedFact,
    EscalationRequested,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEdited,
    IncidentEscalated,
    IncidentReassigned,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    NoteAdded,
    PagingRequested,
    PriorityLowered,
    PriorityRaised,
    ResolutionPlanned,
    RespondersAdded,
    SnoozeEnded,
    Status,
    Suppression,
    SuppressionEnded,
)
from libs.contracts.model import Lane, Priority
from services.incidents.domain import alerts
from services.incidents.domain.alerts import Alerts

OPEN = (Status.CREATED, Status.ESCALATED, Status.ACKNOWLEDGED)

KEPT_ACKNOWLEDGEMENTS = 20
"""The newest, so that neither a state nor a view grows with age; the timeline has them all."""
KEPT_RESPONDERS = 100
"""The newest, for the same reason."""

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
    began_at: datetime | None = None
    """When the present run did."""
    answers_from: int = 0
    """The run since which acknowledgements count: later ones only asked others for help."""
    suppressed: bool = False
    suppression: Suppression | None = None
    """By what and until when it is suppressed, where that was said."""
    snoozed_until: datetime | None = None
    acknowledged_until: datetime | None = None
    """When its acknowledgement times out; None: it does not."""
    resolves_at: datetime | None = None
    """When it is resolved by itself, if nothing happens: it is acknowledged."""
    quiet: timedelta | None = None
    """The quiet after which the policy of its levels resolves it; None: the installation says, if anybody does."""
    responders: tuple[UUID, ...] = ()
    """Who was asked for help."""
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
    def acknowledged(self) -> tuple[Acknowledgement, ...]:
        """Who has it now, or had it when it was resolved: those who have answered since its levels began."""
        return tuple(a for a in self.acknowledgements if a.run >= self.answers_from)

    @property
    def is_open(self) -> bool:
        return self.created is not None and self.status in OPEN


_NONE = Incident()


def initial() -> Incident:
    return _NONE


def evolve(state: Incident, fact: Fact) -> Incident:
    if isinstance(fact, CountedFact) and fact.alert_count is not None and fact.alert_count > state.alert_count:
        state = replace(state, alert_count=fact.alert_count)
    match fact:
        case IncidentCreated():
            # Written out: to replace everything of nothing costs twice as much, and this is made for every alert.
            return Incident(
                created=fact,
                alert_count=state.alert_count,
                priority=fact.priority,
                worst=fact.priority,
                assigned_to=fact.assigned_to,
                title=fact.title,
                description=fact.description,
                told_at=fact.created_at,
                updated_at=fact.created_at,
                run=0 if fact.suppressed else 1,
                began_at=fact.created_at,
                answers_from=0 if fact.suppressed else 1,
                suppressed=fact.suppressed,
                suppression=fact.suppression,
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
            over = replace(state, status=Status.RESOLVED, resolved=fact, updated_at=fact.at)
            return replace(over, snoozed_until=None, acknowledged_until=None, resolves_at=None)
        case IncidentClosed():
            return replace(state, status=Status.CLOSED, closed=fact, updated_at=fact.at)
        case PriorityLowered():
            return replace(state, priority=fact.priority, updated_at=fact.at)
        case IncidentEdited() if state.created is not None:
            said = {"title": fact.title, "description": fact.description, "metadata": fact.metadata}
            return replace(state, created=state.created.model_copy(update=said), updated_at=fact.at)
        case NoteAdded():
            return replace(state, updated_at=fact.at)
        case IncidentReassigned() if state.created is not None:
            created = state.created.model_copy(update={"assigned_to": fact.assigned_to})
            return replace(state, created=created, assigned_to=fact.assigned_to, updated_at=fact.at)
        case RespondersAdded():
            asked = tuple(dict.fromkeys((*state.responders, *fact.user_ids)))[-KEPT_RESPONDERS:]
            return replace(state, responders=asked, updated_at=fact.at)
        case EscalationRequested():
            return replace(state, status=Status.ESCALATED, updated_at=fact.at)
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
        case PagingRequested(start=start) if start is not None and (start.alone or start.goes_on):
            return replace(state, run=fact.run)
        case PagingRequested():
            return _begun(state, fact)
        case PriorityRaised():
            worst = fact.priority if fact.priority.is_worse_than(state.worst) else state.worst
            return replace(state, priority=fact.priority, worst=worst, updated_at=fact.at)
        case IncidentSnoozed():
            return replace(state, snoozed_until=fact.until, updated_at=fact.at, heard=_heard(fact, state))
        case SnoozeEnded():
            return replace(state, snoozed_until=None, resumed_at=fact.at)
        case AcknowledgementTimedOut():
            again = replace(state, status=Status.ESCALATED, resumed_at=fact.at)
            return replace(again, acknowledged_until=None, resolves_at=None)
        case IncidentSuppressed():
            return replace(state, suppressed=True, suppression=fact.suppression, updated_at=fact.at)
        case SuppressionEnded():
            return replace(state, suppressed=False, suppression=None)
        case AcknowledgementLimited():
            return replace(state, acknowledged_until=fact.until)
        case ResolutionPlanned():
            return replace(state, resolves_at=fact.resolves_at, quiet=timedelta(minutes=fact.quiet_minutes))
        case IncidentReopened():
            insisted_at = fact.at if _person(fact.by) else state.insisted_at
            opened = replace(state, status=Status.CREATED, resolved=None, closed=None)
            return replace(opened, updated_at=fact.at, insisted_at=insisted_at)
        case _:
            return state


def _begun(state: Incident, fact: PagingRequested) -> Incident:
    """Nobody has it any more, and nothing keeps it quiet."""
    again = Status.ESCALATED if state.status is Status.ACKNOWLEDGED else state.status
    state = replace(state, run=fact.run, began_at=fact.since, answers_from=fact.run, status=again, heard=None)
    state = replace(state, suppressed=False, suppression=None, snoozed_until=None)
    return replace(state, acknowledged_until=None, resolves_at=None, quiet=None)


def _acknowledged(state: Incident, fact: IncidentAcknowledged) -> Incident:
    taken = Acknowledgement(user_id=fact.by.id, at=fact.at, notes=fact.notes, run=fact.run)
    person = _person(fact.by)
    # Whoever was asked for help does not take it from whoever has it.
    helps = state.status is Status.ACKNOWLEDGED and person in state.responders
    return replace(
        state,
        status=Status.ACKNOWLEDGED,
        assigned_to=state.assigned_to if helps else person or state.assigned_to,
        acknowledgements=(*state.acknowledgements, taken)[-KEPT_ACKNOWLEDGEMENTS:],
        updated_at=fact.at,
        snoozed_until=None,
        resolves_at=fact.resolves_at,
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
