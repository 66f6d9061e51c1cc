"""Promises that hold for every order, repetition and loss of inputs."""

from __future__ import annotations

from datetime import datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.examples import examples
from libs.chassis.testing.given import Given
from libs.contracts.envelope import Fact
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    Level,
    Target,
    TargetType,
)
from libs.contracts.model import Lane, Role
from services.escalation.deciders import ESCALATION
from services.escalation.domain.escalations import Cancelled, Exhausted, State, Waiting
from services.escalation.domain.people import Directory, OnCall
from services.escalation.domain.policies import Plan
from services.escalation.tests.world import ANN, BO, CY, DEE, NOW, SCHEDULE, fire, minutes, start, take

DECIDER = ESCALATION[Lane.URGENT]
PEOPLE = (ANN, BO, CY, DEE)

targets = st.sampled_from(
    [
        Target(type=TargetType.SCHEDULE, id=SCHEDULE),
        Target(type=TargetType.USER, id=ANN),
        Target(type=TargetType.USER, id=BO),
        Target(type=TargetType.ROLE, role=Role.LEAD),
        Target(type=TargetType.ROLE, role=Role.ADMIN),
        Target(type=TargetType.TEAM, id=CY),
    ]
)


def a_level(timeout_minutes: float, targets: list[Target]) -> Level:
    return Level(timeout_minutes=timeout_minutes, targets=tuple(targets))


levels = st.builds(a_level, st.floats(0.05, 60), st.lists(targets, min_size=1, max_size=3))
plans = st.builds(
    Plan,
    name=st.just("any"),
    priority_filter=st.just(()),
    repeat=st.integers(0, 3),
    levels=st.lists(levels, min_size=1, max_size=4).map(tuple),
)


@st.composite
def directories(draw: st.DrawFn) -> Directory:
    """Any organisation of at most four active people, as the application would describe it."""
    active = draw(st.frozensets(st.sampled_from(PEOPLE)))
    leads = draw(st.frozensets(st.sampled_from(PEOPLE), max_size=2)) & active
    admins = draw(st.frozensets(st.sampled_from(PEOPLE), max_size=2)) & active
    some = st.sampled_from([None, *sorted(active)])
    return Directory(
        on_call={SCHEDULE: OnCall(draw(some), draw(some), 1)} if draw(st.booleans()) else {},
        by_role={Role.LEAD: tuple(sorted(leads)), Role.ADMIN: tuple(sorted(admins))},
        active=active,
        everyone=() if leads or admins else tuple(sorted(active)),
    )


def timers(state: State) -> datetime:
    due_at = state.due_at if isinstance(state, Waiting | Exhausted) else None
    return due_at or NOW


inputs = st.lists(st.sampled_from(["create", "timer", "stale timer", "take"]), max_size=25)


def run(plan: Plan, everybody: list[Directory], steps: list[str]) -> list[Fact]:
    """The log of an escalation that got these inputs; who can be reached changes as it runs."""
    facts: list[Fact] = []
    state = DECIDER.initial()
    for i, step in enumerate(steps):
        directory, due_at = everybody[i % len(everybody)], timers(state)
        match step:
            case "create":
                decided = DECIDER.decide(start(plan=plan, directory=directory), state)
            case "take":
                decided = DECIDER.decide(take(), state)
            case "stale timer":
                earlier = due_at - minutes(0.01)
                decided = DECIDER.decide(fire(earlier, now=due_at, plan=plan, directory=directory), state)
            case _:
                decided = DECIDER.decide(fire(due_at, plan=plan, directory=directory), state)
        for fact in decided:
            facts.append(fact)
            state = DECIDER.evolve(state, fact)
    return facts


@settings(max_examples=examples(80))
@given(plans, st.lists(directories(), min_size=1, max_size=4), inputs)
def test_any_order_and_repetition_starts_at_most_once_and_pages_nobody_after_the_end(
    plan: Plan, everybody: list[Directory], steps: list[str]
) -> None:
    facts = run(plan, everybody, steps)
    kinds = [type(f) for f in facts]
    begun = "create" in steps and "take" not in steps[: steps.index("create")]
    assert kinds.count(EscalationStarted) == (1 if begun else 0)
    assert kinds.count(EscalationCancelled) == (1 if "take" in steps else 0)
    if EscalationCancelled in kinds:
        assert kinds[-1] is EscalationCancelled
    pages = [(f.level, f.round) for f in facts if isinstance(f, EscalationDue | EscalationExhausted)]
    assert len(pages) == len(set(pages))


@settings(max_examples=examples(80))
@given(plans, directories().filter(lambda d: bool(d.active)), st.integers(0, 40))
def test_an_incident_that_nobody_takes_is_never_silent_while_somebody_exists(
    plan: Plan, directory: Directory, times: int
) -> None:
    facts = run(plan, [directory], ["create", *["timer"] * times])
    pages = [f for f in facts if isinstance(f, EscalationDue | EscalationExhausted)]
    assert len(pages) == times + 1
    assert all(page.people and page.next_due_at is not None for page in pages)
    assert all(len({p.user_id for p in page.people}) == len(page.people) for page in pages)


@settings(max_examples=examples(80))
@given(plans, directories(), inputs)
def test_repeating_an_input_at_once_decides_nothing_more(plan: Plan, directory: Directory, steps: list[str]) -> None:
    for step in ("create", "take", "stale timer"):
        once = run(plan, [directory], [*steps, step])
        assert run(plan, [directory], [*steps, step, step]) == once


@settings(max_examples=examples(100))
@given(plans, directories(), st.permutations(["create", "take", "take", "create"]))
def test_the_creation_and_the_end_commute(plan: Plan, directory: Directory, steps: list[str]) -> None:
    state = Given(DECIDER, run(plan, [directory], steps)).state()
    assert isinstance(state, Cancelled)
