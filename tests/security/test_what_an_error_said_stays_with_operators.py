"""What somebody else's error says may quote values and tables: operators read it in the database, and nobody else."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from libs.contracts.subjects import SERVICES
from tests.faults import break_handler
from tests.servers import Servers
from tests.world import World

_SAID = "a fault of ours"
"""The text of the error that the broken handler raises."""


async def _read_by_many(world: World) -> str:
    """Everything that people without the operators' credentials can read of it."""
    incidents = await world.incidents()
    found: list[Any] = [incidents, *[(await world.http("GET", path)).body for path in ("/health", "/health/ready")]]
    for incident in incidents:
        found += [await world.timeline(incident["id"]), await world.notifications(incident["id"])]
        found.append((await world.admin.call("GET", f"/incidents/{incident['id']}/explain")).body)
    found += [await world.health(service) for service in SERVICES]
    found += [push.payload.decode() for push in world.simulators.log.read()]
    async with aiohttp.ClientSession() as http:
        for service in world.services.values():
            async with http.get(f"{service.monitoring.monitor.url}/ready") as answer:
                found.append(await answer.text())
    return json.dumps(found)


async def _of_the_log(world: World) -> str:
    return json.dumps([[repr(event) for event in await world.log(service)] for service in SERVICES])


async def test_an_error_that_parks_events_and_stops_a_consumer_is_told_by_its_kind_alone(servers: Servers) -> None:
    async with World(servers, monitor_port=0) as world:
        await world.two_responders()
        root = await world.person("root", roles=("admin",))
        broken = {"poison 1", "poison 2"}
        break_handler(world, "escalation", "incidents", lambda event: getattr(event.data, "title", "") in broken)
        for number in (1, 2):
            await world.fire_alert(f"poison {number}", priority="critical")
        await root.expect_push("escalation could not handle an event of incidents")
        await world.settle()
        told = await _read_by_many(world) + await _of_the_log(world)
        assert "ZeroDivisionError" in told, "its kind, for whoever looks for it"
        assert _SAID not in told
        assert _SAID in json.dumps(await world.parked("escalation")), "operators read it"

        broken |= {f"event {number}" for number in range(6)}
        for number in range(6):
            await world.fire_alert(f"event {number}", priority="critical")
        await world.eventually(
            lambda: world.health("escalation"), lambda found: bool(found["stopped"]), "an escalation that has stopped"
        )
        told = await _read_by_many(world)
        assert "different events in a row failed" in told
        assert _SAID not in told
