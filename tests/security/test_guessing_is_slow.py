"""Passwords cannot be tried out: neither many from one place, nor so many at once that nothing else gets done."""

from __future__ import annotations

import asyncio
from typing import Any

import bcrypt
import pytest

from libs.contracts.subjects import SERVICES
from tests.phone import PASSWORD, Answer
from tests.world import World

pytestmark = pytest.mark.services("auth")


async def _sign_in(world: World, email: str, password: str = PASSWORD) -> Answer:
    body = {"email": email, "password": password, "deviceId": "somewhere"}
    return await world.http("POST", "/auth/login", body)


async def test_from_one_address_five_passwords_a_minute_are_looked_at_and_no_sixth(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await world.person("ana")
    checked: list[Any] = []
    real = bcrypt.checkpw

    def counted(password: bytes, hashed: bytes) -> bool:
        checked.append(hashed)
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    answers = await asyncio.gather(*(_sign_in(world, f"nobody-{n}@pager.test", f"guess {n}") for n in range(40)))
    assert len(checked) <= 5
    assert {answer.status for answer in answers} == {401, 429}
    while (answer := await _sign_in(world, "nobody@pager.test", "guess")).status == 401:
        assert len(checked) <= 5
    assert (answer.status, answer.body["error"]["code"], len(checked)) == (429, "RATE_LIMITED", 5)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert (await _sign_in(world, ana.email)).status == 200, "she has signed in from there before"
    assert (await ana.call("GET", "/users/me")).status == 200
    world.clock.advance(seconds=60)
    assert (await _sign_in(world, "nobody@pager.test", "guess")).status == 401


@pytest.mark.services(*SERVICES)
async def test_nobody_is_told_on_which_device_another_was_paged(world: World) -> None:
    ana, bo = await world.two_responders()
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    path = f"/notifications?incidentId={(await world.incident())['id']}"

    async def shown(phone: Any) -> set[str | None]:
        return {n["deviceId"] for n in (await phone.call("GET", path)).data["notifications"]}

    assert await shown(ana) == {"ana-phone"}
    assert await shown(bo) == await shown(world.admin) == {None}
    incident = (await world.incident())["id"]
    for told in ("", "/timeline", "/explain"):
        assert "ana-phone" not in str((await bo.call("GET", f"/incidents/{incident}{told}")).body)
