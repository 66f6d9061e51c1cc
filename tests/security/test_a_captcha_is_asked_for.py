"""An account that is guessed at from everywhere is signed in to with a captcha, and its owner is never refused."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from typing import Any

import altcha
import bcrypt
import pytest

from services.auth import captchas
from services.auth.attempts import DELAY, Attempts
from services.auth.domain.lockout import HOURLY
from tests.phone import PASSWORD, Answer
from tests.servers import Servers
from tests.world import World

OWN, ELSEWHERE = "203.0.113.9", "192.0.2.77"


@pytest.fixture
async def world(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Behind a proxy that is believed, and with tasks that take no seconds."""
    monkeypatch.setattr(captchas.Captchas.__init__, "__defaults__", ("0",))
    async with World(servers, ("auth",), trusted_proxies="127.0.0.1", captcha=True) as made:
        yield made


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    compared: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, stored: bytes) -> bool:
        compared.append(stored)
        return real(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return compared


async def _sign_in(world: World, email: str, address: str, password: str = PASSWORD, **more: Any) -> Answer:
    body = {"email": email, "password": password, "deviceId": f"of {address}"} | more
    return await world.http("POST", "/auth/login", body, **{"X-Forwarded-For": address})


async def _guessed_at(world: World, email: str) -> None:
    """Ten wrong ones within an hour, each from another place."""
    for number in range(HOURLY):
        assert (await _sign_in(world, email, f"198.51.100.{number}", f"guess {number}")).status == 401


def _solved(challenge: dict[str, Any]) -> str:
    made = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(made)
    assert solution is not None
    return str(altcha.Payload(made, solution).to_base64())


async def _challenge(world: World) -> dict[str, Any]:
    answer = await world.http("GET", "/auth/captcha")
    assert answer.status == 200, answer.body
    return dict(answer.data)


def _is_asked_for(answer: Answer) -> bool:
    error = answer.body["error"]
    return (answer.status, error["code"], set(error["details"])) == (401, "CAPTCHA_REQUIRED", {"captcha"})


@pytest.mark.parametrize("known", [True, False], ids=["somebody", "nobody"])
async def test_after_ten_wrong_ones_a_captcha_is_asked_for_before_anything_is_hashed(
    world: World, known: bool, hashed: list[bytes]
) -> None:
    email = (await world.person("ana")).email if known else "nobody@pager.test"
    await _guessed_at(world, email)
    hashed.clear()
    for _ in range(2 * HOURLY):
        wanted = await _sign_in(world, email, ELSEWHERE)
        assert _is_asked_for(wanted), wanted.body
    assert not hashed
    solved = _solved(wanted.body["error"]["details"]["captcha"])
    answer = await _sign_in(world, email, ELSEWHERE, captcha=solved)
    assert (answer.status, len(hashed)) == (200 if known else 401, 1), answer.body
    if not known:
        assert answer.body["error"]["code"] == "UNAUTHENTICATED"


async def test_a_solution_is_good_once_wherever_it_is_shown(world: World, hashed: list[bytes]) -> None:
    ana = await world.person("ana")
    await _guessed_at(world, ana.email)
    solved = _solved(await _challenge(world))
    hashed.clear()
    answers = await asyncio.gather(
        *(_sign_in(world, ana.email, f"192.0.2.{n}", "wrong", captcha=solved) for n in range(3))
    )
    assert sorted(answer.body["error"]["code"] for answer in answers) == [
        "CAPTCHA_REQUIRED",
        "CAPTCHA_REQUIRED",
        "UNAUTHENTICATED",
    ]
    assert len(hashed) == 1
    again = json.loads(b64decode(solved))
    again["challenge"]["signature"] = again["challenge"]["signature"].upper()
    for same in (solved, b64encode(json.dumps(again).encode()).decode(), f" {solved}", solved + "\n"):
        assert _is_asked_for(await _sign_in(world, ana.email, ELSEWHERE, captcha=same)), same


async def test_what_solves_nothing_is_refused(world: World, hashed: list[bytes]) -> None:
    ana = await world.person("ana")
    await _guessed_at(world, ana.email)
    challenge = await _challenge(world)
    good = json.loads(b64decode(_solved(challenge)))
    late = _solved(challenge)
    easier = altcha.create_challenge("PBKDF2/SHA-256", 1, key_prefix="", hmac_secret=b"a stranger's")

    def changed(**parameters: Any) -> dict[str, Any]:
        return {**good, "challenge": {**good["challenge"], "parameters": good["challenge"]["parameters"] | parameters}}

    hashed.clear()
    tried: list[Any] = [
        changed(keyPrefix=""),
        changed(cost=1),
        changed(expiresAt=9_999_999_999),
        changed(expiresAt="x"),
        {**good, "solution": {"counter": 0, "derivedKey": "00" * 32}},
        {**good, "solution": {"counter": -1, "derivedKey": None}},
        {**good, "challenge": {**good["challenge"], "signature": None}},
        {**good, "challenge": None},
        [],
        None,
    ]
    texts = [b64encode(json.dumps(one).encode()).decode() for one in tried]
    texts += ["x", "é", b64encode(b"[" * 2000).decode(), _solved(easier.to_dict())]
    for text in texts:
        assert _is_asked_for(await _sign_in(world, ana.email, ELSEWHERE, captcha=text)), text
    assert (await _sign_in(world, ana.email, ELSEWHERE, captcha="x" * 4097)).status == 400
    assert not hashed
    world.clock.advance(minutes=10)
    assert (await _sign_in(world, ana.email, "198.51.100.99", "the tenth of an hour again")).status == 401
    assert _is_asked_for(await _sign_in(world, ana.email, ELSEWHERE, captcha=late))


async def test_where_the_account_is_at_home_none_is_asked_for(world: World) -> None:
    ana = await world.person("ana")
    assert (await _sign_in(world, ana.email, OWN)).status == 200
    await _guessed_at(world, ana.email)
    assert _is_asked_for(await _sign_in(world, ana.email, ELSEWHERE))
    assert (await _sign_in(world, ana.email, OWN)).status == 200
    assert (await ana.call("GET", "/users/me")).status == 200
    world.clock.advance(minutes=60)
    assert (await _sign_in(world, ana.email, ELSEWHERE)).status == 200, "an hour later"


async def test_without_the_setting_answers_wait_and_none_is_asked_for(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    real = Attempts.__init__

    def made(self: Attempts, *args: Any, **more: Any) -> None:
        real(self, *args, **more)
        self.sleep = sleep

    monkeypatch.setattr(Attempts, "__init__", made)
    async with World(servers, ("auth",), trusted_proxies="127.0.0.1") as world:
        ana = await world.person("ana")
        await _guessed_at(world, ana.email)
        assert (await _sign_in(world, ana.email, ELSEWHERE)).status == 200
        assert delays == [DELAY]
        assert (await world.http("GET", "/auth/captcha")).status == 404
