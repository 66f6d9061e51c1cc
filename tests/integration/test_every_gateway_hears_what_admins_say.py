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


async def _at(world: World, gateway: Any, method: str, path: str, body: Any = None) -> int:
    """The status that the admin gets at this gateway."""
    before, world.gateway = world.gateway, gateway
    try:
        return (await world.admin.call(method, path, body)).status
    finally:
        world.gateway = before


async def _until(look: Callable[[], Awaitable[int]], wanted: int) -> None:
    async with in_time():
        while await look() != wanted:
            pass


async def test_what_is_said_at_one_gateway_holds_at_the_others(world: World) -> None:
    async with world.another_gateway() as other:
        for enabled, refused in ((True, 503), (False, 201)):
            said = await _at(world, world.gateway, "POST", "/admin/maintenance", {"enabled": enabled})
            assert said == 200
            team = {"name": f"Team {enabled}"}
            await _until(partial(_at, world, other, "POST", "/teams", team), refused)
        for enabled, status in ((False, 403), (True, 503)):  # of incidents, which is away here
            assert await _at(world, other, "PUT", "/admin/features/analytics", {"enabled": enabled}) == 200
            await _until(partial(_at, world, world.gateway, "GET", "/analytics/summary"), status)
        assert await _at(world, other, "PUT", "/admin/features/analytics", {"enabled": False}) == 200
    async with world.another_gateway() as later:
        await _until(partial(_at, world, later, "GET", "/analytics/summary"), 403)


def test_it_holds_within_a_second() -> None:
    """Each gateway asks, and tells what it has let in, so often; the rest of the second is for the answer."""
    assert heard._PAUSE <= 0.5
    assert gossip._PAUSE <= 0.5
