"""Whoever guesses at an account is locked out where they are, for longer each time; its owner elsewhere is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import bcrypt
import pytest
from sqlalchemy import select

from libs.contracts.subjects import SERVICES
from services.auth.attempts import DELAY, Attempts
from services.auth.domain.lockout import HOURLY, MOST
from services.auth.tables.passwords import guesses
from tests.attacks import Attack, Told
from tests.phone import PASSWORD, Answer
from tests.servers import Servers
from tests.world import World

pytestmark = pytest.mark.services("auth")

STRANGER, ELSEWHERE = "198.51.100.7", "203.0.113.9"


@pytest.fixture
async def world(servers: Servers, services: tuple[str, ...]) -> AsyncIterator[World]:
    """Behind a proxy that is believed: the tests say where a request comes from."""
    async with World(servers, services, trusted_proxies="127.0.0.1") as made:
        yield made


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What a password was compared with, one entry a hash."""
    compared: list[bytes] = []
    real = bcrypt.checkpw

    def counted(password: bytes, stored: bytes) -> bool:
        compared.append(stored)
        return real(password, stored)

    monkeypatch.setattr(bcrypt, "checkpw", counted)
    return compared


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What answers were delayed by, of which nobody waits here."""
    delays: list[float] = []

    async def sleep(seconds: float) -> None:
        delays.append(seconds)

    real = Attempts.__init__

    def made(self: Attempts, *args: Any, **more: Any) -> None:
        real(self, *args, **more)
        self.sleep = sleep

    monkeypatch.setattr(Attempts, "__init__", made)
    return delays


async def _sign_in(world: World, email: str, password: str = PASSWORD, address: str = STRANGER) -> Answer:
    body = {"email": email, "password": password, "deviceId": f"of {address}"}
    return await world.http("POST", "/auth/login", body, **{"X-Forwarded-For": address})


async def _guess(world: World, email: str, times: int = MOST, address: str = STRANGER) -> None:
    """One after the other, each of them looked at; the gateway's brake, which counts minutes, is let go first."""
    world.clock.advance(seconds=60)
    for number in range(times):
        assert (await _sign_in(world, email, f"guess {number}", address)).status == 401, number
        await _recorded(world)
    world.clock.advance(seconds=60)


async def _recorded(world: World) -> None:
    """What is recorded beside an answer is there."""

    async def under_way() -> int:
        store = world.services["auth"].runtime.work
        rows = await store.read(lambda work: work.fetch(select(guesses.c.under_way)))
        return sum(row["under_way"] for row in rows)

    await world.eventually(under_way, lambda n: n == 0, "every attempt recorded")


@pytest.mark.parametrize("known", [True, False], ids=["somebody", "nobody"])
async def test_the_account_is_locked_for_a_quarter_of_an_hour_then_half_an_hour_from_there(
    world: World, known: bool, hashed: list[bytes]
) -> None:
    email = (await world.person("ana")).email if known else "nobody@pager.test"
    for minutes in (15, 30, 60):
        hashed.clear()
        await _guess(world, email)
        answer = await _sign_in(world, email)
        assert (answer.status, answer.body["error"]["code"]) == (429, "RATE_LIMITED"), "also for the right one"
        assert "wrong passwords for this account from here" in answer.body["error"]["message"]
        assert int(answer.headers["Retry-After"]) == minutes * 60 - 60
        assert len(hashed) == MOST, "what is locked is not hashed"
        world.clock.advance(minutes=minutes - 1)
    assert (await _sign_in(world, email)).status == (200 if known else 401)


async def test_a_lockout_survives_a_restart_and_binds_every_replica(world: World) -> None:
    ana = await world.person("ana")
    await _guess(world, ana.email)
    await world.stop("auth")
    twin = world.twin("auth", "auth-2")
    await twin.start()
    try:
        answers = [await _sign_in(world, ana.email) for _ in range(3)]
        await world.start("auth")
        answers += [await _sign_in(world, ana.email) for _ in range(6)]
        assert {answer.status for answer in answers} == {429}
    finally:
        await twin.stop()


