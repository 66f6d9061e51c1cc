"""Whoever is signed out is out: no service takes an access token of a session that ended, in whatever way it did."""

from __future__ import annotations

import asyncio
import json
from base64 import urlsafe_b64decode
from typing import Any
from uuid import uuid4

import pytest

from libs.chassis.store.changes import Gone
from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.requests import Reply
from libs.contracts.subjects import SERVICES, Header, rpc_subject
from services.auth.pace import MOST
from services.auth.tables.people import users
from tests.attacks import Attack, Told
from tests.phone import Answer, Phone
from tests.world import World

pytestmark = pytest.mark.services("auth")

_ASKED = {"auth": "me", "oncall": "schedules", "incidents": "list", "escalation": "policies", "notifier": "list"}


async def _says(world: World, service: str, token: str) -> str:
    body = {"incidentId": str(uuid4())} if service == "notifier" else {}
    reply = await world.rpc(service, _ASKED[service], body, token)
    return "ok" if reply.error is None else str(reply.error.kind)


async def _all_say(world: World, token: str) -> dict[str, str]:
    said = {service: await _says(world, service, token) for service in SERVICES}
    return said | {"gateway": str((await world.http("GET", "/users/me", token=token)).status)}


_IN = dict.fromkeys(SERVICES, "ok") | {"gateway": "200"}
_OUT = dict.fromkeys(SERVICES, "unauthenticated") | {"gateway": "401"}


async def _refresh(world: World, phone: Phone, token: str, device: str | None = None) -> Answer:
    body = {"deviceId": device or phone.device_id}
    return await world.http("POST", "/auth/refresh", body, token)


async def _log_out(world: World, admin: Phone) -> None:
    body = {"deviceId": admin.device_id}
    assert (await world.http("POST", "/auth/logout", body, admin.session["accessToken"])).status == 200


async def _log_out_everywhere(world: World, admin: Phone) -> None:
    body = {"deviceId": "another", "allDevices": True}
    assert (await world.http("POST", "/auth/logout", body, admin.session["accessToken"])).status == 200


async def _sign_in_again(world: World, admin: Phone) -> None:
    await Phone(world, admin.email, "", "", admin.user_id, admin.device_id).sign_in()


async def _use_an_old_refresh_token(world: World, admin: Phone) -> None:
    assert (await _refresh(world, admin, admin.session["refreshToken"])).status == 200
    world.clock.advance(seconds=11)
    assert (await _refresh(world, admin, admin.session["refreshToken"])).status == 401


async def _use_it_on_another_device(world: World, admin: Phone) -> None:
    assert (await _refresh(world, admin, admin.session["refreshToken"], "a-thief")).status == 401


async def test_a_client_that_refreshes_in_a_loop_waits_and_stays_signed_in(world: World) -> None:
    ana = await world.person("ana")
    before = token = ana.session["refreshToken"]
    for _ in range(MOST):
        answer = await _refresh(world, ana, token)
        assert answer.status == 200
        before, token = token, answer.data["tokens"]["refreshToken"]
    braked = [await _refresh(world, ana, token) for _ in range(3)]
    assert {(answer.status, answer.headers["Retry-After"]) for answer in braked} == {(429, "60")}
    assert (await _refresh(world, ana, before)).status == 200, "whoever did not hear the answer is never held up"
    world.clock.advance(seconds=60)
    assert (await _refresh(world, ana, token)).status == 200


_TOLD = {_use_an_old_refresh_token: Attack.REUSED_REFRESH, _use_it_on_another_device: Attack.OTHER_DEVICE}


@pytest.mark.services(*SERVICES)
@pytest.mark.parametrize(
    "end",
    [_log_out, _log_out_everywhere, _sign_in_again, _use_an_old_refresh_token, _use_it_on_another_device],
)
async def test_an_access_token_of_a_session_that_ended_opens_no_door(world: World, end: Any, told: Told) -> None:
    thief = await world.person("mallory", roles=("admin", "user"))
    bystander = await world.person("ana")
    token = thief.session["accessToken"]
    assert await _all_say(world, token) == _IN
    await end(world, thief)
    assert await _says(world, "auth", token) == "unauthenticated", "auth itself knows at once"
    person = {"email": "x@pager.test", "password": "Correct-Horse-8", "firstName": "X", "lastName": "Y"}
    made = await world.http("POST", "/users", person | {"roles": ["admin"]}, token)
    assert made.status == 401, "it makes no admin"
    await world.eventually(lambda: _all_say(world, token), lambda said: said == _OUT, "that it is out everywhere")
    assert await _all_say(world, bystander.session["accessToken"]) == _IN
    told(
        _TOLD.get(end, Attack.AFTER_LOGOUT),
        "401 at auth at once and at every service within a second; its session is over",
    )


