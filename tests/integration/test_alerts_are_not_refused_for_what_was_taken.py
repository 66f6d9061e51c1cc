"""ALERTS is purged of what everybody has taken, never past a reader and mostly above the floor, and admins know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from nats.js.api import StreamInfo, StreamState
from nats.js.errors import APIError

from libs.chassis.testing.clock import MovableClock
from services.incidents.alerts.purge import AlertsPurge, AlertsReader, LaneReader
from services.incidents.housekeeping import Housekeeping
from tests.servers import Servers, recreate
from tests.world import World

_LIMIT = 256 * 1024
_BODY = '{"summary": "%s", "priority": "low", "description": "' + "x" * 8000 + '"}'
"""Thirty of these fill the stream."""
_DAY = timedelta(days=1)


@pytest.fixture
async def no_floor(servers: Servers) -> AsyncIterator[World]:
    async with World(servers, alerts_floor_hours=0) as made:
        await _limit(made)
        yield made


@pytest.fixture
async def day(servers: Servers) -> AsyncIterator[World]:
    """With the floor that there is by default."""
    async with World(servers) as made:
        await _limit(made)
        yield made


@pytest.fixture(autouse=True)
async def _restored(servers: Servers) -> AsyncIterator[None]:
    yield
    operator = await servers.connect("operator")
    await recreate(operator.jetstream(), "ALERTS")
    await operator.close()


async def _limit(world: World) -> None:
    js = world.operator.jetstream()
    config = (await js.stream_info("ALERTS")).config
    config.max_bytes = _LIMIT
    await js.update_stream(config)


async def _state(world: World) -> StreamState:
    return (await world.operator.jetstream().stream_info("ALERTS")).state


async def _fill(world: World, share: float) -> None:
    """Publish alerts, each of an incident of its own, until ALERTS is so full."""
    while (state := await _state(world)).bytes < share * _LIMIT:
        await world.publish((_BODY % f"alert {state.last_seq}").encode())


@dataclass
class _Registered:
    """A reader of ALERTS that has taken everything up to a sequence."""

    up_to: int

    async def taken(self, _info: StreamInfo) -> int:
        return self.up_to


def _stream(world: World, *readers: AlertsReader, clock: Any = None, floor: float = 0) -> AlertsPurge:
    """As the owner sees it, with readers of our own; by default its clock makes everything old enough."""
    bus = world.services["incidents"].bus
    return AlertsPurge(bus, clock or MovableClock(datetime.now(UTC) + _DAY), readers, timedelta(hours=floor))


def _intake(world: World) -> Sequence[AlertsReader]:
    """The readers that incidents registers."""
    house = next(e for e in world.services["incidents"].parts.engines if isinstance(e, Housekeeping))
    return house.purge.readers


async def test_alerts_that_were_taken_make_room_for_new_ones(no_floor: World) -> None:
    world = no_floor
    for number in range(3):
        await _fill(world, 0.75)
        await world.settle()
        await world.advance(minutes=10)
        state = await world.eventually(lambda: _state(world), lambda s: s.bytes <= 0.6 * _LIMIT, "room in ALERTS")
        assert state.bytes > 0.3 * _LIMIT, f"round {number}: more stays than must go"
    count = len(await world.incidents())
    await world.fire_alert("still taken", priority="critical")
    await world.settle()
    titles = [incident["title"] for incident in await world.incidents()]
    assert (len(titles), "still taken" in titles) == (count + 1, True), "nothing was read again"


async def test_what_a_registered_reader_has_still_to_read_stays(day: World) -> None:
    world = day
    await _fill(world, 0.75)
    await world.settle()
    before = await _state(world)
    stream = _stream(world, *_intake(world), _Registered(before.first_seq + 4))
    await stream.tend()
    await stream.tend()  # as after a crash: said twice, it changes nothing
    assert (await _state(world)).first_seq == before.first_seq + 5
    await _stream(world, *_intake(world), _Registered(0)).tend()
    assert (await _state(world)).first_seq == before.first_seq + 5
    await _stream(world).tend()
    assert (await _state(world)).first_seq == before.first_seq + 5, "nobody registered: nobody has taken anything"


async def test_a_lane_that_is_behind_holds_back_what_it_has_not_taken_and_a_silent_one_nothing(day: World) -> None:
    world = day
    await world.stop("incidents")
    await world.publish(b'{"summary": "waits", "priority": "critical"}', "db.critical")
    await _fill(world, 0.75)
    await world.start("incidents")
    await world.settle()
    assert [await r.taken(await _info(world)) for r in _intake(world)] == [(await _state(world)).last_seq] * 2
    urgent, routine = (cast("LaneReader", reader) for reader in _intake(world))
    await world.stop("incidents")
    last = (await _state(world)).last_seq
    await world.publish(b'{"summary": "not taken", "priority": "critical"}', "db.critical")
    await world.start("incidents")
    bus, store = world.services["incidents"].bus, world.services["incidents"].runtime.rpc
    await world.settle()
    assert [await LaneReader(r.lane, store, bus).taken(await _info(world)) for r in (urgent, routine)] == [last + 1] * 2


async def _info(world: World) -> StreamInfo:
    return await world.operator.jetstream().stream_info("ALERTS")


async def test_another_streams_cursor_lets_nothing_go(day: World) -> None:
    world = day
    await world.fire_alert("before")
    await world.settle()
    urgent, routine = _intake(world)
    info = await _info(world)
    assert [await urgent.taken(info), await routine.taken(info)] == [info.state.last_seq] * 2
    info.created = datetime(2020, 1, 1, tzinfo=UTC)
    assert [await urgent.taken(info), await routine.taken(info)] == [info.state.last_seq, 0]


async def test_what_is_younger_than_the_floor_stays_and_the_earlier_clock_counts(day: World) -> None:
    world = day
    await _fill(world, 0.30)
    between = datetime.now(UTC)
    while datetime.now(UTC) - between < timedelta(milliseconds=5):
        await asyncio.sleep(0)
    await _fill(world, 0.75)
    await world.settle()
    js, before = world.operator.jetstream(), await _state(world)
    readers = _intake(world)
    old = [s for s in range(before.first_seq, before.last_seq) if (await _time(js, s)) <= between]

    ahead = MovableClock(datetime.now(UTC) + _DAY)
    await _stream(world, *readers, clock=ahead, floor=1).tend()
    assert (await _state(world)).first_seq == before.first_seq, "a clock that runs ahead makes nothing old"
    then = MovableClock(between)
    await _stream(world, *readers, clock=then, floor=0).tend()
    assert before.first_seq < (await _state(world)).first_seq <= old[-1] + 1
    for _ in range(3):
        await _stream(world, *readers, clock=then, floor=0).tend()
    after = await _state(world)
    assert after.first_seq <= old[-1] + 1, "what came after that moment stays"


async def _time(js: Any, sequence: int) -> datetime:
    found = await js.get_msg("ALERTS", seq=sequence, subject=">", next=True)
    return cast("datetime", found.time)


async def test_a_stream_that_fills_and_may_not_be_purged_pages_the_admins_before_it_refuses(day: World) -> None:
    world = day
    await world.two_responders()
    root = await world.person("root", roles=("admin",))
    await _fill(world, 0.82)
    await world.settle()
    first = (await _state(world)).first_seq
    await world.advance(seconds=10)
    await root.expect_push("The stream ALERTS is 8")
    assert (await _state(world)).first_seq == first, "nothing is younger than a day"
    await world.advance(minutes=5)
    alarms = await world.operator.jetstream().stream_info("ALERTS", subjects_filter="pager.alerts.pager.>")
    assert sum((alarms.state.subjects or {}).values()) == 1, "once an hour"
    with pytest.raises(APIError):
        await _fill(world, 1.1)


async def test_one_sender_that_sends_more_in_a_day_than_fits_fills_it_for_nobody(day: World) -> None:
    """Where it is a choice between what is young and what comes: what a reader has still to take stays."""
    world = day
    await world.two_responders()
    root = await world.person("root", roles=("admin",))
    for _ in range(3):
        await _fill(world, 0.93)
        await world.settle()
        await world.advance(seconds=10)
        state = await world.eventually(lambda: _state(world), lambda s: s.bytes < 0.88 * _LIMIT, "room in ALERTS")
        assert state.bytes > 0.8 * _LIMIT, "no more goes than must"
    await root.expect_push("The stream ALERTS is 8")
    await _fill(world, 0.93)
    await world.settle()
    before = await _state(world)
    await _stream(world, *_intake(world), _Registered(before.first_seq + 1), clock=world.clock, floor=24).tend()
    assert (await _state(world)).first_seq == before.first_seq + 2
