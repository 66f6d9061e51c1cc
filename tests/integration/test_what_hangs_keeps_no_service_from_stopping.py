"""A service that is told to stop ends, whatever hangs in it, says what did, and another one takes its place."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial

import pytest
from structlog.testing import capture_logs

from libs.chassis.stopping import Stop
from libs.chassis.testing.deadline import in_time
from tests.world import World

pytestmark = pytest.mark.services("auth")


async def test_a_task_that_swallows_its_cancellation_and_a_drain_that_never_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = False

    async def swallowing() -> None:
        while not over:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    auth = world.services["auth"]
    drain = auth.broker.stop
    hanging = asyncio.create_task(swallowing(), name="auth something")
    auth._tasks.append(hanging)
    try:
        monkeypatch.setattr(auth.broker, "stop", asyncio.Event().wait)
        monkeypatch.setattr("libs.chassis.service.Stop", partial(Stop, within=1.0))
        await asyncio.sleep(0)
        with capture_logs() as logs:
            async with in_time():
                await world.stop("auth")
        said = [(line["step"], line["tasks"][0]) for line in logs if line["event"] == "does not stop"]
        assert [step for step, _ in said] == ["tasks", "requests"]
        assert said[0][1].startswith("auth something: ")
        assert "swallowing (test_what_hangs" in said[0][1]
        assert auth.bus.client.is_closed, "what comes after them has happened"
        await world.start("auth")
        assert (await world.admin.call("GET", "/users/me")).status == 200
    finally:
        over = True
        hanging.cancel()
        await hanging
        with suppress(Exception):  # its connection is closed
            await drain()
