"""What people look up keeps no command waiting, however slow it is (ADR 43)."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from eventsourcing.persistence import InternalError
from sqlalchemy import text

from libs.chassis.requests.callers import Verifier
from libs.chassis.requests.server import Requests, RequestServer
from libs.chassis.store.connections import QUERIES
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import in_time
from libs.chassis.testing.sessions import AllGoOn
from libs.chassis.tests.ledger import SCHEMA, Ledger, add
from libs.contracts.auth import KeySet
from libs.contracts.requests import ById, ErrorKind, Reply

_BODY = ById(id=uuid4()).to_json()
_EIGHT = 8
_OFTEN = 6


async def _no_keys() -> KeySet:
    return KeySet(keys=())


@pytest.fixture
def server(ledger: Ledger) -> RequestServer:
    requests = Requests(SCHEMA)

    @requests.handle("acknowledge", ById, public=True)
    def acknowledge(work: Work, body: ById, _caller: None) -> None:
        add(work, body.id)

    @requests.query("slow", ById, public=True)
    def slow(work: Work, _body: ById, _caller: None) -> Any:
        return work.fetch(text("SELECT pg_sleep(60)"))

    @requests.query("quick", ById, public=True)
    def quick(work: Work, _body: ById, _caller: None) -> Any:
        return work.fetch(text("SELECT 1 AS one"))

    verifier = Verifier(_no_keys, ledger.clock, AllGoOn())
    return RequestServer(requests, ledger.store, ledger.queries(), verifier)


async def _slow_ones_run(ledger: Ledger) -> None:
    async with in_time():
        while (
            await ledger.query("SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(60)%%'")
        ) != [(QUERIES,)]:
            await asyncio.sleep(0.01)


async def test_beside_eight_slow_queries_a_command_is_carried_out(server: RequestServer, ledger: Ledger) -> None:
    slow = [asyncio.create_task(server.answer("slow", _BODY, {})) for _ in range(_EIGHT)]
    await _slow_ones_run(ledger)
    done = await server.answer("acknowledge", _BODY, {})
    assert (done.ok, sum(task.done() for task in slow) <= _EIGHT - QUERIES) == (True, True), "it waited for none"
    answers = [await task for task in slow]
    assert {_kind(answer) for answer in answers} == {ErrorKind.UNAVAILABLE}, "each has its end, and says when"
    told = {answer.error.message.split(":")[0] for answer in answers if answer.error is not None}
    assert told == {"Too much is being looked up", "This took too long to look up"}
    assert (await server.answer("quick", _BODY, {})).data == [{"one": 1}], "and their places are free again"


async def test_a_query_waits_a_little_for_a_place(server: RequestServer) -> None:
    answers = await asyncio.gather(*(server.answer("quick", _BODY, {}) for _ in range(_EIGHT * QUERIES)))
    assert all(answer.ok for answer in answers)


async def test_a_query_writes_nothing(ledger: Ledger) -> None:
    queries = ledger.queries()
    with pytest.raises(InternalError, match="read-only"):
        await queries.read(lambda work: work.fetch(text("SELECT nextval('incidents.incident_number')")))


def _kind(reply: Reply) -> ErrorKind | None:
    return None if reply.error is None else reply.error.kind


async def test_what_is_looked_up_again_and_again_is_planned_once(ledger: Ledger) -> None:
    """psycopg prepares what a session has asked five times, and forgets all of it at a ROLLBACK."""
    queries = ledger.queries()
    prepared, found = text("SELECT statement FROM pg_prepared_statements"), set[str]()
    async with in_time():
        while "SELECT 2 AS two" not in found:  # the pool's sessions take turns
            for _ in range(2 * _OFTEN):
                await queries.read(lambda work: work.fetch(text("SELECT 2 AS two")))
            found = {row["statement"] for row in await queries.read(lambda work: work.fetch(prepared))}


@pytest.mark.parametrize("role", ["rpc", "query"])
async def test_a_session_that_was_ended_while_it_lay_idle_is_replaced_before_anything_is_asked(
    ledger: Ledger, role: str
) -> None:
    store, queries = ledger.make_store(role="rpc"), ledger.queries()
    read = store.read if role == "rpc" else queries.read
    named = (f"pager/{SCHEMA}/a/{role}",)
    one, of_these = text("SELECT pg_backend_pid() AS pid"), "FROM pg_stat_activity WHERE application_name = %s"
    await read(lambda work: work.fetch(one))
    there = await ledger.query("SELECT pid " + of_these, *named)
    await ledger.query("SELECT pg_terminate_backend(pid) " + of_these, *named)
    async with in_time():
        while set(there) & set(await ledger.query("SELECT pid " + of_these, *named)):
            await asyncio.sleep(0.01)
    assert ((await read(lambda work: work.fetch(one)))[0]["pid"],) not in there
