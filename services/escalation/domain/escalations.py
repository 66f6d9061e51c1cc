"""Running escalations: for each incident, who is paged next and when, until somebody answers.

An incident has one escalation, which runs again whenever paging is asked for again. Every page carries a (run, round,
level) of its own, so that no page can be taken for a repeat of an earlier one: round 1 is the first pass of a run,
rounds 2 to 1 + repeat are the repeats, and after them each page of an exhausted escalation is a round of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid5

from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor, Fact
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    Paged,
    PagingSuppressed,
    PlannedLevel,
    ResponderUnreachable,
)
from libs.contracts.incidents import IncidentBrief, PagingStart
from services.escalation.domain.people import ASSIGNED, NO_OTHERS, Directory, Others
from services.escalation.domain.policies import Plan


def escalation_id(incident_id: UUID) -> UUID:
    """The entity of an incident's escalation, whichever run: two runs that are decided at once meet at one version.

    An incident and its escalation never share an id.
    """
    return uuid5(PAGER, f"escalation/{incident_id}")


@dataclass(frozen=True, slots=True)
class Run:
    """What stays the same while a run lasts: the incident, and the version of the policy it began with."""

    number: int
    brief: IncidentBrief
    policy_id: UUID
    policy_version: int
    first_timeout_minutes: float | None
    assigned: UUID | None = None
    acknowledgement_timeout: float | None = None
    """Minutes; None: an acknowledgement stands for ever."""
    auto_resolve: float | None = None
    """Minutes of quiet that end what is acknowledged; None: as the installation says."""


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Nothing is known of the incident."""


@dataclass(frozen=True, slots=True)
class Started:
    """Between the two facts of one decision."""

    run: Run


@dataclass(frozen=True, slots=True)
class Waiting:
    """A level was paged; at `due_at` the next one is, or as soon as nobody of `people` can be reached.

    Without `due_at` none is: they were asked for help beside somebody who has it.
    """

    run: Run
    level: int
    round: int
    due_at: datetime | None
    people: tuple[Paged, ...] = ()
    unreachable: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Every level and repeat was paged in vain; at `due_at` the last level is paged again, without end."""

    run: Run
    level: int
    round: int
    due_at: datetime | None
    people: tuple[Paged, ...] = ()
    unreachable: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody has answered, perhaps before we saw what (then `run` is None): all runs up to `answered` are over.

    Run 0 is that of an incident that was opened suppressed.
    """

    run: Run | None
    answered: int
    level: int = 0
    round: int = 0


State = NotStarted | Started | Waiting | Exhausted | Cancelled


def newest(state: State) -> int:
    """The highest run that was started or answered; 0: none."""
    match state:
        case NotStarted():
            return 0
        case Cancelled():
            return state.answered
        case _:
            return state.run.number


@dataclass(frozen=True, slots=True)
class StartEscalation:
    """Page about an incident. `policy_note`: why the policy is not the one that was asked for.

    `first`: whom to page first; None: level 1.
    """

    run: Run
    plan: Plan
    directory: Directory
    planned: tuple[PlannedLevel, ...]
    """Of `plan`, `directory` and who is assigned: the same for many incidents of a storm."""
    now: datetime
    policy_note: str | None = None
    first: PagingStart | None = None


@dataclass(frozen=True, slots=True)
class FireTimer:
    """The timer that was set for `due_at` has come; `plan` is the version that the run began with."""

    due_at: datetime
    plan: Plan
    directory: Directory
    now: datetime


@dataclass(frozen=True, slots=True)
class ReportUnreachable:
    """The notifier has no way, or none is left, to reach a person whom a level wanted; `others`: who has a device."""

    run: int
    level: int
    round: int
    user_id: UUID
    plan: Plan
    directory: Directory
    now: datetime
    others: Others = NO_OTHERS


@dataclass(frozen=True, slots=True)
class PassOver:
    """Somebody is not to be waited for any more, and `why`: `directory` does not name them as they were paged."""

    user_id: UUID
    plan: Plan
    directory: Directory
    now: datetime
    why: str = "is deactivated"


@dataclass(frozen=True, slots=True)
class CancelEscalation:
    """Stop every run up to `run`: `cause` is `acknowledged`, `resolved`, `closed`, `snoozed` or
    `suppressed`."""

    incident_id: UUID
    run: int
    by: Actor
    at: datetime
    cause: str


Command = StartEscalation | FireTimer | ReportUnreachable | PassOver | CancelEscalation


def initial() -> State:
    return NotStarted()


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case _, EscalationStarted():
            first = (fact.first_timeout_minutes, fact.assigned_to)
            limits = (fact.acknowledgement_timeout_minutes, fact.auto_resolve_minutes)
            return Started(Run(fact.run, fact.brief, fact.policy_id, fact.policy_version, *first, *limits))
        case Exhausted(), EscalationDue():
            return Exhausted(state.run, fact.level, fact.round, fact.next_due_at, fact.people)
        case Started() | Waiting(), EscalationDue():
            return Waiting(_assigned(state.run, fact), fact.level, fact.round, fact.next_due_at, fact.people)
        case Waiting(), EscalationExhausted():
            return Exhausted(state.run, fact.level, fact.round, fact.next_due_at, fact.people)
        case ((Waiting() | Exhausted()), ResponderUnreachable()):
            return replace(state, unreachable=state.unreachable | {fact.user_id})
        case NotStarted(), PagingSuppressed():
            return Cancelled(None, 0)
        case NotStarted(), EscalationCancelled():
            return Cancelled(None, fact.run)
        case Started(), EscalationCancelled():
            return Cancelled(state.run, fact.run)
        case ((Waiting() | Exhausted() | Cancelled()), EscalationCancelled()):
            return Cancelled(state.run, fact.run, state.level, state.round)
    return state


def _assigned(run: Run, due: EscalationDue) -> Run:
    """The first page says whom the incident was assigned to; repeats of level 1 page them again."""
    assigned = next((p.user_id for p in due.people if p.via == ASSIGNED), run.assigned)
    return run if assigned == run.assigned else replace(run, assigned=assigned)
