"""A feed hands out all that follows a place, in order and once, whatever the stream holds of it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from nats.js.client import JetStreamContext

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.consume.feed import Ahead, Batch, Feed
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.store.cursors import START, Position
from libs.chassis.store.work import Decider
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.chassis.tests.ledger import CAUSE, SCHEMA, Ledger, until
from libs.contracts.envelope import Actor
from libs.contracts.incidents import IncidentClosed
from libs.contracts.model import Lane
from tests.servers import recreate

_STREAM = "INCIDENTS"


@dataclass
class Source:
    """The log of incidents, its stream, and a reader's connection."""

    ledger: Ledger
    js: JetStreamContext
    bus: Bus
    relaying: asyncio.Task[None]

    def feed(self, lane: Lane = Lane.URGENT) -> Feed:
        return Feed(self.bus, SCHEMA, lane)

    async def add(self, many: int = 1) -> list[int]:
        """Events in both lanes; returns the positions of the urgent ones once all are published."""
        for number in range(many):
            await self.ledger.add(lane=list(Lane)[number % 2])

        async def published() -> int:
            return (await self.js.stream_info(_STREAM)).state.last_seq

        behind = len(await self.ledger.events())
        await until(published, lambda last: last >= behind, "everything in the stream")
        return await self.ledger.lane()

    async def restore(self, after: int) -> None:
        """What came after that position is lost, and epoch 2 begins."""
        self.relaying.cancel()
        await asyncio.gather(self.relaying, return_exceptions=True)
        await self.ledger.begin_epoch(2, after)
        self.relaying = await self.ledger.relay()


@pytest.fixture
async def source(ledger: Ledger) -> Source:
    await ledger.answer()
    js = (await ledger.bus("operator")).client.jetstream()
    return Source(ledger, js, await ledger.bus("operator"), await ledger.relay())


async def _read(feed: Feed, place: Position, last: int) -> list[Batch]:
    """Batches up to the one that ends at this position."""
    found: list[Batch] = []
    async with in_time(), aclosing(feed.after(place)) as batches:
        async for batch in batches:
            found.append(batch)
            if batch.at.position >= last:
                break
    return found


def _positions(batches: list[Batch]) -> list[int]:
    return [item.at.position for batch in batches for item in batch.items]


async def test_from_any_position_comes_all_that_follows_it_and_nothing_else(source: Source) -> None:
    positions = await source.add(12)
    feed = source.feed()
    for number, position in enumerate([0, *positions[:-1]]):
        batches = await _read(feed, Position(1, position) if position else START, positions[-1])
        assert _positions(batches) == positions[number:]
        assert all(batch.at == batch.items[-1].at for batch in batches)


async def test_a_place_in_the_stream_is_gone_on_from_without_asking_the_owner_for_events(
    source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed, last = source.feed(), Batch((), START)

    async def read() -> None:
        nonlocal last
        async with aclosing(feed.after(START)) as batches:
            async for batch in batches:
                last = batch

    reading = source.ledger.run(read)
    await asyncio.wait_for(feed.caught_up.wait(), DEADLINE)
    seen = await source.add(4)

    async def place() -> Position:
        return last.at

    known = await until(place, lambda at: at.position == seen[-1], "the last of them")
    reading.cancel()
    assert known.sequence > 0, "it came from the stream"

    async def no_owner(*_: object) -> None:
        raise AssertionError("the owner was asked for events")

    monkeypatch.setattr("libs.chassis.consume.owner.Owner.events", no_owner)
    newest = await source.add(4)
    assert _positions(await _read(source.feed(), known, newest[-1])) == newest[len(seen) :]


async def test_holes_a_purge_and_a_new_stream_are_filled_from_the_owner(source: Source) -> None:
    positions = await source.add(12)
    for sequence in (1, 3, 4, 9):
        await source.js.delete_msg(_STREAM, sequence)
    assert _positions(await _read(source.feed(), START, positions[-1])) == positions
    await source.js.purge_stream(_STREAM)
    assert _positions(await _read(source.feed(), Position(1, positions[1]), positions[-1])) == positions[2:]
    await recreate(source.js, _STREAM)
    assert _positions(await _read(source.feed(), Position(1, positions[1]), positions[-1])) == positions[2:]


async def test_whoever_begins_again_from_what_it_has_taken_misses_nothing_of_a_recreated_stream(
    source: Source,
) -> None:
    await source.add(4)
    feed, found, at = source.feed(), list[int](), START

    async def read() -> None:
        nonlocal at
        async with aclosing(feed.after(at)) as batches:
            async for batch in batches:
                found.extend(item.at.position for item in batch.items)
                at = batch.at

    source.ledger.run(lambda: follow_for_ever(source.bus, read, "gateway", "incidents.urgent"))
    await asyncio.wait_for(feed.caught_up.wait(), DEADLINE)
    await recreate(source.js, _STREAM)
    await source.ledger.add()
    newest = await source.add(6)

    async def seen() -> list[int]:
        return found

    assert await until(seen, lambda positions: len(positions) >= len(newest), "everything") == newest


async def test_a_new_epoch_is_told_by_a_batch_without_events_and_followed_from_where_it_began(source: Source) -> None:
    positions = await source.add(8)
    await source.restore(positions[2])
    feed = source.feed()
    newest = (await source.add(2))[-1]
    batches = await _read(feed, Position(1, positions[3]), newest)
    assert batches[0] == Batch((), batches[0].at)
    assert (batches[0].at.epoch, batches[0].at.position) == (2, positions[2])
    assert _positions(batches) == [newest]
    assert await feed.end() == (2, newest)


async def _known(source: Source, last: int) -> Position:
    """A place in the stream, as a reader has it that has read up to there."""
    at, feed = [START], source.feed()

    async def read() -> None:
        async with aclosing(feed.after(START)) as batches:
            async for batch in batches:
                at[0] = batch.at

    reading = source.ledger.run(read)
    await asyncio.wait_for(feed.caught_up.wait(), DEADLINE)
    await source.add(2)

    async def place() -> Position:
        return at[0]

    known = await until(place, lambda found: found.position > last, "what was added")
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)
    return known


