"""Whoever is deactivated or lost a role has lost it in tokens from before too, and learns no more than that."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.contracts.auth import SignInRefused
from libs.contracts.subjects import SERVICES
from services.auth.passwords import Passwords
from tests.attacks import Attack, Told
from tests.phone import PASSWORD, Answer, Phone
from tests.security.test_signed_out_is_out import _IN, _OUT, _all_say, _refresh, _says
from tests.world import World


async def _sign_in(world: World, person: Phone, password: str = PASSWORD) -> Answer:
    body = {"email": person.email, "password": password, "deviceId": person.device_id}
    return await world.http("POST", "/auth/login", body)


async def _stands(world: World, person: Phone, verb: str) -> None:
    answer = await world.admin.call("POST", f"/users/{person.user_id}/{verb}")
    assert answer.status == 200, answer.body


async def _roles(world: World, person: Phone, *roles: str) -> None:
    answer = await world.admin.call("PATCH", f"/users/{person.user_id}", {"roles": list(roles)})
    assert answer.status == 200, answer.body


async def test_all_doors_close_for_whoever_is_deactivated_and_for_nobody_else(world: World, told: Told) -> None:
    mallory, ana = await world.person("mallory", roles=("lead", "user")), await world.person("ana")
    token = mallory.session["accessToken"]
    assert await _all_say(world, token) == _IN
    await _stands(world, mallory, "deactivate")
    assert await _says(world, "auth", token) == "unauthenticated", "auth itself knows at once"
    await world.eventually(lambda: _all_say(world, token), lambda said: said == _OUT, "that it is out everywhere")
    assert (await _refresh(world, mallory, mallory.session["refreshToken"])).status == 401
    assert [e.data.reason for e in await world.log("auth", "SessionEnded")] == ["deactivated"]
    assert await _all_say(world, ana.session["accessToken"]) == _IN

    await _stands(world, mallory, "reactivate")
    assert await _says(world, "auth", token) == "unauthenticated", "what has ended begins again by signing in alone"
    assert (await _refresh(world, mallory, mallory.session["refreshToken"])).status == 401
    await mallory.sign_in()
    assert await _all_say(world, mallory.session["accessToken"]) == _IN
    told(Attack.AFTER_DEACTIVATION, "401 at auth at once and at every service within a second; so is a refresh")


@pytest.mark.services("auth")
async def test_a_right_password_of_somebody_who_is_deactivated_is_answered_as_a_wrong_one(world: World) -> None:
    ana = await world.person("ana")
    await _stands(world, ana, "deactivate")
    right, wrong = await _sign_in(world, ana), await _sign_in(world, ana, "Another-Horse-7-Battery")
    nobody = await world.http("POST", "/auth/login", {"email": "x@x.test", "password": PASSWORD, "deviceId": "x"})
    assert (right.status, right.body) == (wrong.status, wrong.body) == (nobody.status, nobody.body)
    assert right.status == 401

    async def refused() -> list[Any]:
        return [e.data for e in await world.log("auth", "SignInRefused")]

    found = await world.eventually(refused, lambda seen: len(seen) == 2, "both in the log")
    assert {(type(f), f.reason) for f in found} == {(SignInRefused, "deactivated"), (SignInRefused, "wrong password")}


@pytest.mark.services("auth")
async def test_whoever_signs_in_while_they_are_deactivated_is_out_all_the_same(world: World) -> None:
    for n in range(5):
        person = await world.person(f"racer-{n}")
        answers = await asyncio.gather(
            *(_sign_in(world, person) for _ in range(3)),
            _refresh(world, person, person.session["refreshToken"]),
            _stands(world, person, "deactivate"),
        )
        await _stands(world, person, "reactivate")
        tokens = [a.data["tokens"]["accessToken"] for a in answers if isinstance(a, Answer) and a.status == 200]
        for token in [person.session["accessToken"], *tokens]:
            assert await _says(world, "auth", token) == "unauthenticated"


@pytest.mark.services("auth")
async def test_a_sign_in_whose_person_is_deactivated_while_the_password_is_looked_at_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await world.person("ana")
    verify = Passwords.verify

    async def verify_slowly(passwords: Passwords, *given: Any, **more: Any) -> bool:
        right = await verify(passwords, *given, **more)
        await _stands(world, ana, "deactivate")
        return right

    monkeypatch.setattr(Passwords, "verify", verify_slowly)
    answer = await _sign_in(world, ana)
    assert (answer.status, answer.body["error"]["message"]) == (401, "invalid email or password")

    async def refused() -> list[str]:
        return [e.data.reason for e in await world.log("auth", "SignInRefused")]

    assert await world.eventually(refused, bool, "why") == ["deactivated"]


async def test_a_role_that_was_taken_away_is_none_in_tokens_from_before(world: World, told: Told) -> None:
    ana, bo = await world.person("ana", roles=("admin", "user")), await world.person("bo", roles=("lead", "user"))
    before = ana.session["accessToken"]
    assert await _all_say(world, before) == _IN
    await _roles(world, ana, "user")
    assert await _says(world, "auth", before) == "unauthenticated", "auth itself knows at once"
    made = await world.http("PATCH", f"/users/{bo.user_id}", {"roles": ["admin"]}, before)
    assert made.status == 401, "it makes no admin"
    await world.eventually(lambda: _all_say(world, before), lambda said: said == _OUT, "that it is out everywhere")
    told(Attack.AFTER_ROLE, "401 at auth at once and at every service within a second; a refresh has fewer rights")

    renewed = await _refresh(world, ana, ana.session["refreshToken"])
    assert renewed.status == 200, "the session goes on"
    after = renewed.data["tokens"]["accessToken"]
    assert await _all_say(world, after) == _IN
    assert (await world.http("PATCH", f"/users/{bo.user_id}", {"roles": ["admin"]}, after)).status == 403
    # A profile is no role, and somebody else's role is none of hers.
    assert (await world.http("PATCH", "/users/me", {"firstName": "Anna"}, after)).status == 200
    await _roles(world, bo, "user")
    await world.settle()
    assert await _all_say(world, after) == _IN


async def test_a_team_that_somebody_was_taken_out_of_is_none_in_tokens_from_before(world: World, told: Told) -> None:
    ana = await world.person("ana")
    team = (await world.admin.call("POST", "/teams", {"name": "Core"})).data["team"]["id"]
    body = {"userId": str(ana.user_id), "role": "manager"}
    assert (await world.admin.call("POST", f"/teams/{team}/members", body)).status == 201
    await ana.sign_in()
    before, schedule = ana.session["accessToken"], {"name": "Nights", "teamId": team}
    made = await world.http("POST", "/on-call/schedules", schedule, before)
    assert made.status == 201, made.body
    assert (await world.admin.call("DELETE", f"/teams/{team}/members/{ana.user_id}")).status == 200
    assert await _says(world, "auth", before) == "unauthenticated", "auth itself knows at once"
    await world.eventually(lambda: _all_say(world, before), lambda said: said == _OUT, "that it is out everywhere")

    renewed = await _refresh(world, ana, ana.session["refreshToken"])
    assert renewed.status == 200, "the session goes on"
    after, path = renewed.data["tokens"]["accessToken"], f"/on-call/schedules/{made.data['schedule']['id']}"
    for verb, change, status in (("GET", None, 404), ("PATCH", {"name": "Mine"}, 403), ("DELETE", None, 403)):
        assert (await world.http(verb, path, change, after)).status == status, "who may change nothing learns nothing"
    assert (await world.http("POST", f"/teams/{team}/members", body, after)).status == 403
    told(
        Attack.AFTER_TEAM,
        "401 at auth at once and everywhere within a second; then 404 and 403 for what is the team's",
    )


async def test_a_service_that_starts_later_knows_whose_roles_have_changed(world: World) -> None:
    ana = await world.person("ana", roles=("lead", "user"))
    token = ana.session["accessToken"]
    await _roles(world, ana, "user")
    for service in SERVICES[1:3]:
        await world.stop(service)
        await world.start(service)

        async def said(service: str = service) -> str:
            return await _says(world, service, token)

        assert await world.eventually(said, lambda s: s != "unavailable", "its answer") == "unauthenticated"
