"""Everybody sees where they are signed in and ends it; an admin does it for others, and for a phone that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from tests.phone import PASSWORD, Answer
from tests.servers import Servers
from tests.world import World

OFFICE, HOME = "198.51.100.7", "2001:db8:77:1::5"


@pytest.fixture
async def world(servers: Servers, services: tuple[str, ...]) -> AsyncIterator[World]:
    """Behind a proxy that is believed: the tests say where a request comes from."""
    async with World(servers, services, trusted_proxies="127.0.0.1") as made:
        yield made


async def _sign_in(world: World, email: str, device: str, address: str = OFFICE, **more: Any) -> dict[str, Any]:
    world.clock.advance(seconds=1)  # it stands: sessions are listed in the order in which they began
    body = {"email": email, "password": PASSWORD, "deviceId": device} | more
    answer = await world.http("POST", "/auth/login", body, **{"X-Forwarded-For": address})
    assert answer.status == 200, answer.body
    return dict(answer.data["tokens"])


async def _listed(world: World, token: str, path: str = "/auth/sessions") -> list[dict[str, Any]]:
    answer = await world.http("GET", path, token=token)
    assert answer.status == 200, answer.body
    return list(answer.data["sessions"])


async def _is_out(world: World, tokens: dict[str, Any], device: str) -> None:
    async def answers() -> set[int]:
        paths = ("/users/me", "/incidents", "/on-call/schedules", "/escalation/policies")
        return {(await world.http("GET", path, token=tokens["accessToken"])).status for path in paths}

    await world.eventually(answers, lambda statuses: statuses == {401}, "that it is refused everywhere")
    refreshed = await world.http("POST", "/auth/refresh", {"deviceId": device}, tokens["refreshToken"])
    assert refreshed.status == 401


@pytest.mark.services("auth")
async def test_a_session_says_on_what_and_from_where_it_was_begun_and_used_and_never_a_token(world: World) -> None:
    ana = await world.person("ana")
    laptop = await _sign_in(world, ana.email, "laptop", HOME, deviceName="Ana's laptop", platform="android")
    world.clock.advance(minutes=10)
    there = {"X-Forwarded-For": OFFICE}
    answer = await world.http("POST", "/auth/refresh", {"deviceId": "laptop"}, laptop["refreshToken"], **there)
    laptop = answer.data["tokens"]
    answer = await world.http("GET", "/auth/sessions", token=laptop["accessToken"])
    phone, mine = answer.data["sessions"]
    assert (mine["deviceId"], mine["deviceName"], mine["platform"]) == ("laptop", "Ana's laptop", "android")
    assert (mine["beganFrom"], mine["lastUsedFrom"]) == ("2001:db8:77::/48", "198.51.100.0/24")
    assert mine["beganAt"] < mine["lastUsedAt"] < mine["expiresAt"]
    assert (phone["deviceId"], phone["platform"]) == (ana.device_id, "android" if ana.provider == "fcm" else "ios")
    assert [session["isCurrent"] for session in (phone, mine)] == [False, True]
    assert not {"secretHash", "familyHash", "usedFrom"} & set(mine)
    assert not [token for token in laptop.values() if str(token) in str(answer.body) and token != "Bearer"]


@pytest.mark.services("auth")
async def test_the_list_comes_in_pages_and_without_what_has_expired(world: World) -> None:
    ana = await world.person("ana")
    for number in range(3):
        tokens = await _sign_in(world, ana.email, f"laptop {number}")
    pages, cursor = [], ""
    for _ in range(4):
        answer = await world.http("GET", f"/auth/sessions?limit=1{cursor}", token=tokens["accessToken"])
        pages += answer.data["sessions"]
        cursor = f"&cursor={answer.data['nextCursor']}"
    assert answer.data["nextCursor"] is None
    assert {session["deviceId"] for session in pages} == {ana.device_id, "laptop 0", "laptop 1", "laptop 2"}
    world.clock.advance(minutes=60 * 24 * 8)
    tokens = await _sign_in(world, ana.email, "another")
    assert [session["deviceId"] for session in await _listed(world, tokens["accessToken"])] == ["another"]


async def test_one_ends_one_of_ones_sessions_and_its_phone_is_paged_all_the_same(world: World) -> None:
    ana, _ = await world.two_responders()
    old = dict(ana.session)
    laptop = await _sign_in(world, ana.email, "laptop")
    phone, _ = await _listed(world, laptop["accessToken"])
    path = f"/auth/sessions/{phone['id']}"
    assert (await world.http("DELETE", path, token=laptop["accessToken"])).status == 200
    await _is_out(world, old, ana.device_id)
    again = await world.http("DELETE", path, token=laptop["accessToken"])
    assert (again.status, again.body["error"]["code"]) == (404, "NOT_FOUND")
    (ended,) = [event for event in await world.log("auth", "SessionEnded") if str(event.data.session_id) == phone["id"]]
    assert (ended.data.reason, ended.actor.id) == ("ended by its owner", str(ana.user_id))
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")


async def test_one_ends_all_but_this_one(world: World) -> None:
    ana = await world.person("ana")
    old = dict(ana.session)
    laptop = await _sign_in(world, ana.email, "laptop")
    for _ in range(2):
        assert (await world.http("DELETE", "/auth/sessions", token=laptop["accessToken"])).status == 200
    await _is_out(world, old, ana.device_id)
    assert [session["deviceId"] for session in await _listed(world, laptop["accessToken"])] == ["laptop"]


async def test_ones_own_may_be_the_one_that_ends(world: World) -> None:
    ana = await world.person("ana")
    (mine,) = await _listed(world, ana.session["accessToken"])
    answer = await world.http("DELETE", f"/auth/sessions/{mine['id']}", token=ana.session["accessToken"])
    assert answer.status == 200
    await _is_out(world, ana.session, ana.device_id)


@pytest.mark.services("auth")
async def test_another_persons_session_is_none_of_ones_own(world: World) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    (hers,) = await _listed(world, ana.session["accessToken"])
    token, admins = bo.session["accessToken"], f"/users/{ana.user_id}/sessions"
    for path, status in ((f"/auth/sessions/{hers['id']}", 404), (f"{admins}/{hers['id']}", 403), (admins, 403)):
        answer = await world.http("DELETE", path, token=token)
        assert answer.status == status, (path, answer.body)
    assert (await world.http("GET", admins, token=token)).status == 403
    device = await world.http("DELETE", f"/users/{ana.user_id}/devices/{ana.device_id}", token=token)
    assert device.status == 403
    # An admin names whose it is, and hits nobody else's.
    wrong = await world.admin.call("DELETE", f"/users/{bo.user_id}/sessions/{hers['id']}")
    assert wrong.status == 404
    nobody = await world.admin.call("GET", f"/users/{uuid4()}/sessions")
    assert nobody.status == 404
    assert [session["id"] for session in await _listed(world, ana.session["accessToken"])] == [hers["id"]]


async def test_an_admin_sees_and_ends_anothers_sessions(world: World) -> None:
    ana = await world.person("ana")
    laptop = await _sign_in(world, ana.email, "laptop")
    path = f"/users/{ana.user_id}/sessions"
    shown: Answer = await world.admin.call("GET", path)
    assert [session["isCurrent"] for session in shown.data["sessions"]] == [False, False]
    lost = next(session for session in shown.data["sessions"] if session["deviceId"] == "laptop")
    assert (await world.admin.call("DELETE", f"{path}/{lost['id']}")).status == 200
    await _is_out(world, laptop, "laptop")
    assert (await world.admin.call("DELETE", path)).status == 200
    await _is_out(world, ana.session, ana.device_id)
    ended = [event for event in await world.log("auth", "SessionEnded") if event.data.user_id == ana.user_id]
    assert {(event.data.reason, event.actor.id) for event in ended} == {("ended by an admin", str(world.admin.user_id))}
    assert (await world.admin.call("GET", path)).data["sessions"] == []


async def test_a_lost_phone_is_signed_out_and_paged_no_longer(world: World) -> None:
    ana, bo = await world.two_responders()
    path = f"/users/{ana.user_id}/devices/{ana.device_id}"
    assert (await world.admin.call("DELETE", path)).status == 200
    await _is_out(world, ana.session, ana.device_id)
    assert (await world.admin.call("DELETE", path)).status == 404
    assert (await world.admin.call("DELETE", f"/users/{uuid4()}/devices/x")).status == 404
    await world.settle()
    await world.fire_alert("db down", priority="critical")
    await bo.expect_push("db down")
    await ana.expect_no_push()


@pytest.mark.services("auth")
async def test_ends_at_once_from_two_replicas_are_one(world: World) -> None:
    ana = await world.person("ana")
    laptop = await _sign_in(world, ana.email, "laptop")
    phone, _ = await _listed(world, laptop["accessToken"])
    twin = world.twin("auth", "auth-2")
    await twin.start()
    try:
        path = f"/auth/sessions/{phone['id']}"
        answers = await asyncio.gather(
            *(world.http("DELETE", path, token=laptop["accessToken"]) for _ in range(6)),
            *(world.http("DELETE", "/auth/sessions", token=laptop["accessToken"]) for _ in range(6)),
        )
    finally:
        await twin.stop()
    assert {answer.status for answer in answers} <= {200, 404}
    ended = [event for event in await world.log("auth", "SessionEnded") if str(event.data.session_id) == phone["id"]]
    assert len(ended) == 1
