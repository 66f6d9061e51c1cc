"""How people are asked for an incident: the runs of its paging, and why each of them began."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.incidents.incident import CountedFact, IncidentBrief
from libs.contracts.model import Contract, Moment, Run


class PagingReason(StrEnum):
    """Why paging starts again."""

    RAISED = "raised"
    ESCALATED = "escalated"
    REASSIGNED = "reassigned"
    RESPONDERS_ADDED = "responders_added"
    REOPENED = "reopened"
    SNOOZE_ENDED = "snooze_ended"
    SUPPRESSION_ENDED = "suppression_ended"
    ACKNOWLEDGEMENT_TIMED_OUT = "acknowledgement_timed_out"


class PagingStart(Contract):
    """Whom a run pages first, where that is not level 1 of its policy."""

    user_ids: tuple[UUID, ...] = ()
    """These people, before all levels."""
    leads: bool = False
    """Its team's managers, or the leads of the organisation, before all levels."""
    level: int | None = None
    """This level of the policy, or its last one where it has fewer."""
    alone: bool = False
    """Nobody after them: somebody has the incident, or it is to be quiet."""
    goes_on: bool = False
    """Beside the run before, whose levels go on in this one as if it had not begun; without one, before all levels."""


class PagingRequested(Fact, type="pager.incidents.PagingRequested.v1"):
    """Page again, from level 1 or as `start` says: run `run` of the incident's one escalation.

    It replaces every earlier run. Self-contained: whoever receives it can page without having seen the incident before,
    and it is decided together with the event that made it necessary. Nothing else numbers runs.
    """

    self_contained = True

    incident_id: UUID
    run: Run
    since: Moment
    """Since when people are needed (again)."""
    reason: PagingReason
    brief: IncidentBrief
    policy_id: UUID | None = None
    assigned_to: UUID | None = None
    first_timeout_minutes: float | None = None
    start: PagingStart | None = None
    """None: with level 1."""


class IncidentEscalated(CountedFact, type="pager.incidents.IncidentEscalated.v1"):
    """Nobody answered: a level beyond the first fired, or the first one again; the status becomes `escalated`."""

    incident_id: UUID
    run: Run = 1
    level: int
    round: int
    user_ids: tuple[UUID, ...]
    next_at: Moment | None
    exhausted: bool = False


class EscalationRequested(CountedFact, type="pager.incidents.EscalationRequested.v1"):
    """Somebody wants others to look at it now; the status becomes `escalated`, and a request to page follows."""

    incident_id: UUID
    level: int | None = None
    """From this level of the policy on; None: the leads, now."""
    by: Actor
    at: Moment
    reason: str | None = None


class IncidentReassigned(CountedFact, type="pager.incidents.IncidentReassigned.v1"):
    """It is somebody else's now. A request to page them follows, unless they took it themselves."""

    incident_id: UUID
    previous: UUID | None = None
    assigned_to: UUID
    by: Actor
    at: Moment
    notes: str | None = None


class RespondersAdded(CountedFact, type="pager.incidents.RespondersAdded.v1"):
    """Somebody asks these people for help, beside whoever has it; a request to page them follows."""

    incident_id: UUID
    user_ids: tuple[UUID, ...]
    by: Actor
    at: Moment
    notes: str | None = None
