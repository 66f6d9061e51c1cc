"""Whoever signs in on a phone that they have used before comes before strangers, and is locked out by nobody else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import bcrypt
import pytest

from services.auth.domain.lockout import MOST
from services.auth.passwords import KEPT, LINE, Passwords
from services.auth.tables.sessions import known_keys
from tests.attacks import Attack, Told
from tests.device import DeviceKey
from tests.phone import PASSWORD, Answer, Phone
from tests.servers import Servers
from tests.world import World

pytestmark = pytest.mark.services("auth")

HOTEL, HOME = "198.51.100.7", "203.0.113.9"


@pytest.fixture
async def world(servers: Servers, services: tuple[str, ...]) -> AsyncIterator[World]:
    """Behind a proxy that is believed: the tests say where a request comes from."""
    async with World(servers, services, trusted_proxies="127.0.0.1") as made:
        yield made


@pytest.fixture
async def ana(world: World) -> Phone:
    return await world.person("ana")


@pytest.fixture
async def key(world: World, ana: Phone) -> DeviceKey:
    """Of a phone on which she has signed in at home, and out again."""
    made = DeviceKey()
    answer = await _sign_in(world, ana.email, HOME, key=made)
    body = {"deviceId": "phone"}
    token = answer.data["tokens"]["accessToken"]
    assert (await world.http("POST", "/auth/logout", body, token)).status == 200
    return made


async def _sign_in(
    world: World, email: str, address: str, password: str = PASSWORD, key: DeviceKey | None = None, **more: Any
) -> Answer:
    shown = {} if key is None else {"deviceKey": key.public, "proof": key.proof(email)}
    body = {"email": email, "password": password, "deviceId": "phone"} | shown | more
    return await world.http("POST", "/auth/login", body, **{"X-Forwarded-For": address})


async def _locked_at(world: World, address: str, email: str) -> None:
    """Strangers have guessed from there; the gateway's brake is on, and the account is locked."""
    for number in range(MOST):
        assert (await _sign_in(world, email, address, f"guess {number}")).status == 401
    assert (await _sign_in(world, email, address)).status == 429


async def test_strangers_at_the_same_address_lock_a_known_phone_out_of_nothing(
    world: World, ana: Phone, key: DeviceKey, told: Told
) -> None:
    await _locked_at(world, HOTEL, ana.email)
    for _ in range(2):
        assert (await _sign_in(world, ana.email, HOTEL, key=key)).status == 200, "while the gateway brakes"
        world.clock.advance(seconds=61)
        assert (await _sign_in(world, ana.email, HOTEL)).status == 429, "and while auth has the account locked there"
    told(Attack.LOCKING_OUT, "the known phone signs in from the same address")


async def test_whoever_only_says_so_is_a_stranger(world: World, ana: Phone, key: DeviceKey) -> None:
    await _locked_at(world, HOTEL, ana.email)
    used = key.proof(ana.email)
    assert (await _sign_in(world, ana.email, HOME, key=key, proof=used)).status == 200
    thief = DeviceKey()
    for claim in (
        {"deviceKey": thief.public, "proof": thief.proof(ana.email)},
        {"deviceKey": key.public, "proof": thief.proof(ana.email)},
        {"deviceKey": key.public, "proof": key.proof("bo@pager.test")},
        {"deviceKey": key.public, "proof": used},
        {"deviceKey": key.public},
    ):
        answer = await _sign_in(world, ana.email, HOTEL, **claim)
        assert (answer.status, answer.headers["Retry-After"].isdigit()) == (429, True)
    bo = await world.person("bo")
    assert (await _sign_in(world, bo.email, HOTEL, key=key)).status == 429, "it is known of ana alone"


async def test_a_known_phone_has_a_limit_of_its_own(world: World, ana: Phone, key: DeviceKey) -> None:
    await _locked_at(world, HOTEL, ana.email)
    for number in range(MOST):
        assert (await _sign_in(world, ana.email, HOTEL, f"guess {number}", key)).status == 401
    for address in (HOTEL, HOME):
        assert (await _sign_in(world, ana.email, address, key=key)).status == 429, "wherever it is"
    assert (await _sign_in(world, ana.email, HOME)).status == 200


async def test_a_known_phone_is_looked_at_before_strangers(
    world: World, ana: Phone, key: DeviceKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten wrong ones from many addresses: some of them are in the line, the others were sent away without a hash."""
    asked: list[bool] = []
    compared: list[bytes] = []
    open_ = threading.Event()
    real_verify, real_check = Passwords.verify, bcrypt.checkpw

    async def verify(self: Passwords, *args: Any, **more: Any) -> bool:
        asked.append(bool(more["stranger"]))
        return await real_verify(self, *args, **more)

    def checked(password: bytes, stored: bytes) -> bool:
        open_.wait()
        right = real_check(password, stored)
        compared.append(b"right" if right else b"wrong")
        return right

    async def in_line() -> int:
        return len(asked)

    monkeypatch.setattr(Passwords, "verify", verify)
    monkeypatch.setattr(bcrypt, "checkpw", checked)
    try:
        strangers = [asyncio.ensure_future(_sign_in(world, ana.email, f"192.0.2.{n}", f"guess {n}")) for n in range(10)]
        await world.eventually(in_line, lambda n: n == LINE - KEPT, "that strangers have their places")
        known = asyncio.ensure_future(_sign_in(world, ana.email, HOTEL, key=key))
        await world.eventually(in_line, lambda n: n == LINE - KEPT + 1, "that the phone has one, too")
    finally:
        open_.set()
    assert (await known).status == 200
    assert compared.index(b"right") <= 1, "behind the one that was being looked at"
    assert sorted({answer.status for answer in await asyncio.gather(*strangers)}) == [401, 503]
    assert asked == [True] * (LINE - KEPT) + [False]


async def test_a_lost_phone_is_known_no_longer_and_so_is_one_that_was_not_used_for_long(
    world: World, ana: Phone, key: DeviceKey
) -> None:
    assert (await _sign_in(world, ana.email, HOME, key=key)).status == 200
    assert (await world.admin.call("DELETE", f"/users/{ana.user_id}/devices/phone")).status == 200
    await _locked_at(world, HOTEL, ana.email)
    assert (await _sign_in(world, ana.email, HOTEL, key=key)).status == 429
    assert (await _sign_in(world, ana.email, HOME, key=key)).status == 200
    world.clock.advance(minutes=60 * 24 * 90)
    await _locked_at(world, HOTEL, ana.email)
    assert (await _sign_in(world, ana.email, HOTEL, key=key)).status == 429


async def test_the_last_twenty_keys_of_a_person_are_known(world: World, ana: Phone) -> None:
    for number in range(22):
        world.clock.advance(seconds=1)
        assert (await _sign_in(world, ana.email, HOME, key=DeviceKey(), deviceId=f"phone {number % 3}")).status == 200
    rows = await world.services["auth"].runtime.rpc.read(lambda work: work.fetch(known_keys.select()))
    assert len(rows) == 20
