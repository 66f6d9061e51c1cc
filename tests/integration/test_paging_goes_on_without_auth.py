"""Whoever is known is paged while auth is away, also by services that start meanwhile."""

from __future__ import annotations

import pytest

from tests.world import World


@pytest.mark.parametrize("service", ["oncall", "escalation", "incidents", "notifier"])
async def test_a_service_that_starts_while_auth_is_away_pages_whom_it_knows(world: World, service: str) -> None:
    """Registering a phone is a gap for whom its token is none of their business: auth has told them what came next."""
    ana, _ = await world.two_responders()
    await world.settle()
    await world.stop(service)
    await world.person("cy")
    await world.person("di")
    await world.start(service)
    await world.settle()
    await world.stop(service)
    await world.stop("auth")
    await world.start(service)
    await world.fire_alert(priority="critical")
    await ana.expect_push("db down")


@pytest.mark.parametrize("service", ["escalation", "notifier"])
async def test_whoever_has_left_is_passed_over_while_auth_is_away(world: World, service: str) -> None:
    ana, bo = await world.two_responders()
    await world.stop(service)
    assert (await world.admin.call("POST", f"/users/{ana.user_id}/deactivate")).status == 200
    await world.start(service)
    await world.settle()
    await world.stop(service)
    await world.stop("auth")
    await world.start(service)
    await world.fire_alert(priority="critical")
    await bo.expect_push("db down")
    await ana.expect_no_push()
