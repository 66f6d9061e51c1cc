"""ALERTS has neither a chain nor an owner to ask, and all the same every alert in it takes effect, and once."""

from __future__ import annotations

import asyncio

import pytest

from libs.chassis.consume.reader import StoredReader
from libs.chassis.testing.deadline import in_time
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS
from tests.faults import break_intake
from tests.servers import back_up, recreate, restore
from tests.world import World


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


async def _key(world: World) -> str:
    answer = await world.admin.call("POST", "/integrations", {"name": "Shop"})
    return str(answer.data["routingKey"])


async def _resolved(world: World) -> dict[str, str]:
    await world.settle()
    return {incident["title"]: incident["status"] for incident in await world.incidents()}


@pytest.mark.parametrize("grown", [0, 1, 5])
async def test_a_stream_that_lost_its_end_pages_nothing_again_and_what_is_new_under_old_sequences_is_taken(
    world: World, grown: int
) -> None:
    """However far it has grown again before anybody looks."""
    key = await _key(world)
    for name in "ab":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
        await world.fire_alert(name, dedupKey=name, routingKey=key, action="resolve")
    await world.settle()
    backup = await back_up(world.operator, ALERTS)
    for name in "cd":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
        await world.fire_alert(name, dedupKey=name, routingKey=key, action="resolve")
    assert await _resolved(world) == dict.fromkeys("abcd", "resolved")
    await world.stop("incidents")
    await restore(world.operator, ALERTS, backup)
    for number in range(grown):
        await world.fire_alert(f"new {number}", dedupKey=f"new {number}", routingKey=key)
    await world.start("incidents")
    alarm = {"The stream ALERTS was recreated or shortened": "created"}
    new = {f"new {number}": "created" for number in range(grown)}
    await world.eventually(
        lambda: _resolved(world), lambda found: found == dict.fromkeys("abcd", "resolved") | new | alarm, "the new ones"
    )
    # Places of before the loss are older than all that came after it, whatever their numbers.
    for number in range(grown):
        await world.fire_alert("it is over", dedupKey=f"new {number}", routingKey=key, action="resolve")
    await world.stop("incidents")
    await world.start("incidents")
    ended = dict.fromkeys(new, "resolved")
    await world.eventually(
        lambda: _resolved(world),
        lambda found: found == dict.fromkeys("abcd", "resolved") | ended | alarm,
        "their ends, and no second alarm",
    )


async def test_a_stream_that_lost_part_of_a_batch_pages_nothing_of_the_rest_again(world: World) -> None:
    key = await _key(world)
    await world.settle()
    await world.stop("incidents")
    for name in "abc":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
        await world.fire_alert(name, dedupKey=name, routingKey=key, action="resolve")
    backup = await back_up(world.operator, ALERTS)
    for name in "def":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
    await world.start("incidents")
    wanted = dict.fromkeys("abc", "resolved") | dict.fromkeys("def", "created")
    await world.eventually(lambda: _resolved(world), lambda found: found == wanted, "all of them")
    await world.stop("incidents")
    await restore(world.operator, ALERTS, backup)
    await world.fire_alert("new", dedupKey="new", routingKey=key)
    await world.start("incidents")
    alarm = {"The stream ALERTS was recreated or shortened": "created"}
    await world.eventually(
        lambda: _resolved(world), lambda found: found == wanted | {"new": "created"} | alarm, "the new one"
    )


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
