"""The gateway when its bus goes away and comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from nats.aio.msg import Msg

from libs.chassis.bus.sending import has_sent
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.contracts.requests import ErrorKind, Refusal, Reply
from libs.contracts.subjects import Header, rpc_subject
from services.gateway.main import Gateway
from services.gateway.settings import Settings
from services.gateway.tests import views as v
from services.gateway.tests.stubs import Stubs, World, connected, free_port, nats_server

pytestmark = pytest.mark.servers


async def _until(condition: Callable[[], bool]) -> None:
    async with in_time():
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_lost_bus_is_a_503_at_once_and_its_return_needs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(*_asked: Any, **_more: Any) -> bytes:
        raise AssertionError("nobody is asked, so nobody is waited for")

    port, clock = free_port(), MovableClock()
    async with aiohttp.ClientSession() as http:
        async with nats_server(port) as url:
            client = await connected(url)
            gateway = Gateway(Settings.load(nats_url=url, port=0), clock)
            await gateway.start()
            pager = World(gateway, Stubs(client), http, clock)
            await pager.stubs.keys()
            await pager.stubs.answer("incidents.get", v.INCIDENT)
            assert (await pager.call("GET", f"/api/v1/incidents/{v.ID}")).status == 200

        await _until(lambda: not gateway.bus.connected)
        with monkeypatch.context() as away:
            away.setattr(gateway.bus, "request", nobody)
            answer = await pager.call("GET", f"/api/v1/incidents/{v.ID}")
            health = await pager.call("GET", "/api/health", token=None)
            ready = await pager.call("GET", "/api/health/ready", token=None)
            live = await pager.call("GET", "/api/health/live", token=None)

        assert (answer.status, answer.error["code"], answer.headers["Retry-After"]) == (503, "UNAVAILABLE", "1")
        assert (health.status, health.json["services"]["bus"]) == (503, "unhealthy")
        assert (ready.status, live.status) == (503, 200)
        waiting = asyncio.create_task(gateway.bus.until_connected())  # as whoever follows a stream does

        async with nats_server(port) as url:
            pager.stubs.client = await connected(url)
            await pager.stubs.answer("incidents.get", v.INCIDENT)
            await _until(lambda: gateway.bus.connected)
            assert (await pager.call("GET", f"/api/v1/incidents/{v.ID}")).status == 200
            # It follows again who is signed out.
            await asyncio.wait_for(waiting, DEADLINE)
            await pager.stubs.end_session(clock)
            async with in_time():
                while (await pager.call("GET", f"/api/v1/incidents/{v.ID}")).status != 401:
                    await asyncio.sleep(0.01)
            await pager.stubs.client.close()
            await gateway.stop()


async def test_whoever_still_waits_says_so_to_a_service_that_cannot_tell() -> None:
    async with nats_server() as url, aiohttp.ClientSession() as http:
        client, clock = await connected(url), MovableClock()
        gateway = Gateway(Settings.load(nats_url=url, port=0), clock)
        await gateway.start()
        pager = World(gateway, Stubs(client), http, clock)
        await pager.stubs.keys()
        refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message="too late", clock="it 12.5")
        asked: list[str] = []

        async def respond(message: Msg) -> None:
            asked.append((message.headers or {})[Header.DEADLINE])
            known = asked[-1].endswith(" it 12.5") and len(asked) > 2
            reply = Reply(ok=True, data=v.INCIDENT) if known else Reply(ok=False, error=refusal)
            await message.respond(reply.to_json())

        await client.subscribe(rpc_subject("incidents", "create"), cb=respond)
        await has_sent(client)
        answer = await pager.call("POST", "/api/v1/incidents", {"title": "db down"})
        assert answer.status in (200, 201)
        assert [len(header.split()) for header in asked] == [3, 5, 5]
        seconds = [float(header.split()[2]) for header in asked]
        assert seconds == sorted(seconds, reverse=True), "it waits no longer for being asked"
        for operation in ("acknowledge", "resolve"):
            await pager.stubs.answer(f"incidents.{operation}", v.INCIDENT)
            assert (await pager.call("POST", f"/api/v1/incidents/{v.ID}/{operation}", {})).status == 200
            (answered,) = pager.stubs.asked[f"incidents.{operation}"]
            assert Header.DEADLINE not in answered.headers, "an answer is never too late"
        await client.close()
        await gateway.stop()
