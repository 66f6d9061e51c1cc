"""Who guesses passwords is braked by where they are, and nobody else is."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import ExitStack

import pytest
from structlog.testing import capture_logs

from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import in_time
from libs.contracts.requests import ErrorKind, Refusal
from libs.contracts.subjects import Header
from services.gateway import brake as braking
from services.gateway.brake import MOST, Brake
from services.gateway.envelope import Problem
from services.gateway.tests import views as v
from services.gateway.tests.stubs import World, world

_WRONG = Refusal(kind=ErrorKind.UNAUTHENTICATED, message="invalid email or password")


def _try(brake: Brake, address: str = "192.0.2.1", email: str = "ana@x.test", *, ends: str = "") -> str:
    """What came of an attempt that `ends` with this code: the same, or RATE_LIMITED and when to come back."""
    try:
        with brake.attempt(address, email):
            if ends:
                raise Problem(ends, "")  # type: ignore[arg-type]
    except Problem as problem:
        return f"{problem.code} {(problem.headers or {}).get('Retry-After', '')}".strip()
    return "in"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def brake(clock: MovableClock) -> Brake:
    return Brake(clock)


def _wrong(brake: Brake, times: int, address: str = "192.0.2.1", email: str = "ana@x.test") -> None:
    for _ in range(times):
        assert _try(brake, address, email, ends="UNAUTHENTICATED") == "UNAUTHENTICATED"


def test_after_five_wrong_passwords_an_address_waits_until_the_first_is_a_minute_old(
    brake: Brake, clock: MovableClock
) -> None:
    _wrong(brake, 1)
    clock.advance(seconds=20)
    _wrong(brake, MOST - 1)
    assert _try(brake) == "RATE_LIMITED 40"
    assert _try(brake, email="bo@x.test") == "RATE_LIMITED 40", "whomever they guess at"
    assert _try(brake, "192.0.2.2") == "in", "another address is another matter"
    clock.advance(seconds=39)
    for _ in range(100):
        assert _try(brake) == "RATE_LIMITED 1", "who is refused does not wait longer for that"
    clock.advance(seconds=1)
    assert _try(brake) == "in"


def test_a_hundred_guesses_at_once_are_not_one(brake: Brake) -> None:
    with ExitStack() as under_way:
        for _ in range(MOST):
            under_way.enter_context(brake.attempt("192.0.2.1", "ana@x.test"))
        assert _try(brake) == "RATE_LIMITED 1"
    assert _try(brake) == "in", "they were right"


async def test_a_shift_that_signs_in_at_once_is_let_in_and_of_a_hundred_guesses_five_count(
    brake: Brake,
) -> None:
    looked = 0

    async def signs_in(email: str, ends: str) -> str:
        nonlocal looked
        await brake.turn("192.0.2.1", email)
        try:
            with brake.attempt("192.0.2.1", email):
                looked += 1
                await asyncio.sleep(0)
                if ends:
                    raise Problem(ends, "")  # type: ignore[arg-type]
        except Problem as problem:
            return problem.code
        return "in"

    async with in_time():
        shift = await asyncio.gather(*(signs_in(f"{n}@x.test", "") for n in range(20)))
        assert shift == ["in"] * 20
        looked = 0
        guesses = await asyncio.gather(*(signs_in("victim@x.test", "UNAUTHENTICATED") for _ in range(100)))
    assert (looked, Counter(guesses)) == (MOST, {"UNAUTHENTICATED": MOST, "RATE_LIMITED": 100 - MOST})


async def test_nobody_waits_for_long_and_no_crowd_does(brake: Brake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.brake._PATIENCE", 0.01)
    with ExitStack() as under_way:
        for _ in range(MOST):
            under_way.enter_context(brake.attempt("192.0.2.1", "ana@x.test"))
        async with in_time():
            await brake.turn("192.0.2.1", "bo@x.test")
            monkeypatch.setattr("services.gateway.brake._PATIENCE", 3600.0)
            monkeypatch.setattr("services.gateway.brake._WAITING", 0)
            await brake.turn("192.0.2.1", "bo@x.test")
    assert _try(brake) == "in"


@pytest.mark.parametrize("code", ["UNAVAILABLE", "CONFLICT", "VALIDATION_ERROR"])
def test_only_a_wrong_password_counts(brake: Brake, code: str) -> None:
    for _ in range(3 * MOST):
        assert _try(brake, ends=code) == code
    assert _try(brake) == "in"


@pytest.mark.parametrize(("field", "counts"), [("currentPassword", True), ("newPassword", False)])
def test_a_wrong_present_password_counts_where_somebody_changes_theirs(brake: Brake, field: str, counts: bool) -> None:
    for _ in range(MOST):
        with pytest.raises(Problem), brake.attempt("192.0.2.1", "her id"):
            raise Problem.invalid(field, "")
    assert _try(brake) == ("RATE_LIMITED 60" if counts else "in")


def test_a_right_password_does_not_make_room_for_more_guesses(brake: Brake) -> None:
    _wrong(brake, MOST - 1)
    assert _try(brake, email="mallory@x.test") == "in"
    _wrong(brake, 1)
    assert _try(brake) == "RATE_LIMITED 60"


def test_who_has_signed_in_from_an_address_is_not_kept_out_by_strangers_there(brake: Brake) -> None:
    assert _try(brake, email="Ana@x.test ") == "in"
    _wrong(brake, MOST, email="bo@x.test")
    assert _try(brake, email="bo@x.test") == "RATE_LIMITED 60"
    assert _try(brake, email="ana@X.test") == "in"
    _wrong(brake, MOST, email="ana@x.test")
    assert _try(brake, email="ana@x.test") == "RATE_LIMITED 60", "who guesses at her alone is braked as well"


def test_what_is_remembered_is_bounded(brake: Brake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(braking, "_PLACES", 10)
    for number in range(50):
        _wrong(brake, 1, f"192.0.2.{number}")
        assert _try(brake, f"198.51.100.{number}") == "in"
    assert (len(brake._places), len(brake._known)) == (10, 10)


def _of_a_48(n: int) -> str:
    """An address in the n-th /64 of one /48; 256 of these make a /56."""
    return f"2001:db8:1:{n:x}::1"


def test_whoever_has_many_networks_of_one_owner_is_braked_in_the_wider_ones(brake: Brake, clock: MovableClock) -> None:
    wrong = [_try(brake, _of_a_48(n), ends="UNAUTHENTICATED") for n in range(256)]
    assert wrong.count("UNAUTHENTICATED") == 15, "of a /56"
    assert _try(brake, _of_a_48(0x100)) == "in"
    wrong = [_try(brake, _of_a_48(n), ends="UNAUTHENTICATED") for n in range(0x140, 0x10000, 0x40)]
    assert wrong.count("UNAUTHENTICATED") == 30, "of a /48, with the first ones"
    assert _try(brake, "2001:db8:2::1") == "in"
    clock.advance(seconds=60)
    assert _try(brake, _of_a_48(0)) == "in"


def test_one_ipv4_address_is_one_however_ipv6_carries_it(brake: Brake) -> None:
    addresses = ["192.0.2.1", "::ffff:192.0.2.1", "64:ff9b::192.0.2.1", "2002:c000:201:1::1", "2002:c000:201:2::1"]
    for address in addresses:
        _wrong(brake, 1, address)
    for address in addresses:
        assert _try(brake, address) == "RATE_LIMITED 60"
    assert _try(brake, "64:ff9b::192.0.2.2") == "in"


def test_an_account_is_one_however_its_name_is_composed(brake: Brake) -> None:
    assert _try(brake, email="zoe\u0308@x.test") == "in"
    _wrong(brake, MOST, email="bo@x.test")
    for spelt in ("zo\u00eb@x.test", "ZO\u00cb@x.test", "ZOE\u0308@x.test"):
        assert _try(brake, email=spelt) == "in", "she has signed in from here before"


def test_it_says_who_has_signed_in_from_there(brake: Brake) -> None:
    with brake.attempt("192.0.2.1", "ana@x.test") as known:
        assert not known
    with brake.attempt("192.0.2.1", "Ana@x.test") as known:
        assert known


async def _sign_in(pager: World, forwarded: str | None = None, email: str = "ana@x.test") -> int:
    body = {"email": email, "password": "x", "deviceId": "d"}
    headers = {} if forwarded is None else {"X-Forwarded-For": forwarded}
    return (await pager.call("POST", "/api/v1/auth/login", body, token=None, headers=headers)).status


@pytest.mark.servers
async def test_a_braked_sign_in_never_reaches_auth_and_says_when_to_come_back() -> None:
    async with world() as pager:
        await pager.stubs.answer("auth.login", refusal=_WRONG)
        for number in range(MOST):
            # Nobody has told us of a proxy: what a stranger writes there is not believed.
            assert await _sign_in(pager, f"198.51.100.{number}") == 401
        answer = await pager.call(
            "POST", "/api/v1/auth/login", {"email": "a@b.c", "password": "x", "deviceId": "d"}, token=None
        )
        assert (answer.status, answer.error["code"], answer.headers["Retry-After"]) == (429, "RATE_LIMITED", "60")
        assert len(pager.stubs.asked["auth.login"]) == MOST
        pager.clock.advance(seconds=60)
        await pager.stubs.forget()
        await pager.stubs.answer("auth.login", v.SIGNED_IN)
        assert await _sign_in(pager) == 200


@pytest.mark.servers
async def test_auth_hears_where_somebody_is_and_whether_they_were_there_before() -> None:
    async with world(trusted_proxies="127.0.0.1") as pager:
        await pager.stubs.answer("auth.login", v.SIGNED_IN)
        for address in ("203.0.113.9", "203.0.113.9", "203.0.113.8"):
            assert await _sign_in(pager, address) == 200
        heard = [asked.headers[Header.FROM] for asked in pager.stubs.asked["auth.login"]]
        assert heard == ["203.0.113.0/24", "203.0.113.0/24 known", "203.0.113.0/24"]


@pytest.mark.servers
async def test_auth_hears_the_networks_that_an_address_may_be_one_persons_of() -> None:
    async with world(trusted_proxies="127.0.0.1") as pager:
        await pager.stubs.answer("auth.login", v.SIGNED_IN)
        for address in ("203.0.113.9", "64:ff9b::203.0.113.9", "2001:db8:1:234::1"):
            assert await _sign_in(pager, address) == 200
        heard = [asked.headers[Header.NETWORKS] for asked in pager.stubs.asked["auth.login"]]
        assert heard == ["203.0.113.9"] * 2 + ["2001:db8:1:234::/64, 2001:db8:1:200::/56, 2001:db8:1::/48"]


@pytest.mark.servers
async def test_a_proxy_that_nobody_told_us_of_is_warned_of_once() -> None:
    async with world() as pager:
        await pager.stubs.answer("auth.login", v.SIGNED_IN)
        with capture_logs() as logs:
            await _sign_in(pager)
            for number in range(3):
                await _sign_in(pager, f"198.51.100.{number}")
        said = [log for log in logs if "PAGER_TRUSTED_PROXIES" in log["event"]]
        assert [(log["log_level"], log["peer"]) for log in said] == [("warning", "127.0.0.1")]
    async with world(trusted_proxies="127.0.0.1") as pager:
        await pager.stubs.answer("auth.login", v.SIGNED_IN)
        with capture_logs() as logs:
            await _sign_in(pager, "198.51.100.1")
        assert not [log for log in logs if "PAGER_TRUSTED_PROXIES" in log["event"]]


@pytest.mark.servers
async def test_behind_a_trusted_proxy_it_is_the_address_that_the_proxy_saw() -> None:
    async with world(trusted_proxies="127.0.0.1") as pager:
        await pager.stubs.answer("auth.login", refusal=_WRONG)
        for number in range(MOST):
            assert await _sign_in(pager, f"198.51.100.{number}, 2001:db8::{number}") == 401
        assert await _sign_in(pager, "198.51.100.99, 2001:db8::ffff") == 429
        assert await _sign_in(pager, "2001:db8:0:1::1") == 401
