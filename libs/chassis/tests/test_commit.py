"""A decision that computes for too long, and a process that stood still: what a session that the server ended means."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID, uuid4

import psycopg
import pytest

from libs.chassis.store import commit
from libs.chassis.store.commit import TooSlow
from libs.chassis.store.store import is_away, passes
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import DEADLINE
from libs.chassis.tests.ledger import COUNT, Ledger, add


def _computing(ledger: Ledger, entity: UUID, works: bool = True) -> Callable[[Work], None]:
    """A handler that decides, and whose session the server ends before it has written: it computes, or stands still."""

    def handler(work: Work) -> None:
        add(work, entity)
        pid = work.cursor.execute("SELECT pg_backend_pid() AS pid").fetchall()[0]["pid"]
        work.cursor.execute("SET LOCAL idle_in_transaction_session_timeout = '20ms'")
        work._answered()
        deadline = time.monotonic() + DEADLINE
        with psycopg.connect(ledger.url("superuser"), autocommit=True) as other:
            while other.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone():
                assert time.monotonic() < deadline
                time.sleep(0.01)
        work.worked_at = time.thread_time() - (0.02 if works else 0)

    return handler


async def test_a_decision_that_computes_for_too_long_is_told_from_a_database_that_is_away(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "IDLE_IN_TRANSACTION", 0.02)
    entity = uuid4()
    with pytest.raises(TooSlow) as slow:
        await ledger.store.transact(_computing(ledger, entity))
    assert not passes(slow.value)
    assert await ledger.store.read(lambda work: work.state(COUNT, entity)) == 0


async def test_a_process_that_stood_still_in_a_decision_is_not_too_slow_for_it(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commit, "IDLE_IN_TRANSACTION", 0.02)
    entity = uuid4()
    with pytest.raises(Exception, match=r".") as lost:
        await ledger.store.transact(_computing(ledger, entity, works=False))
    assert is_away(lost.value), "whoever runs for ever begins again, and no input is set aside for it"
    assert (await ledger.store.transact(lambda work: add(work, entity, 2))).events > 0
