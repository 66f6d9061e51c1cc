"""Running escalations: for each incident, who is paged next and when, until somebody acknowledges.

Every page carries a (level, round) of its own, so that no page can be taken for a repeat of an earlier one: round 1
is the first pass, rounds 2 to 1 + repeat are the repeats, and after them each page of an exhausted escalation is a
round of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor, Fact
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    IncidentBrief,
    Paged,
    PlannedLevel,
)
from services.escalation.domain.people import ASSIGNED, NOBODY_AT_ALL, Directory, reach
from services.escalation.domain.policies import Plan

EXHAUSTED_AGAIN = timedelta(minutes=30)
"""How often an exhausted escalation pages until somebody acknowledges (design, rule 9)."""
_REASON_LENGTH = 500


def escalation_id(incident_id: UUID) -> UUID:
    """The entity of an incident's escalation; an incident and its escalation never share an id."""
    return uuid5(PAGER, f"escalation/{incident_id}")


@dataclass(frozen=True, slots=True)
class Run:
    """What stays the same while an escalation runs: the incident, and the version of the policy it began with."""

    brief: IncidentBrief
    policy_id: UUID
    policy_version: int
    first_timeout_minutes: float | None
    assigned: UUID | None = None


@dataclass(frozen=True, slots=True)
class NotStarted:
    """Nothing is known of the incident."""


@dataclass(frozen=True, slots=True)
class Started:
    """Between the two facts of one decision."""

    run: Run


@dataclass(frozen=True, slots=True)
class Waiting:
    """A level was paged; at `due_at` the next one is."""

    run: Run
    level: int
    round: int
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Exhausted:
    """Every level and repeat was paged in vain; at `due_at` the last level is paged again, without end."""

    run: Run
    level: int
    round: int
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class Cancelled:
    """Somebody has taken the incident, perhaps before we saw it (then `run` is None)."""

    run: Run | None
    level: int = 0
    round: int = 0


State = NotStarted | Started | Waiting | Exhausted | Cancelled


@dataclass(frozen=True, slots=True)
class StartEscalation:
    """Page about a new incident. `policy_note`: why the policy is not the one that was asked for."""

    brief: IncidentBrief
    policy_id: UUID
    policy_version: int
    plan: Plan
    directory: Directory
    planned: tuple[PlannedLevel, ...]
    """Of `plan`, `directory` and `assigned`: the same for many incidents of a storm."""
    now: datetime
    first_timeout_minutes: float | None = None
    assigned: UUID | None = None
    policy_note: str | None = None

    @property
    def run(self) -> Run:
        return Run(self.brief, self.policy_id, self.policy_version, self.first_timeout_minutes, self.assigned)


@dataclass(frozen=True, slots=True)
class FireTimer:
    """The timer that was set for `due_at` has come; `plan` is the version that the escalation began with."""

    due_at: datetime
    plan: Plan
    directory: Directory
    now: datetime


@dataclass(frozen=True, slots=True)
class CancelEscalation:
    """Stop: `cause` is `acknowledged`, `resolved` or `closed`."""

    incident_id: UUID
    by: Actor
    at: datetime
    cause: str


Command = StartEscalation | FireTimer | CancelEscalation


def initial() -> State:
    return NotStarted()


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case _, EscalationStarted():
            return Started(Run(fact.brief, fact.policy_id, fact.policy_version, fact.first_timeout_minutes))
        case Exhausted(), EscalationDue():
            return Exhausted(state.run, fact.level, fact.round, fact.next_due_at)
        case Started() | Waiting(), EscalationDue():
            # The first page says whom the incident was assigned to; repeats of level 1 page them again.
            assigned = next((p.user_id for p in fact.people if p.via == ASSIGNED), state.run.assigned)
            run = state.run if assigned == state.run.assigned else replace(state.run, assigned=assigned)
            return Waiting(run, fact.level, fact.round, fact.next_due_at)
        case Waiting(), EscalationExhausted():
            return Exhausted(state.run, fact.level, fact.round, fact.next_due_at)
        case Started(), EscalationCancelled():
            return Cancelled(state.run)
        case Waiting() | Exhausted(), EscalationCancelled():
            return Cancelled(state.run, state.level, state.round)
        case NotStarted(), EscalationCancelled():
            return Cancelled(None)
    return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """The table of style guide section 3, one arm per row; inputs that race commute, repeats decide nothing."""
    match state, command:
        # not started | IncidentCreated, policy has levels
        case NotStarted(), StartEscalation() if due := _page_levels(command.run, command, _all(command), round_=1):
            return [_started(command), _noted(due, command.policy_note)]
        # not started | IncidentCreated, nobody reachable on any level: never silence
        case NotStarted(), StartEscalation():
            return [_started(command), _noted(_fall_back(command.run, command, 1, round_=1), command.policy_note)]
        # waiting, exhausted | a timer of another level, or one already served
        case ((Waiting(due_at=due_at) | Exhausted(due_at=due_at)), FireTimer()) if _is_served(command, due_at):
            return []
        # waiting(level) | its timer, more levels
        case Waiting(), FireTimer() if due := _page_levels(state.run, command, _after(state, command), state.round):
            return [due]
        # waiting(last level) | its timer, repeats left
        case Waiting(), FireTimer() if state.round <= command.plan.repeat:
            again = state.round + 1
            due = _page_levels(state.run, command, _all(command), again)
            return [due or _fall_back(state.run, command, 1, again)]
        # waiting(last level) | its timer, no repeats left
        case Waiting(), FireTimer():
            return [_exhausted(state, command)]
        # exhausted | its timer
        case Exhausted(), FireTimer():
            last, again = len(command.plan.levels), state.round + 1
            due = _page_levels(state.run, command, (last,), again) or _fall_back(state.run, command, last, again)
            return [due.model_copy(update={"next_due_at": command.now + EXHAUSTED_AGAIN})]
        # waiting, exhausted | IncidentAcknowledged, IncidentResolved, IncidentClosed
        case ((Started() | Waiting() | Exhausted()), CancelEscalation()):
            return [_cancelled(command)]
        # not started | IncidentAcknowledged, IncidentResolved or IncidentClosed first
        case NotStarted(), CancelEscalation():
            return [_cancelled(command)]
    return []


