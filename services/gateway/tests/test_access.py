"""The access log is off the path of requests: what cannot be kept is counted, and nothing grows without a bound."""

from __future__ import annotations

import asyncio
from typing import Any, cast
from uuid import uuid4

import pytest

from libs.chassis.testing.clock import MovableClock
from libs.contracts.audit import KeepAccesses
from libs.contracts.requests import ErrorKind, Refusal, Reply
from services.gateway import access as module
from services.gateway.access import AccessLog
from services.gateway.edge import FILES, Trace
from services.gateway.envelope import Problem
from services.gateway.forwarding import Forwarder


class Auth:
    """Takes what it is told, or is away, or refuses."""

    def __init__(self) -> None:
        self.told: list[KeepAccesses] = []
        self.answers: list[Reply | None] = []

    async def ask(self, _service: str, _operation: str, body: KeepAccesses, *_: Any) -> Reply:
        reply = self.answers.pop(0) if self.answers else Reply(ok=True)
        if reply is None:
            raise Problem("UNAVAILABLE", "auth is away")
        self.told.append(body)
        return reply


@pytest.fixture
def auth() -> Auth:
    return Auth()


@pytest.fixture
def dropped() -> list[str]:
    return []


@pytest.fixture
def log(auth: Auth, dropped: list[str], monkeypatch: pytest.MonkeyPatch) -> AccessLog:
    monkeypatch.setattr(module, "monotonic", lambda: 0.0)  # no time passes: a bucket is not filled
    return AccessLog(cast("Forwarder", auth), MovableClock(), enabled=True, dropped=dropped.append)


def answered(log: AccessLog, times: int = 1, route: str = "/api/v1/incidents", **more: Any) -> None:
    for _ in range(times):
        given: dict[str, Any] = {"request_id": "r", "status": 200, "user_id": uuid4(), "address": "192.0.2.1"} | more
        trace = Trace(**given)
        log.answered(trace, {"user-agent": "me"}, "GET", route, 0.1)


def kept(auth: Auth) -> int:
    return sum(len(told.kept) for told in auth.told)


async def test_requests_are_told_in_batches(log: AccessLog, auth: Auth) -> None:
    answered(log, 1200)
    await log.tell()
    assert [len(told.kept) for told in auth.told] == [500, 500, 200]
    assert len({one.id for told in auth.told for one in told.kept}) == 1200


async def test_what_auth_has_not_heard_waits_and_is_told_again(log: AccessLog, auth: Auth) -> None:
    answered(log, 3)
    away = Reply(ok=False, error=Refusal(kind=ErrorKind.UNAVAILABLE, message="the database is away"))
    auth.answers = [None, away]
    await log.tell()
    await log.tell()
    auth.told.clear()
    answered(log)
    await asyncio.gather(log.tell(), log.tell())
    assert kept(auth) == 4


async def test_what_auth_refuses_is_counted_and_goes(log: AccessLog, auth: Auth, dropped: list[str]) -> None:
    answered(log, 2)
    auth.answers = [Reply(ok=False, error=Refusal(kind=ErrorKind.VALIDATION, message="no"))]
    await log.tell()
    await log.tell()
    assert (len(auth.told), dropped) == (1, ["refused"] * 2)


async def test_strangers_hide_nobody_elses_requests(log: AccessLog, auth: Auth, dropped: list[str]) -> None:
    answered(log, 5_000, user_id=None)
    assert dropped == ["too many"] * 3_750
    answered(log, 2_000)
    await log.tell()
    assert kept(auth) == 1_250 + 2_000


async def test_while_auth_is_away_no_more_waits_than_a_bound(
    log: AccessLog, dropped: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WAITING", 100)
    answered(log, 130, status=403)
    assert dropped == ["auth away"] * 30
    assert (len(log._kept), len(log._refused)) == (100, 100)


async def test_health_and_metrics_are_not_kept(log: AccessLog, auth: Auth) -> None:
    for route in ("/api/health", "/api/v1/health/live", "/api/metrics"):
        answered(log, route=route)
    await log.tell()
    assert auth.told == []


async def test_files_of_the_app_are_not_kept_and_whoever_looks_for_others_is(log: AccessLog, auth: Auth) -> None:
    answered(log, 40, route=FILES, user_id=None)
    answered(log, route=FILES, user_id=None, status=304)
    await log.tell()
    assert auth.told == []
    answered(log, route=FILES, user_id=None, status=404)
    await log.tell()
    assert kept(auth) == 1


async def test_where_a_key_is_used_from_is_told_once_an_hour_kept_or_not(log: AccessLog, auth: Auth) -> None:
    key = uuid4()
    log.enabled = False
    for _ in range(3):
        answered(log, 3, key_id=key)
        answered(log, key_id=key, address="192.0.2.2")
        cast("MovableClock", log.clock).advance(minutes=59)
    await log.tell()
    assert kept(auth) == 0
    assert [one.ip_address for told in auth.told for one in told.used] == ["192.0.2.1", "192.0.2.2"] * 2


async def test_a_message_fits_the_bus_whatever_strangers_call_their_programs(log: AccessLog, auth: Auth) -> None:
    for number in range(500):
        trace = Trace("r" * 128, None, uuid4(), uuid4(), 403, f"2001:db8:{number:x}:1:fedc:ba98:7654:3210")
        log.answered(trace, {"user-agent": '"' * 1000}, "DELETE", "/" + "r" * 300, 1.5)
    await log.tell()
    assert max(len(told.to_json()) for told in auth.told) < 1024 * 1024 - 16 * 1024
    assert [sum(len(getattr(told, kind)) for told in auth.told) for kind in ("kept", "refused", "used")] == [500] * 3


async def test_a_key_that_has_a_network_to_itself_is_at_one_place(log: AccessLog, auth: Auth) -> None:
    key = uuid4()
    for number in range(50):
        answered(log, key_id=key, address=f"2001:db8::{number + 1:x}")
    answered(log, key_id=key, address="2001:db8:0:1::1")
    await log.tell()
    assert [one.ip_address for told in auth.told for one in told.used] == ["2001:db8::1", "2001:db8:0:1::1"]
