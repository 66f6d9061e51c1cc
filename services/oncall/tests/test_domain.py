"""Rules and plans of a schedule: one test for each row of the decision table, and what a plan promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from unittest.mock import patch
from uuid import uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.examples import examples
from libs.chassis.testing.given import Decision, Given
from libs.contracts.codec import EVENT_LIMIT
from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Fact
from libs.contracts.oncall import ScheduleChanged, ScheduleCreated, ScheduleDeleted, Shift, ShiftsPlanned
from libs.contracts.requests import Invalid, NotFound
from libs.contracts.uses import InUse, Use, UserKind
from services.oncall import plans
from services.oncall.application import SCHEDULE
from services.oncall.calendar import shifts
from services.oncall.commands import (
    AddOverride,
    CancelOverride,
    ChangeSchedule,
    CreateSchedule,
    DeleteSchedule,
    PlanShifts,
)
from services.oncall.domain import HORIZON, Schedule
from services.oncall.tests.rules import ANA, BO, CY, layer, override, told, utc

ID = uuid5(PAGER, "test/schedule")
NOW = utc("2026-03-04 10:00")
WEEKLY = layer("weekly", "2026-03-02T09:00")
CREATE = CreateSchedule(ID, "Primary", None, "UTC", True, (WEEKLY,), "ana", NOW)


def nothing() -> Given[Any]:
    return Given(SCHEDULE, [])


def created(**different: Any) -> Given[Any]:
    command = replace(CREATE, **different)
    return Given(SCHEDULE, SCHEDULE.decide(command, None))


def plan_of(facts: Sequence[Fact]) -> ShiftsPlanned:
    fact = facts[-1]
    assert isinstance(fact, ShiftsPlanned)
    return fact


def then(decision: Decision[Any]) -> Schedule:
    """The schedule after a decision."""
    return schedule(Given(SCHEDULE, [*decision.given.facts, *decision.facts]))


def schedule(given_: Given[Any]) -> Schedule:
    state = given_.state()
    assert isinstance(state, Schedule)
    return state


def test_a_new_schedule_is_planned_at_once() -> None:
    after = nothing().when(CREATE).then_types(ScheduleCreated, ShiftsPlanned)
    plan = plan_of(after.facts)
    assert (plan.schedule_id, plan.schedule_version) == (ID, 1)
    assert told(plan.shifts)[:2] == ["ana 2026-03-02 09:00 2026-03-09 09:00", "bo 2026-03-09 09:00 2026-03-16 09:00"]


def test_the_first_plan_begins_with_the_true_start_of_the_running_shift_and_ends_with_a_whole_one() -> None:
    plan = plan_of(created().facts)
    assert plan.from_time == utc("2026-03-02 09:00")
    assert plan.to_time == utc("2026-06-08 09:00") == plan.shifts[-1].end_time
    assert plan.to_time >= NOW + HORIZON


def test_a_schedule_that_a_policy_pages_stays_and_another_goes_for_good() -> None:
    use = Use(type=UserKind.POLICY, id=ID, name="Nights")
    refused = created().when(DeleteSchedule((use,), total=1)).then_rejected(InUse)
    assert str(refused) == 'it is still used by policy "Nights"'
    after = created().when(DeleteSchedule()).then([ScheduleDeleted(schedule_id=ID)])
    coming = override(CY, "2026-03-05 00:00", "2026-03-06 00:00")
    changes = (ChangeSchedule(NOW, name="x"), AddOverride(coming, NOW), CancelOverride(coming.id, NOW))
    for command in (DeleteSchedule(), *changes):
        after.when(command).then_rejected(NotFound)
        nothing().when(command).then_rejected(NotFound)
    # Each admin who comes asks for the first schedule again; and a timer may have been on its way.
    after.when(CREATE).then_nothing()
    after.when(PlanShifts(NOW + timedelta(days=30))).then_nothing()


def test_a_schedule_that_begins_later_is_planned_from_now() -> None:
    plan = plan_of(created(layers=(layer("weekly", "2026-03-09T09:00"),)).facts)
    assert plan.from_time == NOW
    assert plan.shifts[0].start_time == utc("2026-03-09 09:00")


def test_an_inactive_new_schedule_is_not_planned() -> None:
    nothing().when(replace(CREATE, is_active=False)).then_types(ScheduleCreated)


def test_creating_again_decides_nothing() -> None:
    created().when(CREATE).then_nothing()


def test_a_schedule_without_layers_has_an_empty_plan() -> None:
    plan = plan_of(created(layers=()).facts)
    assert (plan.from_time, plan.to_time, plan.shifts) == (NOW, NOW + HORIZON, ())


@pytest.mark.parametrize(
    ("different", "field"),
    [
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"layers": (WEEKLY, layer("custom", "2026-03-02T09:00"))}, "layers.1.shiftLength"),
    ],
)
def test_rules_that_cannot_be_computed_are_refused(different: dict[str, Any], field: str) -> None:
    assert nothing().when(replace(CREATE, **different)).then_rejected(Invalid).field == field
    change = ChangeSchedule(NOW, timezone=different.get("timezone"), layers=different.get("layers"))
    assert created().when(change).then_rejected(Invalid).field == field


def test_a_plan_too_large_for_the_bus_is_refused() -> None:
    # Two layers that take turns by the half hour: 4320 shifts.
    halves = [{"from": f"{hour:02}:30", "duration": "PT30M"} for hour in range(24)]
    layers = (layer("hourly", "2026-03-02T09:00"), layer("hourly", "2026-03-02T09:00", CY, restrictions=halves))
    assert nothing().when(replace(CREATE, layers=layers)).then_rejected(Invalid).field == "layers"


def test_a_schedule_that_does_not_exist_cannot_be_changed() -> None:
    for command in (
        ChangeSchedule(NOW, name="x"),
        AddOverride(override(CY, "2026-03-05 00:00", "2026-03-06 00:00"), NOW),
        CancelOverride(ID, NOW),
    ):
        nothing().when(command).then_rejected(NotFound)
    nothing().when(PlanShifts(NOW)).then_nothing()


def test_a_change_to_what_it_is_decides_nothing() -> None:
    created().when(ChangeSchedule(NOW)).then_nothing()
    created().when(
        ChangeSchedule(NOW, name="Primary", timezone="UTC", layers=(WEEKLY,), description=None)
    ).then_nothing()


def test_a_change_carries_the_whole_schedule_and_no_plan_that_differs_in_nothing() -> None:
    renamed = ChangeSchedule(NOW, name="Second", description=None)
    after = created(description="old").when(renamed).then_types(ScheduleChanged)
    changed = after.facts[-1]
    assert isinstance(changed, ScheduleChanged)
    assert (changed.name, changed.description, changed.layers) == ("Second", None, (WEEKLY,))
    plan = plan_of(after.when(ChangeSchedule(NOW, layers=(layer("daily", "2026-03-02T09:00"),))).facts)
    assert (plan.schedule_version, plan.planned_at) == (4, NOW)


def test_a_plan_tells_what_differs_and_what_the_horizon_has_come_to_include() -> None:
    later = utc("2026-03-11 10:00")
    coming = override(CY, "2026-03-20 00:00", "2026-03-21 00:00")
    _, changed, extended = created().when(AddOverride(coming, later)).facts
    assert isinstance(changed, ShiftsPlanned)
    assert isinstance(extended, ShiftsPlanned)
    assert (changed.from_time, changed.to_time) == (utc("2026-03-16 09:00"), utc("2026-03-23 09:00"))
    assert told(changed.shifts) == [
        "ana 2026-03-16 09:00 2026-03-20 00:00",
        "cy* 2026-03-20 00:00 2026-03-21 00:00",
        "ana 2026-03-21 00:00 2026-03-23 09:00",
    ]
    assert (extended.from_time, extended.to_time) == (utc("2026-06-08 09:00"), utc("2026-06-15 09:00"))
    assert told(extended.shifts) == ["ana 2026-06-08 09:00 2026-06-15 09:00"]


def test_a_plan_that_differs_until_its_end_is_told_with_what_it_has_come_to_include() -> None:
    later = utc("2026-03-11 10:00")
    _, plan = created().when(ChangeSchedule(later, layers=(layer("daily", "2026-03-02T09:00", CY),))).facts
    assert isinstance(plan, ShiftsPlanned)
    assert (plan.from_time, plan.to_time) == (later, utc("2026-06-10 09:00"))


def test_a_plan_that_is_older_than_the_moment_of_planning_forgets_nothing() -> None:
    longer = created().when(ChangeSchedule(NOW, layers=(layer("weekly", "2026-03-02T09:00", CY),)))
    facts = [f.model_copy(update={"planned_at": None}) if isinstance(f, ShiftsPlanned) else f for f in longer.facts]
    assert told(schedule(Given(SCHEDULE, [*created().facts, *facts])).planned)[:2] == told(then(longer).planned)[:2]


def test_a_shift_that_goes_on_over_a_change_keeps_its_start() -> None:
    longer = layer("weekly", "2026-03-02T09:00", ANA, CY)
    changed = created().when(ChangeSchedule(NOW, layers=(longer,)))
    after = then(changed).planned
    assert told(after)[:2] == ["ana 2026-03-02 09:00 2026-03-09 09:00", "cy 2026-03-09 09:00 2026-03-16 09:00"]
    assert plan_of(changed.facts).from_time == utc("2026-03-09 09:00")


def test_a_change_of_person_leaves_the_past_as_it_was_planned() -> None:
    plan = plan_of(created().when(ChangeSchedule(NOW, layers=(layer("weekly", "2026-03-02T09:00", CY),))).facts)
    assert (plan.from_time, told(plan.shifts)[0]) == (NOW, "cy 2026-03-04 10:00 2026-03-09 09:00")
    after = schedule(Given(SCHEDULE, [*created().facts, plan]))
    assert told(after.planned)[:2] == ["ana 2026-03-02 09:00 2026-03-04 10:00", "cy 2026-03-04 10:00 2026-03-09 09:00"]


def test_nobody_was_on_call_before_layers_came_into_an_empty_plan() -> None:
    plan = plan_of(created(layers=()).when(ChangeSchedule(NOW + timedelta(hours=1), layers=(WEEKLY,))).facts)
    assert told(plan.shifts)[0] == "ana 2026-03-04 11:00 2026-03-09 09:00"


def test_an_inactive_schedule_plans_nobody() -> None:
    after = created().when(ChangeSchedule(NOW, is_active=False)).then_types(ScheduleChanged, ShiftsPlanned)
    plan = plan_of(after.facts)
    assert (plan.from_time, plan.to_time, plan.shifts) == (NOW, utc("2026-06-08 09:00"), ())
    assert told(schedule(after).planned) == ["ana 2026-03-02 09:00 2026-03-04 10:00"]
    after.when(ChangeSchedule(NOW, name="Second")).then_types(ScheduleChanged)
    after.when(PlanShifts(NOW + timedelta(days=30))).then_nothing()


def test_an_inactive_schedule_that_becomes_active_is_planned_from_then_on() -> None:
    later = NOW + timedelta(days=1)
    after = created().when(ChangeSchedule(NOW, is_active=False)).then_types(ScheduleChanged, ShiftsPlanned)
    plan = plan_of(after.when(ChangeSchedule(later, is_active=True)).facts)
    assert told(plan.shifts)[0] == "ana 2026-03-05 10:00 2026-03-09 09:00"


def test_a_schedule_that_is_switched_off_and_on_tells_all_of_its_plan_also_where_nobody_is() -> None:
    """Somebody who follows it may keep what a restored log has lost."""
    off = created(layers=()).when(ChangeSchedule(NOW, is_active=False)).then_types(ScheduleChanged, ShiftsPlanned)
    on = off.when(ChangeSchedule(NOW, is_active=True)).then_types(ScheduleChanged, ShiftsPlanned)
    for facts in (off.facts, on.facts):
        plan = plan_of(facts)
        assert (plan.from_time, plan.to_time, plan.shifts) == (NOW, NOW + HORIZON, ())
    off.when(ChangeSchedule(NOW + 2 * HORIZON, name="Second")).then_types(ScheduleChanged)
    forgotten = created(layers=()).when(ChangeSchedule(NOW + 2 * HORIZON, is_active=False))
    forgotten.then_types(ScheduleChanged)


def test_a_plan_replaces_all_of_an_earlier_one_that_reached_farther() -> None:
    half_years = created(layers=(layer("monthly", "2026-01-01T00:00", interval=6),))
    assert plan_of(half_years.facts).to_time == utc("2026-07-01 00:00")
    plan = plan_of(half_years.when(ChangeSchedule(NOW, layers=(layer("daily", "2026-01-01T00:00", BO),))).facts)
    assert plan.to_time == utc("2026-07-01 00:00")
    assert plan.shifts[-1].end_time == plan.to_time


def test_turns_of_a_year_may_become_turns_of_an_hour() -> None:
    """What the horizon holds is bounded, also where the plan before reached farther."""
    years = created(layers=(layer("monthly", "2026-01-01T00:00", interval=12),))
    hourly = layer("hourly", "2026-03-02T09:00")
    plan = plan_of(years.when(ChangeSchedule(NOW, layers=(hourly,))).facts)
    assert plan.to_time == utc("2027-01-01 00:00")


def test_the_plan_is_extended_by_what_is_missing_only() -> None:
    later = utc("2026-03-11 10:00")
    extension = plan_of(created().when(PlanShifts(later)).then_types(ShiftsPlanned).facts)
    assert told(extension.shifts) == ["ana 2026-06-08 09:00 2026-06-15 09:00"]
    assert (extension.from_time, extension.schedule_version) == (utc("2026-06-08 09:00"), 1)
    assert extension.to_time >= later + HORIZON


def test_a_plan_that_reaches_far_enough_is_left_alone() -> None:
    created().when(PlanShifts(NOW + timedelta(days=4))).then_nothing()


Step = tuple[str, timedelta, Any]
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("layers"), st.sampled_from(("hourly", "daily", "weekly", "monthly")), st.sampled_from((ANA, BO, CY))
        ),
        st.tuples(st.just("active"), st.booleans(), st.none()),
        st.tuples(st.just("override"), st.integers(-48, 2400), st.integers(1, 400)),
        st.tuples(st.just("replace"), st.integers(-48, 2400), st.integers(1, 2100)),
        st.tuples(st.just("zone"), st.sampled_from(("UTC", "Europe/Berlin", "America/New_York")), st.none()),
        st.tuples(st.just("cancel"), st.integers(0, 5), st.none()),
        st.tuples(st.just("plan"), st.none(), st.none()),
    ),
    max_size=8,
)


def command(step: tuple[str, Any, Any], now: datetime, before: Schedule) -> Any:
    match step:
        case "layers", rotation, person:
            return ChangeSchedule(
                now, layers=(layer(rotation, "2026-03-02T09:00", person, BO, interval=1 + 6 * (rotation == "hourly")),)
            )
        case "active", active, _:
            return ChangeSchedule(now, is_active=active)
        case "zone", timezone, _:
            return ChangeSchedule(now, timezone=timezone)
        case "override" | "replace", begins, hours:
            start = now.replace(tzinfo=None) + timedelta(hours=begins)
            end = max(start, now.replace(tzinfo=None)) + timedelta(hours=hours)
            return AddOverride(override(CY, f"{start}", f"{end}", replaces=BO if step[0] == "replace" else None), now)
        case "cancel", which, _ if before.overrides:
            return CancelOverride(before.overrides[which % len(before.overrides)].id, now)
    return PlanShifts(now)


def following(plan: tuple[Shift, ...], fact: ShiftsPlanned) -> tuple[Shift, ...]:
    """What a consumer keeps: what the contract says, and nothing else."""
    begins, to = fact.from_time, fact.to_time
    heads = [s.model_copy(update={"end_time": min(s.end_time, begins)}) for s in plan if s.start_time < begins]
    tails = [s.model_copy(update={"start_time": max(s.start_time, to)}) for s in plan if s.end_time > to]
    return (*heads, *fact.shifts, *tails)


@pytest.mark.parametrize("piece", [3, 1000])
@settings(max_examples=examples(200), database=None)
@given(STEPS, st.lists(st.integers(1, 60 * 24 * 20), min_size=8, max_size=8))
def test_the_past_stays_and_the_future_follows_the_rules_in_pieces_of_any_size(
    piece: int, steps: list[Any], minutes: list[int]
) -> None:
    with patch.object(plans, "SHIFTS_A_PLAN", piece):
        _the_past_stays(steps, minutes)


def _the_past_stays(steps: list[Any], minutes: list[int]) -> None:
    given_, now = created(), NOW
    consumer: tuple[Shift, ...] = ()
    for fact in given_.facts:
        consumer = following(consumer, fact) if isinstance(fact, ShiftsPlanned) else consumer
    for step, passed in zip(steps, minutes, strict=False):
        before, now = schedule(given_), now + timedelta(minutes=passed)
        facts = SCHEDULE.decide(command(step, now, before), before)
        given_ = Given(SCHEDULE, [*given_.facts, *facts])
        after, until_then = schedule(given_), consumer
        for fact in facts:
            consumer = following(consumer, fact) if isinstance(fact, ShiftsPlanned) else consumer
        kept = len(consumer) - len(after.planned)
        assert after.planned == consumer[kept:]
        assert all(s.end_time <= now for s in consumer[:kept]), "only what is over is forgotten"
        assert all(a.end_time <= b.start_time for a, b in pairwise(consumer))
        if after.planned_to is None or before.planned_to is None or not facts:
            continue
        assert until(consumer, now) == until(until_then, now)
        if after.is_active and now < before.planned_to:
            assert after.planned_to >= now + HORIZON
            rules = (after.layers, after.overrides, after.timezone)
            assert since(after.planned, now) == shifts(*rules, now, after.planned_to)


def test_the_longest_plan_is_told_in_events_that_the_bus_carries() -> None:
    hourly = layer("hourly", "2026-03-02T09:00")
    facts = created(layers=(hourly,)).facts
    told_plans = [fact for fact in facts if isinstance(fact, ShiftsPlanned)]
    assert [len(fact.shifts) for fact in told_plans] == [1000, 1000, sum(len(f.shifts) for f in told_plans) - 2000]
    assert all(a.to_time == b.from_time for a, b in pairwise(told_plans))
    assert all(len(fact.to_json()) < EVENT_LIMIT / 2 for fact in told_plans)


def until(plan: tuple[Shift, ...], now: datetime) -> list[tuple[Any, ...]]:
    return [(s.user_id, s.start_time, min(s.end_time, now)) for s in plan if s.start_time < now]


def since(plan: tuple[Shift, ...], now: datetime) -> tuple[Shift, ...]:
    return tuple(s.model_copy(update={"start_time": max(s.start_time, now)}) for s in plan if s.end_time > now)