def _is_served(command: FireTimer, due_at: datetime | None) -> bool:
    """An earlier timer than the one we wait for. A later one is ours, put off because its handler had failed."""
    return due_at is None or command.due_at < due_at


def _all(command: StartEscalation | FireTimer) -> range:
    return range(1, len(command.plan.levels) + 1)


def _after(state: Waiting, command: FireTimer) -> range:
    return range(state.level + 1, len(command.plan.levels) + 1)


@dataclass(frozen=True, slots=True)
class _Found:
    """The first level that reaches anybody (0: none does), and what was seen on the way."""

    level: int
    people: tuple[Paged, ...]
    notes: tuple[str, ...]
    versions: dict[str, int]


def _search(run: Run, command: StartEscalation | FireTimer, levels: Iterable[int]) -> _Found:
    """An empty level is passed at once: it never burns its time-out."""
    notes: list[str] = []
    versions: dict[str, int] = {}
    for level in levels:
        reached = reach(command.plan.levels[level - 1], command.directory, run.assigned if level == 1 else None)
        notes.extend(reached.notes)
        versions.update(reached.schedule_versions)
        if reached.people:
            return _Found(level, reached.people, tuple(notes), versions)
        notes.append(f"level {level} reaches nobody and is passed")
    return _Found(0, (), tuple(notes), versions)


def _page_levels(
    run: Run, command: StartEscalation | FireTimer, levels: Iterable[int], round_: int
) -> EscalationDue | None:
    found = _search(run, command, levels)
    return _due(run, command, round_, found) if found.level else None


def _fall_back(run: Run, command: StartEscalation | FireTimer, level: int, round_: int) -> EscalationDue:
    people = command.directory.fallback(again=round_ > 1)
    note = "no level reaches anybody: the fallback is paged" if people else NOBODY_AT_ALL
    seen = _search(run, command, _all(command))
    return _due(run, command, round_, _Found(level, people, (note, *seen.notes), seen.versions))


def _due(run: Run, command: StartEscalation | FireTimer, round_: int, found: _Found) -> EscalationDue:
    minutes = command.plan.minutes(found.level, run.brief.priority, run.first_timeout_minutes)
    return EscalationDue(
        incident_id=run.brief.incident_id,
        level=found.level,
        round=round_,
        people=found.people,
        next_due_at=command.now + timedelta(minutes=minutes),
        reason=_reason(found.notes),
        schedule_versions=found.versions,
        brief=run.brief,
    )


def _reason(notes: Iterable[str]) -> str | None:
    return "; ".join(notes)[:_REASON_LENGTH] or None


def _noted(due: EscalationDue, note: str | None) -> EscalationDue:
    if note is None:
        return due
    return due.model_copy(update={"reason": _reason(n for n in (note, due.reason) if n)})


def _started(command: StartEscalation) -> EscalationStarted:
    return EscalationStarted(
        incident_id=command.brief.incident_id,
        policy_id=command.policy_id,
        policy_version=command.policy_version,
        brief=command.brief,
        first_timeout_minutes=command.first_timeout_minutes,
        planned=command.planned,
    )


def _exhausted(state: Waiting, command: FireTimer) -> EscalationExhausted:
    return EscalationExhausted(
        incident_id=state.run.brief.incident_id,
        level=len(command.plan.levels),
        round=state.round + 1,
        people=command.directory.last_resort(),
        next_due_at=command.now + EXHAUSTED_AGAIN,
        brief=state.run.brief,
    )


def _cancelled(command: CancelEscalation) -> EscalationCancelled:
    return EscalationCancelled(incident_id=command.incident_id, by=command.by, at=command.at, cause=command.cause)
