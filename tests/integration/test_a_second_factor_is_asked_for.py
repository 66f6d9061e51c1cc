"""Whoever wants to, or must, signs in with a code beside the password; being paged and answering ask for none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pyotp
import pytest
from psycopg import sql

from libs.contracts.requests import Reply
from libs.contracts.subjects import SERVICES
from services.auth.codes import STEP
from services.auth.second_factors import SecondFactors
from tests.command import Pager
from tests.phone import PASSWORD, Answer, Phone
from tests.servers import Servers
from tests.world import World

pytestmark = pytest.mark.services("auth")

HERE, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
async def world(servers: Servers, services: tuple[str, ...]) -> AsyncIterator[World]:
    """Behind a proxy that is believed: the tests say where a request comes from."""
    async with World(servers, services, trusted_proxies="127.0.0.1") as made:
        yield made


async def sign_in(world: World, email: str, totp: str | None = None, address: str = HERE, **more: Any) -> Answer:
    body = {"email": email, "password": PASSWORD, "deviceId": f"of {address}"} | more
    if totp is not None:
        body["totp"] = totp
    return await world.http("POST", "/auth/login", body, **{"X-Forwarded-For": address})


def code(world: World, secret: str, steps: int = 0) -> str:
    """What the app shows, or shows some steps from now."""
    return pyotp.TOTP(secret).at(int(world.clock.now().timestamp()) + STEP * steps)


def wrong(world: World, secret: str) -> str:
    good = {code(world, secret, steps) for steps in range(-3, 4)}
    return next(text for text in map("{:06d}".format, range(10)) if text not in good)


async def set_up(world: World, person: Phone) -> tuple[str, list[str]]:
    """A secret and its recovery codes; then it is a minute later, for the code is used."""
    begun = await person.call("POST", "/users/me/totp", {})
    assert begun.status == 200, begun.body
    secret = str(begun.data["secret"])
    confirmed = await person.call("POST", "/users/me/totp/confirm", {"code": code(world, secret)})
    assert confirmed.status == 200, confirmed.body
    world.clock.advance(seconds=60)
    return secret, list(confirmed.data["recoveryCodes"])


def fault(answer: Answer) -> tuple[int, str]:
    return answer.status, str(answer.body["error"]["code"])


@pytest.mark.services(*SERVICES)
async def test_a_code_is_asked_for_after_the_right_password_only_and_refreshing_asks_for_none(world: World) -> None:
    ana, _ = await world.two_responders()
    plain = await sign_in(world, "bo@pager.test", "000000")
    assert plain.status == 200, "who has none is not asked"
    secret, recovery = await set_up(world, ana)
    assert len(set(recovery)) == 10
    asked = await sign_in(world, ana.email)
    assert fault(asked) == (401, "SECOND_FACTOR_REQUIRED")
    assert "details" not in asked.body["error"]
    for number, password in enumerate(("guess", "guess 2")):
        hidden = await sign_in(world, ana.email, code(world, secret) if number else None, password=password)
        nobody = await sign_in(world, "nobody@pager.test", "123456" if number else None, password=password)
        assert hidden.body == nobody.body
        assert fault(hidden) == (401, "UNAUTHENTICATED")
    answer = await sign_in(world, ana.email, f" {code(world, secret)[:3]} {code(world, secret)[3:]}")
    assert answer.status == 200, answer.body
    assert answer.data["recoveryCodes"] == []
    refresh = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, ana.session["refreshToken"])
    assert refresh.status == 200
    ana.session = refresh.data["tokens"]
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    assert (await ana.acknowledge((await world.incident())["id"])).status == 200
    (event,) = await world.log("auth", "SecondFactorEnabled")
    assert (event.data.user_id, event.actor.id) == (ana.user_id, str(ana.user_id))
    shown = await ana.call("GET", "/users/me/totp")
    assert shown.data["secondFactor"] == {"isOn": True, "isNeeded": False, "recoveryCodesLeft": 10}


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
async def test_a_phones_clock_may_be_a_step_off(world: World, steps: int, status: int) -> None:
    ana = await world.person("ana")
    secret, _ = await set_up(world, ana)
    assert (await sign_in(world, ana.email, code(world, secret, steps))).status == status


async def test_a_code_is_good_once_also_at_two_replicas_at_once(world: World) -> None:
    ana = await world.person("ana")
    secret, _ = await set_up(world, ana)
    twin = world.twin("auth", "auth-2")
    await twin.start()
    try:
        body = {"email": ana.email, "password": PASSWORD, "totp": code(world, secret)}
        replies: list[Reply] = await asyncio.gather(
            *(world.rpc("auth", "login", body | {"deviceId": f"d{number}"}) for number in range(4))
        )
    finally:
        await twin.stop()
    assert sum(reply.ok for reply in replies) == 1, replies
    assert (await sign_in(world, ana.email, code(world, secret))).status == 401
    assert (await sign_in(world, ana.email, code(world, secret, -1))).status == 401, "none before it either"
    assert (await sign_in(world, ana.email, code(world, secret, 1))).status == 200


async def test_a_sign_in_that_does_not_begin_uses_no_code(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No room for a device; and auth dies over the commit."""
    ana = await world.person("ana")
    secret, _ = await set_up(world, ana)
    for number in range(4):
        assert (await sign_in(world, ana.email, code(world, secret), address=f"192.0.2.{number}")).status == 200
        world.clock.advance(seconds=60)
    good = code(world, secret)
    full = await sign_in(world, ana.email, good, ELSEWHERE)
    assert full.status == 409
    real = SecondFactors.check

    def dies(*given: Any, **more: Any) -> Any:
        real(*given, **more)
        raise RuntimeError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(SecondFactors, "check", dies)
        assert (await sign_in(world, ana.email, good, ELSEWHERE, replace=ana.device_id)).status == 500
    await world.stop("auth")
    await world.start("auth")
    assert (await sign_in(world, ana.email, good, ELSEWHERE, replace=ana.device_id)).status == 200


