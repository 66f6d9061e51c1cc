"""What was revoked is refused within a moment, by every service: one token, a session, and all from before a change."""

from __future__ import annotations

from typing import Any

import pytest

from libs.contracts.subjects import SERVICES
from tests.phone import Phone
from tests.security.test_signed_out_is_out import _all_say
from tests.world import World

IN = dict.fromkeys(SERVICES, "ok") | {"gateway": "200"}
OUT = dict.fromkeys(SERVICES, "unauthenticated") | {"gateway": "401"}


async def _becomes_out(world: World, token: str) -> None:
    await world.eventually(lambda: _all_say(world, token), lambda said: said == OUT, "that it is refused everywhere")


async def test_a_token_that_was_given_up_opens_nothing_and_its_session_goes_on(world: World) -> None:
    ana = await world.person("ana")
    seen = ana.session["accessToken"]
    assert await _all_say(world, seen) == IN
    assert (await world.http("DELETE", "/auth/token", token=seen)).status == 200
    assert (await world.rpc("auth", "me", token=seen)).error is not None, "auth itself knows at once"
    await _becomes_out(world, seen)
    refreshed = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, ana.session["refreshToken"])
    assert await _all_say(world, refreshed.data["tokens"]["accessToken"]) == IN


async def test_a_right_is_gone_in_the_second_in_which_its_token_was_issued(world: World) -> None:
    bo = await world.person("bo", roles=("admin", "user"))
    await bo.sign_in()
    token = bo.session["accessToken"]
    changed = await world.admin.call("PATCH", f"/users/{bo.user_id}", {"roles": ["user"]})
    assert changed.status == 200
    await _becomes_out(world, token)
    refreshed = await world.http("POST", "/auth/refresh", {"deviceId": bo.device_id}, bo.session["refreshToken"])
    assert await _all_say(world, refreshed.data["tokens"]["accessToken"]) == IN
    assert (await world.admin.call("POST", f"/users/{bo.user_id}/deactivate")).status == 200
    await _becomes_out(world, refreshed.data["tokens"]["accessToken"])


async def test_it_is_in_force_while_nothing_is_relayed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at the commit, past the stream, which may have lost its quorum, or its relay."""

    async def nothing() -> bool:
        return False

    people: list[Phone] = [await world.person(name) for name in ("ana", "bo", "di")]
    ana, bo, di = people
    for phone in people:
        assert await _all_say(world, phone.session["accessToken"]) == IN
    monkeypatch.setattr(world.services["auth"].relay, "_publish_some", nothing)
    body: dict[str, Any] = {"deviceId": ana.device_id}
    assert (await world.http("POST", "/auth/logout", body, ana.session["accessToken"])).status == 200
    assert (await world.http("DELETE", "/auth/token", token=bo.session["accessToken"])).status == 200
    assert (await world.admin.call("PATCH", f"/users/{di.user_id}", {"roles": ["lead"]})).status == 200
    for phone in people:
        await _becomes_out(world, phone.session["accessToken"])
    assert await _all_say(world, world.admin.session["accessToken"]) == IN
