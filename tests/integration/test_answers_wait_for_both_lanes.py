"""A trigger in one lane of ALERTS and its answer in the other: none is lost, and none ends what burns anew."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from psycopg import AsyncConnection
from sqlalchemy import select

from libs.contracts.alerts import Action
from libs.contracts.model import Lane
from services.incidents.alerts.answers import Settling
from services.incidents.alerts.intake import AlertIntake
from services.incidents.alerts.kept import kept_answers
from tests.rest import intakes
from tests.world import World

pytestmark = pytest.mark.services("auth", "incidents")


async def _key(world: World) -> str:
    answer = await world.admin.call("POST", "/integrations", {"name": "Shop"})
    return str(answer.data["integration"]["key"])


def _body(key: str, dedup: str, action: Action = Action.TRIGGER) -> bytes:
    return json.dumps({"summary": dedup, "dedupKey": dedup, "routingKey": key, "action": action}).encode()


async def _kept(world: World) -> int:
    return len(await world.services["incidents"].runtime.work.read(lambda work: work.fetch(select(kept_answers))))


async def _open(world: World) -> Counter[bool]:
    incidents: list[dict[str, Any]] = []
    for page in range(1, 5):
        incidents += await world.incidents(page=str(page))
    return Counter(incident["status"] != "resolved" for incident in {i["id"]: i for i in incidents}.values())


@asynccontextmanager
async def _held(world: World, lane: Lane) -> AsyncIterator[None]:
    """That lane takes nothing meanwhile."""
    (intake,) = (reader for reader in intakes(world.services["incidents"]) if reader.lane is lane)
    goes_on, apply = asyncio.Event(), intake._applier.apply

    async def wait(*batch: Any) -> None:
        await goes_on.wait()
        await apply(*batch)

    intake._applier.apply = wait
    try:
        yield
    finally:
        intake._applier.apply = apply
        goes_on.set()


async def test_none_of_200_resolves_in_the_other_lane_is_lost(world: World) -> None:
    key = await _key(world)
    sender = world.sender.jetstream()
    async with asyncio.timeout(60):
        for number in range(200):
            trigger, resolve = _body(key, f"key {number}"), _body(key, f"key {number}", Action.RESOLVE)
            await sender.publish_async("pager.alerts.db.critical", trigger)
            await sender.publish_async("pager.alerts.db", resolve)
        await sender.publish_async_completed()
    everything = {(False, 200)}
    await world.eventually(lambda: _open(world), lambda found: set(found.items()) == everything, "200 resolved ones")
    assert await _kept(world) == 0


async def test_fire_resolve_fire_burns_on_however_long_the_lane_of_the_resolve_is_held(world: World) -> None:
    key = await _key(world)
    sender = world.sender.jetstream()
    async with _held(world, Lane.ROUTINE):
        for number in range(4000):
            await sender.publish_async("pager.alerts.web", _body(key, f"noise {number % 5}"))
        await sender.publish_async_completed()
        await world.publish(_body(key, "db"), "db.critical")
        await world.publish(_body(key, "db", Action.RESOLVE))
        await world.publish(_body(key, "db"), "db.critical")
        assert (await world.incident("db"))["status"] != "resolved"
    await world.settle()
    assert (await world.incident("db"))["status"] != "resolved"
    assert await _kept(world) == 0
    await world.publish(_body(key, "db", Action.RESOLVE))
    await world.eventually(lambda: world.incident("db"), lambda found: found["status"] == "resolved", "its end")


@pytest.mark.parametrize("source", ["db", "db.critical", "prod.db"])
async def test_an_answer_does_not_wait_for_a_lane_in_which_nothing_comes(world: World, source: str) -> None:
    """A source of two words travels with the urgent ones."""
    key = await _key(world)
    await world.publish(_body(key, "db"), source)
    await world.incident("db")
    await world.publish(_body(key, "db", Action.RESOLVE), source)
    await world.eventually(lambda: world.incident("db"), lambda found: found["status"] == "resolved", "its end")
    log = await world.log("incidents", "IncidentResolved")
    assert [event.data.incident_id for event in log] == [log[0].data.incident_id]


async def test_a_kept_answer_outlives_its_replica_and_takes_effect_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is settled by a start although no further alert comes."""
    key = await _key(world)
    async with _held(world, Lane.URGENT):
        await world.publish(_body(key, "db"), "db.critical")
        await world.publish(_body(key, "db", Action.RESOLVE))
        await world.eventually(lambda: _kept(world), lambda kept: kept == 1, "the answer that waits")
        await world.stop("incidents")
    await world.start("incidents")
    await world.eventually(lambda: _kept(world), lambda kept: kept == 0, "that nothing waits")
    await world.eventually(lambda: world.incident("db"), lambda found: found["status"] == "resolved", "its end")
    await world.stop("incidents")
    await world.start("incidents")
    await world.settle()
    assert len(await world.log("incidents", "IncidentResolved")) == 1


