"""Whoever runs Pager gives somebody another password: their sessions end, and they are paged as before."""

from __future__ import annotations

import pytest

from libs.contracts.subjects import SERVICES
from tests.command import Pager
from tests.phone import PASSWORD
from tests.world import World

pytestmark = pytest.mark.services("auth")


async def _signs_in(world: World, email: str, password: str) -> int:
    body = {"email": email, "password": password, "deviceId": "another", "deviceName": "another"}
    return (await world.http("POST", "/auth/login", body)).status


@pytest.mark.services(*SERVICES)
@pytest.mark.parametrize("running", [True, False], ids=["beside a running auth", "auth stopped"])
async def test_a_reset_password_ends_every_session_and_no_page(world: World, pager: Pager, running: bool) -> None:
    ana, _ = await world.two_responders()
    old = ana.session["accessToken"]
    if not running:
        await world.stop("auth")
    code, told = await pager("admin", "reset-password", "Ana@pager.test ")
    assert code == 0, told
    assert told["sessionsEnded"] == 1
    if not running:
        await world.start("auth")

    async def refused() -> bool:
        return (await world.http("GET", "/incidents", token=old)).status == 401

    await world.eventually(refused, bool, "an access token that is no longer good")
    assert await _signs_in(world, ana.email, PASSWORD) == 401
    assert await _signs_in(world, ana.email, told["password"]) == 200
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    (event,) = await world.log("auth", "PasswordReset")
    assert (event.data.user_id, event.actor.id) == (ana.user_id, "operator")


async def test_nobody_gets_a_password_by_a_mistyped_address(world: World, pager: Pager) -> None:
    code, told = await pager("admin", "reset-password", "")
    assert code == 2, "an empty variable of a shell is nobody"
    code, told = await pager("admin", "reset-password", "nobody@pager.test")
    assert (code, "nobody has the address nobody@pager.test" in told) == (2, True), told


async def test_whoever_is_deactivated_gets_none(world: World, pager: Pager) -> None:
    ana = await world.person("ana")
    assert (await world.admin.call("POST", f"/users/{ana.user_id}/deactivate")).status == 200
    code, told = await pager("admin", "reset-password", ana.email)
    assert (code, "ana@pager.test is deactivated" in told) == (2, True), told
    assert await world.log("auth", "PasswordReset") == []