@pytest.mark.services(*SERVICES)
async def test_a_service_that_starts_later_knows_who_was_signed_out_before(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    await _log_out(world, ana)
    for service in ("incidents", "oncall"):
        await world.stop(service)
        await world.start(service)

        async def said(service: str = service) -> str:
            return await _says(world, service, token)

        # On a busy machine it may not know yet; what it never says is "ok".
        assert await world.eventually(said, lambda s: s != "unavailable", "its answer") == "unauthenticated"


@pytest.mark.services(*SERVICES)
async def test_a_token_of_somebody_whom_auth_does_not_know_is_refused(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    claims = json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))
    where = {"id": claims["sub"]}  # as after a restored backup
    await world.services["auth"].runtime.rpc.transact(lambda work: work.put(Gone(users, where)))
    assert await _says(world, "auth", token) == "unauthenticated"


async def test_ten_refreshes_at_once_with_one_token_are_one_refresh(world: World) -> None:
    ana = await world.person("ana")
    first = ana.session["refreshToken"]
    answers = await asyncio.gather(*(_refresh(world, ana, first) for _ in range(10)))
    assert [answer.status for answer in answers] == [200] * 10
    tokens = {answer.data["tokens"]["refreshToken"] for answer in answers}
    assert len(tokens) == 1, "they are all given the same one"
    (second,) = tokens
    world.clock.advance(seconds=9)
    again = await _refresh(world, ana, first)
    assert again.data["tokens"]["refreshToken"] == second, "whoever did not hear the answer hears it again"
    third = (await _refresh(world, ana, second)).data["tokens"]["refreshToken"]
    assert third not in (first, second)
    assert (await _refresh(world, ana, first)).status == 401, "the one after it was used: somebody else has it"
    for token in (second, third):
        assert (await _refresh(world, ana, token)).status == 401, "the session is over"


async def test_a_used_refresh_token_is_answered_for_ten_seconds(world: World) -> None:
    ana = await world.person("ana")
    first = ana.session["refreshToken"]
    second = (await _refresh(world, ana, first)).data["tokens"]["refreshToken"]
    world.clock.advance(seconds=10)
    assert (await _refresh(world, ana, first)).status == 401
    assert (await _refresh(world, ana, second)).status == 401, "it was used by two: neither goes on"


async def _show(world: World, token: str, device: str, network: str | None) -> str | None:
    """The token after it, asked for from a network as the gateway says it; None: refused."""
    headers = {} if network is None else {Header.FROM: network}
    body = json.dumps({"refreshToken": token, "deviceId": device}).encode()
    subject = rpc_subject("auth", "refresh")
    raw = (await world.operator.request(subject, body, timeout=DEADLINE, headers=headers)).data
    reply = Reply.model_validate_json(raw)
    return str(reply.data["refreshToken"]) if reply.ok else None


async def test_a_thief_in_step_with_the_phone_is_noticed(world: World) -> None:
    """Both refresh within the ten seconds, each time: neither ever shows a token that was overtaken."""
    ana = await world.person("ana")
    token, rounds = str(ana.session["refreshToken"]), 0
    while (following := await _show(world, token, ana.device_id, "192.0.2.0/24")) is not None:
        rounds += 1
        assert rounds < 20, "the thief stays unseen"
        if await _show(world, token, ana.device_id, "198.51.100.0/24") is None:
            token = following
            break
        token = following
        world.clock.advance(minutes=14)
    assert rounds == 10
    assert await _show(world, token, ana.device_id, "192.0.2.0/24") is None, "the session is over"
    ended = [event.data.reason for event in await world.log("auth", "SessionEnded")]
    assert ended == ["refresh tokens shown in two places"]


@pytest.mark.parametrize(
    "places",
    [
        # One that always asks from several places of its code at once; and one whose gateway is from before.
        [("192.0.2.0/24", "192.0.2.0/24")] * 9,
        [(None, None), (None, "192.0.2.0/24"), ("192.0.2.0/24", None)] * 3,
        # One that moves, and one whose network changed while it asked, now and then.
        [(f"192.0.{n}.0/24", f"192.0.{n}.0/24") for n in range(9)],
        [*[("192.0.2.0/24", "198.51.100.0/24")] * 9, ("192.0.2.0/24", "192.0.2.0/24")] * 2,
        # One that has an address of each version of IP, and asks from both.
        [("192.0.2.0/24", "2001:db8:7::/48")] * 12,
    ],
)
async def test_a_phone_is_no_thief(world: World, places: list[tuple[str | None, str | None]]) -> None:
    ana = await world.person("ana")
    token = str(ana.session["refreshToken"])
    for first, again in places:
        following = await _show(world, token, ana.device_id, first)
        assert following is not None
        for _ in range(3):
            assert await _show(world, token, ana.device_id, again) == following
        token = following
        world.clock.advance(minutes=14)
