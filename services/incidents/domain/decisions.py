"""What follows for an incident from each command, by its state."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.incidents import (
    AcknowledgementTimedOut,
    AlertPlace,
    AlertsGrouped,
    CountedFact,
    IncidentAcknowledged,
    IncidentBrief,
    IncidentClosed,
    IncidentCreated,
    IncidentEdited,
    IncidentEscalated,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    PagingReason,
    PagingRequested,
    PriorityLowered,
    PriorityRaised,
    SnoozeEnded,
    Status,
    SuppressionEnded,
)
from libs.contracts.model import Priority
from libs.contracts.requests import Invalid, NotFound, Rejected
from services.incidents.domain import alerts as its_alerts
from services.incidents.domain.alerts import AddAlert, ResolveAlert
from services.incidents.domain.incident import (
    Acknowledge,
    Close,
    Command,
    Counted,
    Edit,
    EndSnooze,
    Escalate,
    GroupAlerts,
    Incident,
    LiftSuppression,
    OpenIncident,
    Raise,
    Reopen,
    Resolve,
    Snooze,
    TimeOutAcknowledgement,
    evolve,
)

NEWS_EVERY = timedelta(minutes=1)
"""How often it may be told that an incident's alerts say something else, beside the steps of their number: a sender
whose text holds a measured value changes it with every alert."""


class NoSuchIncident(NotFound):
    """There is no such incident."""


class AlreadyOver(Rejected):
    """The incident is already resolved; a new alert with its key opens a new one."""


class NotResolvedYet(Rejected):
    """Only a resolved incident can be closed: resolve it first."""


def decide(command: Command, state: Incident) -> Sequence[Fact]:
    """The table: one arm per row; repeating a command decides nothing.

    What ends a snooze, a suppression, an acknowledgement or a resolution, or makes it worse, is decided together with
    the request to page again: there is no moment in which it needs people and nobody is asked to page them.

    Raises:
        NoSuchIncident, AlreadyOver, NotResolvedYet, Invalid.
    """
    created = state.created
    if created is None:
        if isinstance(command, OpenIncident):
            return [command.fact]
        raise NoSuchIncident
    match command:
        case OpenIncident():
            return []
        case Counted(wanted, alerts, place):
            return [_counted(fact, max(alerts, state.alert_count), place) for fact in decide(wanted, state)]
        case GroupAlerts() if state.is_open:
            return _grouped(command, state, created)
        case AddAlert() if state.is_open:
            return its_alerts.add(command, state.alerts)
        case ResolveAlert() if state.is_open:
            return _alert_resolved(command, state, created)
        case Escalate() if state.is_open and _is_news(command, state):
            return [_escalated(command, created)]
        case Acknowledge() if not state.is_open:
            raise AlreadyOver
        case Acknowledge() if _says_more(command, state):
            return [_acknowledged(command, state, created)]
        case Resolve(by, at, notes) if state.is_open:
            return [IncidentResolved(incident_id=created.incident_id, run=state.run, by=by, at=at, notes=notes)]
        case Close() if state.is_open:
            raise NotResolvedYet
        case Close(by, at, notes) if state.status is Status.RESOLVED:
            return [IncidentClosed(incident_id=created.incident_id, run=state.run, by=by, at=at, notes=notes)]
        case Snooze():
            return _snoozed(command, state, created)
        case Edit():
            return _edited(command, state, created)
        case Raise() | EndSnooze() | LiftSuppression() | TimeOutAcknowledgement() | Reopen():
            return _restart(command, state, created)
        case _:
            return []


def _says_more(command: Acknowledge, state: Incident) -> bool:
    """The first of this person in this run, or notes that theirs have not said yet: repeated it is no news."""
    theirs = [a.notes for a in state.acknowledgements if a.user_id == command.by.id and a.run == state.run]
    return not theirs or (command.notes is not None and command.notes not in theirs)


def _alert_resolved(command: ResolveAlert, state: Incident, created: IncidentCreated) -> list[Fact]:
    """The last one ends the incident, as a person would; that it was the only one needs no event of its own."""
    if not its_alerts.is_last(command.alert_id, state.alerts, created):
        return its_alerts.resolve(command, state.alerts, created.incident_id)
    if not state.alerts.has_rows:
        return [*decide(Resolve(command.by, command.at), state)]
    over = its_alerts.resolve(command, state.alerts, created.incident_id)
    for fact in over:
        state = evolve(state, fact)
    return [*over, *decide(Resolve(command.by, command.at, "Its last alert is over."), state)]


def alerts_after(command: GroupAlerts, state: Incident) -> int:
    """How many there are with these: as the rows say, or the log where an older release has counted in it alone.

    Where the log has more, whoever asks has read the rows after it, and nobody has added to them since.
    """
    return max(command.counted, state.alert_count) + command.more


def _grouped(command: GroupAlerts, state: Incident, created: IncidentCreated) -> list[Fact]:
    """Most repeats are only counted: what they cost must not grow with their number."""
    alerts = alerts_after(command, state)
    is_news = _says_something_else(command, state)
    is_time = state.told_at is None or command.last_at - state.told_at >= NEWS_EVERY
    if not (_step(alerts - 1) > state.alert_count - 1 or (is_news and is_time)):
        return []
    grouped = AlertsGrouped(
        incident_id=created.incident_id,
        count=alerts - state.alert_count,
        last_at=command.last_at,
        alert_count=alerts,
        title=command.title if is_news else None,
        description=command.description if is_news else None,
        alert_id=command.alert_id if is_news and command.alert_id != state.alerts.first else None,
    )
    return [grouped]


def _says_something_else(command: GroupAlerts, state: Incident) -> bool:
    """Of an alert that is not held nothing is known but that it came."""
    if command.alert_id in (None, state.alerts.first):
        return (command.title, command.description) != (state.title, state.description)
    told = state.alerts.burning.get(command.alert_id)
    return told is not None and told != its_alerts.digest(command.title, command.description)


def _step(repeats: int) -> int:
    """The last of 1, 2, 5, 10, 20, 50 … up to a number; 0 before the first."""
    power = int(10 ** (len(str(repeats)) - 1))
    return max((step for step in (power, 2 * power, 5 * power) if step <= repeats), default=0)


def _counted(fact: Fact, alerts: int, place: AlertPlace | None) -> Fact:
    match fact:
        case IncidentAcknowledged() | IncidentSnoozed():
            return fact.model_copy(update={"alert_count": alerts, "place": place})
        case CountedFact():
            return fact.model_copy(update={"alert_count": alerts})
        case _:
            return fact


def _restart(
    command: Raise | EndSnooze | LiftSuppression | TimeOutAcknowledgement | Reopen,
    state: Incident,
    created: IncidentCreated,
) -> list[Fact]:
    """Why it needs people again, and the request that follows from it."""
    incident_id = created.incident_id
    match command:
        case Raise(priority, by, at) if state.is_open and priority.is_worse_than(state.worst):
            return _raised(priority, by, at, state, created)
        case EndSnooze(until, at) if state.is_open and state.snoozed_until == until:
            ended = SnoozeEnded(incident_id=incident_id, at=at)
            wanted = (
                [] if state.suppressed else [_request(state, created, PagingReason.SNOOZE_ENDED, at, state.priority)]
            )
            return [ended, *wanted]
        case LiftSuppression(at) if state.is_open and state.suppressed:
            lifted = SuppressionEnded(incident_id=incident_id, at=at)
            if state.status is Status.ACKNOWLEDGED or state.snoozed_until is not None:
                return [lifted]
            return [lifted, _request(state, created, PagingReason.SUPPRESSION_ENDED, at, state.priority)]
        case TimeOutAcknowledgement(run, at) if _is_held(state, run):
            late = AcknowledgementTimedOut(incident_id=incident_id, at=at)
            return [late, _request(state, created, PagingReason.ACKNOWLEDGEMENT_TIMED_OUT, at, state.priority)]
        case Reopen(by, at, notes) if not state.is_open:
            reopened = IncidentReopened(incident_id=incident_id, by=by, at=at, notes=notes)
            return [reopened, _request(state, created, PagingReason.REOPENED, at, state.priority)]
        case _:
            return []


def _raised(priority: Priority, by: Actor, at: datetime, state: Incident, created: IncidentCreated) -> list[Fact]:
    incident_id = created.incident_id
    raised = PriorityRaised(incident_id=incident_id, previous=state.priority, priority=priority, by=by, at=at)
    # Whatever suppresses it still does; worse than expected ends a snooze.
    wanted = [] if state.suppressed else [_request(state, created, PagingReason.RAISED, at, priority)]
    return [raised, *wanted]


def _edited(command: Edit, state: Incident, created: IncidentCreated) -> list[Fact]:
    """Its words first, so that whoever is paged for a higher priority reads them."""
    facts: list[Fact] = []
    words, by, at = (command.title, command.description, command.metadata), command.by, command.at
    incident_id = created.incident_id
    if words != (created.title, created.description, created.metadata):
        title, description, metadata = words
        edited = IncidentEdited(
            incident_id=incident_id, title=title, description=description, metadata=metadata, by=by, at=at
        )
        facts, state = [edited], evolve(state, edited)
    if command.priority == state.priority:
        return facts
    if not state.is_open or state.created is None:
        raise AlreadyOver(field="priority")
    if command.priority.is_worse_than(state.priority):
        return [*facts, *_raised(command.priority, by, at, state, state.created)]
    lowered = PriorityLowered(incident_id=incident_id, previous=state.priority, priority=command.priority, by=by, at=at)
    return [*facts, lowered]


def _is_held(state: Incident, run: int) -> bool:
    """Whether the acknowledgement of that run is what keeps it quiet."""
    return state.status is Status.ACKNOWLEDGED and state.run == run and state.snoozed_until is None


def _is_news(command: Escalate, state: Incident) -> bool:
    """Not of an earlier run than the present one, and not lower than what is known already."""
    return command.run >= state.run and (command.run, command.round, command.level) > state.paged


def _request(
    state: Incident, created: IncidentCreated, reason: PagingReason, at: datetime, priority: Priority
) -> PagingRequested:
    return PagingRequested(
        incident_id=created.incident_id,
        run=state.run + 1,
        since=at,
        reason=reason,
        brief=IncidentBrief.of(created, priority, at),
        policy_id=created.policy_id,
        assigned_to=_first_to_page(state, created),
        first_timeout_minutes=created.escalation_timeout_minutes,
    )


def _first_to_page(state: Incident, created: IncidentCreated) -> UUID | None:
    """Beside the policy's first level: whoever has taken it, else whom it was opened for.

    Not whom an escalation reached last: that was the last resort of the run before.
    """
    return state.assigned_to if state.status is Status.ACKNOWLEDGED else created.assigned_to


def _snoozed(command: Snooze, state: Incident, created: IncidentCreated) -> list[Fact]:
    if not state.is_open:
        raise AlreadyOver
    if command.until <= command.at:
        raise Invalid("a snooze ends in the future", field="minutes")
    if state.snoozed_until == command.until:
        return []
    snoozed = IncidentSnoozed(
        incident_id=created.incident_id, run=state.run, by=command.by, at=command.at, until=command.until
    )
    return [snoozed]


def _acknowledged(command: Acknowledge, state: Incident, created: IncidentCreated) -> IncidentAcknowledged:
    return IncidentAcknowledged(
        incident_id=created.incident_id, run=state.run, by=command.by, at=command.at, notes=command.notes
    )


def _escalated(command: Escalate, created: IncidentCreated) -> IncidentEscalated:
    return IncidentEscalated(
        incident_id=created.incident_id,
        run=command.run,
        level=command.level,
        round=command.round,
        user_ids=command.user_ids,
        next_at=command.next_at,
        exhausted=command.exhausted,
    )
