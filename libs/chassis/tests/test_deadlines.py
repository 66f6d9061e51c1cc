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


class Caller:
    """Sends commands, and waits for what comes back for a while."""

    def __init__(self, deadlines: Deadlines, now: float = 0.0) -> None:
        self.clock = Ticking(now)
        self.deadlines = deadlines
        self.asked = 0

    def send(self, seconds: float = 4.5, clock: str | None = None) -> str:
        self.asked += 1
        return deadline_header(seconds, clock, self.clock)

    def ask(self, seconds: float = 4.5) -> float:
        """What is left of a command whose caller waits, and repeats it once where it is asked to."""
        try:
            return self._left(self.send(seconds))
        except TooLate as error:
            return self._left(self.send(seconds, error.clock))

    def _left(self, header: str) -> float:
        left = self.deadlines.left(header)
        assert left is not None
        return left


def both(seconds: float, *clocks: Ticking) -> None:
    for clock in clocks:
        clock.now += seconds


@pytest.mark.parametrize("ours", [-86_400.0, 0.0, 1e9])
def test_what_a_message_took_is_told_without_believing_a_clock(ours: float) -> None:
    here = Ticking(ours)
    caller = Caller(Deadlines(here), 5.0)
    assert caller.ask() == pytest.approx(4.5, abs=0.01)
    sent = caller.send()
    both(2, here, caller.clock)
    assert caller.deadlines.left(sent) == pytest.approx(2.5, abs=0.01)
    sent = caller.send()
    both(120, here, caller.clock)  # frozen for two minutes
    with pytest.raises(TooLate):
        caller.deadlines.left(sent)
    assert caller.ask() == pytest.approx(4.5, abs=0.01)


def test_a_command_that_was_held_back_does_nothing_also_before_its_sender_is_known() -> None:
    here = Ticking()
    caller = Caller(Deadlines(here))
    sent = [caller.send() for _ in range(3)]
    both(60, here, caller.clock)
    for one in sent:
        with pytest.raises(TooLate):
            caller.deadlines.left(one)


def test_a_repetition_that_was_held_back_does_nothing_either() -> None:
    here = Ticking()
    caller = Caller(Deadlines(here))
    with pytest.raises(TooLate) as refused:
        caller.deadlines.left(caller.send())
    repeated = caller.send(clock=refused.value.clock)
    both(60, here, caller.clock)
    with pytest.raises(TooLate):
        caller.deadlines.left(repeated)


@pytest.mark.parametrize("jump", [-3 * 3600.0, -20.0, -2.0, 2.0, 20.0, 3 * 3600.0])
def test_a_clock_that_jumps_costs_a_round_trip_and_no_command(jump: float) -> None:
    parted: list[float] = []
    here = Ticking()
    caller = Caller(Deadlines(here, lambda: parted.append(jump)))
    caller.ask()
    assert parted == []
    caller.clock.now += jump
    before = caller.asked
    for _ in range(5):
        assert caller.ask() > 2
    assert caller.asked - before <= 6
    if abs(jump) > 4.5:
        assert parted == [jump], "said once"
    sent = caller.send()
    both(60, here, caller.clock)
    with pytest.raises(TooLate):
        caller.deadlines.left(sent)


@pytest.mark.parametrize("rate", [0.999, 1.001])
def test_clocks_that_drift_are_followed(rate: float) -> None:
    here = Ticking()
    caller = Caller(Deadlines(here))
    for pause in [60] * 100 + [86_400, 60, 60]:
        assert caller.ask() > 4
        caller.clock.now += pause
        here.now += pause * rate


def test_what_another_process_showed_says_nothing_here() -> None:
    caller = Caller(Deadlines(Ticking(100)))
    with pytest.raises(TooLate):
        caller.deadlines.left(caller.send(clock="another 100"))


@pytest.mark.parametrize("shown", [1e6, -1e6])
def test_a_clock_that_we_cannot_have_shown_is_not_believed(shown: float) -> None:
    caller = Caller(Deadlines(Ticking(100)))
    with pytest.raises(TooLate) as refused:
        caller.deadlines.left(caller.send())
    me = str(refused.value.clock).split()[0]
    with pytest.raises(TooLate):
        caller.deadlines.left(caller.send(clock=f"{me} {shown}"))


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "x", "a b c", "a nan 4", "a 1 nan", "a 1 -4", "a inf 4", "a 1 1e9", f"{'x' * 99} 1 4", "a 1 4 5"),
        *("a 1 4 b nan", "a 1 4 b inf", f"a 1 4 {'x' * 99} 1", "a 1 4 b 5 6"),
    ],
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

    verifier = Verifier(no_keys, ledger.clock, AllGoOn())
    server = RequestServer(requests, ledger.store, ledger.queries(), verifier, Deadlines(here))
    entity = uuid4()
    body = json.dumps({"id": str(entity)}).encode()

    async def ask(seconds: float, operation: str = "count", late: float = 0.0) -> ErrorKind | None:
        clock: str | None = None
        for _ in range(2 if not late else 1):  # whose command is late has given up
            headers = {Header.DEADLINE: deadline_header(seconds, clock, theirs)}
            both(late, here, theirs)
            reply = await server.answer(operation, body, headers)
            clock = reply.error.clock if reply.error is not None else None
            if clock is None:
                break
        return reply.error.kind if reply.error is not None else None

    assert await ask(60) is None
    assert await ask(5, late=6) is ErrorKind.UNAVAILABLE
    assert await ask(0.05, "dawdle") is ErrorKind.UNAVAILABLE
    assert await ledger.store.read(lambda work: work.state(COUNT, entity)) == 1
