"""What an event of INCIDENTS asks escalation for: a run of paging, or the end of all runs up to one."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentBrief,
    IncidentClosed,
    IncidentCreated,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    PagingRequested,
    PagingStart,
)
from services.escalation.domain.escalations import CancelEscalation

_CAUSES: dict[type[Fact], str] = {
    IncidentAcknowledged: "acknowledged",
    IncidentResolved: "resolved",
    IncidentClosed: "closed",
    IncidentSnoozed: "snoozed",
    IncidentSuppressed: "suppressed",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A run of paging that somebody needs; `policy_id`: the policy asked for, None: ours to choose."""

    run: int
    brief: IncidentBrief
    policy_id: UUID | None
    assigned: UUID | None
    first_timeout_minutes: float | None
    start: PagingStart | None = None
    """Whom it pages first; None: level 1."""


def request_of(fact: Fact) -> Request | CancelEscalation | None:
    """None: it asks for nothing here."""
    match fact:
        case IncidentCreated(suppressed=suppressed):
            # Run 0: nobody is paged, and it is said who would have been.
            return Request(
                0 if suppressed else 1,
                IncidentBrief.of(fact),
                fact.policy_id,
                fact.assigned_to,
                fact.escalation_timeout_minutes,
            )
        case PagingRequested():
            # What an answer stops is told by this moment: an earlier run's would let an old answer stop this one.
            brief = fact.brief.model_copy(update={"paging_since": fact.since})
            timeout = fact.first_timeout_minutes
            return Request(fact.run, brief, fact.policy_id, fact.assigned_to, timeout, fact.start)
        case IncidentAcknowledged() | IncidentResolved() | IncidentClosed() | IncidentSnoozed() | IncidentSuppressed():
            return CancelEscalation(fact.incident_id, fact.run, fact.by, fact.at, _CAUSES[type(fact)])
    return None
