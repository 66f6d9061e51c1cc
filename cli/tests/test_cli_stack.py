"""The whole stack as `pager up` runs it: real services, embedded servers, simulated phones."""

import asyncio
import json
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import pytest_asyncio
from aiohttp import ClientSession
from nats.js.client import JetStreamContext

from cli.console.report import silent_report
from cli.demo.playing import demo_settings
from cli.demo.seeding import ANA, BO
from cli.demo.team import SeedResult, seed_stack
from cli.embedded import Home
from cli.reach import bus, streams
from cli.reach.alerts import AlertToSend
from cli.reach.api import api_of
from cli.stack.examination import Level, examine
from cli.stack.master_key import replace_master_key
from cli.stack.ready import get_json
from cli.stack.stack import Stack
from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.model import Priority
from libs.contracts.subjects import STREAMS


@pytest_asyncio.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    with Home.temporary() as home:
        async with Stack(demo_settings(home), silent_report) as running:
            await running.ready()
            yield running


@pytest_asyncio.fixture(scope="module")
async def seeded(stack: Stack) -> SeedResult:
    return await seed(stack)


async def seed(stack: Stack) -> SeedResult:
    return await seed_stack(stack.settings, stack.secrets, stack.url, stack.nats_url_of("operator"), minutes=0.05)


async def eventually(condition: Callable[[], Awaitable[Any]]) -> Any:
    """Poll until the condition holds; fails after 20 s."""
    deadline = time.monotonic() + DEADLINE
    while not (held := await condition()):
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)
    return held


async def pushes(stack: Stack, token: str) -> list[dict[str, Any]]:
    assert stack.simulator is not None
    async with ClientSession() as http, http.get(f"{stack.simulator.url}/pushes?limit=10000") as answer:
        return [push for push in await answer.json() if push["deviceToken"] == token]


def pids(stack: Stack) -> dict[str, Any]:
    run = stack.settings.home.read_run()
    assert run is not None
    processes = run["processes"]
    assert isinstance(processes, dict)
    return processes


async def test_seeding_twice_changes_nothing_the_second_time(stack: Stack, seeded: SeedResult) -> None:
    first = seeded
    ours = {f"{kind} Checkout" for kind in ("team", "policy", "integration")}
    assert set(first.seeded.changed) == {ANA.email, BO.email, "schedule Primary On-Call", "policy Default"} | ours
    second = await seed(stack)
    assert second.document()["team"] == first.document()["team"]
    assert second.routing_key is not None
    assert second.seeded.changed == ()
    assert second.seeded.user_ids == first.seeded.user_ids
    assert second.passwords == first.passwords


async def test_an_alert_reaches_the_first_phone_and_then_the_second(stack: Stack, seeded: SeedResult) -> None:
    alert = AlertToSend("disk full", priority=Priority.CRITICAL, cloud_event=True)
    async with bus.connected(stack.nats_url) as client:
        ack = await bus.publish_alert(client, alert.subject, json.dumps(alert.body()).encode(), alert.headers())
    assert ack["stream"] == "ALERTS"
    assert (await eventually(lambda: pushes(stack, ANA.push_token)))[0]["provider"] == "apns"
    assert (await eventually(lambda: pushes(stack, BO.push_token)))[0]["provider"] == "fcm"


async def test_an_alert_with_the_teams_key_is_the_teams_and_pages_its_manager_last(
    stack: Stack, seeded: SeedResult
) -> None:
    body = {"summary": "cart is empty", "dedupKey": "cart", "routingKey": seeded.routing_key}
    before = len(await pushes(stack, BO.push_token))
    async with bus.connected(stack.nats_url) as client:
        await bus.publish_alert(client, "pager.alerts.shop.critical", json.dumps(body).encode(), {})
    assert await eventually(lambda: pushes(stack, ANA.push_token))

    async def paged() -> bool:
        return len(await pushes(stack, BO.push_token)) > before

    assert await eventually(paged)
    async with api_of(stack.url) as door:
        await door.sign_in(BO.email, seeded.passwords[BO.email], "bo-laptop")
        (incident,) = [
            one
            for one in (await door.list_incidents(teamId=seeded.seeded.crew.team))["incidents"]
            if one["dedupKey"] == "cart"
        ]
    assert (incident["teamId"], incident["policyId"]) == (seeded.seeded.crew.team, seeded.seeded.crew.policy)


async def test_doctor_finds_nothing_wrong_with_a_stack_that_runs(stack: Stack) -> None:
    findings = await examine(stack.settings)
    assert [finding for finding in findings if finding.verdict is Level.BAD] == []
    assert "push simulated" in next(finding.detail for finding in findings if finding.what == "gateway")


async def test_the_master_key_is_replaced_while_everything_runs(stack: Stack) -> None:
    before, processes = stack.secrets.master_key, pids(stack)
    done = await replace_master_key(stack.settings)
    assert (done.made, done.finished) == (True, True)
    kept = json.loads((stack.settings.home.path / "secrets.json").read_text())
    assert before not in kept.values()
    after = pids(stack)
    assert {name for name in after if after[name]["pid"] != processes[name]["pid"]} == {"auth"}
    os.kill(after["auth"]["pid"], signal.SIGKILL)  # and it starts with the new one alone

    async def alone() -> bool:
        found = {finding.what: finding for finding in await examine(stack.settings)}
        return "master key" in found and found["master key"].detail == "seals all that is kept"

    await eventually(alone)
    assert stack.secrets.master_key == kept["masterKey"]


async def test_a_killed_gateway_comes_back_on_its_port(stack: Stack) -> None:
    before = pids(stack)["gateway"]["pid"]
    os.kill(before, signal.SIGKILL)

    async def back() -> bool:
        answer = await get_json(stack.settings.port, "/api/health/ready")
        return answer is not None and answer[0] == 200 and pids(stack)["gateway"]["pid"] != before

    assert await eventually(back)


async def test_streams_that_somebody_deletes_are_declared_again_and_pages_go_on(
    stack: Stack, seeded: SeedResult
) -> None:
    async with bus.connected(stack.nats_url_of("operator")) as operator:
        for spec in STREAMS:
            assert await operator.jetstream().delete_stream(spec.name)
        assert {drift.is_missing for drift in await streams.drifts(operator.jetstream())} == {True}
        await eventually(partial(_as_declared, operator.jetstream()))

    async def back() -> bool:
        return [f for f in await examine(stack.settings) if f.verdict is Level.BAD] == []

    async def paged() -> bool:
        return any("after the streams" in json.dumps(push) for push in await pushes(stack, ANA.push_token))

    # Whom to page is an event of now: it goes through each of the streams that are new.
    alert = AlertToSend("after the streams were deleted", priority=Priority.CRITICAL, cloud_event=True)
    async with bus.connected(stack.nats_url) as client:
        await bus.publish_alert(client, alert.subject, json.dumps(alert.body()).encode(), alert.headers())
    assert await eventually(paged)
    assert (await seed(stack)).seeded.user_ids == seeded.seeded.user_ids
    assert await eventually(back)


async def _as_declared(js: JetStreamContext) -> bool:
    return await streams.drifts(js) == []


async def test_a_bus_that_lost_its_files_gets_its_streams_again(stack: Stack) -> None:
    before = pids(stack)["nats"]["pid"]
    shutil.rmtree((stack.settings.home.nats / "jetstream").resolve())
    os.kill(before, signal.SIGKILL)

    async def back() -> bool:
        findings = {finding.what: finding.verdict for finding in await examine(stack.settings)}
        return pids(stack)["nats"]["pid"] != before and findings.get("streams") is Level.GOOD

    assert await eventually(back)
