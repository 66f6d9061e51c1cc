"""A snapshot is of one moment: its rows are what the events up to the ends that it names have made."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import InternalError
from sqlalchemy import insert, select

from libs.chassis.requests.callers import Verifier
from libs.chassis.requests.server import Requests, RequestServer
from libs.chassis.requests.snapshots import add_snapshot
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.chassis.testing.sessions import AllGoOn
from libs.chassis.tests.ledger import SCHEMA, Ledger, add
from libs.contracts.auth import KeySet
from libs.contracts.model import Contract, Lane

_TIMERS = chassis_tables(SCHEMA).timers


async def test_what_is_committed_while_it_is_read_is_not_in_it(ledger: Ledger) -> None:
    before = await ledger.add()
    loop, writer = asyncio.get_running_loop(), ledger.make_store("b")

    def look(work: Work) -> tuple[int, int]:
        return work.log.last_position(work.cursor, Lane.URGENT), len(work.fetch(select(_TIMERS)))

    def read(work: Work) -> list[tuple[int, int]]:
        first = look(work)
        asyncio.run_coroutine_threadsafe(writer.transact(lambda other: add(other, uuid4())), loop).result(10)
        return [first, look(work)]

    assert await ledger.store.consistent(read) == [(before, 1), (before, 1)]
    assert len(await ledger.events()) == 2


async def test_whoever_only_reads_cannot_write(ledger: Ledger) -> None:
    row = {"entity": uuid4(), "name": "x", "due_at": ledger.clock.now()}
    with pytest.raises(InternalError, match="read-only transaction"):
        await ledger.store.consistent(lambda work: work.fetch(insert(_TIMERS).values(**row)))
    await ledger.add()  # the session is as it was before
    assert len(await ledger.query("SELECT 1 FROM incidents.timers")) == 1


class _Row(Contract):
    timer_of: UUID


async def _no_keys() -> KeySet:
    return KeySet(keys=())


async def test_it_names_epoch_and_ends_and_its_rows_are_as_on_every_wire(ledger: Ledger) -> None:
    entity, requests = uuid4(), Requests(SCHEMA)
    urgent = await ledger.add(entity=entity)

    def rows(work: Work) -> list[_Row]:
        return [_Row(timer_of=row["entity"]) for row in work.fetch(select(_TIMERS))]

    add_snapshot(requests, ledger.store, "timers", rows)
    verifier: Any = Verifier(_no_keys, ledger.clock, AllGoOn())
    reply = await RequestServer(requests, ledger.store, ledger.queries(), verifier).answer("snapshot.timers", b"", {})
    assert reply.ok, reply.error
    told = reply.data.model_dump(mode="json", by_alias=True)
    assert (told["epoch"], told["lanes"], told["pages"]) == (1, {"urgent": urgent, "routine": 0}, 1)
    assert told["data"] == [{"timerOf": str(entity)}]
