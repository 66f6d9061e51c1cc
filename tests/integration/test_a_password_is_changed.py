"""People change their password: whoever else is signed in with it is signed out, and they are paged as before."""

from __future__ import annotations

import asyncio
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from libs.contracts.subjects import SERVICES
from services.auth.domain.lockout import MOST
from services.auth.pace import MOST_PASSWORDS as CHANGES
from tests.command import Pager
from tests.phone import PASSWORD, Answer, Phone
from tests.world import World

pytestmark = pytest.mark.services("auth")

NEW = "Another-Battery-8-Staple"


async def _change(world: World, token: str, current: str, new: str, **headers: str) -> Answer:
    return await world.http(
        "POST", "/auth/password/change", {"currentPassword": current, "newPassword": new}, token, **headers
    )


async def _sign_in(world: World, email: str, password: str, device: str = "another") -> Answer:
    return await world.http("POST", "/auth/login", {"email": email, "password": password, "deviceId": device})


async def _refresh(world: World, phone: Phone, token: str) -> Answer:
    return await world.http("POST", "/auth/refresh", {"deviceId": phone.device_id}, token)


def _fault(answer: Answer) -> tuple[int, str, str]:
    assert answer.body["error"]["code"] == "VALIDATION_ERROR", answer.body
    details = answer.body["error"]["details"]
    return answer.status, details["field"], details["reason"]


@pytest.mark.services(*SERVICES)
async def test_this_session_goes_on_with_new_tokens_and_every_other_one_ends(world: World) -> None:
    ana, _ = await world.two_responders()
    thief = (await _sign_in(world, ana.email, PASSWORD)).data["tokens"]
    old = dict(ana.session)
    answer = await _change(world, old["accessToken"], PASSWORD, NEW)
    assert answer.status == 200, answer.body
    tokens = answer.data["tokens"]

    async def signed_out() -> set[int]:
        answers = [await world.http("GET", path, token=thief["accessToken"]) for path in ("/users/me", "/incidents")]
        return {answer.status for answer in answers}

    await world.eventually(signed_out, lambda statuses: statuses == {401}, "that the other session is over")
    assert (await world.http("POST", "/auth/refresh", {"deviceId": "another"}, thief["refreshToken"])).status == 401
    assert (await world.http("GET", "/incidents", token=tokens["accessToken"])).status == 200
    assert (await _refresh(world, ana, old["refreshToken"])).status == 401, "a copy of it is worth nothing"
    assert (await _refresh(world, ana, tokens["refreshToken"])).status == 200
    assert (await _sign_in(world, ana.email, PASSWORD)).status == 401
    assert (await _sign_in(world, ana.email, NEW)).status == 200
    (event,) = await world.log("auth", "PasswordChanged")
    assert (event.data.user_id, event.actor.id) == (ana.user_id, str(ana.user_id))
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")


@pytest.mark.services(*SERVICES)
async def test_a_copy_of_this_sessions_access_token_is_refused_everywhere(world: World) -> None:
    ana = await world.person("ana")
    copied = ana.session["accessToken"]
    tokens = (await _change(world, copied, PASSWORD, NEW)).data["tokens"]
    asked = ("/users/me", "/incidents", "/on-call/current", "/escalation/policies")
    assert (await world.http("GET", "/users/me", token=copied)).status == 401, "by auth at once"

    async def answers(token: str) -> set[int]:
        return {(await world.http("GET", path, token=token)).status for path in asked}

    await world.eventually(partial(answers, copied), lambda statuses: statuses == {401}, "that it opens nothing")
    assert await answers(tokens["accessToken"]) == {200}
    assert (await _change(world, copied, PASSWORD, NEW)).status == 401
    assert (await _change(world, copied, NEW, PASSWORD)).status == 401


