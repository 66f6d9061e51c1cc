"""`/api/metrics`: who may read it, whose metrics it shows, and how requests are counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from libs.chassis.measure.metrics import Metrics
from libs.chassis.monitor import monitoring
from libs.chassis.testing.deadline import in_time
from libs.contracts.requests import MetricsView, Reply
from services.gateway.main import Gateway
from services.gateway.settings import Settings
from services.gateway.tests.stubs import Answer, World, connected, free_port, nats_server, world

pytestmark = pytest.mark.servers

_TOKEN = "a-token-for-prometheus"


@pytest.fixture(scope="module")
async def guarded() -> AsyncIterator[World]:
    async with world(metrics_token=_TOKEN) as pager:
        yield pager


async def _get(pager: World, path: str = "/api/metrics", **headers: str) -> Answer:
    return await pager.call("GET", path, token=None, headers=headers)


def _series(answer: Answer) -> dict[tuple[str, str], float]:
    """Value by (name, service), summed."""
    values: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(answer.raw.decode()):
        for sample in family.samples:
            key = (sample.name, sample.labels["service"])
            values[key] = values.get(key, 0) + sample.value
    return values


@pytest.mark.parametrize("path", ["/api/metrics", "/api/v1/metrics"])
async def test_this_machine_may_read_them_without_a_token(pager: World, path: str) -> None:
    answer = await _get(pager, path)
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert _series(answer)["pager_ready", "gateway"] == 1


@pytest.mark.parametrize(
    "header",
    [
        {"X-Forwarded-For": "203.0.113.7"},
        {"Forwarded": "for=203.0.113.7"},
        {"X-Real-IP": "203.0.113.7"},
        {"Via": "1.1 proxy"},
        {"Host": "pager.example"},
        {"Host": "rebound.example:3000"},
        {"Host": "["},
    ],
    ids=lambda header: "-".join(f"{name} {value}" for name, value in header.items()),
)
async def test_what_may_have_come_through_a_proxy_or_a_foreign_page_is_refused(
    pager: World, header: dict[str, str]
) -> None:
    answer = await _get(pager, **header)
    assert (answer.status, answer.error["code"]) == (403, "FORBIDDEN")


async def test_a_pager_that_people_reach_from_elsewhere_needs_a_token_even_on_its_own_machine() -> None:
    async with world(public_url="https://pager.example") as pager:
        assert (await _get(pager)).status == 403


async def test_with_a_token_only_the_token_counts(guarded: World) -> None:
    assert (await _get(guarded)).status == 401
    assert (await _get(guarded, Authorization="Bearer another-token-altogether")).status == 401
    assert (await _get(guarded, Authorization=f"Basic {_TOKEN}")).status == 401
    assert (await guarded.call("GET", "/api/metrics")).status == 401, "an admin's access token is none"
    through_a_proxy = {"Authorization": f"Bearer {_TOKEN}", "X-Forwarded-For": "203.0.113.7", "Host": "pager.example"}
    assert (await _get(guarded, **through_a_proxy)).status == 200


async def test_every_replica_that_answers_in_time_is_there_and_nonsense_is_left_out(guarded: World) -> None:
    def answer(instance: str) -> bytes:
        metrics = Metrics("incidents")
        metrics.counter("heard", "Answers that were heard.").inc()
        view = MetricsView(instance=instance, text=metrics.text(instance=instance).decode())
        return Reply(ok=True, data=view).to_json()

    never = asyncio.Event()
    await guarded.stubs.answer_raw("incidents.metrics", answer("incidents-1"))
    await guarded.stubs.answer_raw("incidents.metrics", answer("incidents-2"))
    await guarded.stubs.answer_raw("escalation.metrics", b"nonsense")
    await guarded.stubs.answer_raw("oncall.metrics", answer("late"), when=never)
    bearer = {"Authorization": f"Bearer {_TOKEN}"}
    async with in_time():
        # What was collected for another test is given again for a second.
        while _series(seen := await _get(guarded, **bearer)).get(("heard_total", "incidents")) != 2:
            await asyncio.sleep(0.05)
    assert b'instance="incidents-1"' in seen.raw
    assert b'instance="incidents-2"' in seen.raw
    assert b"late" not in seen.raw
    never.set()
    await guarded.stubs.forget()


async def test_requests_are_counted_by_route_and_never_by_path(pager: World) -> None:
    made_up = {f"/api/v1/made-up-{number}" for number in range(20)}
    for path in made_up:
        assert (await pager.call("GET", path)).status == 404
    await pager.call("GET", "/api/v1/incidents/550e8400-e29b-41d4-a716-446655440000", token=None)
    async with pager.http.request("PROPFIND", f"{pager.gateway.url}/api/v1/incidents") as odd:
        assert odd.status == 405
    text = (await pager.gateway.front.metrics.own()).decode()
    lines = [line for line in text.splitlines() if line.startswith("http_requests_total{")]
    assert not [line for line in lines if "made-up" in line or "550e8400" in line]
    assert any('endpoint="unmatched",method="GET"' in line and 'status="404"' in line for line in lines)
    assert any('endpoint="/api/v1/incidents/{id}",method="GET"' in line and 'status="401"' in line for line in lines)
    assert not [line for line in lines if "PROPFIND" in line]
    assert any('method="other"' in line for line in lines)


async def test_a_gateway_without_its_bus_for_a_while_is_not_ready_and_its_own_metrics_still_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitoring, "BUS_GRACE", 0.3)
    port = free_port()
    async with aiohttp.ClientSession() as http:
        async with nats_server(port) as url:
            await (await connected(url)).close()
            gateway = Gateway(Settings.load(nats_url=url, port=0, monitor_port=0))
            await gateway.start()
            assert await _ready(http, gateway) == (200, [])
        async with in_time():
            while (answer := await _ready(http, gateway))[0] == 200:
                await asyncio.sleep(0.02)
        assert (answer[0], [reason.split(" for ")[0] for reason in answer[1]]) == (503, ["bus: away"])
        async with http.get(f"{gateway.url}/api/metrics") as metrics:
            assert metrics.status == 200
            assert 'pager_bus_connected{instance="' in await metrics.text()
        async with nats_server(port), in_time():
            while (await _ready(http, gateway))[0] == 503:
                await asyncio.sleep(0.02)
        await gateway.stop()


async def _ready(http: aiohttp.ClientSession, gateway: Gateway) -> tuple[int, Any]:
    async with http.get(f"{gateway.monitor.url}/ready") as answer:
        return answer.status, (await answer.json())["reasons"]
