"""First attempts decide on what this process remembers; only an append that conflicts makes them read (ADR 26)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NoReturn
from uuid import UUID, uuid4

import pytest
from psycopg import errors as pg

from libs.chassis.store.log import EventLog
from libs.chassis.store.memory import Known, Memory
from libs.chassis.store.work import Work
from libs.chassis.tests.ledger import CAUSE, COUNT, Ledger, add
from libs.contracts.incidents import AlertsGrouped
from libs.contracts.requests import Rejected

KEPT = replace(COUNT, keep=lambda total: total < 100)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[UUID]:
    """Every entity that was read from the log, in order."""
    ids: list[UUID] = []
    load_many = EventLog.load_many

    def loaded(self: EventLog, cursor: Any, entities: Any, shape: str | None = None) -> Any:
        ids.extend(entities)
        return load_many(self, cursor, entities, shape)

    monkeypatch.setattr(EventLog, "load_many", loaded)
    return ids


def more(entity: UUID, count: int = 1) -> Callable[[Work], tuple[int, int]]:
    """Counts further; returns the entity's total and version after it."""

    def handler(work: Work) -> tuple[int, int]:
        work.decide(KEPT, entity, AlertsGrouped(incident_id=entity, count=count, last_at=work.now), CAUSE)
        return work.state(KEPT, entity), work.version(entity)

    return handler


def first(entity: UUID) -> Callable[[Work], int]:
    """Begins an entity that nobody should have begun; returns its version after it."""

    def handler(work: Work) -> int:
        work.expect_new(COUNT, [entity])
        add(work, entity)
        return work.version(entity)

    return handler


async def test_what_was_kept_is_not_read_again(ledger: Ledger, read: list[UUID]) -> None:
    entity = uuid4()
    assert (await ledger.store.transact(more(entity, 2))).result == (2, 1)
    assert (await ledger.store.transact(more(entity, 3))).result == (5, 2)
    assert read == [entity]
    # This one is finished: nobody will ask for it soon.
    assert (await ledger.store.transact(more(entity, 100))).result == (105, 3)
    assert (await ledger.store.transact(more(entity))).result == (106, 4)
    assert read == [entity, entity]


async def test_what_somebody_else_appended_is_found_out_and_counts(ledger: Ledger, read: list[UUID]) -> None:
    entity = uuid4()
    await ledger.store.transact(more(entity, 2))
    await ledger.make_store("b").transact(more(entity, 10))
    read.clear()
    assert (await ledger.store.transact(more(entity, 3))).result == (15, 3)
    assert read == [entity]
    assert len(await ledger.events()) == 3


async def test_what_was_rolled_back_is_not_remembered(ledger: Ledger, read: list[UUID]) -> None:
    entity = uuid4()
    await ledger.store.transact(more(entity, 2))

    def fails(work: Work) -> None:
        more(entity, 7)(work)
        raise LookupError

    with pytest.raises(LookupError):
        await ledger.store.transact(fails)
    read.clear()
    assert (await ledger.store.transact(more(entity, 3))).result == (5, 2)
    assert read == []


async def test_after_a_failure_of_the_server_everything_is_read(ledger: Ledger, read: list[UUID]) -> None:
    """Whether the last commit happened is not known then."""
    entity = uuid4()
    await ledger.store.transact(more(entity, 2))

    def cut(work: Work) -> None:
        more(entity, 7)(work)
        work.cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(Exception, match=r".+") as failure:
        await ledger.store.transact(cut)
    assert isinstance(failure.value.__cause__, pg.OperationalError)
    read.clear()
    assert (await ledger.store.transact(more(entity, 3))).result == (5, 2)
    assert read == [entity]


async def test_a_new_leader_reads_what_others_may_have_decided(ledger: Ledger, read: list[UUID]) -> None:
    entity = uuid4()
    await ledger.store.transact(more(entity))
    ledger.store.forget()
    await ledger.store.transact(more(entity))
    assert read == [entity, entity]


async def test_what_is_expected_to_be_new_is_not_read(ledger: Ledger, read: list[UUID]) -> None:
    assert (await ledger.store.transact(first(uuid4()))).result == 1
    assert read == []


async def test_what_only_seemed_new_is_read_and_decided_once(ledger: Ledger, read: list[UUID]) -> None:
    entity = uuid4()
    await ledger.make_store("b").transact(first(entity))
    assert (await ledger.store.transact(first(entity))).result == 2
    assert read == [entity]
    assert len(await ledger.events()) == 2


UP_TO_TEN = replace(KEPT, decide=lambda fact, total: [fact] if total >= 10 else [])
"""Counts on only after ten."""


@pytest.mark.parametrize("remembered", [True, False])
async def test_a_decision_that_writes_nothing_is_made_on_what_was_read(
    ledger: Ledger, read: list[UUID], remembered: bool
) -> None:
    """Nothing that is appended would find out that another process has brought it to ten."""
    entity = uuid4()
    if remembered:
        await ledger.store.transact(more(entity, 2))
    await ledger.make_store("b").transact(more(entity, 10))
    read.clear()

    def handler(work: Work) -> tuple[int, int]:
        work.expect_new(KEPT, [entity])
        events = work.decide(UP_TO_TEN, entity, AlertsGrouped(incident_id=entity, count=1, last_at=work.now), CAUSE)
        return len(events), work.version(entity)

    assert (await ledger.store.transact(handler)).result == (1, 3 if remembered else 2)
    assert read == [entity]


async def test_a_command_that_is_refused_is_refused_by_what_was_read(ledger: Ledger, read: list[UUID]) -> None:
    entity = uuid4()
    await ledger.store.transact(more(entity, 2))
    await ledger.make_store("b").transact(more(entity, 10))
    read.clear()
    strict = replace(KEPT, decide=lambda fact, total: [fact] if total >= 10 else refuse())

    def handler(work: Work) -> int:
        return len(work.decide(strict, entity, AlertsGrouped(incident_id=entity, count=1, last_at=work.now), CAUSE))

    assert (await ledger.store.transact(handler)).result == 1
    assert read == [entity]
    other = uuid4()
    await ledger.store.transact(more(other, 2))
    with pytest.raises(Rejected):
        await ledger.store.transact(
            lambda work: work.decide(strict, other, AlertsGrouped(incident_id=other, count=1, last_at=work.now), CAUSE)
        )


def refuse() -> NoReturn:
    raise Rejected("too early")


def test_a_full_memory_learns_only_of_those_that_it_knows() -> None:
    memory, old, late = Memory(limit=1), uuid4(), uuid4()
    memory.learn({old: Known("a", 1), late: Known("b", 1)})
    memory.learn({old: Known("c", 2)})
    assert (memory.get(old), memory.get(late)) == (Known("c", 2), None)
    memory.learn({old: None, late: Known("d", 2)})
    assert (memory.get(old), memory.get(late)) == (None, Known("d", 2))
    memory.forget()
    assert memory.get(late) is None
