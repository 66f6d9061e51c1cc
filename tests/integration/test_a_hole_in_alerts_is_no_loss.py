"""A message that somebody deleted from ALERTS is a hole, and no other stream: nothing is read again, nobody is told."""

from __future__ import annotations

import pytest
from psycopg import AsyncConnection
from sqlalchemy import select

from libs.chassis.bus.stored import last_message
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS
from services.incidents.alerts import intake
from services.incidents.alerts.kept import kept_answers
from services.incidents.alerts.stream import READ
from tests.restorable import Restorable
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")

_ALARM = "The stream ALERTS was recreated or shortened"


async def _key(world: World) -> str:
    answer = await world.admin.call("POST", "/integrations", {"name": "Shop"})
    return str(answer.data["integration"]["key"])


async def _titles(world: World) -> list[str]:
    await world.settle()
    return sorted(incident["title"] for incident in await world.incidents())


async def _fire_and_resolve(world: World, key: str, name: str, source: str = "db") -> None:
    """Each in a batch of its own."""
    for action in ("trigger", "resolve"):
        await world.fire_alert(name, source=source, dedupKey=name, routingKey=key, action=action)
        await world.settle()


async def _cursor(world: World, lane: Lane) -> int:
    return (await world.services["incidents"].runtime.work.position(ALERTS, lane)).position


@pytest.mark.parametrize("neighbours", [0, 1, 2])
async def test_a_deleted_message_at_the_cursor_of_an_idle_lane_says_nothing(world: World, neighbours: int) -> None:
    key = await _key(world)
    for name in ("one", "two"):
        await _fire_and_resolve(world, key, name, "db.critical")
    await _fire_and_resolve(world, key, "three")
    at = await _cursor(world, Lane.URGENT)
    for sequence in range(at - neighbours, at + 1):
        await world.operator.jetstream().delete_msg(ALERTS, sequence)
    await world.stop("incidents")
    await world.start("incidents")
    await world.fire_alert("four", source="db.critical")
    assert await _titles(world) == ["four", "one", "three", "two"]
    assert {incident["alertCount"] for incident in await world.incidents()} == {1}
    assert await _cursor(world, Lane.URGENT) > at


async def test_a_stream_that_lost_its_end_is_read_from_there_although_there_are_holes_before_it(
    restorable: Restorable, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alarm is true; what was taken pages nobody again, not even where a batch is one alert."""
    world = restorable.world
    key = await _key(world)
    for name in "abcd":
        await _fire_and_resolve(world, key, name)
    for sequence in (5, 6):
        await world.operator.jetstream().delete_msg(ALERTS, sequence)
    await restorable.back_up()
    await _fire_and_resolve(world, key, "e")
    await world.stop("incidents")
    await restorable.restore()
    monkeypatch.setattr(intake, "_BATCH", 1)
    await world.fire_alert("new", dedupKey="new", routingKey=key)
    await world.start("incidents")
    wanted = sorted([_ALARM, *"abcde", "new"])
    await world.eventually(lambda: _titles(world), lambda found: found == wanted, "the new one, and nothing twice")
    work = world.services["incidents"].runtime.work
    assert "/8@" in (await work.position(ALERTS, Lane.ROUTINE)).incarnation, "up to there it is the same"


async def test_a_hole_where_a_stream_was_replaced_hides_nothing(restorable: Restorable) -> None:
    """What stands before the hole is not what was taken."""
    world = restorable.world
    key = await _key(world)
    await _fire_and_resolve(world, key, "a")
    await restorable.back_up()
    await _fire_and_resolve(world, key, "b")
    at = await _cursor(world, Lane.ROUTINE)
    await world.stop("incidents")
    await restorable.restore()
    for number in range(4):
        await world.fire_alert(f"new {number}", dedupKey=f"new {number}", routingKey=key)
    await world.operator.jetstream().delete_msg(ALERTS, at)
    await world.start("incidents")
    new = [f"new {number}" for number in range(4) if at != 3 + number]
    wanted = sorted([_ALARM, "a", "b", *new])
    await world.eventually(lambda: _titles(world), lambda found: found == wanted, "all that there is")


@pytest.mark.parametrize("longer", list(Lane))
async def test_lanes_that_know_different_paths_to_one_stream_agree_upon_the_longest(world: World, longer: Lane) -> None:
    """As a death between two writes leaves them, or an older release that read one lane: no answer waits for ever."""
    key = await _key(world)
    work = world.services["incidents"].runtime.work
    for source in ("db", "db.critical"):
        await _fire_and_resolve(world, key, source, source)
    made = (await work.position(ALERTS, longer)).incarnation
    path = f"before/0@{made}"
    await world.stop("incidents")
    async with await AsyncConnection.connect(world.servers.database_url("superuser", world.database)) as connection:
        await connection.execute(
            "UPDATE incidents.cursors SET incarnation = %s WHERE upstream = 'ALERTS' AND lane = %s", (path, str(longer))
        )
    await world.start("incidents")
    await _fire_and_resolve(world, key, "again", "db.critical")  # the other lane is idle
    work = world.services["incidents"].runtime.work
    assert await work.read(lambda work: work.fetch(select(kept_answers))) == []
    assert {(await work.position(ALERTS, lane)).incarnation for lane in Lane} == {path}
    assert {i["status"] for i in await world.incidents()} == {"resolved"}
    assert len(await _titles(world)) == 3, "and nobody was told of a change"


async def test_the_last_message_of_some_subjects_is_found_between_any_others(world: World) -> None:
    key = await _key(world)
    for source in ("db.critical", "db", "db", "db.critical", "db", "db"):
        await world.fire_alert(source, source=source, routingKey=key)
    bus = world.services["incidents"].runtime.bus
    ends = [await last_message(bus, ALERTS, READ[Lane.URGENT], 1, last) for last in range(7)]
    assert [found and found.sequence for found in ends] == [None, 1, 1, 1, 4, 4, 4]
    assert await last_message(bus, ALERTS, READ[Lane.URGENT], 2, 3) is None
