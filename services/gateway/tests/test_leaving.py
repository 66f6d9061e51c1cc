"""A gateway that stops: it says so first, finishes what is under way, and keeps no connection."""

from __future__ import annotations

import asyncio

import pytest

from libs.chassis.testing.deadline import in_time
from libs.contracts.requests import Reply
from services.gateway.tests import views as v
from services.gateway.tests.stubs import World, world
from services.gateway.tests.test_routes import ID

pytestmark = pytest.mark.servers


async def test_it_says_that_it_leaves_and_still_answers() -> None:
    async with world(drain_seconds=60) as pager:
        await pager.stubs.keys()
        await pager.stubs.answer("auth.team", v.TEAM)
        before = await pager.call("GET", f"/api/v1/teams/{ID}")
        assert "Connection" not in before.headers
        stopping = asyncio.create_task(pager.gateway.stop())
        async with in_time():
            while not pager.gateway.front.health.leaving:
                await asyncio.sleep(0.01)
        ready = await pager.call("GET", "/api/health/ready", token=None)
        assert ready.status == 503
        assert {"culprit": "gateway", "problem": "is about to stop", "effect": "outage"} in ready.json["troubles"]
        assert (await pager.gateway._ready()).status == "unavailable"
        answer = await pager.call("GET", f"/api/v1/teams/{ID}")
        assert (answer.status, answer.headers["Connection"]) == (200, "close")
        stopping.cancel()
        await asyncio.gather(stopping, return_exceptions=True)
        pager.gateway.settings = pager.gateway.settings.model_copy(update={"drain_seconds": 0})


async def test_what_is_under_way_is_finished() -> None:
    async with world() as pager:
        await pager.stubs.keys()
        held = await pager.stubs.hold("incidents.acknowledge")
        asked = asyncio.create_task(pager.call("POST", f"/api/v1/incidents/{ID}/acknowledge", {}))
        async with in_time():
            while not held:
                await asyncio.sleep(0.01)
        stopping = asyncio.create_task(pager.gateway.stop())
        async with in_time():
            while not pager.gateway.front.health.leaving:
                await asyncio.sleep(0.01)
        await held[0].respond(Reply(ok=True, data=v.INCIDENT).to_json())
        assert (await asked).status == 200
        await stopping


async def test_whoever_is_away_is_named(pager: World) -> None:
    answer = await pager.call("GET", f"/api/v1/incidents/{ID}")
    assert (answer.status, answer.error["code"]) == (503, "UNAVAILABLE")
    assert answer.error["details"] == {"services": ["incidents"]}
    assert answer.headers["Retry-After"] == "1"
