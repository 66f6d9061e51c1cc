"""A command waits for what an upstream has just written, at most a second, and holds nothing meanwhile (promise 12)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from nats.aio.msg import Msg

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.sending import has_sent
from libs.chassis.consume.arrival import Arrival, Seen, Unreachable
from libs.chassis.store.cursors import START, Move, Position
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.chassis.tests.ledger import Ledger
from libs.contracts.model import Lane
from libs.contracts.requests import PositionView, Reply

_LANE = Lane.ROUTINE


@dataclass
class _Upstream:
    """`auth`, as far as it says where its log ends, and our replica of it."""

    ledger: Ledger
    bus: Bus
    end: int = 9
    epoch: int = 1
    epoch_after: int = 0
    asked: int = 0
    looks: int = 0
    missing: bool = True
    _at: Position = field(default=START)

    async def answer(self, message: Msg) -> None:
        self.asked += 1
        view = PositionView(epoch=self.epoch, epoch_after=self.epoch_after, lanes={_LANE: self.end})
        await message.respond(Reply(ok=True, data=view).to_json())

    async def read_to(self, position: int) -> None:
        """The consumer's cursor comes to stand there."""
        new = Position(1, position)
        await self.ledger.store.transact(lambda _work: None, Move("auth", _LANE, self._at, new))
        self._at = new

    def is_missing(self, _work: Work) -> bool:
        self.looks += 1
        return self.missing

    def arrival(self, patience: float = 2 * DEADLINE) -> Arrival:
        return Arrival(self.ledger.store, self.bus, patience)


@pytest.fixture
async def upstream(ledger: Ledger) -> AsyncIterator[_Upstream]:
    made = _Upstream(ledger, await ledger.bus())
    await ledger.store.position("auth", _LANE)
    owner = await ledger.servers.connect("auth")
    await owner.subscribe("pager.rpc.auth.position", cb=made.answer)
    await has_sent(owner)
    yield made
    await owner.close()


async def _started(upstream: _Upstream, looks: int, *waiting: asyncio.Task[Any]) -> None:
    async with in_time():
        while upstream.looks < looks:
            await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)


async def test_what_is_known_is_not_waited_for_and_nobody_is_asked(upstream: _Upstream) -> None:
    upstream.missing = False
    await upstream.arrival().of(upstream.is_missing, "auth")
    assert (upstream.looks, upstream.asked) == (1, 0)


async def test_it_ends_when_what_the_owner_had_written_is_read(upstream: _Upstream) -> None:
    waiting = asyncio.create_task(upstream.arrival().of(upstream.is_missing, "auth"))
    await _started(upstream, 2, waiting)
    await upstream.read_to(9)
    async with in_time():
        assert await waiting is Seen.READ


async def test_a_lane_in_which_nothing_was_ever_written_is_read(upstream: _Upstream) -> None:
    upstream.end = 0
    async with in_time():
        assert await upstream.arrival().of(upstream.is_missing, "auth") is Seen.READ


async def test_who_has_read_all_before_a_new_epoch_has_read_it_all_while_nothing_is_written_in_it(
    upstream: _Upstream,
) -> None:
    await upstream.read_to(9)
    upstream.epoch, upstream.epoch_after = 2, 9
    async with in_time():
        assert await upstream.arrival().of(upstream.is_missing, "auth") is Seen.READ
    upstream.end = 10
    assert await upstream.arrival(patience=0.1).of(upstream.is_missing, "auth") is Seen.STILL


async def test_it_ends_when_nothing_is_missing_any_more_although_the_cursor_is_not_at_the_end(
    upstream: _Upstream,
) -> None:
    waiting = asyncio.create_task(upstream.arrival().of(upstream.is_missing, "auth"))
    await _started(upstream, 2, waiting)
    upstream.missing = False
    await upstream.read_to(3)
    async with in_time():
        assert await waiting is Seen.THERE


async def test_it_ends_when_patience_does(upstream: _Upstream) -> None:
    async with in_time():
        assert await upstream.arrival(patience=0.1).of(upstream.is_missing, "auth") is Seen.UNREAD
        await upstream.read_to(3)
        assert await upstream.arrival(patience=0.1).of(upstream.is_missing, "auth") is Seen.STILL


async def test_who_is_behind_cannot_say_that_nothing_needs_a_thing(upstream: _Upstream) -> None:
    await upstream.read_to(3)
    async with in_time():
        await upstream.arrival(patience=0.1).of_everything("auth")  # what came since may have no effect here

        async def read_on() -> None:
            for position in count(4):
                await upstream.read_to(position)

        upstream.end = 10**9
        reading = asyncio.create_task(read_on())
        with pytest.raises(Unreachable):
            await upstream.arrival(patience=1.0).of_everything("auth")
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        upstream.end = 4
        await upstream.arrival().of_everything("auth")


async def test_an_owner_who_does_not_answer_leaves_it_open_whether_there_is_such_a_thing(upstream: _Upstream) -> None:
    with pytest.raises(Unreachable):
        await upstream.arrival().of(upstream.is_missing, "escalation")


async def test_many_who_wait_leave_the_database_to_the_others(upstream: _Upstream) -> None:
    arrival = upstream.arrival()
    waiting = [asyncio.create_task(arrival.of(upstream.is_missing, "auth")) for _ in range(300)]
    await _started(upstream, 2 * len(waiting), *waiting)
    async with in_time():
        for _ in range(20):
            await upstream.ledger.add()
    assert not any(task.done() for task in waiting)
    assert upstream.looks == 2 * len(waiting), "while the cursor stands still, nobody looks for what is missing"
    await upstream.read_to(9)
    async with in_time():
        await asyncio.gather(*waiting)
