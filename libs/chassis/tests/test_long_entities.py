"""What a decision costs does not grow with the age of its entity: states are kept, and the log outweighs them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.store.changes import Added
from libs.chassis.store.desk import Desk
from libs.chassis.store.log import EventLog, Stream
from libs.chassis.store.snapshots import EVERY, Shape
from libs.chassis.store.store import Store
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Decider, Work
from libs.chassis.testing.clock import MovableClock
from libs.chassis.tests.ledger import CAUSE, COUNT, SCHEMA, Ledger, add
from libs.chassis.timers import Timer, timer_set
from libs.contracts.incidents import AlertsGrouped


@dataclass(frozen=True)
class Total:
    count: int = 0


@dataclass(frozen=True)
class Other:
    """The same, as a later release may keep it."""

    count: int = 0
    first: int | None = None


def _evolve(state: Any, fact: AlertsGrouped) -> Any:
    return replace(state, count=state.count + fact.count)


def _long(kind: Any) -> Decider[Any, AlertsGrouped]:
    return Decider(kind, _evolve, lambda fact, _state: [fact], shape=Shape(_evolve, kind))


CLOCK = MovableClock().now()
LONG, LATER = _long(Total), _long(Other)


def count(work: Work, entity: UUID, times: int = 1, decider: Decider[Any, AlertsGrouped] = LONG) -> int:
    """That many events; the total after them."""
    for _ in range(times):
        work.decide(decider, entity, AlertsGrouped(incident_id=entity, count=1, last_at=work.now), CAUSE)
    return int(work.state(decider, entity).count)


def as_before(work: Work, entity: UUID, times: int) -> None:
    """As code does it that knows of no snapshots."""
    for _ in range(times):
        add(work, entity)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events each look into the log has brought."""
    found: list[int] = []
    load_many = EventLog.load_many

    def loaded(*arguments: Any) -> Any:
        streams: dict[UUID, Stream] = dict(load_many(*arguments))
        found.append(sum(len(stream.events) for stream in streams.values()))
        return streams

    monkeypatch.setattr(EventLog, "load_many", loaded)
    return found


def plain(_event: Any, _state: Any) -> tuple[()]:
    return ()


@pytest.fixture
def store(ledger: Ledger) -> Store:
    return ledger.make_store(project=plain)


async def test_a_decision_reads_what_came_after_the_last_state_that_was_kept(store: Store, read: list[int]) -> None:
    entity = uuid4()
    for number in range(1, 3 * EVERY):
        assert (await store.transact(lambda work: count(work, entity))).result == number
    assert max(read) == EVERY - 1


async def test_a_short_entity_is_not_kept(store: Store, ledger: Ledger) -> None:
    await store.transact(lambda work: count(work, uuid4(), EVERY - 1))
    assert await ledger.query("SELECT * FROM incidents.snapshots") == []


async def test_a_long_history_is_folded_once_also_where_nothing_is_decided_on_it(
    store: Store, ledger: Ledger, read: list[int]
) -> None:
    """As it was written before there were snapshots, or under an evolution that has changed since."""
    entity = uuid4()
    old = ledger.make_store("old", project=plain)
    for _ in range(10):  # each in less time than a transaction has, also on a busy machine
        await old.transact(lambda work: as_before(work, entity, 300))
    read.clear()
    assert (await store.read(lambda work: work.state(LONG, entity))).count == 3000
    assert (await store.read(lambda work: work.state(LONG, entity))).count == 3000
    assert (await store.transact(lambda work: count(work, entity))).result == 3001
    assert read == [3000, 0, 0]


async def test_what_older_code_appends_after_a_snapshot_is_folded_on_top(
    store: Store, ledger: Ledger, read: list[int]
) -> None:
    entity = uuid4()
    await store.transact(lambda work: count(work, entity, 2 * EVERY))
    await ledger.make_store("old", project=plain).transact(lambda work: as_before(work, entity, 7))
    read.clear()
    assert (await store.transact(lambda work: count(work, entity))).result == 2 * EVERY + 8
    assert read == [7]