async def test_a_recovery_code_is_good_once_in_place_of_a_code(world: World) -> None:
    ana = await world.person("ana")
    secret, recovery = await set_up(world, ana)
    bodies = [{"email": ana.email, "password": PASSWORD, "totp": recovery[0], "deviceId": f"d{n}"} for n in range(3)]
    replies = await asyncio.gather(*(world.rpc("auth", "login", body) for body in bodies))
    assert sum(reply.ok for reply in replies) == 1
    assert (await sign_in(world, ana.email, recovery[0].upper().replace("-", " "))).status == 401
    assert (await sign_in(world, ana.email, recovery[1].upper().replace("-", ""))).status == 200
    used = await world.log("auth", "RecoveryCodeUsed")
    assert [(event.data.user_id, event.data.left) for event in used] == [(ana.user_id, 9), (ana.user_id, 8)]
    world.clock.advance(seconds=60)
    assert (await sign_in(world, ana.email, code(world, secret))).status == 200


async def test_setting_it_up_is_said_again_without_recovery_codes(world: World) -> None:
    ana = await world.person("ana")
    first = await ana.call("POST", "/users/me/totp", {}, **{"Idempotency-Key": "one"})
    second = await ana.call("POST", "/users/me/totp", {}, **{"Idempotency-Key": "one"})
    assert first.data["secret"] != second.data["secret"], "what is shown once is kept nowhere"
    assert second.data["uri"].startswith("otpauth://totp/Pager:ana%40pager.test?secret=")
    refused = await ana.call("POST", "/users/me/totp/confirm", {"code": code(world, first.data["secret"])})
    assert (fault(refused), refused.body["error"]["details"]["field"]) == ((400, "VALIDATION_ERROR"), "code")
    assert (await sign_in(world, ana.email)).status == 200, "it is not confirmed"
    body = {"code": code(world, second.data["secret"])}
    answers = [await ana.call("POST", "/users/me/totp/confirm", body, **{"Idempotency-Key": "two"}) for _ in range(2)]
    assert [len(answer.data["recoveryCodes"]) for answer in answers] == [10, 0]
    assert fault(await ana.call("POST", "/users/me/totp/confirm", {"code": "123456"})) == (409, "CONFLICT")
    assert fault(await ana.call("POST", "/users/me/totp", {})) == (409, "CONFLICT")
    assert len(await world.log("auth", "SecondFactorEnabled")) == 1


async def test_its_owner_takes_it_away_with_a_code_or_the_password_under_the_same_brakes(world: World) -> None:
    ana = await world.person("ana")
    secret, _ = await set_up(world, ana)
    for body in ({}, {"code": "123456", "currentPassword": PASSWORD}):
        assert fault(await ana.call("DELETE", "/users/me/totp", body)) == (400, "VALIDATION_ERROR")
    tried: list[dict[str, str]] = [{"code": wrong(world, secret)}, {"currentPassword": "guess"}, {"code": "no code"}]
    for body in tried:
        answer = await ana.call("DELETE", "/users/me/totp", body)
        assert (fault(answer), answer.body["error"]["details"]["field"]) == (
            (400, "VALIDATION_ERROR"),
            next(iter(body)),
        )
    for _ in range(2):
        await ana.call("DELETE", "/users/me/totp", {"currentPassword": "guess"})
    world.clock.advance(seconds=70)
    locked = await ana.call("DELETE", "/users/me/totp", {"code": code(world, secret)})
    assert fault(locked) == (429, "RATE_LIMITED"), "in this session"
    other = await sign_in(world, ana.email, code(world, secret))
    token = other.data["tokens"]["accessToken"]
    gone = await world.http("DELETE", "/users/me/totp", {"currentPassword": PASSWORD}, token)
    assert gone.status == 200, gone.body
    assert (await world.http("DELETE", "/users/me/totp", {"currentPassword": PASSWORD}, token)).status == 404
    assert (await sign_in(world, ana.email, None, ELSEWHERE)).status == 200
    (event,) = await world.log("auth", "SecondFactorDisabled")
    assert (event.data.reason, event.actor.id) == ("taken away by its owner", str(ana.user_id))
    await set_up(world, ana)


