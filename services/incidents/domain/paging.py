"""When paging starts, or starts again: why an incident needs people, and the request that follows from it."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.incidents import (
    AcknowledgementTimedOut,
    EscalationRequested,
    IncidentBrief,
    IncidentCreated,
    IncidentReassigned,
    IncidentReopened,
    PagingReason,
    PagingRequested,
    PagingStart,
    PriorityRaised,
    RespondersAdded,
    SnoozeEnded,
    Status,
    SuppressionEnded,
)
from libs.contracts.model import Priority
from services.incidents.domain.commands import (
    AddResponders,
    AskLevel,
    Command,
    EndSnooze,
    LiftSuppression,
    Raise,
    Reassign,
    Reopen,
    TimeOutAcknowledgement,
)
from services.incidents.domain.incident import Incident
from services.incidents.domain.transitions import TooLongAgo


def begins(command: Command, state: Incident, created: IncidentCreated) -> list[Fact]:
    """What makes it need people (again), and the request to page them; nothing, where it needs nobody for this."""
    incident_id = created.incident_id
    match command:
        case Raise(priority, by, at) if state.is_open and priority.is_worse_than(state.worst):
            return raised(priority, by, at, state, created)
        case EndSnooze(until, at) if state.is_open and state.snoozed_until == until:
            ended = SnoozeEnded(incident_id=incident_id, at=at)
            return [ended, *([] if state.suppressed else [_request(state, created, PagingReason.SNOOZE_ENDED, at)])]
        case LiftSuppression(at) if _is_to_be_lifted(command, state):
            lifted = SuppressionEnded(incident_id=incident_id, at=at)
            if state.status is Status.ACKNOWLEDGED or state.snoozed_until is not None:
                return [lifted]
            return [lifted, _request(state, created, PagingReason.SUPPRESSION_ENDED, at)]
        case TimeOutAcknowledgement(until, at) if _is_held(state, until):
            late = AcknowledgementTimedOut(incident_id=incident_id, at=at)
            again = [] if state.suppressed else [_request(state, created, PagingReason.ACKNOWLEDGEMENT_TIMED_OUT, at)]
            return [late, *again]
        case Reopen(by, at, notes) if not state.is_open:
            _check_age(command, state)
            reopened = IncidentReopened(incident_id=incident_id, by=by, at=at, notes=notes)
            return [reopened, _request(state, created, PagingReason.REOPENED, at)]
        case Reassign() if command.to != state.assigned_to or state.status is not Status.ACKNOWLEDGED:
            return _reassigned(command, state, created)
        case AskLevel(level, by, at, reason):
            asked = EscalationRequested(incident_id=incident_id, level=level, by=by, at=at, reason=reason)
            start = PagingStart(leads=True) if level is None else PagingStart(level=level)
            return [asked, _request(state, created, PagingReason.ESCALATED, at, start=start)]
        case AddResponders(people, by, at, notes):
            added = RespondersAdded(incident_id=incident_id, user_ids=people, by=by, at=at, notes=notes)
            quiet = state.status is Status.ACKNOWLEDGED or state.suppressed or state.snoozed_until is not None
            start = PagingStart(user_ids=people, alone=quiet, goes_on=not quiet)
            return [added, _request(state, created, PagingReason.RESPONDERS_ADDED, at, start=start)]
        case _:
            return []


def raised(priority: Priority, by: Actor, at: datetime, state: Incident, created: IncidentCreated) -> list[Fact]:
    """It has become worse."""
    incident_id = created.incident_id
    fact = PriorityRaised(incident_id=incident_id, previous=state.priority, priority=priority, by=by, at=at)
    # Whatever suppresses it still does; worse than expected ends a snooze.
    if state.suppressed:
        return [fact]
    return [fact, _request(state, created, PagingReason.RAISED, at, priority)]


def _reassigned(command: Reassign, state: Incident, created: IncidentCreated) -> list[Fact]:
    """The new one is paged first, and then its levels; whoever takes it is not, and its paging goes on until then."""
    fact = IncidentReassigned(
        incident_id=created.incident_id,
        previous=state.assigned_to,
        assigned_to=command.to,
        by=command.by,
        at=command.at,
        notes=command.notes,
    )
    took_it = command.by == Actor.user(command.to)
    if took_it and command.to == state.assigned_to:
        return []
    if took_it or state.suppressed:
        return [fact]
    start = PagingStart(user_ids=(command.to,))
    again = _request(state, created, PagingReason.REASSIGNED, command.at, start=start)
    return [fact, again.model_copy(update={"assigned_to": command.to})]


def _check_age(command: Reopen, state: Incident) -> None:
    """Raises TooLongAgo."""
    if command.within is None or state.resolved is None or command.at - state.resolved.at <= command.within:
        return
    hours = command.within.total_seconds() / 3600
    raise TooLongAgo(f"it was resolved more than {hours:g} hours ago: open a new one")


def _is_to_be_lifted(command: LiftSuppression, state: Incident) -> bool:
    until = state.suppression.until if state.suppression is not None else None
    return state.is_open and state.suppressed and command.until in (None, until)


def _is_held(state: Incident, until: datetime) -> bool:
    """Whether the acknowledgement that ends then is what keeps it quiet."""
    is_held = state.status is Status.ACKNOWLEDGED and state.snoozed_until is None
    return is_held and state.acknowledged_until == until


def _request(
    state: Incident,
    created: IncidentCreated,
    reason: PagingReason,
    at: datetime,
    priority: Priority | None = None,
    start: PagingStart | None = None,
) -> PagingRequested:
    return PagingRequested(
        incident_id=created.incident_id,
        run=state.run + 1,
        since=at,
        reason=reason,
        brief=IncidentBrief.of(created, priority or state.priority, at),
        policy_id=created.policy_id,
        assigned_to=_first_to_page(state, created),
        first_timeout_minutes=created.escalation_timeout_minutes,
        start=start,
    )


def _first_to_page(state: Incident, created: IncidentCreated) -> UUID | None:
    """Beside the policy's first level: whoever has taken it, else whom it was opened for.

    Not whom an escalation reached last: that was the last resort of the run before.
    """
    return state.assigned_to if state.status is Status.ACKNOWLEDGED else created.assigned_to
