"""A fold is what the owner knows: one snapshot and what came after it, nothing lost, nothing doubled, never a half."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import pytest
from nats.js.client import JetStreamContext
from sqlalchemy import select

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.consume import fold as folding
from libs.chassis.consume import owner as owning
from libs.chassis.consume.feed import Feed
from libs.chassis.consume.fold import Fold, NotLoaded
from libs.chassis.consume.reader import Reader, place_of
from libs.chassis.requests import snapshots
from libs.chassis.requests.server import Requests
from libs.chassis.requests.snapshots import add_snapshot
from libs.chassis.store.cursors import START
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import DEADLINE
from libs.chassis.tests.ledger import SCHEMA, Ledger, until
from libs.contracts.codec import CODEC
from libs.contracts.envelope import Envelope
from libs.contracts.incidents import AlertsGrouped
from libs.contracts.model import Lane
from libs.contracts.requests import SnapshotQuery

_TIMERS = chassis_tables(SCHEMA).timers
_BEGAN = MovableClock().now()
Counts = dict[str, int]


def _rows(work: Work) -> list[dict[str, Any]]:
    """How much each entity has counted, as its timer says."""
    found = work.fetch(select(_TIMERS).order_by(_TIMERS.c.entity))
    return [{"entity": str(r["entity"]), "count": int((r["due_at"] - _BEGAN).total_seconds())} for r in found]


def _load(rows: Sequence[Any]) -> Counts:
    return {row["entity"]: row["count"] for row in rows}


def _evolve(state: Counts, event: Envelope[Any]) -> Counts:
    entity = str(event.entity)
    state[entity] = state.get(entity, 0) + event.data.count
    return state


@dataclass
class Upstream:
    """The log of incidents with its relay, replicas that answer for it, and folds of what it has counted."""

    ledger: Ledger
    js: JetStreamContext
    bus: Bus
    relaying: asyncio.Task[None]
    read: Callable[[Work], Sequence[Any]] = _rows
    entities: list[UUID] = field(default_factory=lambda: [uuid4() for _ in range(5)])
    chance: random.Random = field(default_factory=lambda: random.Random(7))

    def _read(self, work: Work) -> Sequence[Any]:
        return self.read(work)  # whatever that is by then

    async def answer(self) -> Bus:
        """One more replica of the owner."""
        requests = Requests(SCHEMA)
        add_snapshot(requests, self.ledger.make_store("rpc", role="rpc"), "counts", self._read)
        return await self.ledger.answer(requests)

    def fold(self, load: Callable[[Sequence[Any]], Counts] = _load, evolve: Any = _evolve) -> Fold[Counts]:
        """A running one."""
        made: Fold[Counts] = Fold("gateway", self.bus, SCHEMA, "counts", load, evolve, (AlertsGrouped,))
        self.ledger.run(made.run)
        return made

    async def add(self, many: int = 1) -> None:
        """Events of a few entities, each in a lane of its own."""
        for _ in range(many):
            number = self.chance.randrange(len(self.entities))
            lane = list(Lane)[number % 2]
            await self.ledger.add(self.chance.randint(1, 9), self.entities[number], lane)

    async def counted(self) -> Counts:
        """By the log itself."""
        counts: Counter[str] = Counter()
        for entity, raw in await self.ledger.query("SELECT originator_id, state FROM incidents.stored_events"):
            counts[str(entity)] += CODEC.decode(AlertsGrouped.type, bytes(raw)).data.count
        return dict(counts)

    async def expect(self, *folds: Fold[Counts]) -> None:
        """They come to know what the log says."""
        expected = await self.counted()

        async def states() -> list[Counts | None]:
            return [fold.state if fold.ready else None for fold in folds]

        await until(states, lambda found: all(one == expected for one in found), f"{expected} in every fold")


@pytest.fixture
async def upstream(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    monkeypatch.setattr(owning, "_SNAPSHOT_WAIT", 0.5)
    monkeypatch.setattr(folding, "_REFUSED_AGAIN", 0.05)
    js = (await ledger.bus("operator")).client.jetstream()
    return Upstream(ledger, js, await ledger.bus("operator"), await ledger.relay())


async def _from_the_beginning(upstream: Upstream) -> Counts:
    """What a feed of each lane alone makes of the whole log."""
    state: Counts = {}
    for lane in Lane:
        end = (await upstream.ledger.lane(lane))[-1]
        async with aclosing(Feed(upstream.bus, SCHEMA, lane).after(START)) as batches:
            async for items, at in batches:
                for item in items:
                    state = _evolve(state, item.event(CODEC))
                if at.position >= end:
                    break
    return state


async def test_a_snapshot_and_what_follows_make_the_same_as_reading_from_the_beginning(upstream: Upstream) -> None:
    await upstream.answer()
    await upstream.add(20)
    fold = upstream.fold()
    await upstream.expect(fold)
    await upstream.add(20)
    await upstream.expect(fold)
    assert fold.state == await _from_the_beginning(upstream)
    assert (fold.lag, fold.stopped) == (0, None)
    readers: Sequence[Reader] = fold.lanes
    assert [place_of(reader) for reader in readers] == ["incidents.urgent", "incidents.routine"]
    assert [r.at.position for r in readers] == [(await upstream.ledger.lane(r.lane))[-1] for r in readers]


async def test_what_is_written_while_folds_begin_is_neither_lost_nor_doubled(upstream: Upstream) -> None:
    await upstream.answer()
    writing, folds = asyncio.create_task(upstream.add(150)), list[Fold[Counts]]()
    while not writing.done():
        folds.append(upstream.fold())
        await asyncio.wait_for(folds[-1].caught_up.wait(), DEADLINE)
    await writing
    assert len(folds) > 1
    await upstream.expect(*folds)


async def test_what_the_stream_lost_is_read_from_the_owner_and_a_late_fold_begins_behind_it(upstream: Upstream) -> None:
    await upstream.answer()
    await upstream.add(10)
    early = upstream.fold()
    await upstream.expect(early)
    await upstream.js.purge_stream("INCIDENTS")
    late = upstream.fold()
    await upstream.add(5)
    await upstream.expect(early, late)


async def test_an_owner_that_is_killed_while_it_is_asked_leaves_no_half_state(upstream: Upstream) -> None:
    asked, gone = threading.Event(), threading.Event()

    def hangs(work: Work) -> Sequence[Any]:
        rows = _rows(work)
        asked.set()
        assert gone.wait(10)
        return rows

    upstream.read = hangs
    await upstream.add(10)
    owner = await upstream.answer()
    fold = upstream.fold()
    assert await asyncio.to_thread(asked.wait, 10)
    await owner.client.close()
    gone.set()
    assert not fold.ready
    with pytest.raises(NotLoaded):
        _ = fold.state
    await upstream.add(3)
    upstream.read = _rows
    await upstream.answer()
    await upstream.expect(fold)


async def test_an_owner_that_is_killed_between_two_pages_is_asked_again_from_the_first(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_PAGE_BYTES", 100)
    await upstream.add(30)
    loads: list[int] = []
    pages = asyncio.Event()
    real = owning.Owner._page

    async def breaks(self: Any, operation: str, query: Any) -> Any:
        if query.page == 1 and not pages.is_set():
            pages.set()
            await owner.client.close()
        return await real(self, operation, query)

    def load(rows: Sequence[Any]) -> Counts:
        loads.append(len(rows))
        return _load(rows)

    monkeypatch.setattr(owning.Owner, "_page", breaks)
    owner = await upstream.answer()
    fold = upstream.fold(load)
    await asyncio.wait_for(pages.wait(), DEADLINE)
    # Another replica made none of those pages; it is asked for a snapshot of its own.
    await upstream.answer()
    await upstream.expect(fold)
    assert loads == [len(upstream.entities)], "no state was made of some of the pages"


async def test_a_new_epoch_takes_back_what_was_lost_with_the_old_one(upstream: Upstream) -> None:
    await upstream.answer()
    await upstream.add(10)
    fold = upstream.fold()
    await upstream.expect(fold)
    upstream.relaying.cancel()
    await asyncio.gather(upstream.relaying, return_exceptions=True)
    kept = [position for position, _ in await upstream.ledger.events()][6]
    await _restore(upstream, kept)
    await upstream.ledger.relay()
    await upstream.add(4)
    await upstream.expect(fold)
    assert {lane.at.epoch for lane in fold.lanes} == {2}


async def _restore(upstream: Upstream, after: int) -> None:
    """Log, epochs and tables of one moment: a fold that begins again in the middle must not see half of it."""
    connection = await upstream.ledger.connection("superuser", autocommit=False)
    await connection.execute("DELETE FROM incidents.stored_events WHERE notification_id > %s", (after,))
    await connection.execute("INSERT INTO incidents.epochs (epoch, after_position) VALUES (2, %s)", (after,))
    await connection.execute("DELETE FROM incidents.timers")
    await connection.execute(
        "INSERT INTO incidents.timers SELECT originator_id, 'count', %s + interval '1 second' * "
        "sum((convert_from(state, 'UTF8')::json->'data'->>'count')::int) FROM incidents.stored_events GROUP BY 1",
        (_BEGAN,),
    )
    await connection.commit()


async def test_an_event_that_cannot_be_folded_costs_a_new_snapshot_and_not_the_fold(upstream: Upstream) -> None:
    await upstream.answer()
    await upstream.add(5)
    failures: list[UUID] = []

    def fails_once(state: Counts, event: Envelope[Any]) -> Counts:
        if not failures:
            failures.append(event.entity)
            raise ZeroDivisionError
        return _evolve(state, event)

    fold = upstream.fold(evolve=fails_once)
    await asyncio.wait_for(fold.caught_up.wait(), DEADLINE)
    await upstream.add(5)
    await upstream.expect(fold)
    assert len(failures) == 1


async def test_a_refused_snapshot_says_so_and_the_state_before_stays_in_force(upstream: Upstream) -> None:
    await upstream.answer()
    await upstream.add(5)
    fold = upstream.fold()
    await upstream.expect(fold)
    before = dict(fold.state)
    upstream.read = lambda _work: [{"entity": "x" * 1_000_000, "count": 1}]
    late = upstream.fold()

    async def stopped() -> str:
        return late.stopped or ""

    reason = await until(stopped, bool, "why there is no state")
    assert "a row of the snapshot has 1000" in reason
    assert (late.ready, fold.ready, fold.state) == (False, True, before)
    upstream.read = _rows
    await upstream.expect(late, fold)
    assert late.stopped is None


async def test_a_large_snapshot_comes_in_pages_of_one_moment(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_PAGE_BYTES", 300)
    upstream.entities = [uuid4() for _ in range(40)]
    await upstream.add(200)
    await upstream.answer()
    fold = upstream.fold()
    await upstream.expect(fold)
    whole = await owning.Owner(upstream.bus, SCHEMA).snapshot("counts")
    assert whole.pages > 5
    assert _load(whole.data) == await upstream.counted()
    with pytest.raises(BusAway, match="begin again"):
        await owning.Owner(upstream.bus, SCHEMA)._page(whole.more, SnapshotQuery(id="unknown", page=1))
