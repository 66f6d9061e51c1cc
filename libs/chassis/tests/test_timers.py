"""Timers fire in batches when their time comes; one that fails or lost a race harms no other (promise 10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.store.store import Contended
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import DEADLINE
from libs.chassis.tests.ledger import SCHEMA, Ledger, add, until
from libs.chassis.timers import Timer, Timers, timer_gone, timer_set


@dataclass
class Fired:
    """A handler that remembers its calls; a failing entity makes its whole batch fail."""

    batches: list[list[UUID]] = field(default_factory=list)
    failing: set[UUID] = field(default_factory=set)
    error: Exception = field(default_factory=lambda: ZeroDivisionError("cannot decide"))
    again: set[UUID] = field(default_factory=set)

    def __call__(self, work: Work, timers: Sequence[Timer]) -> None:
        if any(t.entity in self.failing for t in timers):
            raise self.error
        for timer in timers:
            work.cursor.execute("INSERT INTO incidents.fired (entity) VALUES (%s)", (timer.entity,))
            if timer.entity in self.again:
                self.again.remove(timer.entity)
                work.put(timer_set(SCHEMA, Timer(timer.entity, timer.name, work.now + timedelta(seconds=60))))
        self.batches.append([t.entity for t in timers])


async def _timers(ledger: Ledger) -> tuple[Timers, Fired]:
    await ledger.query("CREATE TABLE incidents.fired (entity uuid)")
    await ledger.query("GRANT ALL ON incidents.fired TO pager_incidents")
    fired = Fired()
    timers = Timers(SCHEMA, ledger.store, ledger.clock, fired)
    ledger.store.listen(lambda written: timers.wake(written.rows))
    ledger.run(timers.run)
    return timers, fired


async def _set(ledger: Ledger, seconds: float, *entities: UUID) -> list[UUID]:
    ids = list(entities) or [uuid4()]
    due = ledger.clock.now() + timedelta(seconds=seconds)
    await ledger.store.transact(lambda work: work.put(*(timer_set(SCHEMA, Timer(i, "t", due)) for i in ids)))
    return ids


async def _fired(ledger: Ledger) -> list[UUID]:
    return [row[0] for row in await ledger.query("SELECT entity FROM incidents.fired")]


async def _left(ledger: Ledger) -> list[Any]:
    return await ledger.query("SELECT entity, due_at FROM incidents.timers ORDER BY due_at")


async def _expect(ledger: Ledger, *entities: UUID) -> None:
    found = await until(lambda: _fired(ledger), lambda f: len(f) >= len(entities), f"{len(entities)} timers fired")
    assert sorted(found) == sorted(entities)


async def test_a_timer_fires_when_its_time_comes_and_an_earlier_one_set_later_is_not_missed(ledger: Ledger) -> None:
    await _timers(ledger)
    (late,) = await _set(ledger, 100)
    (early,) = await _set(ledger, 10)
    ledger.clock.advance(seconds=9.9)
    (now,) = await _set(ledger, 0)
    await _expect(ledger, now)
    ledger.clock.advance(seconds=0.1)
    await _expect(ledger, now, early)
    ledger.clock.advance(seconds=90)
    await _expect(ledger, now, early, late)
    assert await _left(ledger) == []


async def test_whoever_sets_a_timer_wakes_it_and_the_look_now_and_then_is_only_a_net(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.timers._NET", 10 * DEADLINE)
    timers, _ = await _timers(ledger)

    async def until_asleep() -> None:
        async def sleeps() -> bool:
            return timers._until is not None and not timers._wake.is_set()

        await until(sleeps, bool, "timers that wait")

    await until_asleep()
    (now,) = await _set(ledger, 0)
    await _expect(ledger, now)
    await until_asleep()
    (late,) = await _set(ledger, 100)
    await until_asleep()
    (early,) = await _set(ledger, 10)
    await until_asleep()
    ledger.clock.advance(seconds=10)
    await _expect(ledger, now, early)
    await until_asleep()
    ledger.clock.advance(seconds=90)
    await _expect(ledger, now, early, late)


async def test_many_due_at_once_fire_in_batches_and_each_once(ledger: Ledger) -> None:
    _, fired = await _timers(ledger)
    ids = await _set(ledger, 5, *(uuid4() for _ in range(450)))
    ledger.clock.advance(seconds=5)
    await _expect(ledger, *ids)
    assert len(fired.batches) < 10
    assert max(map(len, fired.batches)) == 200


@pytest.mark.parametrize(
    ("error", "again"), [(ZeroDivisionError("cannot decide"), 30), (Contended("others were in the way"), 1)]
)
async def test_one_that_fails_is_put_off_and_the_rest_of_its_batch_fires(
    ledger: Ledger, error: Exception, again: int
) -> None:
    _, fired = await _timers(ledger)
    fired.error = error
    ids = [uuid4() for _ in range(6)]
    fired.failing = {ids[2]}
    await _set(ledger, 5, *ids)
    ledger.clock.advance(seconds=5)
    await _expect(ledger, *(i for i in ids if i != ids[2]))

    async def left() -> list[Any]:
        return await _left(ledger)

    put_off = await until(left, lambda rows: len(rows) == 1 and rows[0][1] > ledger.clock.now(), "it put off")
    assert put_off[0] == (ids[2], ledger.clock.now() + timedelta(seconds=again)), (
        "a page that is due waits for no fault of its own"
    )
    fired.failing.clear()
    ledger.clock.advance(seconds=again)
    await _expect(ledger, *ids)


async def test_a_timer_that_its_own_handler_sets_again_stays(ledger: Ledger) -> None:
    _, fired = await _timers(ledger)
    entity = uuid4()
    fired.again = {entity}
    await _set(ledger, 0, entity)
    await _expect(ledger, entity)
    ledger.clock.advance(seconds=60)
    await _expect(ledger, entity, entity)


async def test_two_that_fire_at_once_never_fire_one_twice(ledger: Ledger) -> None:
    _, first = await _timers(ledger)
    second = Fired()
    rival = Timers(SCHEMA, ledger.make_store("b"), ledger.clock, second)
    ledger.run(rival.run)
    ids = await _set(ledger, 5, *(uuid4() for _ in range(300)))
    ledger.clock.advance(seconds=5)
    rival.wake()
    await _expect(ledger, *ids)
    assert sorted(i for batch in (*first.batches, *second.batches) for i in batch) == sorted(ids)


async def test_a_timer_that_was_cancelled_in_time_decides_nothing(ledger: Ledger) -> None:
    await _timers(ledger)
    kept, gone = (await _set(ledger, 5, uuid4(), uuid4()))[:2]
    await ledger.store.transact(lambda work: work.put(timer_gone(SCHEMA, gone, "t")))
    ledger.clock.advance(seconds=5)
    await _expect(ledger, kept)


async def test_a_handler_may_decide_events_in_the_transaction_that_takes_its_timer_away(ledger: Ledger) -> None:
    entity = uuid4()

    def decide(work: Work, timers: Sequence[Timer]) -> None:
        for timer in timers:
            if timer.name == "t":
                add(work, timer.entity)

    timers = Timers(SCHEMA, ledger.store, ledger.clock, decide)
    ledger.store.listen(lambda written: timers.wake(written.rows))
    ledger.run(timers.run)
    await _set(ledger, 5, entity)
    ledger.clock.advance(seconds=5)
    await until(ledger.events, lambda events: len(events) == 1, "the event that the timer decided")
    names = await ledger.query("SELECT name FROM incidents.timers WHERE entity = %s AND name = 't'", entity)
    assert names == []
