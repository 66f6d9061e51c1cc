"""What an escalation does about each input, by its state.

INCIDENTS has two lanes, and an incident that is raised changes from one to the other: starts and answers of its runs
arrive in any order. They commute, because each names its run and only the highest one counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.escalation import (
    RESPONDER,
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    PagingSuppressed,
    ResponderUnreachable,
)
from services.escalation.domain.escalations import (
    CancelEscalation,
    Cancelled,
    Command,
    Exhausted,
    FireTimer,
    NotStarted,
    PassOver,
    ReportUnreachable,
    Run,
    Started,
    StartEscalation,
    State,
    Waiting,
    newest,
)
from services.escalation.domain.pages import MOST_PAGED, every, fall_back, later, noted, page_levels, page_others
from services.escalation.domain.people import reach
from services.escalation.domain.starts import page_beside, page_first, page_nobody, wanted

EXHAUSTED_AGAIN = timedelta(minutes=30)
"""How often an exhausted escalation pages until somebody acknowledges."""


def decide(command: Command, state: State) -> Sequence[Fact]:
    """A table for each kind of input, one arm per row; inputs that race commute, repeats decide nothing."""
    match command:
        case StartEscalation():
            return _start(command, state)
        case FireTimer():
            return _fire(command, state)
        case ReportUnreachable():
            return _report(command, state)
        case PassOver():
            return _pass_over(command, state)
        case CancelEscalation():
            return _answer(command, state)


def _start(command: StartEscalation, state: State) -> Sequence[Fact]:
    match state:
        # not started | IncidentCreated that is suppressed: nobody is paged
        case NotStarted() if command.run.number == 0:
            return [_suppressed(command)]
        # this run or a later one was started or answered | IncidentCreated (run 1), PagingRequested (run n)
        case Started() | Waiting() | Exhausted() | Cancelled() if newest(state) >= command.run.number:
            return []
        # waiting, exhausted: an earlier run | PagingRequested for help: its levels go on
        case Waiting(due_at=datetime()) | Exhausted(due_at=datetime()) if command.first and command.first.goes_on:
            return [_started(command, state.run), page_beside(state, command)]
        # not started, or an earlier run in whatever state | PagingRequested that asks for somebody, who can be paged
        case _ if due := page_first(command):
            return [_started(command), noted(due, command.policy_note)]
        # the same | PagingRequested for help, nobody of whom can be paged, and somebody has the incident
        case _ if command.first and command.first.alone:
            return [_started(command), page_nobody(command)]
        # the same | IncidentCreated, PagingRequested; a level reaches somebody, from the wanted one on
        case _ if due := page_levels(command.run, command, wanted(command), round_=1):
            return [_started(command), noted(due, command.policy_note)]
        # the same | the same; nobody reachable on any level: never silence
        case _:
            return [_started(command), noted(fall_back(command.run, command, 1, round_=1), command.policy_note)]


def _fire(command: FireTimer, state: State) -> Sequence[Fact]:
    match state:
        # waiting, exhausted | a timer that is served: of an earlier level, round or run
        case Waiting(due_at=due_at) | Exhausted(due_at=due_at) if _is_served(command, due_at):
            return []
        case Waiting() | Exhausted():
            return _go_on(command, state)
    return []


def _go_on(command: FireTimer | PassOver, state: Waiting | Exhausted) -> Sequence[Fact]:
    match state:
        # waiting(level) | its timer, a later level reaches somebody
        case Waiting() if due := page_levels(state.run, command, later(state, command), state.round):
            return [due]
        # waiting(last level) | its timer, repeats left
        case Waiting() if state.round <= command.plan.repeat:
            again = state.round + 1
            due = page_levels(state.run, command, every(command), again)
            return [due or fall_back(state.run, command, 1, again)]
        # waiting(last level) | its timer, no repeats left
        case Waiting():
            return [_exhausted(state, command)]
        # exhausted | its timer
        case Exhausted():
            last, again = len(command.plan.levels), state.round + 1
            due = page_levels(state.run, command, (last,), again) or fall_back(state.run, command, last, again)
            return [_in_exhaustion(due, command.now)]


def _report(command: ReportUnreachable, state: State) -> Sequence[Fact]:
    """Only levels after the present one are paged early, so that each is passed at most once a round.

    After them whoever else has a device is. Where nobody can be reached at all, the last level's time-out still stands
    between two rounds.
    """
    match state:
        # waiting, exhausted | PersonUnreachable of another run, round or level, of somebody not on it, or known already
        case Waiting() | Exhausted() if not _is_news(command, state):
            return []
        # waiting, exhausted | PersonUnreachable of somebody who was asked for help: others are waited for
        case Waiting() | Exhausted() if _is_helper(command.user_id, state):
            return [_unreachable(command.user_id, state)]
        # waiting(level) | PersonUnreachable, nobody of the level is left and a later level reaches somebody
        case Waiting() if _nobody_left(command, state) and (
            due := page_levels(state.run, command, later(state, command), state.round)
        ):
            return [noted(due, f"nobody of level {state.level} could be reached")]
        # waiting, exhausted | PersonUnreachable, nobody is left, no later level reaches anybody, somebody has a device
        case Waiting() | Exhausted() if _nobody_left(command, state) and (
            due := page_others(state.run, command, state)
        ):
            due = noted(due, f"nobody of level {state.level} could be reached, and no level is left: others are paged")
            return [due if isinstance(state, Waiting) else _in_exhaustion(due, command.now)]
        # waiting, exhausted | PersonUnreachable, others are left or nobody else has a device: time-out stands
        case Waiting() | Exhausted():
            return [_unreachable(command.user_id, state)]
    return []


def _pass_over(command: PassOver, state: State) -> Sequence[Fact]:
    """At once, and in whatever round: whoever is passed over is on no such level any more, so none is passed twice."""
    match state:
        # waiting, exhausted | UserDeactivated of somebody who was not paged last, or is known to be unreachable
        case Waiting() | Exhausted() if not _is_paged(command.user_id, state):
            return []
        # waiting, exhausted | TeamMembershipChanged of somebody whom the level names all the same
        case Waiting() | Exhausted() if _is_named(command, state):
            return []
        # waiting, exhausted | UserDeactivated, TeamMembershipChanged, others of the level are left, or it was a helper
        case Waiting() | Exhausted() if _is_helper(command.user_id, state) or not _nobody_left(command, state):
            return [_unreachable(command.user_id, state)]
        # waiting, exhausted | UserDeactivated, TeamMembershipChanged, nobody is left: as if its timer had come
        case Waiting() | Exhausted():
            note = f"{command.user_id} {command.why}, and nobody else of level {state.level} is left"
            return [noted(f, note) if isinstance(f, EscalationDue) else f for f in _go_on(command, state)]
    return []


def _answer(command: CancelEscalation, state: State) -> Sequence[Fact]:
    match state:
        # waiting, exhausted | an answer of an earlier run
        case Started() | Waiting() | Exhausted() if command.run < state.run.number:
            return []
        # waiting, exhausted | an answer of this run or a later one
        case Started() | Waiting() | Exhausted():
            return [_cancelled(command, state.run)]
        # not started, cancelled | an answer of a later run than was started or answered, before its start
        case NotStarted() | Cancelled() if command.run > newest(state):
            return [_cancelled(command)]
    return []


def _is_served(command: FireTimer, due_at: datetime | None) -> bool:
    """A timer of an earlier page. A later one is ours, put off because its handler had failed; unless ours is still to
    come: then it belonged to a page that had more time."""
    return due_at is None or command.due_at < due_at or command.now < due_at


def _is_news(command: ReportUnreachable, state: Waiting | Exhausted) -> bool:
    page = (state.run.number, state.round, state.level)
    return (command.run, command.round, command.level) == page and _is_paged(command.user_id, state)


def _is_paged(user_id: UUID, state: Waiting | Exhausted) -> bool:
    """Whether the last page waits for somebody, as far as is known."""
    return user_id not in state.unreachable and any(p.user_id == user_id for p in state.people)


def _is_helper(user_id: UUID, state: Waiting | Exhausted) -> bool:
    return any(p.user_id == user_id and p.via == RESPONDER for p in state.people)


def _is_named(command: PassOver, state: Waiting | Exhausted) -> bool:
    """Whether the level that was paged last would page somebody now, for whatever reason."""
    if not 1 <= state.level <= len(command.plan.levels):
        return False
    assigned = state.run.assigned if state.level == 1 else None
    reached = reach(command.plan.levels[state.level - 1], command.directory, assigned)
    return any(p.user_id == command.user_id for p in reached.people)


def _nobody_left(command: ReportUnreachable | PassOver, state: Waiting | Exhausted) -> bool:
    return all(p.user_id == command.user_id or p.user_id in state.unreachable for p in state.people)


def _suppressed(command: StartEscalation) -> PagingSuppressed:
    return PagingSuppressed(
        incident_id=command.run.brief.incident_id,
        policy_id=command.run.policy_id,
        policy_version=command.run.policy_version,
        planned=command.planned,
        brief=command.run.brief,
    )


def _started(command: StartEscalation, as_before: Run | None = None) -> EscalationStarted:
    """`as_before`: the run whose levels go on in this one."""
    run = as_before or command.run
    return EscalationStarted(
        incident_id=run.brief.incident_id,
        run=command.run.number,
        policy_id=run.policy_id,
        policy_version=run.policy_version,
        brief=command.run.brief,
        first_timeout_minutes=run.first_timeout_minutes,
        assigned_to=run.assigned,
        acknowledgement_timeout_minutes=run.acknowledgement_timeout,
        auto_resolve_minutes=run.auto_resolve,
        planned=command.planned,
    )


def _in_exhaustion(due: EscalationDue, now: datetime) -> EscalationDue:
    return due.model_copy(update={"next_due_at": now + EXHAUSTED_AGAIN})


def _exhausted(state: Waiting, command: FireTimer | PassOver) -> EscalationExhausted:
    return EscalationExhausted(
        incident_id=state.run.brief.incident_id,
        run=state.run.number,
        level=len(command.plan.levels),
        round=state.round + 1,
        people=command.directory.last_resort()[:MOST_PAGED],
        next_due_at=command.now + EXHAUSTED_AGAIN,
        brief=state.run.brief,
    )


def _unreachable(user_id: UUID, state: Waiting | Exhausted) -> ResponderUnreachable:
    return ResponderUnreachable(
        incident_id=state.run.brief.incident_id,
        run=state.run.number,
        level=state.level,
        round=state.round,
        user_id=user_id,
    )


def _cancelled(command: CancelEscalation, run: Run | None = None) -> EscalationCancelled:
    """`run`: the one that is answered, where it had begun: its policy says how long an acknowledgement may stand."""
    held = run if command.cause == "acknowledged" else None
    return EscalationCancelled(
        incident_id=command.incident_id,
        run=command.run,
        by=command.by,
        at=command.at,
        cause=command.cause,
        acknowledgement_timeout_minutes=held.acknowledgement_timeout if held else None,
        auto_resolve_minutes=held.auto_resolve if held else None,
    )
