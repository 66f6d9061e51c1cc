"""Commands on one thing are decided one after the other, and a crowd at one thing keeps nobody from the others."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import _PLACES, Requests, RequestServer
from libs.chassis.requests.turns import WAITING, Turns
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.chassis.tests.ledger import COUNT, SCHEMA, Ledger, add
from libs.contracts.model import Contract
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, ErrorKind


class _Numbered(ById):
    number: int = 0


class _View(Contract):
    number: int
    before: int


class _Anybody:
    async def verify(self, _token: str | None) -> Caller:
        return Caller(UUID(int=1), frozenset(), uuid4(), "phone", None)  # type: ignore[arg-type] # never looked at


class _Gate:
    """Commands that count on an entity; those on `closed` take their time until it is opened."""

    def __init__(self, closed: UUID) -> None:
        self.open = Event()
        self.requests = Requests(SCHEMA)

        @self.requests.handle("count", _Numbered, action=Action.ME, versioned=COUNT)
        def count(work: Work, body: _Numbered, _caller: Caller) -> _View:
            if body.id == closed:
                assert self.open.wait(DEADLINE)
            before = work.state(COUNT, body.id)
            add(work, body.id)
            return _View(number=body.number, before=before)


def _server(ledger: Ledger, requests: Requests) -> RequestServer:
    verifier: Any = _Anybody()
    return RequestServer(requests, ledger.store, ledger.queries(), verifier)


async def _count(server: RequestServer, entity: UUID, number: int = 0) -> _View:
    reply = await server.answer("count", _Numbered(id=entity, number=number).to_json(), {})
    assert reply.ok, reply.error
    view: _View = reply.data
    return view


async def test_a_crowd_at_one_thing_keeps_no_thread_from_the_others(ledger: Ledger) -> None:
    crowded = uuid4()
    gate = _Gate(crowded)
    server = _server(ledger, gate.requests)
    crowd = [asyncio.create_task(_count(server, crowded, number)) for number in range(WAITING)]
    try:
        async with in_time():
            for _ in range(20):
                assert (await _count(server, uuid4())).before == 0
        assert not any(task.done() for task in crowd)
    finally:
        gate.open.set()
    views = await asyncio.gather(*crowd)
    assert [(v.number, v.before) for v in views] == [(n, n) for n in range(WAITING)], "in the order in which they came"


async def test_who_finds_a_crowd_before_one_thing_is_told_at_once_and_takes_no_place_of_the_others(
    ledger: Ledger,
) -> None:
    crowded = uuid4()
    gate = _Gate(crowded)
    server = _server(ledger, gate.requests)
    body = _Numbered(id=crowded).to_json()
    crowd = [asyncio.create_task(server.answer("count", body, {})) for _ in range(_PLACES)]
    told = _PLACES - WAITING - 1
    try:
        async with in_time():
            while sum(task.done() for task in crowd) < told:
                await asyncio.sleep(0.01)
            assert (await _count(server, uuid4())).before == 0
    finally:
        gate.open.set()
    replies = await asyncio.gather(*crowd)
    refused = [reply.error.kind for reply in replies if reply.error is not None]
    assert refused == [ErrorKind.UNAVAILABLE] * told
    assert (await _count(server, crowded)).before == WAITING + 1, "and whoever comes back is let in"


async def test_a_turn_is_left_by_whoever_fails_or_gives_up_and_nothing_is_kept_of_it() -> None:
    turns, order = Turns(), list[str]()

    async def take(name: str, failure: Exception | None = None) -> None:
        async with turns.of("key"):
            order.append(name)
            await asyncio.sleep(0)
            if failure is not None:
                raise failure

    async with turns.of("key"):
        failing = asyncio.create_task(take("failing", LookupError()))
        leaving = asyncio.create_task(take("leaving"))
        staying = asyncio.create_task(take("staying"))
        await asyncio.sleep(0)
        async with turns.of("other"), turns.of(None), turns.of(None):
            assert order == []
        leaving.cancel()
    with pytest.raises(LookupError):
        await failing
    await staying
    assert order == ["failing", "staying"]
    del failing, leaving, staying
    assert len(turns._queues) == 0