async def test_of_two_changes_at_once_one_is_made(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    answers = await asyncio.gather(*(_change(world, token, PASSWORD, f"{NEW}-{n}") for n in range(2)))
    assert sorted(answer.status for answer in answers) in ([200, 400], [200, 401], [200, 409])
    made = next(n for n, answer in enumerate(answers) if answer.status == 200)
    assert (await _sign_in(world, ana.email, f"{NEW}-{made}")).status == 200
    assert (await _sign_in(world, ana.email, f"{NEW}-{1 - made}")).status == 401


async def test_the_last_five_passwords_are_refused_and_the_sixth_is_free_again(world: World) -> None:
    ana = await world.person("ana")
    token, passwords = ana.session["accessToken"], [PASSWORD, *(f"{NEW}-{n}" for n in range(5))]
    for before, after in pairwise(passwords[:5]):
        token = (await _change(world, token, before, after)).data["tokens"]["accessToken"]
    for old in passwords[:5]:
        assert _fault(await _change(world, token, passwords[4], old)) == (
            400, "newPassword", "this was one of the last five passwords",
        )  # fmt: skip
    token = (await _change(world, token, passwords[4], passwords[5])).data["tokens"]["accessToken"]
    assert (await _change(world, token, passwords[5], PASSWORD)).status == 200


@pytest.mark.parametrize(
    ("new", "why"),
    [
        ("short-1A", "the password needs at least 12 characters"),
        ("Password123!", "the password is too easy to guess: this is similar to a commonly used password"),
        ("Ana@pager.test1", "the password is too easy to guess"),
    ],
)
async def test_the_rules_are_the_same_at_every_door(world: World, new: str, why: str) -> None:
    ana = await world.person("ana")
    status, field, reason = _fault(await _change(world, ana.session["accessToken"], PASSWORD, new))
    assert (status, field) == (400, "newPassword")
    assert reason.startswith(why)
    person = {"email": "bo@pager.test", "password": new, "firstName": "Ana@pager.test", "lastName": "Y"}
    status, field, reason = _fault(await world.admin.call("POST", "/users", person))
    assert (status, field) == (400, "password")
    assert reason.startswith(why)
    assert (await _sign_in(world, ana.email, PASSWORD)).status == 200


async def test_whoever_holds_a_session_cannot_try_out_its_password(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    for number in range(MOST):
        answer = await _change(world, token, f"guess {number}", NEW)
        assert _fault(answer) == (400, "currentPassword", "this is not your password")
    assert (await _change(world, token, PASSWORD, NEW)).status == 429, "the address's brake"
    world.clock.advance(seconds=70)
    answer = await _change(world, token, PASSWORD, NEW)
    assert answer.status == 429
    assert "wrong passwords" in answer.body["error"]["message"]
    assert int(answer.headers["Retry-After"]) > 700
    assert (await _sign_in(world, ana.email, PASSWORD)).status == 200, "her sign-in is another matter"
    answer = await world.admin.call("POST", f"/users/{ana.user_id}/unlock")
    assert answer.status == 200
    assert (await _change(world, token, PASSWORD, NEW)).status == 200


async def test_whoever_changes_it_in_a_loop_waits(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    tried = [await _change(world, token, PASSWORD, PASSWORD) for _ in range(CHANGES + 1)]
    assert [answer.status for answer in tried] == [400] * CHANGES + [429]
    assert tried[-1].headers["Retry-After"] == "900"


async def test_a_sign_in_that_was_looked_at_before_a_change_does_not_begin_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana = await world.person("ana")
    sign_ins = _sign_ins(world)
    real, looked, go_on = sign_ins._verified, asyncio.Event(), asyncio.Event()

    async def held(*given: Any, **more: Any) -> Any:
        found = await real(*given, **more)
        looked.set()
        await go_on.wait()
        return found

    with monkeypatch.context() as holding:
        holding.setattr(sign_ins, "_verified", held)
        late = asyncio.create_task(_sign_in(world, ana.email, PASSWORD))
        await looked.wait()
    assert (await _change(world, ana.session["accessToken"], PASSWORD, NEW)).status == 200
    go_on.set()
    assert (await late).status == 401


def _sign_ins(world: World) -> Any:
    sessions: Any = world.services["auth"].parts.answers.sessions
    return sessions.people


async def test_a_reset_is_a_way_out_of_a_lockout_and_its_password_is_remembered(world: World, pager: Pager) -> None:
    ana = await world.person("ana")
    for number in range(MOST):
        assert (await _sign_in(world, ana.email, f"guess {number}")).status == 401
    world.clock.advance(seconds=60)
    code, told = await pager("admin", "reset-password", ana.email)
    assert code == 0, told
    assert (await _sign_in(world, ana.email, told["password"])).status == 200
    token = (await _sign_in(world, ana.email, told["password"])).data["tokens"]["accessToken"]
    assert _fault(await _change(world, token, told["password"], PASSWORD))[1] == "newPassword"
