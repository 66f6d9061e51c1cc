"""A command is not carried out after its caller was told that it failed, whatever the clocks show."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any
from uuid import uuid4

import pytest

from libs.chassis.requests.callers import Verifier
from libs.chassis.requests.deadlines import Deadlines, TooLate, deadline_header
from libs.chassis.requests.server import Requests, RequestServer
from libs.chassis.store.store import PastDeadline
from libs.chassis.store.work import Work
from libs.chassis.testing.sessions import AllGoOn
from libs.chassis.tests.ledger import COUNT, SCHEMA, Ledger, add
from libs.contracts.auth import KeySet
from libs.contracts.requests import ById, ErrorKind
from libs.contracts.subjects import Header


class Ticking:
    """A monotonic clock that begins anywhere."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("ours", [-86_400.0, 0.0, 1e9])
def test_what_a_message_took_is_told_without_comparing_clocks(ours: float) -> None:
    theirs, here = Ticking(5.0), Ticking(ours)
    deadlines = Deadlines(here)
    assert deadlines.left(deadline_header(4.5, theirs)) == pytest.approx(4.5)
    sent = deadline_header(4.5, theirs)
    here.now += 2
    theirs.now += 2
    assert deadlines.left(sent) == pytest.approx(2.5)
    sent = deadline_header(4.5, theirs)
    here.now += 120  # frozen for two minutes
    theirs.now += 120
    with pytest.raises(TooLate):
        deadlines.left(sent)
    assert deadlines.left(deadline_header(4.5, theirs)) == pytest.approx(4.5)


def test_clocks_that_drift_are_followed() -> None:
    theirs, here = Ticking(), Ticking()
    deadlines = Deadlines(here)
    for _ in range(200):
        assert (deadlines.left(deadline_header(4.5, theirs)) or 0) > 4.4
        theirs.now += 60
        here.now += 60.006  # 100 ppm faster


@pytest.mark.parametrize(
    "header",
    [None, "", "x", "a b c", "a nan 4", "a 1 nan", "a 1 -4", "a inf 4", "a 1 1e9", f"{'x' * 99} 1 4", "a 1 4 5"],
)
def test_what_is_no_deadline_of_ours_limits_nothing(header: str | None) -> None:
    assert Deadlines().left(header) is None


async def test_past_its_deadline_a_transaction_commits_nothing(ledger: Ledger) -> None:
    entity = uuid4()
    with pytest.raises(PastDeadline):
        await ledger.store.transact(lambda work: add(work, entity), until=perf_counter() - 0.001)
    assert await ledger.store.read(lambda work: work.state(COUNT, entity)) == 0
    await ledger.store.transact(lambda work: add(work, entity), until=perf_counter() + 60)
    assert await ledger.store.read(lambda work: work.state(COUNT, entity)) == 1


async def test_a_command_that_arrives_too_late_or_takes_too_long_is_answered_and_does_nothing(ledger: Ledger) -> None:
    requests, theirs, here = Requests(SCHEMA), Ticking(), Ticking()

    @requests.handle("count", ById, public=True)
    def count(work: Work, body: ById, _caller: None) -> Any:
        add(work, body.id)

    @requests.handle("dawdle", ById, public=True)
    def dawdle(work: Work, body: ById, _caller: None) -> Any:
        add(work, body.id)
        work.cursor.execute("SELECT pg_sleep(0.1)")

    async def no_keys() -> KeySet:
        return KeySet(keys=())

    server = RequestServer(requests, ledger.store, Verifier(no_keys, ledger.clock, AllGoOn()), Deadlines(here))
    entity = uuid4()
    body = json.dumps({"id": str(entity)}).encode()

    async def ask(seconds: float, operation: str = "count", late: float = 0.0) -> ErrorKind | None:
        headers = {Header.DEADLINE: deadline_header(seconds, theirs)}
        here.now += late
        theirs.now += late
        reply = await server.answer(operation, body, headers)
        return reply.error.kind if reply.error is not None else None

    assert await ask(60) is None
    assert await ask(5, late=6) is ErrorKind.UNAVAILABLE
    assert await ask(0.05, "dawdle") is ErrorKind.UNAVAILABLE
    assert await ledger.store.read(lambda work: work.state(COUNT, entity)) == 1
