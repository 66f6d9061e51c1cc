"""Whoever is refused, however often and from however many places, makes the log grow by a bound a minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

import pytest

from libs.chassis.requests.peers import Peer
from libs.chassis.store.store import Store
from libs.chassis.testing.clock import MovableClock
from libs.contracts.audit import AccessRefused, ApiKeyUsed, RefusalsCounted, UnknownAccountRefused
from libs.contracts.envelope import Fact
from services.auth.refusals import A_MINUTE, Counts, Refusals, is_told

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


class _Work:
    def __init__(self, told: list[Fact]) -> None:
        self._told = told

    def begin(self, *_: object) -> None:
        return None

    def decide(self, _decider: object, _entity: object, fact: Any, _cause: object) -> None:
        self._told.append(fact)


class _Log:
    """Writes down what is told; `away`: it writes nothing, and `held`: it takes its time."""

    def __init__(self) -> None:
        self.told: list[Fact] = []
        self.away = False
        self.held = asyncio.Event()
        self.held.set()

    async def transact(self, handler: Callable[[Any], object]) -> None:
        await self.held.wait()
        if self.away:
            raise OSError
        handler(_Work(self.told))


def refusals(log: _Log, clock: MovableClock) -> Refusals:
    return Refusals(cast("Store", log), clock, lambda: b"k" * 32)


def peer(number: int) -> Peer:
    return Peer("192.0.2.0/24", False, (f"192.0.2.{number}",), f"192.0.2.{number}", "me")


def times(log: _Log) -> tuple[int, int]:
    """Refusals with an event of their own, and those that are only counted."""
    counted = sum(fact.times for fact in log.told if isinstance(fact, RefusalsCounted))
    return len([fact for fact in log.told if isinstance(fact, UnknownAccountRefused)]), counted


def test_of_what_is_alike_few_are_told() -> None:
    counts = Counts()
    found = [counts.add("one", NINE) for _ in range(1000)]
    assert [n for n in found if n is not None] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]
    assert counts.add("another", NINE) == 1
    assert counts.add("one", NINE + timedelta(hours=1)) == 1, "an hour later it begins anew"


@pytest.mark.parametrize(("number", "told"), [(1, True), (3, False), (5, True), (15, False), (100, True), (101, False)])
def test_which_are_told(number: int, told: bool) -> None:
    assert is_told(number) is told


async def test_a_flood_from_everywhere_costs_so_many_events_a_minute_and_one_that_counts_the_rest() -> None:
    log, clock = _Log(), MovableClock()
    made = refusals(log, clock)
    for number in range(3000):
        made.of_sign_in(f"account {number}".encode(), None, "wrong password", peer(number % 250))
        await asyncio.sleep(0)
    assert times(log) == (A_MINUTE, 0)
    clock.advance(seconds=60)
    made.of_sign_in(b"one more", None, "wrong password", peer(1))
    made.of_sign_in(b"one more", None, "wrong password", peer(1))
    made.of_sign_in(b"one more", None, "wrong password", peer(1))
    await made.close()
    assert times(log) == (A_MINUTE + 2, 3000 - A_MINUTE)


async def test_a_log_that_is_slow_or_away_keeps_nobody_and_what_it_does_not_write_is_counted() -> None:
    log, clock = _Log(), MovableClock()
    made = refusals(log, clock)
    log.held.clear()
    for number in range(50):
        made.of_sign_in(f"account {number}".encode(), None, "wrong password", peer(number))
    assert len(made._recording) == 16
    log.held.set()
    log.away = True
    await asyncio.gather(*made._recording)
    log.away = False
    await made.close()
    assert times(log) == (0, 50)


async def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.auth.refusals._KINDS", 100)
    counts = Counts()
    for number in range(1000):
        counts.add(number, NINE)
    assert len(counts._counts) == 100
    assert len(counts._told) <= A_MINUTE


async def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    counts = Counts()
    for number in range(A_MINUTE):
        counts.add(number, NINE + timedelta(days=1))
    assert counts.add("now", NINE) == 1


async def test_what_is_forbidden_is_counted_by_person_route_and_place() -> None:
    log = _Log()
    made = refusals(log, MovableClock())
    fact = AccessRefused(user_id=uuid4(), method="GET", route="/api/v1/audit", times=1, ip_address="192.0.2.1")
    for _ in range(3):
        made.of_access(fact)
    made.of_access(fact.model_copy(update={"route": "/api/v1/users"}))
    await made.close()
    assert [(fact.route, fact.times) for fact in log.told if isinstance(fact, AccessRefused)] == [
        ("/api/v1/audit", 1),
        ("/api/v1/audit", 2),
        ("/api/v1/users", 1),
    ]


async def test_who_has_a_network_to_themselves_is_at_one_place() -> None:
    log = _Log()
    made = refusals(log, MovableClock())
    fact = AccessRefused(user_id=uuid4(), method="GET", route="/api/v1/audit", times=1)
    used = ApiKeyUsed(key_id=uuid4(), user_id=uuid4())
    for number in range(12):
        here = {"ip_address": f"2001:db8::{number + 1:x}"}
        made.of_access(fact.model_copy(update=here))
        made.of_key(used.model_copy(update=here))
    made.of_key(used.model_copy(update={"ip_address": "2001:db8:0:1::1"}))
    await made.close()
    assert [one.times for one in log.told if isinstance(one, AccessRefused)] == [1, 2, 5, 10]
    assert len([one for one in log.told if isinstance(one, ApiKeyUsed)]) == 2


async def test_a_flood_of_strangers_hides_nothing_that_others_do() -> None:
    log, clock = _Log(), MovableClock()
    made = refusals(log, clock)
    for number in range(3000):
        made.of_sign_in(f"account {number}".encode(), None, "wrong password", peer(number % 250))
        await asyncio.sleep(0)
    made.of_access(AccessRefused(user_id=uuid4(), method="GET", route="/api/v1/audit", times=1))
    made.of_key(ApiKeyUsed(key_id=uuid4(), user_id=uuid4()))
    await made.close()
    assert {type(fact) for fact in log.told} == {UnknownAccountRefused, AccessRefused, ApiKeyUsed, RefusalsCounted}


async def test_how_many_there_were_is_not_forgotten_with_what_would_have_said_it() -> None:
    log, clock = _Log(), MovableClock()
    made = refusals(log, clock)
    for number in range(300):
        made.of_sign_in(f"account {number}".encode(), None, "wrong password", peer(number % 250))
        await asyncio.sleep(0)
    clock.advance(seconds=60)
    log.away = True
    made.of_sign_in(b"account 0", None, "wrong password", peer(0))
    made.of_sign_in(b"account 0", None, "wrong password", peer(0))
    await asyncio.gather(*made._recording)
    log.away = False
    await made.close()
    told, counted = times(log)
    assert told + counted >= 300
