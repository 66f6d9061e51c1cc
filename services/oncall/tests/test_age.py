"""A schedule that is changed for years costs what a new one does: what is over is forgotten, and its state is kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from libs.contracts.envelope import Fact
from libs.contracts.oncall import Override
from services.oncall.application import SCHEDULE
from services.oncall.commands import AddOverride, CancelOverride, ChangeSchedule, DeleteSchedule, PlanShifts
from services.oncall.domain import HORIZON, Deleted, Schedule
from services.oncall.overrides import MOST, TooManyOverrides
from services.oncall.tests.rules import ANA, CY, layer, override
from services.oncall.tests.test_domain import ID, NOW, created

HOURLY = layer("hourly", "2026-03-02T09:00", interval=12)


class Lived:
    """A schedule to which commands come, one fact after the other."""

    def __init__(self, *facts: Fact) -> None:
        self.state: Any = None
        self.log: list[Fact] = []
        self.take(facts)

    def take(self, facts: Any) -> None:
        for fact in facts:
            self.state = SCHEDULE.evolve(self.state, fact)
            self.log.append(fact)

    def run(self, command: Any) -> int:
        """The bytes of what was decided."""
        facts = SCHEDULE.decide(command, self.state)
        self.take(facts)
        return _bytes(facts)

    def size(self) -> int:
        assert SCHEDULE.shape is not None
        return len(SCHEDULE.shape.write(self.state))


def _override(number: int, start: datetime, hours: float) -> Override:
    end = start + timedelta(hours=hours)
    return Override(id=UUID(int=number + 1), user_id=ANA, start_time=start, end_time=end)


def _bytes(facts: Iterable[Fact]) -> int:
    return sum(len(fact.to_json()) for fact in facts)


def _moments(count: int, step: timedelta) -> Iterator[tuple[int, datetime]]:
    return ((n, NOW + n * step) for n in range(count))


@pytest.mark.thorough
def test_hundreds_of_overrides_that_were_cancelled_leave_nothing_behind() -> None:
    """Those that had begun, and those that had not."""
    lived = Lived(*created(layers=(HOURLY,)).facts)
    sizes = list[int]()
    for number, now in _moments(250, timedelta(minutes=2)):
        taken = _override(number, now - timedelta(hours=number % 2) + timedelta(minutes=30), 4)
        lived.run(AddOverride(taken, now))
        lived.run(CancelOverride(taken.id, now + timedelta(minutes=1)))
        assert lived.state.overrides == ()
        sizes.append(lived.size())
    assert max(sizes) < 1.2 * max(sizes[:10])


@pytest.mark.thorough
def test_the_last_of_hundreds_of_overrides_is_told_in_as_little_as_the_fifth() -> None:
    """A minute apart, of hundreds of shifts that are planned; all but the last ten are cancelled again."""
    lived = Lived(*created(layers=(layer("hourly", "2026-03-02T09:00", interval=12),)).facts)
    whole, sizes, kept = _bytes(lived.log), list[int](), list[Override]()
    for number, now in _moments(250, timedelta(minutes=1)):
        lived.run(PlanShifts(now))  # the horizon costs what the time that passes does
        kept.append(_override(number, now + timedelta(hours=number * 14 % 2000), 1))
        sizes.append(lived.run(AddOverride(kept[-1], now)))
        if len(kept) > 10:
            sizes.append(lived.run(CancelOverride(kept.pop(0).id, now)))
    assert max(sizes) < 2 * sizes[4] < 3000 < whole / 5
    assert _bytes(lived.log) < 20 * whole, "five hundred changes, read from the first event on"
    assert Lived(*lived.log).state == lived.state


def test_overrides_that_ended_by_themselves_and_plans_that_were_extended_are_forgotten() -> None:
    lived = Lived(*created(layers=(HOURLY,)).facts)
    now = NOW
    for number, now in _moments(300, timedelta(days=1)):
        lived.run(PlanShifts(now))
        if number % 10 == 0:
            lived.run(AddOverride(_override(number, now + timedelta(hours=3), 1), now))
    assert len(lived.state.overrides) <= 2
    assert len(lived.state.planned) < 2 * 2 * HORIZON.days
    running = [s for s in lived.state.planned if s.start_time <= now < s.end_time]
    assert len(running) == 1, "what runs is known"
    for _, now in _moments(300, timedelta(days=1)):
        lived.run(PlanShifts(now + timedelta(days=300)))
    assert len(lived.state.planned) < 2 * 2 * HORIZON.days + 10, "nor by extensions alone"


def test_an_inactive_schedule_that_nothing_ever_plans_forgets_only_what_is_over() -> None:
    lived = Lived(*created(layers=(HOURLY,), is_active=False).facts)
    for number, now in _moments(3 * MOST, timedelta(minutes=5)):
        lived.run(AddOverride(_override(number, now, 0.05), now))
    assert len(lived.state.overrides) == MOST
    later = NOW + timedelta(days=30)
    coming = [_override(10_000 + n, later + timedelta(hours=MOST - n), 1) for n in range(MOST)]
    for one in coming:
        lived.run(AddOverride(one, later))
    assert lived.state.overrides == tuple(coming)
    try:
        lived.run(AddOverride(_override(20_000, later, 1), later))
    except TooManyOverrides:
        pass
    else:
        raise AssertionError("one too many was added")
    lived.run(ChangeSchedule(later, is_active=True))
    assert sum(s.is_override for s in lived.state.planned) == MOST


def test_a_state_that_is_kept_is_read_again_as_it_was() -> None:
    shape = SCHEDULE.shape
    assert shape is not None
    limited = layer("weekly", "2026-03-02T09:00", ANA, CY, restrictions=[{"from": "09:00", "duration": "PT8H"}])
    lived = Lived(*created(description="old", layers=(HOURLY, limited), timezone="Europe/Berlin").facts)
    lived.run(AddOverride(override(CY, "2026-03-05 00:00", "2026-03-06 00:00", replaces=ANA), NOW))
    lived.run(AddOverride(_override(1, NOW, 1), NOW))
    lived.run(CancelOverride(UUID(int=2), NOW))
    assert isinstance(lived.state, Schedule)
    assert lived.state.overrides
    assert lived.state.displaced
    again = shape.read(shape.write(lived.state))
    assert again == lived.state
    later = NOW + timedelta(days=3)
    for command in (PlanShifts(later), ChangeSchedule(later, layers=(HOURLY,)), DeleteSchedule()):
        assert SCHEDULE.decide(command, again) == SCHEDULE.decide(command, lived.state)
    assert shape.read(shape.write(Deleted(ID))) == Deleted(ID)