async def test_whoever_begins_in_an_old_epoch_takes_nothing_more_of_what_it_lost(source: Source) -> None:
    """No event of the new one is needed for that, and several epochs are passed over together."""
    known = await _known(source, (await source.add(6))[-1])
    assert known.sequence > 0, "the stream would go on from there"
    lost = await source.add(8)
    kept = [p for p in lost if p <= lost[-3]]
    await source.restore(lost[-3])
    await source.ledger.query("INSERT INTO incidents.epochs (epoch, after_position) VALUES (3, %s)", lost[-3] + 1)
    batches = await _read(source.feed(), known, kept[-1])
    assert _positions(batches) == [p for p in kept if p > known.position]
    assert {batch.at.epoch for batch in batches} == {3}
    ahead = known._replace(position=lost[-1], sequence=0)
    first = (await _read(source.feed(), ahead, 0))[0]
    assert (first.at.epoch, first.at.position) == (3, lost[-3]), "the earliest of both beginnings"


async def test_of_a_log_that_was_cut_and_has_not_begun_an_epoch_yet_nothing_is_taken_that_it_lost(
    source: Source,
) -> None:
    known = await _known(source, (await source.add(6))[-1])
    positions = await source.add(8)
    source.relaying.cancel()
    await asyncio.gather(source.relaying, return_exceptions=True)
    await source.ledger.restore(positions[-3])
    feed, taken = source.feed(), list[Batch]()

    async def read(place: Position) -> None:
        async with aclosing(feed.after(place)) as batches:
            async for batch in batches:
                taken.append(batch)

    with pytest.raises(Ahead, match=f"ends at {positions[-3]}"):
        await asyncio.wait_for(read(known), DEADLINE)
    assert set(_positions(taken)) <= {p for p in positions if p <= positions[-3]}
    with pytest.raises(Ahead, match=f"before {positions[-1]} that it published"):
        await asyncio.wait_for(read(Position(1, positions[-1])), DEADLINE)
    assert feed.caught_up.is_set(), "nobody waits for what is not there"
    # Its relay finds the same, and whoever begins again follows.
    source.relaying = await source.ledger.relay()
    newest = await source.ledger.add()

    async def epochs() -> int:
        return (await source.ledger.store.epochs()).current.number

    await until(epochs, lambda number: number == 2, "the new epoch")
    batches = await _read(source.feed(), Position(1, positions[-1]), newest)
    assert _positions(batches) == [newest]


async def test_a_feed_of_one_type_gets_it_alone_from_the_stream_and_what_the_stream_lost_from_its_owner(
    source: Source,
) -> None:
    async def add_closed(entity: UUID) -> int:
        fact = IncidentClosed(incident_id=entity, by=Actor.service("test"), at=source.ledger.clock.now())
        decider = Decider[int, IncidentClosed](
            int, lambda state, _: state, lambda it, _: [it], lane=lambda _: Lane.URGENT
        )
        committed = await source.ledger.store.transact(lambda work: work.decide(decider, entity, fact, CAUSE))
        assert committed.position is not None
        return committed.position

    feed, batches = Feed(source.bus, SCHEMA, Lane.URGENT, only=(IncidentClosed.type,)), list[Batch]()

    async def read() -> None:
        async with aclosing(feed.after(START)) as found:
            async for batch in found:
                batches.append(batch)

    async def seen() -> list[int]:
        return _positions(batches)

    reading = source.ledger.run(read)
    await asyncio.wait_for(feed.caught_up.wait(), DEADLINE)
    await source.add(6)
    first = await add_closed(uuid4())
    await source.add(6)
    second = await add_closed(uuid4())
    assert await until(seen, lambda found: second in found, "the second") == [first, second]
    place = batches[-1].at
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)

    await source.add(4)
    third = await add_closed(uuid4())
    await source.add(2)
    assert _positions(await _read(feed, place, third)) == [third], (
        "its place in the stream is good: nobody else is asked"
    )
    await recreate(source.js, _STREAM)
    assert third in _positions(await _read(feed, place, third)), (
        "of another stream nothing is believed: the owner is asked"
    )


async def test_a_gap_whose_owner_is_away_stops_it_there(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    positions = await source.add(4)

    async def away(*_: object) -> None:
        raise BusAway("nobody answers")

    monkeypatch.setattr("libs.chassis.consume.owner.Owner.events", away)
    with pytest.raises(BusAway, match="nobody answers"):
        await _read(source.feed(), Position(1, positions[0]), positions[-1])


@pytest.mark.parametrize("private", [True, False])
async def test_what_is_known_must_do_while_the_owner_that_would_tell_the_rest_is_away(
    ledger: Ledger, private: bool
) -> None:
    """A place that came from the owner has none in the stream; and whoever has read nothing yet knows nobody."""
    await ledger.add(lane=Lane.URGENT)
    await ledger.relay()
    bus = await ledger.bus("operator")
    for place, is_known in ((Position(1, 1, 0, ""), True), (START, False)):
        feed = Feed(bus, SCHEMA, Lane.URGENT, must_know_end=True, private=private)
        with pytest.raises(BusAway):
            await _read(feed, place, 1000)
        assert feed.caught_up.is_set() is is_known
