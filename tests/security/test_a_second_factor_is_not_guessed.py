"""Whoever knows a password and guesses codes is held up where they are and everywhere; its owner at home is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.auth.domain.lockout import MOST
from services.auth.domain.second_factors import HOURLY
from services.auth.owners import JUST_NOW
from services.auth.refusals import is_told
from tests.attacks import Attack, Told
from tests.integration.test_a_second_factor_is_asked_for import ELSEWHERE, HERE, code, fault, set_up, sign_in, wrong
from tests.phone import PASSWORD
from tests.servers import Servers
from tests.world import World

pytestmark = pytest.mark.services("auth")


@pytest.fixture
async def world(servers: Servers, services: tuple[str, ...]) -> AsyncIterator[World]:
    """Behind a proxy that is believed: the tests say where a request comes from."""
    async with World(servers, services, trusted_proxies="127.0.0.1") as made:
        yield made


async def _recorded(world: World, refusals: int) -> None:
    async def told() -> int:
        return len(await world.log("auth", "SignInRefused"))

    # The 1st, the 2nd and the 5th are told, as whatever is counted.
    expected = sum(is_told(number) for number in range(1, refusals + 1))
    await world.eventually(told, lambda number: number >= expected, "every refusal recorded")


async def test_wrong_codes_lock_the_account_there_and_its_owner_signs_in_from_elsewhere(
    world: World, told: Told
) -> None:
    ana = await world.person("ana")
    secret, _ = await set_up(world, ana)
    for number in range(MOST):
        assert fault(await sign_in(world, ana.email, wrong(world, secret))) == (401, "UNAUTHENTICATED")
        await _recorded(world, number + 1)
    world.clock.advance(seconds=60)
    locked = await sign_in(world, ana.email, code(world, secret))
    assert fault(locked) == (429, "RATE_LIMITED")
    assert (await sign_in(world, ana.email, code(world, secret), ELSEWHERE)).status == 200
    reasons = {event.data.reason for event in await world.log("auth", "SignInRefused")}
    assert "wrong code" in reasons <= {"wrong code", "locked out"}
    assert len(await world.log("auth", "LockoutBegun")) == 1
    told(Attack.GUESSING_CODES, "five tries, then 429 there; ten an hour from everywhere")


async def test_from_many_addresses_ten_codes_an_hour_are_looked_at_and_a_recovery_code_and_home_go_on(
    world: World,
) -> None:
    ana = await world.person("ana")
    secret, recovery = await set_up(world, ana)
    assert (await sign_in(world, ana.email, code(world, secret), HERE)).status == 200
    world.clock.advance(seconds=60)
    guess = wrong(world, secret)
    twin = world.twin("auth", "auth-2")
    await twin.start()
    try:
        answers = []
        for first in range(0, 30, 3):
            addresses = [f"192.0.2.{number}" for number in range(first, first + 3)]
            answers += await asyncio.gather(*(sign_in(world, ana.email, guess, there) for there in addresses))
    finally:
        await twin.stop()
    statuses = [answer.status for answer in answers]
    assert (statuses.count(401), statuses.count(429)) == (HOURLY, 30 - HOURLY), statuses
    refused = await sign_in(world, ana.email, code(world, secret), "192.0.2.99")
    assert fault(refused) == (429, "RATE_LIMITED")
    assert 0 < int(refused.headers["Retry-After"]) <= 360
    assert (await sign_in(world, ana.email, recovery[0], "192.0.2.100")).status == 200
    at_home = await sign_in(world, ana.email, code(world, secret), HERE)
    assert at_home.status == 200, at_home.body
    world.clock.advance(seconds=360)
    assert (await sign_in(world, ana.email, code(world, secret), "192.0.2.101", replace=ana.device_id)).status == 200


async def test_who_has_a_second_factor_is_told_to_nobody_without_the_password(world: World, told: Told) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    await set_up(world, ana)
    answers = []
    for number, email in enumerate((ana.email, bo.email, "nobody@pager.test")):
        for totp in (None, "123456", "aaaa-bbbb-cccc-dddd"):
            answer = await sign_in(world, email, totp, f"192.0.2.{number}", password="guess")
            answers.append((answer.status, answer.body, sorted(set(answer.headers) - {"X-Request-ID", "Date"})))
    assert all(answer == answers[0] for answer in answers)
    seen = await bo.call("GET", f"/users/{ana.user_id}")
    listed = await bo.call("GET", "/users")
    assert not [word for word in ("totp", "factor", "recovery") if word in f"{seen.body} {listed.body}".lower()]
    told(Attack.ENUMERATION_TEXT, "one answer for accounts with and without, and for none")


async def test_a_stolen_session_cannot_take_it_away_or_try_its_codes_for_long(world: World) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    secret, _ = await set_up(world, ana)
    token = ana.session["accessToken"]
    for number in range(MOST):
        tried = await world.http("DELETE", "/users/me/totp", {"code": wrong(world, secret)}, token)
        assert tried.status == 400, number
    world.clock.advance(seconds=70)
    body = {"currentPassword": PASSWORD}
    assert fault(await world.http("DELETE", "/users/me/totp", body, token)) == (429, "RATE_LIMITED")
    assert fault(await world.http("DELETE", f"/users/{ana.user_id}/totp", None, bo.session["accessToken"])) == (
        403,
        "FORBIDDEN",
    )
    assert fault(await sign_in(world, ana.email)) == (401, "SECOND_FACTOR_REQUIRED")


async def test_a_stolen_session_cannot_set_one_up(world: World, told: Told) -> None:
    """With a factor of the thief's its owner would be kept out; with a reset link of the admin's own, too."""
    for person in (await world.person("ana"), world.admin):
        await person.sign_in()
        token = person.session["accessToken"]
        assert (await world.http("POST", "/users/me/totp", None, token)).status == 200, "who has just signed in"
        world.clock.advance(seconds=JUST_NOW.total_seconds())
        assert fault(await world.http("POST", "/users/me/totp", None, token)) == (403, "FORBIDDEN")
        guessed = await world.http("POST", "/users/me/totp", {"currentPassword": "guess"}, token)
        assert fault(guessed) == (400, "VALIDATION_ERROR")
        assert guessed.body["error"]["details"]["field"] == "currentPassword"
        own = await world.http("POST", "/users/me/totp", {"currentPassword": PASSWORD}, token)
        assert own.status == 200, own.body
        link = await world.http("POST", f"/users/{person.user_id}/password/reset-link", None, token)
        assert fault(link) == (403, "FORBIDDEN")
    told(Attack.STOLEN_SESSION, "403 five minutes after the sign-in: the password is asked for once more")


async def test_whoever_holds_a_session_guesses_no_password_by_setting_a_factor_up(world: World) -> None:
    ana = await world.person("ana")
    token = ana.session["accessToken"]
    for number in range(MOST):
        tried = await world.http("POST", "/users/me/totp", {"currentPassword": f"guess {number}"}, token)
        assert tried.status == 400
    world.clock.advance(seconds=70)
    held = await world.http("POST", "/users/me/totp", {"currentPassword": PASSWORD}, token)
    assert fault(held) == (429, "RATE_LIMITED")
