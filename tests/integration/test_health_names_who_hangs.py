"""Real processes that are frozen: health, ready and doctor name exactly who it is, and all is well again afterwards."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest
import pytest_asyncio

from cli.console.report import silent_report
from cli.demo.playing import demo_settings
from cli.demo.team import seed_stack
from cli.embedded import Home
from cli.stack.examination import Finding, Level, examine
from cli.stack.ready import HEALTH_SECONDS, all_told, get_json, troubles_in
from cli.stack.stack import Stack
from libs.chassis.testing.deadline import in_time

pytestmark = pytest.mark.servers

SERVERS = {"nats": {"bus"}, "postgres": {"database"}, "simulator": {"push apns", "push fcm"}}


@pytest_asyncio.fixture(scope="module")
async def stack() -> AsyncIterator[Stack]:
    with Home.temporary() as home:
        async with Stack(demo_settings(home), silent_report) as running:
            await running.ready()
            yield running


async def test_a_policy_that_reaches_nobody_is_named_until_somebody_signs_in_on_a_phone(stack: Stack) -> None:
    at_start = await all_told(stack.settings.port)
    told = {finding.what: finding.verdict for finding in await examine(stack.settings)}

    assert {one["culprit"]: one["effect"] for one in at_start} == {
        "policy Default": "warning",
        "policy Admins": "warning",
    }
    assert (told["policy Default"], told["policy Admins"]) == (Level.NOTE, Level.NOTE)
    status, health = await _asked(stack, "health")
    assert (status, health["status"], health["services"]["people"]) == (200, "degraded", "unreachable")
    assert (await _asked(stack, "health/ready"))[0] == 200, "it does everything that it is asked for"

    await seed_stack(stack.settings, stack.secrets, stack.url, stack.nats_url_of("operator"), minutes=0.05)
    async with in_time():
        while (await _asked(stack, "health"))[1]["status"] != "ok":
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "name", ["nats", "postgres", "simulator", "auth", "oncall", "incidents", "escalation", "notifier"]
)
async def test_a_process_that_is_frozen_is_named_alone_and_forgotten_when_it_goes_on(stack: Stack, name: str) -> None:
    culprits = SERVERS.get(name, {name})
    with _frozen(stack, name):
        await _until_blamed(stack, culprits)
        ready, live = await _asked(stack, "health/ready"), await _asked(stack, "health/live")
        findings = await examine(stack.settings)

    assert ready[0] == (200 if name == "simulator" else 503), "vendors are no part of ours"
    assert live == (200, {"status": "ok"})
    assert _in_trouble(findings) == {f"process {name}", *_as_doctor_calls(culprits)}
    await _until_blamed(stack, set())
    async with in_time():
        while (await _asked(stack, "health/ready"))[0] != 200:
            await asyncio.sleep(0.1)


async def test_a_postmaster_that_is_frozen_alone_is_found_out_although_its_sessions_go_on(stack: Stack) -> None:
    with _frozen(stack, "postgres", children=False):
        await _until_blamed(stack, {"database"})
    await _until_blamed(stack, set())


async def _asked(stack: Stack, path: str) -> tuple[int, Any]:
    answer = await get_json(stack.settings.port, f"/api/{path}", HEALTH_SECONDS)
    assert answer is not None, "the gateway answers whatever happens to others"
    return answer


async def _until_blamed(stack: Stack, culprits: set[str]) -> None:
    """Health names these, whoever has no device."""
    named: set[str] = set()
    try:
        async with in_time():
            while True:
                troubles = troubles_in(await _asked(stack, "health"))
                named = {one["culprit"] for one in troubles if one["effect"] != "warning"}
                if named == culprits:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"health names {named or 'nobody'} instead of {culprits or 'nobody'}")


@contextmanager
def _frozen(stack: Stack, name: str, *, children: bool = True) -> Iterator[None]:
    run = stack.settings.home.read_run()
    assert run is not None
    processes: Any = run["processes"]
    process = psutil.Process(processes[name]["pid"])
    frozen = [process, *(process.children(recursive=True) if children else ())]
    for one in frozen:
        one.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for one in frozen:
            one.send_signal(signal.SIGCONT)


def _in_trouble(findings: list[Finding]) -> set[str]:
    return {finding.what for finding in findings if finding.verdict is Level.BAD}


def _as_doctor_calls(culprits: set[str]) -> set[str]:
    names = {"bus": "NATS", "database": "PostgreSQL"}
    return {names.get(culprit, culprit if " " in culprit else f"service {culprit}") for culprit in culprits}
