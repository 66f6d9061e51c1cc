"""There is room for five devices: a sixth is told which there are, and may take the place of one of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.phone import PASSWORD, Answer, Phone
from tests.world import World

pytestmark = pytest.mark.services("auth")


async def _sign_in(world: World, ana: Phone, device: str, *, push: bool = False, **more: Any) -> Answer:
    body = {"email": ana.email, "password": PASSWORD, "deviceId": device, "deviceName": f"Ana's {device}"}
    token = {"pushToken": f"fcm-{device}"} if push else {}
    return await world.http("POST", "/auth/login", body | token | more)


def _offered(answer: Answer) -> dict[str, dict[str, Any]]:
    """The devices of a 409, by their ids."""
    assert (answer.status, answer.body["error"]["code"]) == (409, "CONFLICT"), answer.body
    details = answer.body["error"]["details"]
    assert details["field"] == "replace"
    return {device["deviceId"]: device for device in details["devices"]}


async def _full(world: World) -> Phone:
    """Ana with her phone, three more that are paged, and a browser."""
    ana = await world.person("ana")
    for number in range(3):
        assert (await _sign_in(world, ana, f"tablet-{number}", push=True)).status == 200
    assert (await _sign_in(world, ana, "browser")).status == 200
    return ana


async def test_a_sixth_device_is_told_of_the_five_and_changes_nothing(world: World) -> None:
    ana = await _full(world)
    offered = _offered(await _sign_in(world, ana, "sixth", push=True))
    assert set(offered) == {"ana-phone", "tablet-0", "tablet-1", "tablet-2", "browser"}
    assert {name: device["isPaged"] for name, device in offered.items() if not device["isPaged"]} == {"browser": False}
    browser = offered["browser"]
    assert browser["deviceName"] == "Ana's browser"
    assert browser["lastUsedAt"] == world.clock.now().isoformat().replace("+00:00", "Z")
    another = {"deviceId": "sixth", "platform": "android", "pushToken": "fcm-sixth"}
    assert set(_offered(await ana.call("POST", "/devices", another))) == set(offered)
    assert (
        await world.http("POST", "/auth/login", {"email": ana.email, "password": "x", "deviceId": "y"})
    ).status == 401
    assert (await _sign_in(world, ana, "browser")).status == 200, "one of the five is no sixth"
    assert len((await ana.call("GET", "/devices")).data["devices"]) == 4


@pytest.mark.parametrize("by", ["deviceId", "sessionId"])
async def test_the_device_that_is_named_makes_room_and_is_paged_no_longer(world: World, by: str) -> None:
    ana = await _full(world)
    gone = _offered(await _sign_in(world, ana, "sixth"))["ana-phone"]
    made = await _sign_in(world, ana, "sixth", push=True, replace=gone[by])
    assert made.status == 200, made.body
    assert (await world.http("GET", "/users/me", token=ana.session["accessToken"])).status == 401
    devices = await world.http("GET", "/devices", token=made.data["tokens"]["accessToken"])
    paged = {device["deviceId"] for device in devices.data["devices"]}
    assert paged == {"tablet-0", "tablet-1", "tablet-2", "sixth"}
    # Once more, by somebody who did not hear the answer; and for one that was never theirs.
    assert (await _sign_in(world, ana, "sixth", push=True, replace=gone[by])).status == 200
    assert len(_offered(await _sign_in(world, ana, "seventh", replace="nobodys"))) == 5


async def test_devices_at_once_find_as_many_places_as_there_are(world: World) -> None:
    ana = await world.person("ana")
    answers = await asyncio.gather(*(_sign_in(world, ana, f"device-{n}") for n in range(4)))
    assert [answer.status for answer in answers] == [200] * 4
    answers = await asyncio.gather(*(_sign_in(world, ana, f"late-{n}") for n in range(4)))
    assert [answer.status for answer in answers] == [409] * 4


async def test_a_device_that_signed_out_or_whose_session_has_expired_leaves_its_place(world: World) -> None:
    ana = await _full(world)
    assert (await ana.call("POST", "/auth/logout", {"deviceId": "tablet-1"})).status == 200
    assert (await _sign_in(world, ana, "sixth")).status == 200
    _offered(await _sign_in(world, ana, "seventh"))
    world.clock.advance(minutes=7 * 24 * 60)
    assert (await _sign_in(world, ana, "seventh")).status == 200, "browser and sixth were never paged"
    assert (await _sign_in(world, ana, "eighth")).status == 200
    assert set(_offered(await _sign_in(world, ana, "ninth"))) == {
        "ana-phone", "tablet-0", "tablet-2", "seventh", "eighth",
    }  # fmt: skip
