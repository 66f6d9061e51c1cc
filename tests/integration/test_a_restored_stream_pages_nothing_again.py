"""ALERTS may be restored to an earlier state: what was taken pages nobody again, and what is new is taken."""

from __future__ import annotations

import pytest

from tests.restorable import Restorable
from tests.world import World


async def _key(world: World) -> str:
    answer = await world.admin.call("POST", "/integrations", {"name": "Shop"})
    return str(answer.data["integration"]["key"])


async def _states(world: World) -> dict[str, str]:
    await world.settle()
    return {i["title"]: "resolved" if i["status"] == "resolved" else "open" for i in await world.incidents()}


@pytest.mark.parametrize("grown", [0, 1, 5])
async def test_a_stream_that_lost_its_end_pages_nothing_again_and_what_is_new_under_old_sequences_is_taken(
    restorable: Restorable, grown: int
) -> None:
    """However far it has grown again before anybody looks."""
    world = restorable.world
    key = await _key(world)
    for name in "ab":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
        await world.fire_alert(name, dedupKey=name, routingKey=key, action="resolve")
    await world.settle()
    await restorable.back_up()
    for name in "cd":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
        await world.fire_alert(name, dedupKey=name, routingKey=key, action="resolve")
    assert await _states(world) == dict.fromkeys("abcd", "resolved")
    await world.stop("incidents")
    await restorable.restore()
    for number in range(grown):
        await world.fire_alert(f"new {number}", dedupKey=f"new {number}", routingKey=key)
    await world.start("incidents")
    alarm = {"The stream ALERTS was recreated or shortened": "open"}
    new = {f"new {number}": "open" for number in range(grown)}
    await world.eventually(
        lambda: _states(world), lambda found: found == dict.fromkeys("abcd", "resolved") | new | alarm, "the new ones"
    )
    # Places of before the loss are older than all that came after it, whatever their numbers.
    for number in range(grown):
        await world.fire_alert("it is over", dedupKey=f"new {number}", routingKey=key, action="resolve")
    await world.stop("incidents")
    await world.start("incidents")
    ended = dict.fromkeys(new, "resolved")
    await world.eventually(
        lambda: _states(world),
        lambda found: found == dict.fromkeys("abcd", "resolved") | ended | alarm,
        "their ends, and no second alarm",
    )
    assert len(await world.log("incidents", "IncidentCreated")) == 4 + grown + 1, "each key once, and the alarm"


async def test_a_stream_that_lost_part_of_a_batch_pages_nothing_of_the_rest_again(restorable: Restorable) -> None:
    world = restorable.world
    key = await _key(world)
    await world.settle()
    await world.stop("incidents")
    for name in "abc":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
        await world.fire_alert(name, dedupKey=name, routingKey=key, action="resolve")
    await restorable.back_up()
    for name in "def":
        await world.fire_alert(name, dedupKey=name, routingKey=key)
    await world.start("incidents")
    wanted = dict.fromkeys("abc", "resolved") | dict.fromkeys("def", "open")
    await world.eventually(lambda: _states(world), lambda found: found == wanted, "all of them")
    await world.stop("incidents")
    await restorable.restore()
    await world.fire_alert("new", dedupKey="new", routingKey=key)
    await world.start("incidents")
    alarm = {"The stream ALERTS was recreated or shortened": "open"}
    await world.eventually(
        lambda: _states(world), lambda found: found == wanted | {"new": "open"} | alarm, "the new one"
    )
    assert len(await world.log("incidents", "IncidentCreated")) == 8, "each key once, and the alarm"
