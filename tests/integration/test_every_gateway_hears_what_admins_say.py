"""Promise: what an admin says at one gateway holds at every other one that is there, and at those that come later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from libs.chassis.testing.deadline import in_time
from services.gateway import gossip, heard
from tests.world import World

pytestmark = pytest.mark.services("auth")
DONE = "done"
SUMMARY = "/analytics/summary"
"""Incidents is away here: it is refused, or unavailable."""


async def _at(world: World, gateway: Any, method: str, path: str, body: Any = None) -> str:
    """What the admin is told at this gateway: an error's code, or `DONE`."""
    before, world.gateway = world.gateway, gateway
    try:
        answer = await world.admin.call(method, path, body)
    finally:
        world.gateway = before
    return DONE if answer.status < 400 else str(answer.body["error"]["code"])


async def _until(look: Callable[[], Awaitable[str]], wanted: str) -> None:
    async with in_time():
        while await look() != wanted:
            pass


async def test_what_is_said_at_one_gateway_holds_at_the_others(world: World) -> None:
    here = world.gateway
    async with world.another_gateway() as other:
        for enabled, told in ((True, "MAINTENANCE"), (False, DONE)):
            assert await _at(world, here, "POST", "/admin/maintenance", {"enabled": enabled}) == DONE
            await _until(partial(_at, world, other, "POST", "/teams", {"name": f"Team {enabled}"}), told)
        for enabled, told in ((False, "FORBIDDEN"), (True, "UNAVAILABLE"), (False, "FORBIDDEN")):
            assert await _at(world, other, "PUT", "/admin/features/analytics", {"enabled": enabled}) == DONE
            await _until(partial(_at, world, here, "GET", SUMMARY), told)
    async with world.another_gateway() as later:
        await _until(partial(_at, world, later, "GET", SUMMARY), "FORBIDDEN")


def test_it_holds_within_a_second() -> None:
    """Each gateway asks, and tells what it has let in, so often; the rest of the second is for the answer."""
    assert heard._PAUSE <= 0.5
    assert gossip._PAUSE <= 0.5
