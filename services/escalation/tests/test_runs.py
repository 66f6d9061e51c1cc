"""An incident's escalation runs again whenever paging is asked for again, and answers stop the runs they are about."""

from __future__ import annotations

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.envelope import Actor
from libs.contracts.escalation import EscalationCancelled, EscalationDue, EscalationExhausted, EscalationStarted
from services.escalation.domain.escalations import Cancelled, State, Waiting, newest
from services.escalation.tests.world import (
    ANN,
    BO,
    INCIDENT,
    NOTHING,
    NOW,
    after_timers,
    due_of,
    fire,
    minutes,
    only_due,
    start,
    take,
)

FIRST = NOTHING.when(start()).then_types(EscalationStarted, EscalationDue)
LATER = NOW + minutes(3)


@pytest.mark.parametrize("timers", [0, 1, 3, 6, 8])
def test_a_later_run_starts_from_level_one_on_top_of_whatever_ran(timers: int) -> None:
    given = after_timers(FIRST, timers)
    started, due = given.when(start(2, now=LATER)).facts
    assert isinstance(started, EscalationStarted)
    assert isinstance(due, EscalationDue)
    assert (started.run, due.run, due.round, due.level) == (2, 2, 1, 1)
    state = given.when(start(2, now=LATER)).then_types(EscalationStarted, EscalationDue).state()
    assert isinstance(state, Waiting)
    assert (state.run.number, state.due_at) == (2, LATER + minutes(15))


def test_a_later_run_starts_after_an_answer_to_the_one_before() -> None:
    given = FIRST.when(take()).then_types(EscalationCancelled)
    given = given.when(start(2)).then_types(EscalationStarted, EscalationDue)
    assert newest(given.state()) == 2


def test_every_event_says_its_run() -> None:
    given = after_timers(NOTHING.when(start(3)).then_types(EscalationStarted, EscalationDue), 7)
    assert {type(f) for f in given.facts} == {EscalationStarted, EscalationDue, EscalationExhausted}
    assert {getattr(f, "run", None) for f in given.facts} == {3}
    [cancelled] = given.when(take(number=4)).facts
    assert isinstance(cancelled, EscalationCancelled)
    assert cancelled.run == 4


@pytest.mark.parametrize("late", [1, 2])
def test_a_run_that_has_started_or_an_earlier_one_starts_nothing(late: int) -> None:
    second = FIRST.when(start(2)).then_types(EscalationStarted, EscalationDue)
    second.when(start(late)).then_nothing()
    NOTHING.when(start(2)).then_types(EscalationStarted, EscalationDue).when(start(late)).then_nothing()


@pytest.mark.parametrize("late", [1, 2])
def test_a_run_that_was_answered_or_an_earlier_one_starts_nothing(late: int) -> None:
    FIRST.when(take(number=2)).then_types(EscalationCancelled).when(start(late)).then_nothing()
    NOTHING.when(take(number=2)).then_types(EscalationCancelled).when(start(late)).then_nothing()


def test_an_answer_to_an_earlier_run_leaves_the_one_that_runs() -> None:
    given = FIRST.when(start(2)).then_types(EscalationStarted, EscalationDue)
    given.when(take(number=1)).then_nothing()
    after_timers(given, 7).when(take(number=1)).then_nothing()


@pytest.mark.parametrize("number", [1, 2])
def test_an_answer_to_this_run_or_a_later_one_ends_it(number: int) -> None:
    FIRST.when(take("snoozed", number)).then(
        [EscalationCancelled(incident_id=INCIDENT, run=number, by=Actor.user(ANN), at=NOW, cause="snoozed")]
    )


def test_an_answer_that_comes_before_its_start_is_remembered() -> None:
    given = FIRST.when(take()).then_types(EscalationCancelled)
    given = given.when(take("resolved", 2)).then_types(EscalationCancelled)
    given.when(start(2)).then_nothing()
    given.when(take("closed", 2)).then_nothing()
    state = given.state()
    assert isinstance(state, Cancelled)
    assert state.run is not None
    assert (state.answered, state.run.number, state.level) == (2, 1, 1)


def test_an_answer_before_anybody_was_paged_cancels_nothing_and_harms_nothing() -> None:
    NOTHING.when(take("resolved", 0)).then_nothing().when(start()).then_types(EscalationStarted, EscalationDue)
    FIRST.when(take(number=0)).then_nothing()
    FIRST.when(take()).then_types(EscalationCancelled).when(take(number=0)).then_nothing()


def test_a_timer_of_an_earlier_run_is_served() -> None:
    again = FIRST.when(start(2, now=LATER)).then_types(EscalationStarted, EscalationDue)
    again.when(fire(NOW + minutes(15))).then_nothing()
    short = FIRST.when(start(2, now=LATER, first_timeout_minutes=1)).then_types(EscalationStarted, EscalationDue)
    short.when(fire(NOW + minutes(15), now=LATER)).then_nothing()
    only_due(short.when(fire(due_of(short))).facts)


def test_a_run_keeps_the_assigned_person_of_its_own_request() -> None:
    given = NOTHING.when(start(assigned=BO)).then_types(EscalationStarted, EscalationDue)
    given = given.when(start(2)).then_types(EscalationStarted, EscalationDue)
    assert {p.user_id for f in given.facts[2:] if isinstance(f, EscalationDue) for p in f.people} == {ANN}
    assert BO not in {p.user_id for p in only_due(list(after_timers(given, 3).facts[-1:])).people}


@pytest.mark.parametrize("order", ["start, answer, start", "answer, start, start", "start, start, answer"])
def test_the_second_run_goes_on_however_the_answer_to_the_first_arrives(order: str) -> None:
    given: Given[State] = NOTHING
    numbers = iter((1, 2))
    for step in order.split(", "):
        command = start(next(numbers)) if step == "start" else take()
        given = Given(given.decider, [*given.facts, *given.when(command).facts])
    state = given.state()
    assert isinstance(state, Waiting)
    assert state.run.number == 2