@pytest.mark.services(*SERVICES)
async def test_an_admin_takes_it_from_somebody_who_lost_their_phone(world: World) -> None:
    ana, _ = await world.two_responders()
    await set_up(world, ana)
    path = f"/users/{ana.user_id}/totp"
    assert fault(await ana.call("DELETE", path)) == (403, "FORBIDDEN")
    old = ana.session["accessToken"]
    assert (await world.admin.call("DELETE", path)).status == 200
    assert fault(await world.admin.call("DELETE", path)) == (404, "NOT_FOUND")
    assert fault(await world.admin.call("DELETE", f"/users/{world.admin.user_id}/totp")) == (403, "FORBIDDEN")

    async def refused() -> int:
        return (await world.http("GET", "/incidents", token=old)).status

    await world.eventually(refused, lambda status: status == 401, "that their sessions are over")
    (event,) = await world.log("auth", "SecondFactorDisabled")
    assert (event.data.user_id, event.actor.id) == (ana.user_id, str(world.admin.user_id))
    assert (await sign_in(world, ana.email)).status == 200
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")


@pytest.mark.parametrize("running", [True, False], ids=["beside a running auth", "auth stopped"])
async def test_an_operator_takes_it_from_the_last_admin(world: World, pager: Pager, running: bool) -> None:
    await set_up(world, world.admin)
    if not running:
        await world.stop("auth")
    status, told = await pager("admin", "remove-second-factor", world.admin.email)
    assert status == 0, told
    assert told["sessionsEnded"] >= 1
    if not running:
        await world.start("auth")
    assert (await sign_in(world, world.admin.email)).status == 200
    (event,) = await world.log("auth", "SecondFactorDisabled")
    assert event.actor.id == "operator"
    for email in (world.admin.email, "nobody@pager.test", ""):
        status, told = await pager("admin", "remove-second-factor", email)
        assert status == 2, told


async def test_an_admin_who_must_have_one_signs_in_only_to_set_it_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ana, admin = await world.person("ana"), world.admin
    factors: SecondFactors = world.services["auth"].parts.answers.sessions.people.second_factors  # type: ignore[union-attr]
    object.__setattr__(factors, "admins_need", True)
    assert (await sign_in(world, ana.email)).status == 200, "only admins must"
    refresh = await world.http("POST", "/auth/refresh", {"deviceId": admin.device_id}, admin.session["refreshToken"])
    assert refresh.status == 200, "who is signed in stays so"
    admin.session = refresh.data["tokens"]
    assert fault(await sign_in(world, admin.email, password="guess")) == (401, "UNAUTHENTICATED")
    asked = await sign_in(world, admin.email)
    assert fault(asked) == (401, "SECOND_FACTOR_REQUIRED")
    secret = asked.body["error"]["details"]["totp"]["secret"]
    assert fault(await sign_in(world, admin.email, wrong(world, secret))) == (401, "UNAUTHENTICATED")
    answer = await sign_in(world, admin.email, code(world, secret))
    assert answer.status == 200, answer.body
    assert len(answer.data["recoveryCodes"]) == 10
    assert fault(await sign_in(world, admin.email)) == (401, "SECOND_FACTOR_REQUIRED")
    token = answer.data["tokens"]["accessToken"]
    kept = await world.http("DELETE", "/users/me/totp", {"currentPassword": PASSWORD}, token)
    assert fault(kept) == (403, "FORBIDDEN")
    shown = await world.http("GET", "/users/me/totp", token=token)
    assert shown.data["secondFactor"]["isNeeded"] is True


@pytest.mark.services(*SERVICES)
async def test_nothing_that_a_run_produces_holds_a_secret_or_a_code(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    ana = await world.person("ana")
    secret, recovery = await set_up(world, ana)
    used = code(world, secret)
    assert (await sign_in(world, ana.email, recovery[0])).status == 200
    assert (await sign_in(world, ana.email, used)).status == 200
    assert (await sign_in(world, ana.email, "not-" + recovery[1])).status == 401
    assert (await ana.call("DELETE", "/users/me/totp", {"code": recovery[2]})).status == 200
    told = []
    for service in ("auth", "incidents", "oncall", "escalation", "notifier"):
        told += await _rows(world, service)
    captured = capfd.readouterr()
    everything = "\n".join([*told, captured.out, captured.err])
    assert str(ana.user_id) in everything
    codes = [spelt for one in recovery for spelt in (one, one.replace("-", ""))]
    secrets = [spelt for text in (secret, *codes) for spelt in (text, text.upper(), text.encode().hex())]
    assert not [text for text in secrets if text in everything]
    assert "otpauth" not in everything
    assert b"otpauth".hex() not in everything


async def _rows(world: World, service: str) -> list[str]:
    """All that a service keeps in its schema: tables, log and kept answers."""
    found = []
    url = world.servers.database_url(service, world.database)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        named = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", [service])
        for (table,) in await named.fetchall():
            query = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(service, table))
            found += [row[0] for row in await (await connection.execute(query)).fetchall()]
    return found
