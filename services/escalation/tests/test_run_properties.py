"""Promises of runs that hold for every order, repetition and interleaving of requests, answers, timers and reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.examples import examples
from libs.contracts.envelope import Fact
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    ResponderUnreachable,
)
from services.escalation.domain.escalations import (
    Cancelled,
    Command,
    Exhausted,
    NotStarted,
    ReportUnreachable,
    State,
    Waiting,
    newest,
)
from services.escalation.domain.people import Directory
from services.escalation.domain.policies import Plan
from services.escalation.tests.test_escalation_properties import DECIDER, PEOPLE, directories, plans, timers
from services.escalation.tests.world import BRIEF, fire, minutes, start, take


class Step(NamedTuple):
    """`start` or `answer` of run `number`; `timer`, `old timer`; `report`, `old report` of person `number`."""

    kind: str
    number: int


class Decided(NamedTuple):
    step: Step
    before: State
    facts: Sequence[Fact]
    after: State


starts_and_answers = st.one_of(
    st.builds(Step, st.just("start"), st.integers(1, 4)), st.builds(Step, st.just("answer"), st.integers(0, 4))
)
others = st.builds(Step, st.sampled_from(["timer", "old timer", "report", "old report"]), st.integers(0, 3))
steps = st.lists(st.one_of(starts_and_answers, others), max_size=30)


def a_report(state: State, person: int, plan: Plan, directory: Directory, old: bool) -> ReportUnreachable:
    page = (1, 1, 1)
    if isinstance(state, Waiting | Exhausted):
        page = (state.run.number, state.level, state.round - old)
    return ReportUnreachable(*page, PEOPLE[person], plan, directory, timers(state) - minutes(0.01))


def command_of(step: Step, state: State, plan: Plan, directory: Directory) -> Command:
    due_at = timers(state)
    match step.kind:
        case "start":
            return start(step.number, plan=plan, directory=directory)
        case "answer":
            return take(number=step.number)
        case "timer":
            return fire(due_at, plan=plan, directory=directory)
        case "old timer":
            return fire(due_at - minutes(0.01), now=due_at, plan=plan, directory=directory)
    return a_report(state, step.number, plan, directory, old=step.kind == "old report")


def played(plan: Plan, everybody: Sequence[Directory], steps: Sequence[Step]) -> Iterator[Decided]:
    """What each step decides; who can be found changes on the way."""
    state = DECIDER.initial()
    for i, step in enumerate(steps):
        facts = DECIDER.decide(command_of(step, state, plan, everybody[i % len(everybody)]), state)
        before = state
        for fact in facts:
            state = DECIDER.evolve(state, fact)
        yield Decided(step, before, facts, state)


def run_of(fact: Fact) -> int:
    assert isinstance(
        fact, EscalationStarted | EscalationDue | ResponderUnreachable | EscalationExhausted | EscalationCancelled
    )
    return fact.run


any_people = st.lists(directories(), min_size=1, max_size=3)


@settings(max_examples=examples(100))
@given(plans, any_people, steps)
def test_a_run_starts_at_most_once_and_runs_never_go_down(
    plan: Plan, everybody: list[Directory], steps: list[Step]
) -> None:
    facts = [f for decided in played(plan, everybody, steps) for f in decided.facts]
    started = [f.run for f in facts if isinstance(f, EscalationStarted)]
    assert started == sorted(set(started))
    runs = [run_of(f) for f in facts]
    assert runs == sorted(runs)
    pages = [(f.run, f.round, f.level) for f in facts if isinstance(f, EscalationDue | EscalationExhausted)]
    assert pages == sorted(set(pages))


@settings(max_examples=examples(100))
@given(plans, any_people, steps)
def test_nothing_is_said_of_a_run_after_its_answer_but_that_it_is_over(
    plan: Plan, everybody: list[Directory], steps: list[Step]
) -> None:
    answered = 0
    for step, _, facts, _ in played(plan, everybody, steps):
        answered = max(answered, step.number) if step.kind == "answer" else answered
        for fact in facts:
            assert run_of(fact) > answered or isinstance(fact, EscalationCancelled)


@settings(max_examples=examples(100))
@given(plans, any_people, steps)
def test_whoever_speaks_of_a_lower_run_than_the_newest_decides_nothing(
    plan: Plan, everybody: list[Directory], steps: list[Step]
) -> None:
    for step, before, facts, _ in played(plan, everybody, steps):
        highest = newest(before)
        if (step.kind == "start" and step.number <= highest) or (step.kind == "answer" and step.number < highest):
            assert not facts
        if step.kind in ("old timer", "old report"):
            assert not facts


@settings(max_examples=examples(100))
@given(plans, any_people, steps)
def test_in_whatever_order_they_come_the_highest_request_waits_unless_it_is_answered(
    plan: Plan, everybody: list[Directory], steps: list[Step]
) -> None:
    asked = answered = 0
    for step, _, _, after in played(plan, everybody, steps):
        asked = max(asked, step.number) if step.kind == "start" else asked
        answered = max(answered, step.number) if step.kind == "answer" else answered
        match after:
            case Waiting() | Exhausted():
                assert after.run.number == asked > answered
                assert after.due_at is not None
            case Cancelled():
                assert after.answered == answered >= asked
            case _:
                assert isinstance(after, NotStarted)
                assert asked == answered == 0


@settings(max_examples=examples(80))
@given(plans, directories(), st.integers(1, 30))
def test_where_nobody_can_be_reached_a_timer_stands_between_two_passes_through_the_levels(
    plan: Plan, directory: Directory, fired: int
) -> None:
    state = DECIDER.initial()
    pages: list[tuple[int, int]] = []

    def take_in(command: Command) -> int:
        nonlocal state
        facts = DECIDER.decide(command, state)
        for fact in facts:
            state = DECIDER.evolve(state, fact)
        new = [f for f in facts if isinstance(f, EscalationDue | EscalationExhausted)]
        pages.extend((page.round, page.level) for page in new)
        return len(new)

    for i in range(fired):
        opened = (
            start(plan=plan, directory=directory) if i == 0 else fire(timers(state), plan=plan, directory=directory)
        )
        made = take_in(opened)
        assert made == 1
        # Each page is answered by a report for everybody on it, at once, for as long as that makes new pages.
        while isinstance(state, Waiting | Exhausted):
            page = (state.round, state.level)
            for person in state.people:
                made += take_in(
                    ReportUnreachable(
                        1, page[1], page[0], person.user_id, plan, directory, timers(state) - minutes(0.01)
                    )
                )
            if (state.round, state.level) == page:
                break
        assert made <= len(plan.levels)
    assert pages == sorted(set(pages))
    assert isinstance(state, Waiting | Exhausted)
    assert state.run.brief == BRIEF
