"""NATS that cannot store is noticed, said everywhere and restarted once there is room again; its disk is watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from nats.errors import Error as NatsError

from cli.embedded import EmbeddedNats, EmbeddedPostgres, Home
from cli.embedded.database import DATABASE, database_setup
from cli.stack import cure
from cli.stack.cure import Cure, unwell
from libs.chassis.bus.connection import BusAway
from libs.chassis.store.migrate import upgrade
from libs.contracts.subjects import SERVICES
from services.incidents.housekeeping import Housekeeping
from tests.disk import SmallDisk, small_disk
from tests.servers import Servers
from tests.world import World

_SIZE = 32


@dataclass
class Field:
    """A world whose NATS has a small disk of its own, and what cures that."""

    world: World
    disk: SmallDisk
    nats: EmbeddedNats
    told: list[str] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)

    def cure(self) -> Cure:
        async def restart(why: str) -> None:
            self.restarts.append(why)
            await self.nats.restart()

        def report(kind: str, text: str, **details: Any) -> None:
            self.told.append(text)

        return Cure(self.nats.folder, lambda: unwell(self.nats.monitoring_port), restart, report)

    async def is_stored(self) -> bool:
        """Whether a sender gets an acknowledgement; what it sends pages nobody."""
        body = b'{"summary": "over", "action": "resolve", "dedupKey": "none"}'
        try:
            await self.world.sender.jetstream(timeout=0.5).publish("pager.alerts.disk", body)
        except (NatsError, TimeoutError):
            return False
        return True


async def _until(world: World, look: Callable[[], Any], good: Callable[[Any], bool], what: str) -> Any:
    """Looks, and lets time pass in between: monitors look every two seconds."""

    async def moving() -> Any:
        world.clock.advance(seconds=2)
        return await look()

    return await world.eventually(moving, good, what)


@asynccontextmanager
async def _servers() -> AsyncIterator[tuple[Servers, EmbeddedNats, SmallDisk]]:
    with Home.temporary() as home:
        async with EmbeddedNats(home) as first:
            folder = first.folder  # now it is there, and the server's own
        with small_disk(folder, _SIZE) as disk:
            async with EmbeddedPostgres(home) as postgres, EmbeddedNats(home, monitoring=True) as bus:
                made = Servers(f"127.0.0.1:{postgres.port}", bus.url, home.credentials())
                await database_setup(made.database_url("superuser", "postgres"), made.credentials.postgres)
                for service in SERVICES:
                    await asyncio.to_thread(upgrade, service, made.database_url("owner", DATABASE))
                yield made, bus, disk


@pytest.fixture
async def small() -> AsyncIterator[Field]:
    async with _servers() as (servers, bus, disk), World(servers, monitor_port=0) as world:
        yield Field(world, disk, bus)


async def _health(world: World) -> tuple[int, dict[str, Any]]:
    answer = await world.http("GET", "/health")
    return answer.status, answer.body


async def test_a_nats_whose_disk_was_full_is_noticed_left_alone_while_it_is_full_and_cured_when_it_is_free(
    small: Field,
) -> None:
    world = small.world
    ana, _ = await world.two_responders()
    await world.fire_alert("before", priority="critical")
    await ana.expect_push("before")
    cure_ = small.cure()

    small.disk.fill()
    await world.eventually(small.is_stored, lambda stored: not stored, "an alert that is not acknowledged")
    for _ in range(2 * cure.PATIENCE):
        await cure_.look()
    assert small.restarts == [], "nothing is gained while the disk is full, and streams may be lost"
    (told,) = small.told
    assert "its disk is full" in told
    assert "no space left on device" in told
    await _until(
        world,
        lambda: world.health("incidents"),
        lambda found: not found["ready"] and any("ALERTS does not store" in said for said in found["unstored"]),
        "a health that says it",
    )
    _, body = await _until(world, lambda: _health(world), lambda found: found[0] == 503, "health that is not ok")
    assert (body["status"], body["services"]["bus"]) == ("unavailable", "unhealthy")
    ready = await world.http("GET", "/health/ready")
    assert (ready.status, ready.body["troubles"]) == (503, body["troubles"]), "health and ready tell the same"
    assert {trouble["culprit"] for trouble in body["troubles"]} == {"bus"}

    small.disk.free()
    assert not await small.is_stored(), "the server does not come back by itself"
    for _ in range(cure.PATIENCE):
        await cure_.look()
    (why,) = small.restarts
    assert "write error" in why
    await world.eventually(small.is_stored, bool, "an alert that is acknowledged")
    await _until(world, lambda: _health(world), lambda found: found[1]["status"] == "ok", "health that is ok again")
    await world.fire_alert("afterwards", priority="critical")
    await ana.expect_push("afterwards")


async def test_events_that_are_committed_and_not_published_are_said(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.two_responders()
    await world.fire_alert("before", priority="critical")
    await world.settle()
    relay = world.services["incidents"].relay

    async def refuse(*_: Any) -> None:
        raise BusAway("no acknowledgement in 5.0 s")

    with monkeypatch.context() as broken:
        broken.setattr(relay, "_publish", refuse)
        await world.fire_alert("meanwhile", priority="critical")
        health = await _until(
            world, lambda: world.health("incidents"), lambda found: not found["ready"], "a health that says it"
        )
        assert [said.split(" that were")[0] for said in health["unstored"]] == ["bus: INCIDENTS.urgent lacks events"]
        status, body = await _health(world)
        assert (status, body["services"]["bus"]) == (503, "unhealthy")
    await _until(world, lambda: world.health("incidents"), lambda found: bool(found["ready"]), "a health that is ok")


async def test_a_standby_says_it_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.two_responders()
    await world.fire_alert("before", priority="critical")
    await world.settle()
    standby = world.twin("incidents", "incidents-2")
    await standby.start()
    try:
        with monkeypatch.context() as broken:

            async def refuse(*_: Any) -> None:
                raise BusAway("no acknowledgement in 5.0 s")

            broken.setattr(world.services["incidents"].relay, "_publish", refuse)
            await world.fire_alert("meanwhile", priority="critical")

            async def said() -> list[str]:
                return standby.monitoring.unstored()

            await _until(world, said, bool, "what the active replica cannot publish")
    finally:
        await standby.stop()


async def test_a_disk_that_is_nearly_full_pages_the_admins_and_is_said_while_there_is_still_room(
    small: Field,
) -> None:
    world = small.world
    await world.two_responders()
    root = await world.person("root", roles=("admin",))
    house = next(e for e in world.services["incidents"].parts.engines if isinstance(e, Housekeeping))
    assert isinstance(house, Housekeeping)
    house.rooms.folders = (str(small.nats.folder),)
    await house.rooms.look()
    assert (await world.health("incidents"))["extra"]["storage"] == "healthy"

    (small.disk.folder / "much").write_bytes(b"\0" * (_SIZE - 3) * 1024**2)
    await house.rooms.look()
    await world.advance(seconds=10)
    await root.expect_push("There is little room left in")
    assert await small.is_stored(), "there was still room"
    status, body = await _health(world)
    assert (status, body["status"], body["services"]["storage"]) == (200, "degraded", "low")