async def test_a_state_that_other_code_has_folded_is_not_read(store: Store, read: list[int]) -> None:
    entity = uuid4()
    await store.transact(lambda work: count(work, entity, 2 * EVERY))
    read.clear()
    assert LONG.shape is not None
    assert LATER.shape is not None
    assert LONG.shape.name != LATER.shape.name
    assert (await store.transact(lambda work: count(work, entity, decider=LATER))).result == 2 * EVERY + 1
    assert (await store.transact(lambda work: count(work, entity, decider=LATER))).result == 2 * EVERY + 2
    assert read == [2 * EVERY, 0]


@pytest.mark.parametrize("state", ["Total {", "Nothing {}", "", 'Total {"count": "many"}'])
async def test_a_state_that_cannot_be_read_costs_only_a_longer_look(store: Store, ledger: Ledger, state: str) -> None:
    entity = uuid4()
    await store.transact(lambda work: count(work, entity, EVERY))
    await ledger.query("UPDATE incidents.snapshots SET state = %s", state)
    assert (await store.transact(lambda work: count(work, entity))).result == EVERY + 1
    await store.transact(lambda work: count(work, entity))
    assert await ledger.query("SELECT state FROM incidents.snapshots") == [(f'Total {{"count":{EVERY + 1}}}',)]


async def test_a_state_is_not_believed_where_the_log_has_lost_its_event(store: Store, ledger: Ledger) -> None:
    """And has another one there, or none."""
    entity = uuid4()
    position = (await store.transact(lambda work: count(work, entity, EVERY - 1))).position
    await store.transact(lambda work: count(work, entity, 5))
    assert await ledger.query("SELECT version FROM incidents.snapshots") == [(EVERY + 4,)]
    assert position is not None
    await ledger.begin_epoch(2, position)
    assert (await store.read(lambda work: work.state(LONG, entity))).count == EVERY - 1
    await ledger.make_store("old", project=plain).transact(lambda work: as_before(work, entity, 9))
    assert (await store.read(lambda work: work.state(LONG, entity))).count == EVERY + 8
    assert (await store.transact(lambda work: (count(work, entity), work.version(entity)))).result == (
        EVERY + 9,
        EVERY + 9,
    )


async def test_what_is_kept_has_its_slot_and_what_is_rolled_back_is_not_kept(store: Store, ledger: Ledger) -> None:
    entity = uuid4()

    def fails(work: Work) -> None:
        count(work, entity, EVERY)
        raise LookupError

    with pytest.raises(LookupError):
        await store.transact(fails)
    assert await ledger.query("SELECT * FROM incidents.snapshots") == []
    slotted = replace(LONG, slot=lambda _state: 7)
    await store.transact(lambda work: count(work, entity, EVERY, slotted))
    await store.transact(lambda work: count(work, entity))
    assert await ledger.query("SELECT DISTINCT slot FROM incidents.stored_events") == [(7,)]


async def test_the_server_reads_no_more_than_it_gives(store: Store, ledger: Ledger) -> None:
    """Whatever plan it has: the rows before a snapshot are not looked at."""
    entity = uuid4()
    await store.transact(lambda work: count(work, entity, 3000))
    await store.transact(lambda work: count(work, entity, 3))

    def explained(log: EventLog, cursor: Any) -> list[dict[str, Any]]:
        assert LONG.shape is not None
        query = "EXPLAIN (ANALYZE, FORMAT JSON) " + log._load_after.as_string(cursor)
        rows = cursor.connection.cursor(binary=False).execute(query, ([entity, uuid4()], 8, LONG.shape.name))
        return [rows.fetchone()["QUERY PLAN"][0]["Plan"]]

    plans, looked_at = await store.log_read(explained), 0
    while plans:
        plan = plans.pop()
        plans += plan.get("Plans", [])
        if plan.get("Relation Name") == "stored_events":
            looked_at += plan["Actual Loops"] * (plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0))
    assert 0 < looked_at <= 5