async def test_guesses_at_once_at_two_replicas_are_as_many(world: World, hashed: list[bytes]) -> None:
    ana = await world.person("ana")
    twin = world.twin("auth", "auth-2")
    await twin.start()
    try:
        hashed.clear()
        # Past the gateway, whose brake would hold most of them.
        body = {"email": ana.email, "password": "guess", "deviceId": "x"}
        replies = await asyncio.gather(*(world.rpc("auth", "login", body) for _ in range(40)))
    finally:
        await twin.stop()
    kinds = {str(reply.error.kind) for reply in replies if reply.error is not None}
    assert kinds <= {"unauthenticated", "rate_limited", "unavailable"}
    assert 0 < len(hashed) <= MOST


@pytest.mark.services(*SERVICES)
async def test_whoever_is_locked_out_there_signs_in_from_elsewhere_refreshes_and_is_paged(
    world: World, told: Told
) -> None:
    ana, _ = await world.two_responders()
    refresh = ana.session["refreshToken"]
    for address in (STRANGER, "198.51.100.8", "2001:db8::1"):
        await _guess(world, ana.email, address=address)
    assert (await _sign_in(world, ana.email)).status == 429
    assert (await _sign_in(world, ana.email, address=ELSEWHERE)).status == 200
    answer = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, refresh)
    assert answer.status == 200, answer.body
    await world.fire_alert("db down", priority="critical")
    await ana.expect_push("db down")
    await ana.acknowledge((await world.incident())["id"])
    told(
        Attack.LOCKING_OUT,
        "429 there for a quarter of an hour; its owner signs in from elsewhere, refreshes and is paged",
    )


async def test_strangers_everywhere_delay_a_right_password_elsewhere_and_not_where_it_is_at_home(
    world: World, slept: list[float]
) -> None:
    ana = await world.person("ana")
    assert (await _sign_in(world, ana.email, address=ELSEWHERE)).status == 200
    world.clock.advance(minutes=24 * 60)
    for number in range(HOURLY):
        assert (await _sign_in(world, ana.email, "guess", f"192.0.2.{number}")).status == 401
    assert slept == []
    assert (await _sign_in(world, ana.email, address=ELSEWHERE)).status == 200
    assert slept == [], "she has signed in from there before, in auth's memory"
    assert (await _sign_in(world, ana.email, address="192.0.2.77")).status == 200, "never refused"
    assert slept == [DELAY]
    for number in range(HOURLY + 1):
        assert (await _sign_in(world, "nobody@pager.test", "guess", f"192.0.2.{100 + number}")).status == 401
    assert slept == [DELAY] * 2, "nobody's account is no different"


async def test_of_a_household_and_a_company_all_networks_count_but_where_the_account_is_at_home(world: World) -> None:
    ana = await world.person("ana")
    for network in range(3):
        await _guess(world, ana.email, address=f"2001:db8:1:{network}::1")
    assert (await _sign_in(world, ana.email, address="2001:db8:1:7::1")).status == 429, "15 of a /56"
    assert (await _sign_in(world, ana.email, address="2001:db8:1:100::1")).status == 200, "another /56"
    for network in range(0x200, 0x900, 0x100):
        await _guess(world, ana.email, address=f"2001:db8:1:{network:x}::1")
    assert (await _sign_in(world, ana.email, address="2001:db8:1:100::2")).status == 200, "at home there"
    assert (await _sign_in(world, ana.email, address="::ffff:192.0.2.1")).status == 200
    await _guess(world, ana.email, address="64:ff9b::192.0.2.1")
    assert (await _sign_in(world, ana.email, address="192.0.2.1")).status == 429, "one address"


