"""However much one person asks for at once, they take no more places than theirs, and none from the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import uuid4

import pytest
from nats.aio.msg import Msg

from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.contracts.requests import Reply
from services.gateway import places
from services.gateway.envelope import Problem
from services.gateway.places import MOST, URGENT, WAITING, Places
from services.gateway.tests import views as v
from services.gateway.tests.described import described
from services.gateway.tests.stubs import USER, Answer, World

INCIDENTS = "/api/v1/incidents"
ACKNOWLEDGE = f"{INCIDENTS}/{v.ID}/acknowledge"


async def _until(met: Callable[[], bool]) -> None:
    async with in_time():
        while not met():
            await asyncio.sleep(0.01)


async def _let_go(held: list[Msg]) -> None:
    """Answer all that is held, and what comes of that."""
    while held:
        await held.pop().respond(Reply(ok=True, data=v.INCIDENT).to_json())
        await asyncio.sleep(0)


def _asking(pager: World, path: str, count: int, token: str) -> list[asyncio.Task[Answer]]:
    body = {"title": "x"} if path == INCIDENTS else {}
    return [asyncio.create_task(pager.call("POST", path, body, token=token)) for _ in range(count)]


async def _here() -> bool:
    return False


async def _gone() -> bool:
    return True


@pytest.mark.servers
async def test_a_crowd_of_one_person_is_told_to_wait_and_neither_others_nor_their_own_acknowledgement(
    pager: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PATIENCE", 0.1)
    held = await pager.stubs.hold("incidents.create")
    await pager.stubs.answer("incidents.acknowledge", v.INCIDENT)
    # Requests of other tests, which nobody has answered, may keep places of their person for a while.
    ana, bo = pager.token(user=uuid4()), pager.token(user=uuid4())
    crowd = _asking(pager, INCIDENTS, MOST + 8, ana)
    try:
        await _until(lambda: sum(task.done() for task in crowd) == 8 and len(held) == MOST)
        answers = [task.result() for task in crowd if task.done()]
        assert {(a.status, a.error["code"], a.headers["Retry-After"]) for a in answers} == {(429, "RATE_LIMITED", "1")}
        assert (await pager.call("POST", ACKNOWLEDGE, {}, token=ana)).status == 200
        crowd += _asking(pager, INCIDENTS, 1, bo)
        await _until(lambda: len(held) == MOST + 1)
    finally:
        await _let_go(held)
    statuses = [answer.status for answer in await asyncio.gather(*crowd)]
    assert sorted(statuses) == [201] * (MOST + 1) + [429] * 8


@pytest.mark.servers
async def test_acknowledgements_of_somebody_who_hung_up_keep_few_places_and_those_that_wait_are_not_sent(
    pager: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PATIENCE", DEADLINE)
    held = await pager.stubs.hold("incidents.acknowledge")
    person = uuid4()
    ana, bo = pager.token(user=person), pager.token(user=uuid4())
    crowd = _asking(pager, ACKNOWLEDGE, URGENT + 20, ana)
    here = pager.gateway.front.places
    await _until(lambda: len(held) == URGENT and here._crowds[person, True].waiting == 20)
    connections: Any = pager.gateway._listening._server.server_state.connections
    before = len(connections)
    for task in crowd:
        task.cancel()
    await asyncio.gather(*crowd, return_exceptions=True)
    await _until(lambda: len(connections) <= before - len(crowd))
    others = _asking(pager, ACKNOWLEDGE, 1, bo)
    await _until(lambda: len(held) == URGENT + 1)
    await _let_go(held)
    assert (await others[0]).status == 200
    await _until(lambda: (person, True) not in here._crowds)
    assert held == [], "what nobody waits for is not begun"


async def test_so_many_wait_and_who_comes_then_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PATIENCE", 2 * DEADLINE)
    mine, leave, order = Places(), asyncio.Event(), list[int]()

    async def take(number: int) -> None:
        async with mine.of(USER, _here, urgent=False):
            order.append(number)
            await leave.wait()

    crowd = [asyncio.create_task(take(number)) for number in range(MOST + WAITING)]
    async with in_time():
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await take(-1)
        assert (refused.value.status_code, refused.value.headers) == (429, {"Retry-After": "1"})
        assert order == list(range(MOST))
        leave.set()
        await asyncio.gather(*crowd)
    assert order == list(range(MOST + WAITING)), "in the order in which they came"
    crowd.clear()
    del refused
    assert len(mine._crowds) == 0, "nothing is kept of whoever has left"


async def test_who_fails_gives_up_or_has_gone_leaves_their_place() -> None:
    mine, leave, done = Places(), asyncio.Event(), list[str]()

    async def take(name: str, gone: places.Gone = _here) -> None:
        async with mine.of(USER, gone, urgent=True):
            done.append(name)
            await leave.wait()
            raise LookupError

    first = [asyncio.create_task(take("first", _gone)) for _ in range(URGENT)]
    await asyncio.sleep(0)
    left, tired, last = (
        asyncio.create_task(take("left", _gone)),
        asyncio.create_task(take("tired")),
        asyncio.create_task(take("last")),
    )
    await asyncio.sleep(0)
    tired.cancel()
    leave.set()
    async with in_time():
        for task in (*first, left, tired, last):
            with suppress(LookupError, Problem, asyncio.CancelledError):
                await task
    assert done == ["first"] * URGENT + ["last"]


def test_the_document_says_so_wherever_somebody_is_signed_in() -> None:
    operations = [
        operation
        for path in described()["paths"].values()
        for operation in path.values()
        if isinstance(operation, dict) and "security" in operation
    ]
    assert operations
    assert all("429" in operation["responses"] for operation in operations)