def test_a_desk_does_the_same() -> None:
    desk, entity = Desk(plain), uuid4()
    for number in range(1, 3 * EVERY):
        before, totals = desk.log.events_read, list[int]()
        desk.take(lambda work, totals=totals: totals.append(count(work, entity)), CLOCK)  # type: ignore[misc]
        assert totals == [number]
        assert desk.log.events_read - before < EVERY
    assert desk.log.events_read > EVERY
    desk.take(lambda work: as_before(work, entity, 2), CLOCK)
    found: list[int] = []
    desk.take(lambda work: found.append(count(work, entity)), CLOCK)
    desk.take(lambda work: found.append(count(work, entity, decider=LATER)), CLOCK)
    assert found == [3 * EVERY + 2, 3 * EVERY + 3]


# --- What is held ----------------------------------------------------------------------------------------------------

HELD = uuid4()


def _marks(work: Work, entity: UUID) -> None:
    """A row that is right only as long as nobody appends to the entity."""
    seen = work.state(COUNT, entity)
    work.hold(entity)
    work.put(timer_set(SCHEMA, Timer(HELD, f"seen {seen}", work.now)))


async def test_what_is_held_is_decided_again_where_somebody_appends_meanwhile(store: Store, ledger: Ledger) -> None:
    entity, other, loop = uuid4(), ledger.make_store("b", project=plain), asyncio.get_running_loop()
    await other.transact(lambda work: add(work, entity))
    tries = 0

    def handler(work: Work) -> None:
        nonlocal tries
        tries += 1
        _marks(work, entity)
        if tries == 1:
            asyncio.run_coroutine_threadsafe(other.transact(lambda w: add(w, entity)), loop).result()

    await store.transact(handler)
    assert (tries, await ledger.query("SELECT name FROM incidents.timers")) == (2, [("seen 2",)])


async def test_whoever_has_the_append_lock_sees_all_that_was_held_and_is_seen(store: Store, ledger: Ledger) -> None:
    """It decides on rows that others write without an event: none of them is overlooked, whoever comes first."""
    entity, other = uuid4(), ledger.make_store("b", project=plain)
    await other.transact(lambda work: add(work, entity))
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()
    table = chassis_tables(SCHEMA).timers

    def ends(work: Work) -> int:
        work.lock_appends()
        loop.call_soon_threadsafe(begun.set)
        rows = len(work.fetch(table.select()))
        add(work, entity)
        return rows

    ending = asyncio.create_task(other.transact(ends))
    await begun.wait()
    await store.transact(lambda work: _marks(work, entity))
    assert (await ending).result == 0
    assert await ledger.query("SELECT name FROM incidents.timers") == [("seen 2",)]


async def test_what_is_held_and_appended_to_is_checked_by_the_append(store: Store, ledger: Ledger) -> None:
    entity = uuid4()

    def handler(work: Work) -> dict[UUID, int]:
        _marks(work, entity)
        add(work, entity)
        return work.held

    assert (await store.transact(handler)).result == {}


async def test_what_somebody_else_took_meanwhile_is_seen_by_the_next_attempt(store: Store, ledger: Ledger) -> None:
    """A row that nobody may have made before: the first attempt looked before the other one wrote."""
    table, other = chassis_tables(SCHEMA).answers, ledger.make_store("b", project=plain)
    loop, tries = asyncio.get_running_loop(), list[int]()
    key = {"actor": "a", "operation": "o", "key": "k", "body_hash": b"", "answer": b""}

    def handler(work: Work) -> None:
        there = work.fetch(table.select())
        tries.append(len(there))
        if not there:
            put = _putting(key | {"answered_at": work.now})
            if len(tries) == 1:
                asyncio.run_coroutine_threadsafe(other.transact(put), loop).result()
            put(work)

    await store.transact(handler)
    assert tries == [0, 1]


def _putting(values: dict[str, Any]) -> Callable[[Work], None]:
    return lambda work: work.put(Added(chassis_tables(SCHEMA).answers, values))
