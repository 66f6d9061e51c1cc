"""A level of which nobody can be reached is passed at once, and never twice in a round."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from libs.chassis.testing.given import Given
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    Paged,
    ResponderUnreachable,
)
from libs.contracts.model import Role
from services.escalation.domain.decisions import EXHAUSTED_AGAIN
from services.escalation.domain.escalations import Exhausted, State, Waiting
from services.escalation.domain.people import Directory, Others
from services.escalation.tests.world import (
    ADMINS_LEVEL,
    ANN,
    BO,
    CY,
    DEE,
    EVERYBODY,
    INCIDENT,
    NOTHING,
    NOW,
    ON_CALL_LEVEL,
    PLAN,
    TEAM_LEVEL,
    after_timers,
    due_of,
    fire,
    minutes,
    only_due,
    start,
    take,
    unreachable,
)

FIRST = NOTHING.when(start()).then_types(EscalationStarted, EscalationDue)
BOTH = NOTHING.when(start(assigned=BO)).then_types(EscalationStarted, EscalationDue)
"""Level 1 has paged Bo, to whom the incident is assigned, and Ann, who is on call."""
SOON = NOW + minutes(0.05)
ALONE = replace(PLAN, levels=(ON_CALL_LEVEL,))


def by(via: str, *people: UUID) -> tuple[Paged, ...]:
    return tuple(Paged(user_id=p, via=via) for p in people)


OTHERS = Others(by("admins", DEE, ANN), by("schedule:x", BO), by("everyone", ANN, BO, CY, DEE))


def test_the_next_level_is_paged_at_once_when_nobody_of_this_one_can_be_reached() -> None:
    due = only_due(FIRST.when(unreachable(ANN, FIRST, now=SOON)).facts)
    assert (due.run, due.round, due.level, [p.user_id for p in due.people]) == (1, 1, 2, [CY])
    assert due.reason == "nobody of level 1 could be reached"
    assert due.next_due_at == SOON + minutes(10)


def test_while_others_of_the_level_are_left_it_is_only_remembered() -> None:
    given = BOTH.when(unreachable(BO, BOTH, now=SOON)).then(
        [ResponderUnreachable(incident_id=INCIDENT, run=1, level=1, round=1, user_id=BO)]
    )
    state = given.state()
    assert isinstance(state, Waiting)
    assert (state.unreachable, state.due_at) == (frozenset((BO,)), NOW + minutes(15))
    assert only_due(given.when(unreachable(ANN, given, now=SOON)).facts).level == 2


def test_what_is_known_already_decides_nothing() -> None:
    given = BOTH.when(unreachable(BO, BOTH)).then_types(ResponderUnreachable)
    given.when(unreachable(BO, given)).then_nothing()


def test_a_report_of_somebody_whom_the_level_did_not_page_decides_nothing() -> None:
    FIRST.when(unreachable(CY, FIRST)).then_nothing()


def test_a_report_of_another_level_round_or_run_decides_nothing() -> None:
    given = FIRST.when(start(2)).then_types(EscalationStarted, EscalationDue)
    given.when(unreachable(ANN, given, run=1)).then_nothing()
    given.when(unreachable(ANN, given, run=3)).then_nothing()
    given.when(unreachable(ANN, given, level=2)).then_nothing()
    given.when(unreachable(ANN, given, round=2)).then_nothing()
    again = after_timers(FIRST, 3)
    again.when(unreachable(ANN, again, round=1)).then_nothing()


def test_a_report_after_the_answer_or_before_any_start_decides_nothing() -> None:
    FIRST.when(take()).then_types(EscalationCancelled).when(unreachable(ANN, FIRST)).then_nothing()
    NOTHING.when(unreachable(ANN, FIRST)).then_nothing()


def test_the_timer_of_a_level_that_was_passed_is_served() -> None:
    slow = replace(PLAN, levels=(ON_CALL_LEVEL, *PLAN.levels[1:]))
    given = FIRST.when(unreachable(ANN, FIRST, now=SOON, plan=slow)).then_types(EscalationDue)
    # Level 2 has less time than level 1 had: the old timer would come later than its own.
    given.when(fire(NOW + minutes(15), now=SOON)).then_nothing()
    only_due(given.when(fire(due_of(given))).facts)


def test_an_empty_level_is_passed_on_the_way_and_said_as_well() -> None:
    plan = replace(PLAN, levels=(ON_CALL_LEVEL, TEAM_LEVEL, ADMINS_LEVEL))
    given = NOTHING.when(start(plan=plan)).then_types(EscalationStarted, EscalationDue)
    due = only_due(given.when(unreachable(ANN, given, plan=plan)).facts)
    assert (due.level, [p.user_id for p in due.people]) == (3, [DEE])
    assert due.reason is not None
    assert due.reason.startswith("nobody of level 1 could be reached; ")
    assert "level 2 reaches nobody and is passed" in due.reason


def test_the_last_level_of_a_round_keeps_its_time_out() -> None:
    given = after_timers(FIRST, 2)
    due_at = due_of(given)
    given = given.when(unreachable(DEE, given, now=due_at - minutes(4))).then_types(ResponderUnreachable)
    assert due_of(given) == due_at
    again = only_due(given.when(fire(due_at)).facts)
    assert (again.round, again.level, again.reason) == (2, 1, None)


def test_a_level_before_which_only_empty_ones_follow_keeps_its_time_out() -> None:
    nobody_else = replace(EVERYBODY, by_role={Role.LEAD: (), Role.ADMIN: ()})
    given = FIRST.when(unreachable(ANN, FIRST, directory=nobody_else)).then_types(ResponderUnreachable)
    assert due_of(given) == NOW + minutes(15)


def test_each_round_passes_its_levels_anew() -> None:
    given = after_timers(FIRST, 3)
    due = only_due(given.when(unreachable(ANN, given)).facts)
    assert (due.round, due.level, [p.user_id for p in due.people]) == (2, 2, [CY])


def test_the_fallback_that_cannot_be_reached_keeps_its_time_out() -> None:
    plan, leads = replace(PLAN, levels=(TEAM_LEVEL,)), Directory(by_role={Role.LEAD: (CY,)})
    given = NOTHING.when(start(plan=plan, directory=leads)).then_types(EscalationStarted, EscalationDue)
    given.when(unreachable(CY, given, plan=plan, directory=leads)).then_types(ResponderUnreachable)


def test_an_exhausted_escalation_remembers_and_is_not_accelerated() -> None:
    given = after_timers(FIRST, 6)
    assert isinstance(given.facts[-1], EscalationExhausted)
    due_at = due_of(given)
    given = given.when(unreachable(DEE, given)).then_types(ResponderUnreachable)
    state = given.state()
    assert isinstance(state, Exhausted)
    assert (state.unreachable, state.due_at) == (frozenset((DEE,)), due_at)
    state = after_timers(given, 1).state()
    assert isinstance(state, Exhausted)
    assert state.unreachable == frozenset()


def test_after_the_last_level_whoever_else_has_a_device_is_paged_admins_first() -> None:
    """Ann, who is on call, is an admin as well: she is not asked again."""
    given = NOTHING.when(start(plan=ALONE)).then_types(EscalationStarted, EscalationDue)
    due = only_due(given.when(unreachable(ANN, given, plan=ALONE, others=OTHERS, now=SOON)).facts)
    assert (due.run, due.round, due.level, due.people) == (1, 1, 2, by("admins", DEE))
    assert due.reason == "nobody of level 1 could be reached, and no level is left: others are paged"
    assert due.next_due_at == SOON + minutes(15)


def test_where_the_others_cannot_be_reached_either_the_next_kind_of_them_is_paged_once_a_round() -> None:
    given = NOTHING.when(start(plan=ALONE)).then_types(EscalationStarted, EscalationDue)
    for person, level, paged in ((ANN, 2, (DEE,)), (DEE, 3, (BO,)), (BO, 4, (ANN, CY, DEE))):
        given = _told(given, person)
        due = given.facts[-1]
        assert isinstance(due, EscalationDue)
        assert (due.level, tuple(p.user_id for p in due.people)) == (level, paged)
    due_at = due_of(given)
    for person in (ANN, CY, DEE):
        given = _told(given, person)
        assert isinstance(given.facts[-1], ResponderUnreachable), "nobody is left: the time-out stands"
    again = only_due(given.when(fire(due_at, plan=ALONE)).facts)
    assert (again.round, again.level, [p.user_id for p in again.people]) == (2, 1, [ANN])


def _told(given: Given[State], person: UUID) -> Given[State]:
    """The same after a report of somebody, while the others are known."""
    facts = given.when(unreachable(person, given, plan=ALONE, others=OTHERS)).facts
    return Given(given.decider, [*given.facts, *facts])


def test_a_kind_of_which_nobody_has_a_device_is_passed() -> None:
    given = NOTHING.when(start(plan=ALONE)).then_types(EscalationStarted, EscalationDue)
    due = only_due(given.when(unreachable(ANN, given, plan=ALONE, others=Others(anybody=by("everyone", CY)))).facts)
    assert (due.level, due.people) == (4, by("everyone", CY))


def test_others_wait_while_somebody_of_the_page_or_a_later_level_is_left() -> None:
    BOTH.when(unreachable(BO, BOTH, others=OTHERS)).then_types(ResponderUnreachable)
    assert only_due(FIRST.when(unreachable(ANN, FIRST, others=OTHERS)).facts).level == 2


def test_the_fallback_that_cannot_be_reached_lets_others_be_paged() -> None:
    plan, leads = replace(PLAN, levels=(TEAM_LEVEL,)), Directory(by_role={Role.LEAD: (CY,)})
    given = NOTHING.when(start(plan=plan, directory=leads)).then_types(EscalationStarted, EscalationDue)
    due = only_due(given.when(unreachable(CY, given, plan=plan, directory=leads, others=OTHERS)).facts)
    assert (due.level, due.people) == (2, by("admins", DEE, ANN))


def test_an_exhausted_escalation_whose_admins_cannot_be_reached_pages_others_every_half_hour() -> None:
    given = after_timers(FIRST, 6)
    assert isinstance(given.facts[-1], EscalationExhausted)
    due = only_due(given.when(unreachable(DEE, given, others=OTHERS, now=SOON)).facts)
    assert (due.round, due.level, due.people) == (3, 4, by("admins", ANN))
    assert due.next_due_at == SOON + EXHAUSTED_AGAIN
    given = Given(given.decider, [*given.facts, due])
    assert isinstance(given.state(), Exhausted)
    again = only_due(given.when(fire(due_of(given))).facts)
    assert (again.round, again.level, [p.user_id for p in again.people]) == (4, 3, [DEE])
    given = Given(given.decider, [*given.facts, again])
    due = only_due(given.when(unreachable(DEE, given, others=OTHERS)).facts)
    assert (due.round, due.level, due.people) == (4, 4, by("admins", ANN))