async def test_an_answer_that_its_lanes_passed_before_a_death_is_settled_by_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between the commit that passes its place and the one that decides."""
    key = await _key(world)
    settling = next(e for e in world.services["incidents"].parts.engines if isinstance(e, Settling))

    async def never(*_rows: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(settling, "_transact", never)
    async with _held(world, Lane.URGENT):
        await world.publish(_body(key, "db"), "db.critical")
        await world.publish(_body(key, "db", Action.RESOLVE))
        await world.eventually(lambda: _kept(world), lambda kept: kept == 1, "the answer that waits")
    assert (await world.incident("db"))["status"] != "resolved"
    await world.stop("incidents")
    await world.start("incidents")
    await world.eventually(lambda: world.incident("db"), lambda found: found["status"] == "resolved", "its end")
    assert await _kept(world) == 0


async def test_a_kept_answer_ends_its_trigger_although_an_older_release_cut_the_path_to_the_stream(
    world: World,
) -> None:
    """A way back and forth: the older release writes the stream's own word into the cursors of both lanes."""
    key = await _key(world)
    await world.fire_alert("before", source="db.critical")
    async with _held(world, Lane.URGENT):
        await world.publish(_body(key, "db"), "db.critical")
        await world.publish(_body(key, "db", Action.RESOLVE))
        await world.eventually(lambda: _kept(world), lambda kept: kept == 1, "the answer that waits")
        await world.stop("incidents")
    async with await AsyncConnection.connect(world.servers.database_url("superuser", world.database)) as connection:
        await connection.execute("UPDATE incidents.kept_answers SET incarnation = 'before/0@' || incarnation")
    await world.start("incidents")
    await world.eventually(lambda: _kept(world), lambda kept: kept == 0, "that nothing waits")
    await world.eventually(lambda: world.incident("db"), lambda found: found["status"] == "resolved", "its end")


async def test_an_answer_that_we_fail_on_is_parked_and_ends_its_incident_when_it_is_replayed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await _key(world)
    settling = next(e for e in world.services["incidents"].parts.engines if isinstance(e, Settling))
    whole = settling._transact

    async def fails(rows: Sequence[dict[str, Any]]) -> None:
        if any(row["dedup_key"] == "bad" for row in rows):
            raise ZeroDivisionError("a fault of ours")
        await whole(rows)

    monkeypatch.setattr(settling, "_transact", fails)
    async with _held(world, Lane.URGENT):
        for name in ("bad", "good"):
            await world.publish(_body(key, name), "db.critical")
            await world.publish(_body(key, name, Action.RESOLVE))
        await world.eventually(lambda: _kept(world), lambda kept: kept == 2, "the answers that wait")
    await world.eventually(lambda: world.incident("good"), lambda found: found["status"] == "resolved", "its end")
    (parked,) = await world.eventually(world.parked, lambda found: len(found) == 1, "the one that fails")
    assert (parked["kind"], parked["type"], await _kept(world)) == ("failure", "kept answer", 0)
    assert key not in parked["raw"]
    assert (await world.incident("bad"))["status"] != "resolved"
    assert (await world.rpc("incidents", "replay")).data == {"replayed": 1, "stillParked": 0}
    await world.eventually(lambda: world.incident("bad"), lambda found: found["status"] == "resolved", "its end")


async def test_where_nats_cannot_be_asked_no_trigger_waits_and_the_answer_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await _key(world)

    async def cannot_say(*_question: Any) -> int:
        return 0

    intake = next(reader for reader in intakes(world.services["incidents"]) if reader.lane is Lane.ROUTINE)
    assert isinstance(intake, AlertIntake)
    monkeypatch.setattr(intake.stream, "passed_at_once", cannot_say)
    await world.publish(_body(key, "db"))
    await world.publish(_body(key, "db", Action.RESOLVE))
    await world.eventually(lambda: world.incident("db"), lambda found: found["status"] == "resolved", "its end")
    assert await _kept(world) == 0
