"""One replica leads, and another one takes over however the first one ends (promise 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import uuid4

import psycopg
import pytest

from libs.chassis.consume.leader import _HEARTBEAT, _SESSION_TIMEOUT_MS, Leader
from libs.chassis.parts import Engine
from libs.chassis.service import prepared
from libs.chassis.store.commit import TooSlow
from libs.chassis.store.log import APPEND_LOCK_TIMEOUT
from libs.chassis.testing.deadline import DEADLINE
from libs.chassis.tests.ledger import SCHEMA, Ledger, add, until


@dataclass
class Replica:
    """What a replica does while it leads: say so."""

    leader: Leader
    history: list[str] = field(default_factory=list)
    broken: asyncio.Event = field(default_factory=asyncio.Event)
    fault: Exception = field(default_factory=lambda: psycopg.OperationalError("the database went away under a task"))

    async def lead(self) -> None:
        self.history.append("leads")
        try:
            await self.broken.wait()
            raise ExceptionGroup("tasks", [self.fault])
        finally:
            self.history.append("stops")

    async def run(self) -> None:
        await self.leader.run(self.lead)


def _replica(ledger: Ledger, instance: str) -> Replica:
    return Replica(Leader(ledger.url(), SCHEMA, instance))


async def _leading(*replicas: Replica) -> list[str]:
    return [r.leader.instance for r in replicas if r.leader.active]


async def _until_leads(replica: Replica, *all_of_them: Replica) -> None:
    async def look() -> list[str]:
        return await _leading(*all_of_them)

    await until(look, lambda active: active == [replica.leader.instance], f"{replica.leader.instance} alone leading")


@pytest.fixture(autouse=True)
def _nobody_is_silent() -> Iterator[None]:
    """A machine that stands still is silent, too: whoever leads in a test goes on leading unless the test ends it."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("libs.chassis.consume.leader._SESSION_TIMEOUT_MS", int(DEADLINE * 1000))
        yield


async def test_one_leads_and_the_other_follows_when_it_stops(ledger: Ledger) -> None:
    a, b = _replica(ledger, "a"), _replica(ledger, "b")
    first = ledger.run(a.run)
    await _until_leads(a, a, b)
    ledger.run(b.run)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    await _until_leads(b, a, b)

    async def histories() -> tuple[list[str], list[str]]:
        return a.history, b.history

    # It is the leader a moment before its work begins.
    await until(histories, lambda found: found == (["leads", "stops"], ["leads"]), "the work of one after the other's")


async def test_a_killed_lock_session_hands_over_and_the_old_leader_waits_its_turn(ledger: Ledger) -> None:
    a, b = _replica(ledger, "a"), _replica(ledger, "b")
    ledger.run(a.run)
    await _until_leads(a, a, b)
    ledger.run(b.run)
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pager/incidents/b/lock'"
    await until(lambda: ledger.query(waiting), lambda rows: rows == [(1,)], "b waiting for the lock")
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pager/incidents/a/lock'"
    assert await ledger.query(kill) == [(True,)]
    await _until_leads(b, a, b)
    assert a.history == ["leads", "stops"], "what it led has been stopped"


async def test_a_leader_that_falls_silent_is_followed_and_learns_of_it_when_it_wakes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stopped process: its kernel answers for it, so that nothing but silence tells.
    monkeypatch.setattr("libs.chassis.consume.leader._HEARTBEAT", 3600)
    monkeypatch.setattr("libs.chassis.consume.leader._SESSION_TIMEOUT_MS", 1000)
    frozen, b = _replica(ledger, "z"), _replica(ledger, "b")
    ledger.run(frozen.run)
    await _until_leads(frozen, frozen)
    monkeypatch.undo()
    ledger.run(b.run)
    await _until_leads(b, b)
    assert frozen.history == ["leads"], "nobody has told it"
    frozen.broken.set()
    await _until_leads(b, frozen, b)
    assert (frozen.history, b.history) == (["leads", "stops"], ["leads"])


def test_whoever_is_frozen_is_waited_for_two_seconds() -> None:
    """Where it leads, and where it holds up an append; the other tests wait for longer, or for less."""
    assert _SESSION_TIMEOUT_MS == APPEND_LOCK_TIMEOUT * 1000 == 2000
    assert 2 * _HEARTBEAT < APPEND_LOCK_TIMEOUT, "whoever is only slow leads on"


async def test_a_new_leader_ends_the_sessions_of_its_predecessors_work_and_nobody_elses(ledger: Ledger) -> None:
    old, requests = ledger.make_store("old", role="work"), ledger.make_store("old", role="rpc")
    for store in (old, requests):
        await store.read(lambda work: None)
    sessions = "SELECT application_name FROM pg_stat_activity WHERE application_name LIKE %s ORDER BY 1"

    async def names() -> list[str]:
        return [row[0] for row in await ledger.query(sessions, "pager/incidents/old/%")]

    assert set(await names()) == {"pager/incidents/old/rpc", "pager/incidents/old/work"}
    new = _replica(ledger, "new")
    ledger.run(new.run)
    await _until_leads(new, new)
    await until(names, lambda found: set(found) == {"pager/incidents/old/rpc"}, "the old worker's sessions ended")
    # Its requests go on, and its own worker comes back with a new session when it is asked to.
    await requests.transact(lambda work: add(work, uuid4()))


_PASSING = (psycopg.OperationalError("away"), TimeoutError("away"), TooSlow("computed for 2.1 s"))


@pytest.mark.parametrize("fault", _PASSING)
async def test_what_passes_under_a_task_begins_a_new_term(ledger: Ledger, fault: Exception) -> None:
    a = _replica(ledger, "a")
    a.fault = fault
    ledger.run(a.run)
    await _until_leads(a, a)
    a.broken.set()
    await asyncio.sleep(0)
    a.broken = asyncio.Event()

    async def history() -> list[str]:
        return a.history

    await until(history, lambda found: found == ["leads", "stops", "leads"], "a second term")


async def test_a_fault_of_ours_under_a_task_ends_the_process(ledger: Ledger) -> None:
    a = _replica(ledger, "a")
    a.fault = ValueError("a bug")
    a.broken.set()
    with pytest.raises(ExceptionGroup):
        await a.run()
    assert a.history == ["leads", "stops"]


async def test_what_took_too_long_to_prepare_is_prepared_again_and_then_given_up() -> None:
    class _Slow(Engine):
        tries, fails = 0, 1

        async def prepare(self) -> None:
            self.tries += 1
            if self.tries <= self.fails:
                raise TooSlow("the decision computed for 2.1 s")

    slow = _Slow()
    await prepared(slow)
    assert slow.tries == 2
    slow.tries, slow.fails = 0, 9
    with pytest.raises(TooSlow):
        await prepared(slow)
    assert slow.tries == 2
