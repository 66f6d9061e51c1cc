"""Overrides: what one may be, how it is laid over the layers, and how it is cancelled."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.oncall import Override, OverrideAdded, OverrideCancelled, ScheduleChanged, ShiftsPlanned
from libs.contracts.requests import Invalid
from services.oncall.application import SCHEDULE
from services.oncall.commands import AddOverride, CancelOverride, ChangeSchedule, PlanShifts
from services.oncall.overrides import TooManyOverrides
from services.oncall.tests.rules import BO, CY, layer, override, told, utc
from services.oncall.tests.test_domain import ID, NOW, created, plan_of, schedule, then

COMING = override(CY, "2026-03-05 00:00", "2026-03-06 00:00")


def overridden() -> Given[Any]:
    return created().when(AddOverride(COMING, NOW)).then_types(OverrideAdded, ShiftsPlanned)


def added(one: Override) -> OverrideAdded:
    return OverrideAdded(schedule_id=ID, override=one)


def test_an_override_is_added_and_planned() -> None:
    given_override = override(CY, "2026-03-05 00:00", "2026-03-06 00:00")
    after = created().when(AddOverride(given_override, NOW)).then_types(OverrideAdded, ShiftsPlanned)
    assert told(plan_of(after.facts).shifts)[:3] == [
        "ana 2026-03-02 09:00 2026-03-05 00:00",
        "cy* 2026-03-05 00:00 2026-03-06 00:00",
        "ana 2026-03-06 00:00 2026-03-09 09:00",
    ]
    after.when(AddOverride(given_override, NOW)).then_nothing()


def test_an_override_that_began_in_the_past_takes_over_now() -> None:
    after = created().when(AddOverride(override(CY, "2026-03-04 08:00", "2026-03-04 12:00"), NOW)).facts
    whole = schedule(Given(SCHEDULE, [*created().facts, *after]))
    assert told(whole.planned)[:3] == [
        "ana 2026-03-02 09:00 2026-03-04 10:00",
        "cy* 2026-03-04 10:00 2026-03-04 12:00",
        "ana 2026-03-04 12:00 2026-03-09 09:00",
    ]


def test_an_override_of_an_inactive_schedule_is_kept_for_later() -> None:
    inactive = created(is_active=False)
    after = inactive.when(AddOverride(override(CY, "2026-03-05 00:00", "2026-03-06 00:00"), NOW))
    plan = plan_of(after.then_types(OverrideAdded).when(ChangeSchedule(NOW, is_active=True)).facts)
    assert "cy* 2026-03-05 00:00 2026-03-06 00:00" in told(plan.shifts)


@pytest.mark.parametrize(
    ("refused", "field"),
    [
        (override(CY, "2026-03-05 00:00", "2026-03-05 00:00"), "endTime"),
        (override(CY, "2026-03-04 09:00", "2026-03-04 10:00"), "endTime"),
        (override(CY, "2026-03-05 00:00", "2026-06-03 00:01"), "endTime"),
        (override(CY, "0001-01-01 00:00", "2026-03-05 00:00"), "endTime"),
        (override(CY, "2027-03-05 10:01", "2027-03-06 00:00"), "startTime"),
        (override(CY, "9999-12-31 22:00", "9999-12-31 23:00"), "startTime"),
        (override(CY, "2026-03-05 00:00", "2026-03-06 00:00", replaces=CY), "replaces"),
    ],
)
def test_an_override_out_of_range_is_refused(refused: Any, field: str) -> None:
    assert created().when(AddOverride(refused, NOW)).then_rejected(Invalid).field == field


def test_an_override_may_be_ninety_days_long_and_begin_in_a_year() -> None:
    long = override(CY, "2026-03-05 00:00", "2026-06-03 00:00")
    created().when(AddOverride(long, NOW)).then_types(OverrideAdded, ShiftsPlanned)
    far = created().when(AddOverride(override(CY, "2027-03-05 10:00", "2027-03-06 00:00"), NOW))
    reached = far.then_types(OverrideAdded).when(PlanShifts(utc("2027-03-01 00:00")))
    assert "cy* 2027-03-05 10:00 2027-03-06 00:00" in told(plan_of(reached.facts).shifts)


def test_two_hundred_overrides_can_be_to_come_and_those_that_ended_or_were_cancelled_do_not_count() -> None:
    many = [override(CY, f"2026-03-{5 + n // 24:02} {n % 24:02}:00", "2026-03-20 00:00") for n in range(201)]
    full = Given(SCHEDULE, [*created().facts, *(added(o) for o in many[:200])])
    full.when(AddOverride(many[200], NOW)).then_rejected(TooManyOverrides)
    relieved = full.when(CancelOverride(many[0].id, NOW)).then_types(OverrideCancelled, ShiftsPlanned)
    relieved.when(AddOverride(many[200], NOW)).then_types(OverrideAdded, ShiftsPlanned)
    another = override(CY, "2026-03-21 00:00", "2026-03-22 00:00")
    full.when(AddOverride(another, utc("2026-03-07 00:00"))).then_rejected(TooManyOverrides)
    assert full.when(AddOverride(another, utc("2026-03-20 00:00"))).facts[0] == added(another)


def test_an_override_that_is_cancelled_before_it_begins_never_was() -> None:
    decision = overridden().when(CancelOverride(COMING.id, NOW))
    assert told(plan_of(decision.facts).shifts)[0] == "ana 2026-03-02 09:00 2026-03-09 09:00"
    after = decision.then_types(OverrideCancelled, ShiftsPlanned)
    assert schedule(after).overrides == ()
    after.when(CancelOverride(COMING.id, NOW + timedelta(days=1))).then_nothing()


def test_a_running_override_that_is_cancelled_ends_now_and_whoever_follows_takes_over() -> None:
    noon = utc("2026-03-05 12:00")
    after = overridden().when(CancelOverride(COMING.id, noon)).then_types(OverrideCancelled, ShiftsPlanned)
    assert told(schedule(after).planned)[:2] == [
        "cy* 2026-03-05 00:00 2026-03-05 12:00",
        "ana 2026-03-05 12:00 2026-03-09 09:00",
    ]
    # A later change of the layers neither brings it back nor takes it from the past.
    later = after.when(ChangeSchedule(noon + timedelta(hours=1), layers=(layer("weekly", "2026-03-02T09:00", BO),)))
    assert told(plan_of(later.facts).shifts)[0] == "bo 2026-03-05 13:00 2026-03-09 09:00"
    after.when(CancelOverride(COMING.id, noon + timedelta(minutes=1))).then_nothing()


def test_an_override_that_has_ended_stays_as_it_was() -> None:
    overridden().when(CancelOverride(COMING.id, COMING.end_time)).then_nothing()


def test_only_an_override_of_the_schedule_can_be_cancelled() -> None:
    overridden().when(CancelOverride(ID, NOW)).then_nothing()


def test_below_a_cancelled_override_the_earlier_one_applies_again() -> None:
    below = override(BO, "2026-03-05 00:00", "2026-03-07 00:00")
    both = created().when(AddOverride(below, NOW)).then_types(OverrideAdded, ShiftsPlanned)
    both = both.when(AddOverride(COMING, NOW)).then_types(OverrideAdded, ShiftsPlanned)
    assert told(then(both.when(CancelOverride(COMING.id, NOW))).planned)[1] == "bo* 2026-03-05 00:00 2026-03-07 00:00"


def test_an_override_of_an_inactive_schedule_is_cancelled_without_a_plan() -> None:
    inactive = created(is_active=False).when(AddOverride(COMING, NOW)).then_types(OverrideAdded)
    inactive.when(CancelOverride(COMING.id, NOW)).then_types(OverrideCancelled)


def test_an_override_can_be_cancelled_however_many_shifts_it_covers() -> None:
    """Layers that would be refused by themselves, below an override that hides most of their shifts."""
    halves = [{"from": f"{hour:02}:30", "duration": "PT30M"} for hour in range(24)]
    layers = (layer("hourly", "2026-03-02T09:00"), layer("hourly", "2026-03-02T09:00", CY, restrictions=halves))
    long = override(CY, "2026-03-04 10:00", "2026-06-01 10:00")
    hidden = created().when(AddOverride(long, NOW)).then_types(OverrideAdded, ShiftsPlanned)
    hidden = hidden.when(ChangeSchedule(NOW, layers=layers)).then_types(ScheduleChanged, ShiftsPlanned)
    assert isinstance(hidden.when(CancelOverride(long.id, NOW)).facts[0], OverrideCancelled)
