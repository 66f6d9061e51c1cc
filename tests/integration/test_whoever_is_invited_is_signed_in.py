"""Whoever makes their account by an invite is signed in by that, on the phone or in the browser that they name."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import pytest

from services.auth.second_factors import SecondFactors
from tests.device import DeviceKey
from tests.phone import PASSWORD, Answer
from tests.world import World

pytestmark = pytest.mark.services("auth")

EVA = "eva@pager.test"


async def _invited(world: World, *roles: str) -> str:
    answer = await world.admin.call("POST", "/invites", {"email": EVA, "roles": [*roles] or ["user"]})
    assert answer.status == 201, answer.body
    return str(answer.data["invite"]["link"]["url"].partition("#")[2])


async def _register(world: World, token: str, device: dict[str, Any], **headers: str) -> Answer:
    body = {"inviteToken": token, "password": PASSWORD, "firstName": "Eva", "lastName": "Ek"}
    return await world.http("POST", "/auth/register", body | device, **headers)


def _phone(key: DeviceKey) -> dict[str, Any]:
    return {"deviceId": "phone", "deviceName": "Eva's", "pushToken": "fcm-of-eva", "deviceKey": key.public}


async def test_a_phone_is_signed_in_paged_and_bound_to_its_key_by_that(world: World) -> None:
    key = DeviceKey()
    answer = await _register(world, await _invited(world), _phone(key))
    assert answer.status == 201, answer.body
    assert answer.data["deviceCredential"]
    tokens = answer.data["tokens"]
    (session,) = (await world.http("GET", "/auth/sessions", token=tokens["accessToken"])).data["sessions"]
    assert (session["deviceId"], session["isBound"], session["isCurrent"]) == ("phone", True, True)
    me = (await world.http("GET", "/users/me", token=tokens["accessToken"])).data["user"]
    assert me["reachable"]
    assert me == answer.data["user"] | {"reachable": True}
    bare = {"deviceId": "phone"}
    refused = await world.http("POST", "/auth/refresh", bare, tokens["refreshToken"])
    assert (refused.status, refused.body["error"]["details"]["field"]) == (401, "proof")
    proven = bare | {"proof": key.proof(tokens["refreshToken"])}
    assert (await world.http("POST", "/auth/refresh", proven, tokens["refreshToken"])).status == 200


async def test_said_again_it_signs_in_anew_and_leaves_one_session(world: World) -> None:
    link, key = await _invited(world), DeviceKey()
    first, again = await _register(world, link, _phone(key)), await _register(world, link, _phone(key))
    assert (first.status, again.status) == (201, 201)
    assert first.data["user"]["id"] == again.data["user"]["id"]
    assert (await world.http("GET", "/users/me", token=first.data["tokens"]["accessToken"])).status == 401
    sessions = await world.http("GET", "/auth/sessions", token=again.data["tokens"]["accessToken"])
    assert len(sessions.data["sessions"]) == 1


async def test_a_browser_is_given_its_cookie(world: World) -> None:
    web = {"deviceId": "browser", "platform": "web"}
    link = await _invited(world)
    elsewhere = await _register(world, link, web, Origin="https://elsewhere.example")
    assert (elsewhere.status, elsewhere.body["error"]["code"]) == (403, "FORBIDDEN")
    answer = await _register(world, link, web, Origin=world.gateway.url)
    assert answer.status == 201, answer.body
    assert "refreshToken" not in answer.data["tokens"]
    assert SimpleCookie(answer.headers["Set-Cookie"])["__Secure-pager-refresh"]["path"] == "/api/v1/auth"


async def test_without_a_device_or_with_a_bad_one_nobody_is_signed_in(world: World) -> None:
    link = await _invited(world)
    nameless = await _register(world, link, {"deviceKey": DeviceKey().public})
    assert (nameless.status, nameless.body["error"]["details"]["field"]) == (400, "deviceId")
    assert (await _register(world, link, {"deviceId": "phone", "deviceKey": {"kty": "EC"}})).status == 400
    unpaged = await _register(world, link, {"deviceId": "phone", "pushToken": "short"})
    assert (unpaged.status, unpaged.body["error"]["details"]["field"]) == (400, "pushToken")
    assert not [event for event in await world.log("auth", "UserRegistered") if event.data.email == EVA]
    answer = await _register(world, link, {})
    assert (answer.status, answer.data["tokens"], answer.data["deviceCredential"]) == (201, None, None)
    assert (
        await world.http("POST", "/auth/login", {"email": EVA, "password": PASSWORD, "deviceId": "d"})
    ).status == 200


async def test_of_whom_a_second_factor_is_wanted_signs_in_with_it(world: World) -> None:
    link = await _invited(world, "admin")
    factors: SecondFactors = world.services["auth"].parts.answers.sessions.people.second_factors  # type: ignore[union-attr]
    object.__setattr__(factors, "admins_need", True)
    answer = await _register(world, link, _phone(DeviceKey()))
    assert (answer.status, answer.data["tokens"]) == (201, None)
    signed = await world.http("POST", "/auth/login", {"email": EVA, "password": PASSWORD, "deviceId": "phone"})
    assert signed.body["error"]["code"] == "SECOND_FACTOR_REQUIRED"


async def test_whoever_was_deactivated_meanwhile_is_not_signed_in_by_saying_it_again(world: World) -> None:
    link = await _invited(world)
    made = await _register(world, link, {})
    await world.admin.call("POST", f"/users/{made.data['user']['id']}/deactivate")
    refused = await _register(world, link, _phone(DeviceKey()))
    assert (refused.status, refused.body["error"]["details"]["field"]) == (400, "inviteToken")
