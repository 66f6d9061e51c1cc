"""An admin invites somebody, who makes their account with a link that works once."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from hashlib import sha256
from typing import Any

import pytest

from services.auth.pace import MOST_PASSWORDS
from tests.phone import PASSWORD, Answer
from tests.world import World

pytestmark = pytest.mark.services("auth")

EVA = "eva@pager.test"
OTHER = "Another-Battery-8-Staple"


async def _invite(world: World, email: str = EVA, **more: Any) -> Answer:
    return await world.admin.call("POST", "/invites", {"email": email} | more)


def _token(answer: Answer) -> str:
    assert answer.status in (200, 201), answer.body
    return str(answer.data["invite"]["link"]["url"].partition("#")[2])


async def _register(world: World, token: str, password: str = PASSWORD) -> Answer:
    body = {"inviteToken": token, "password": password, "firstName": "Eva", "lastName": "Ek"}
    return await world.http("POST", "/auth/register", body)


async def _status(world: World) -> str:
    (invite,) = (await world.admin.call("GET", "/invites")).data["invites"]
    assert invite["link"] is None
    return str(invite["status"])


def _is_refused(answer: Answer) -> bool:
    return answer.status == 400 and answer.body["error"]["details"]["field"] == "inviteToken"


async def test_the_link_makes_an_account_of_the_invited_address_and_role(world: World) -> None:
    answer = await _invite(world, roles=["lead"])
    assert await _status(world) == "open"
    made = await _register(world, _token(answer))
    assert made.status == 201, made.body
    user = made.data["user"]
    assert (user["email"], user["roles"], user["emailVerified"]) == (EVA, ["lead"], False)
    login = await world.http("POST", "/auth/login", {"email": EVA, "password": PASSWORD, "deviceId": "d"})
    assert (login.status, login.data["user"]["id"]) == (200, user["id"])
    assert await _status(world) == "accepted"
    names = ("InviteIssued", "InviteAccepted", "UserRegistered")
    issued, registered, accepted = (await world.log("auth", *names))[-3:]
    assert (issued.actor.id, accepted.actor.id) == (str(world.admin.user_id), user["id"])
    assert registered.data.user_id == accepted.data.user_id


async def test_whoever_did_not_hear_the_answer_says_it_again_and_nobody_else_can(world: World) -> None:
    token = _token(await _invite(world))
    first, again = await _register(world, token), await _register(world, token)
    assert (first.status, again.status) == (201, 201)
    assert first.data["user"] == again.data["user"]
    assert _is_refused(await _register(world, token, OTHER))
    assert (await world.http("POST", "/auth/login", {"email": EVA, "password": OTHER, "deviceId": "d"})).status == 401
    world.clock.advance(minutes=7 * 24 * 60)
    assert _is_refused(await _register(world, token))


async def test_two_registers_at_once_make_one_person(world: World) -> None:
    token = _token(await _invite(world))
    same = await asyncio.gather(*(_register(world, token) for _ in range(3)))
    assert [answer.status for answer in same] == [201] * 3
    assert len({answer.data["user"]["id"] for answer in same}) == 1
    assert len([e for e in await world.log("auth", "UserRegistered") if e.data.email == EVA]) == 1


async def test_of_two_people_with_one_link_one_gets_in(world: World) -> None:
    token = _token(await _invite(world))
    answers = await asyncio.gather(_register(world, token), _register(world, token, OTHER))
    assert sorted(answer.status for answer in answers) == [201, 400]


async def test_an_account_that_was_made_meanwhile_stays_as_it_is(world: World) -> None:
    token = _token(await _invite(world, "ana@pager.test"))
    await world.person("ana")
    refused = await _register(world, token, OTHER)
    assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")
    assert (await _invite(world, " ANA@pager.test")).status == 409


async def test_a_link_ends_with_its_time_with_another_one_and_with_its_invite(world: World) -> None:
    answer = await _invite(world)
    first, invite_id = _token(answer), answer.data["invite"]["id"]
    assert (await _invite(world)).status == 409
    second = _token(await world.admin.call("POST", f"/invites/{invite_id}/resend"))
    assert _is_refused(await _register(world, first))
    world.clock.advance(minutes=7 * 24 * 60 - 60)
    third = _token(await world.admin.call("POST", f"/invites/{invite_id}/resend"))
    world.clock.advance(minutes=120)
    assert _is_refused(await _register(world, second))
    for _ in range(2):
        assert (await world.admin.call("DELETE", f"/invites/{invite_id}")).status == 200
    assert _is_refused(await _register(world, third))
    assert await _status(world) == "revoked"
    assert (await world.admin.call("POST", f"/invites/{invite_id}/resend")).status == 409
    assert (await _invite(world)).status == 201


async def test_a_weak_password_does_not_use_up_the_link(world: World) -> None:
    token = _token(await _invite(world))
    for weak in ("short", "no-capitals-1!", "Password-1234"):
        refused = await _register(world, token, weak)
        assert (refused.status, refused.body["error"]["details"]["field"]) == (400, "password")
    assert (await _register(world, token)).status == 201


async def test_weak_passwords_offered_in_a_loop_wait_and_the_link_stays_good(world: World) -> None:
    """What is easy to guess costs the thread that hashes as much as a hash: others sign in beside."""
    token = _token(await _invite(world))
    offered = [await _register(world, token, "short") for _ in range(MOST_PASSWORDS)]
    assert {answer.status for answer in offered} == {400}
    waits = await _register(world, token)
    assert (waits.status, waits.body["error"]["code"]) == (429, "RATE_LIMITED"), waits.body
    await world.advance(minutes=16)
    assert (await _register(world, token)).status == 201


@pytest.mark.parametrize("token", ["x", "invite_" + "A" * 43, "é" * 200])
async def test_an_invented_link_is_refused_and_after_five_of_them_everything_from_there(
    world: World, token: str
) -> None:
    for _ in range(5):
        assert _is_refused(await _register(world, token))
    assert (await _register(world, token)).status == 429
    assert (await _register(world, "x" * 10_000)).status == 400


async def test_a_repeat_of_the_invitation_does_not_show_the_link_again(world: World) -> None:
    body, key = {"email": EVA}, {"Idempotency-Key": "once"}
    first, again = [await world.admin.call("POST", "/invites", body, **key) for _ in range(2)]
    assert first.data["invite"]["id"] == again.data["invite"]["id"]
    assert first.data["invite"]["link"] is not None
    assert again.data["invite"]["link"] is None


async def test_only_admins_invite_and_a_foreign_host_gets_into_no_link(world: World) -> None:
    lead = await world.person("lea", roles=("lead",))
    for method, path in (("POST", "/invites"), ("GET", "/invites")):
        body = {"email": EVA} if method == "POST" else None
        assert (await lead.call(method, path, body)).status == 403
    foreign = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    answer = await world.admin.call("POST", "/invites", {"email": EVA}, **foreign)
    assert answer.data["invite"]["link"]["url"].startswith("http://localhost:3000/app/register#invite_")


async def test_without_mails_an_admin_hands_a_reset_over_and_nobody_else_can_ask(world: World) -> None:
    ana = await world.person("ana")
    for email in (ana.email, "nobody@pager.test"):
        refused = await world.http("POST", "/auth/password/forgot", {"email": email})
        assert (refused.status, refused.body["error"]["code"]) == (409, "CONFLICT")
    key = {"Idempotency-Key": "once"}
    path = f"/users/{ana.user_id}/password/reset-link"
    first, again = [await world.admin.call("POST", path, {}, **key) for _ in range(2)]
    assert again.data["link"] is None
    assert (await ana.call("POST", path, {})).status == 403
    token = first.data["link"]["url"].partition("#")[2]
    body = {"token": token, "newPassword": OTHER}
    assert (await world.http("POST", "/auth/password/reset", body)).status == 200
    assert (await world.http("POST", "/auth/password/reset", body)).status == 400
    login = await world.http("POST", "/auth/login", {"email": ana.email, "password": OTHER, "deviceId": "d"})
    assert login.data["user"]["emailVerified"] is False, "an admin had the link, too"
    (event,) = await world.log("auth", "ResetLinkIssued")
    assert event.actor.id == str(world.admin.user_id)


async def test_reading_a_links_page_uses_up_nothing_and_runs_no_script_but_its_own(world: World) -> None:
    token = _token(await _invite(world))
    for _ in range(2):
        # The app's screen, or a page of its own where no app was built.
        status, _, headers = await world.page("/app/register")
        assert status == 200
        assert "unsafe" not in headers["Content-Security-Policy"]
    for page in ("reset", "verify"):
        for _ in range(2):
            status, text, headers = await world.page(f"/app/{page}")
            assert status == 200
            policy = headers["Content-Security-Policy"]
            script = text.partition("<script>")[2].partition("</script>")[0]
            assert f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" in policy
            assert "unsafe" not in policy
            assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("no-referrer", "no-store")
    assert (await _register(world, token)).status == 201