async def test_an_attempt_that_auth_died_over_was_wrong(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = await world.person("ana")

    async def died(*_: object) -> None:
        """Between the hash and the record of it."""

    with monkeypatch.context() as dying:
        dying.setattr(Attempts, "_record", died)
        for number in range(MOST):
            assert (await _sign_in(world, ana.email, f"guess {number}")).status == 401
    await world.stop("auth")
    await world.start("auth")
    world.clock.advance(seconds=60)
    answer = await _sign_in(world, ana.email)
    assert (answer.status, answer.headers["Retry-After"]) == (429, "900")
    (begun,) = await world.log("auth", "LockoutBegun")
    assert begun.data.user_id == ana.user_id


async def test_a_right_password_ends_the_count_and_one_without_room_for_a_device_is_none(world: World) -> None:
    ana = await world.person("ana")
    for _ in range(2):
        await _guess(world, ana.email, MOST - 1)
        assert (await _sign_in(world, ana.email)).status == 200
        await _recorded(world)
    for number in range(3):
        assert (await _sign_in(world, ana.email, address=f"192.0.2.{number}")).status == 200
    world.clock.advance(seconds=60)
    for _ in range(2 * MOST):
        assert (await _sign_in(world, ana.email, address="192.0.2.99")).status == 409, "a sixth device"
        await _recorded(world)


async def _by_an_admin(world: World, user_id: object) -> None:
    answer = await world.admin.call("POST", f"/users/{user_id}/unlock")
    assert (answer.status, answer.data) == (200, {})


async def test_an_admin_unlocks_an_account_everywhere_and_says_so_once(world: World) -> None:
    ana = await world.person("ana")
    for address in (STRANGER, ELSEWHERE):
        await _guess(world, ana.email, address=address)
    answer = await ana.call("POST", f"/users/{ana.user_id}/unlock")
    assert (answer.status, answer.body["error"]["code"]) == (403, "FORBIDDEN")
    await _by_an_admin(world, ana.user_id)
    await _by_an_admin(world, ana.user_id)
    for address in (STRANGER, ELSEWHERE):
        assert (await _sign_in(world, ana.email, address=address)).status == 200
    begun = await world.log("auth", "LockoutBegun")
    assert [event.data.user_id for event in begun] == [ana.user_id] * 2
    (lifted,) = await world.log("auth", "LockoutLifted")
    assert (lifted.data.user_id, lifted.actor.id) == (ana.user_id, str(world.admin.user_id))
    missing = await world.admin.call("POST", "/users/00000000-0000-4000-8000-000000000000/unlock")
    assert missing.status == 404


async def test_rows_are_forgotten_and_name_nobody(world: World) -> None:
    store = world.services["auth"].runtime.work

    async def rows() -> list[dict[str, Any]]:
        return await store.read(lambda work: work.fetch(select(guesses)))

    await _guess(world, "nobody@pager.test", 1)
    kept = await rows()
    assert {len(bytes(row[name])) for row in kept for name in ("account", "place")} == {32}
    world.clock.advance(minutes=60 * 24 * 31)
    await _guess(world, "another@pager.test", 1)
    left = await rows()
    assert {bytes(row["account"]) for row in left}.isdisjoint(bytes(row["account"]) for row in kept)


async def test_known_and_unknown_accounts_cost_the_same_hashes_and_the_same_rows(
    world: World, hashed: list[bytes], told: Told
) -> None:
    ana = await world.person("ana")
    costs = []
    for email, address in ((ana.email, "192.0.2.1"), ("nobody@pager.test", "192.0.2.2")):
        before = len(hashed)
        answer = await _sign_in(world, email, "guess", address)
        await _recorded(world)
        rows = await world.services["auth"].runtime.work.read(
            lambda work: work.fetch(select(guesses).where(guesses.c.wrong > 0, guesses.c.right_at.is_(None)))
        )
        costs.append((len(hashed) - before, len({hashed[-1][:7]}), len(rows), answer.status, answer.body["error"]))
    assert [cost[2] for cost in costs] == [2, 4]
    assert costs[0][:2] + costs[0][3:] == costs[1][:2] + costs[1][3:]
    told(Attack.ENUMERATION_TIME, "the same hash of the same cost, and the same answer")
