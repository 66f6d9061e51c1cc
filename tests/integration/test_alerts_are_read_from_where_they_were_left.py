"""ALERTS has neither a chain nor an owner to ask, and all the same every alert in it takes effect, and once."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from nats.js.api import DiscardPolicy

from libs.chassis.consume.reader import StoredReader
from libs.chassis.testing.deadline import in_time
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS, SERVICES
from tests.faults import break_intake
from tests.servers import recreate
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")


def _readers(world: World) -> dict[Lane, StoredReader]:
    return {reader.lane: reader for reader in world.services["incidents"].readers if reader.upstream == ALERTS}


async def _titles(world: World) -> list[str]:
    await world.settle()
    return sorted(incident["title"] for incident in await world.incidents())


async def test_what_comes_while_nobody_reads_waits_and_whoever_begins_says_when_it_has_caught_up(world: World) -> None:
    await world.fire_alert("before")
    await world.settle()
    await world.stop("incidents")
    for number in range(3):
        await world.fire_alert(f"meanwhile {number}")
        await world.publish(b'{"summary": "urgent %d", "priority": "critical"}' % number, "db.critical")
    await world.start("incidents")
    readers = _readers(world)
    async with in_time():
        await asyncio.gather(*(reader.caught_up.wait() for reader in readers.values()))
    assert (readers[Lane.ROUTINE].at.sequence, readers[Lane.URGENT].at.position) == (0, 7)
    assert readers[Lane.ROUTINE].at.position == 6
    assert {(reader.lag, reader.stopped) for reader in readers.values()} == {(0, None)}
    expected = ["before", *(f"meanwhile {n}" for n in range(3)), *(f"urgent {n}" for n in range(3))]
    assert await _titles(world) == sorted(expected)


@pytest.mark.services(*SERVICES)
async def test_a_recreated_stream_is_read_from_its_start_with_one_alarm_and_nothing_twice(world: World) -> None:
    await world.two_responders()
    root = await world.person("root", roles=("admin",))
    await world.fire_alert("first", dedupKey="first")
    await world.fire_alert("second", dedupKey="second")
    assert await _titles(world) == ["first", "second"]
    await world.stop("incidents")
    await recreate(world.operator.jetstream(), ALERTS)
    # Its sender sends the first one again, and a new one lies where an old one had been.
    await world.fire_alert("first", dedupKey="first")
    await world.fire_alert("third", dedupKey="third")
    await world.start("incidents")
    await root.expect_push("The stream ALERTS was recreated or shortened")
    assert await _titles(world) == ["The stream ALERTS was recreated or shortened", "first", "second", "third"]
    assert (await world.incident("first"))["alertCount"] == 2


@pytest.mark.services(*SERVICES)
async def test_a_recreated_stream_that_takes_no_alarm_is_read_all_the_same_and_the_alarm_comes_when_it_is_taken(
    world: World,
) -> None:
    """Whoever waits for the alarm would wait for room that only reading can make."""
    await world.two_responders()
    root = await world.person("root", roles=("admin",))
    await world.fire_alert("first", dedupKey="first")
    assert await _titles(world) == ["first"]
    await world.stop("incidents")
    js = world.operator.jetstream()
    await recreate(js, ALERTS)
    await world.fire_alert("second", dedupKey="second")
    config = (await js.stream_info(ALERTS)).config
    await js.update_stream(replace(config, max_msgs=1, discard=DiscardPolicy.NEW))
    await world.start("incidents")
    await world.eventually(lambda: _titles(world), lambda titles: "second" in titles, "what the stream holds")
    await js.update_stream(config)
    await root.expect_push("The stream ALERTS was recreated or shortened")


async def test_a_batch_with_a_fault_costs_the_faulty_alert_only_and_a_replay_reads_it_again(world: World) -> None:
    await world.stop("incidents")
    for number in range(6):
        await world.fire_alert(f"alert {number}", dedupKey=str(number))
    await world.start("incidents")
    repair = break_intake(world, lambda raw: b"alert 6" in raw)
    for number in range(6, 9):
        await world.fire_alert(f"alert {number}", dedupKey=str(number))
    found = await world.eventually(world.parked, lambda parked: len(parked) == 1, "the one that is parked")
    assert (found[0]["kind"], found[0]["upstream"], found[0]["type"]) == ("failure", ALERTS, "pager.alerts.db")
    await world.eventually(lambda: _titles(world), lambda titles: "alert 8" in titles, "what came behind it")
    repair()
    assert (await world.rpc("incidents", "replay")).data == {"replayed": 1, "stillParked": 0}
    assert "alert 6" in await _titles(world)
