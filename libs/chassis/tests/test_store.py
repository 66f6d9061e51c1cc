"""Events, cursor and read model are one commit: all of it, or nothing (promises 1 and 5)."""

from __future__ import annotations

import asyncio
import threading
import time
from time import perf_counter
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent, Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresProcessRecorder
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict

from libs.chassis.store.changes import Row
from libs.chassis.store.cursors import Move, Overtaken, Position
from libs.chassis.store.log import Datastore, EventLog, advisory_key
from libs.chassis.store.store import AlreadyTaken, Contended, PastDeadline, is_away
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.chassis.tests.ledger import COUNT, SCHEMA, Ledger, add, until
from libs.contracts.model import Lane

_OLD, _NEW = Position(1, 10, 3, "stream"), Position(1, 20, 5, "stream")


async def _at_ten(ledger: Ledger) -> Move:
    """The cursor of AUTH stands at 10; the move to 20."""
    start = await ledger.store.position("auth", Lane.ROUTINE)
    await ledger.store.transact(lambda work: None, Move("auth", Lane.ROUTINE, start, _OLD))
    return Move("auth", Lane.ROUTINE, _OLD, _NEW)


async def test_the_cursor_moves_with_the_events_that_it_stands_for(ledger: Ledger) -> None:
    move, entity = await _at_ten(ledger), uuid4()
    committed = await ledger.store.transact(lambda work: add(work, entity, 3), move)
    assert (committed.position, committed.events) == (1, 1)
    assert await ledger.store.position("auth", Lane.ROUTINE) == _NEW
    assert await ledger.query("SELECT count(*) FROM incidents.timers WHERE entity = %s", entity) == [(1,)]


class _Unknown:
    """Nothing that psycopg knows how to send."""


def _unsendable(work: Work) -> None:
    work.cursor.execute("SELECT %s", (_Unknown(),))


def _nul_in_text(work: Work) -> None:
    values = {"actor": "a\0b", "operation": "o", "key": "k", "body_hash": b"", "answer": b"", "answered_at": work.now}
    work.put(Row(chassis_tables(SCHEMA).answers, values))


def _unsendable_row(work: Work) -> None:
    work.put(Row(chassis_tables(SCHEMA).timers, {"entity": _Unknown(), "name": "x", "due_at": work.now}))


def _server_error(work: Work) -> None:
    work.cursor.execute("SELECT 1 / 0")


def _handler_raises(_work: Work) -> None:
    raise ZeroDivisionError("in the handler")


@pytest.mark.parametrize("fault", [_unsendable, _nul_in_text, _unsendable_row, _server_error, _handler_raises])
async def test_a_failure_inside_the_transaction_leaves_cursor_and_events_as_they_were(
    ledger: Ledger, fault: Any
) -> None:
    move = await _at_ten(ledger)
    before = await ledger.add()

    def handler(work: Work) -> None:
        add(work, uuid4())
        fault(work)

    with pytest.raises(Exception, match=r".+") as failure:
        await ledger.store.transact(handler, move)
    assert not isinstance(failure.value, Overtaken | Contended)
    assert await ledger.store.position("auth", Lane.ROUTINE) == _OLD
    assert await ledger.events() == [(before, "urgent")]
    # And the connection is good for the next one.
    await ledger.store.transact(lambda work: add(work, uuid4()), move)
    assert await ledger.store.position("auth", Lane.ROUTINE) == _NEW


async def test_a_projector_that_raises_writes_nothing(ledger: Ledger) -> None:
    def broken(_event: Any, _state: Any) -> Any:
        raise LookupError("no such column")

    move = await _at_ten(ledger)
    with pytest.raises(LookupError):
        await ledger.make_store(project=broken).transact(lambda work: add(work, uuid4()), move)
    assert await ledger.store.position("auth", Lane.ROUTINE) == _OLD
    assert await ledger.events() == []


async def test_the_librarys_own_append_would_have_committed_the_cursor_without_the_events(ledger: Ledger) -> None:
    """Why the append is ours: if this ever fails, the library has been cured and ADR 1 can be looked at again."""
    parameters = conninfo_to_dict(ledger.url("superuser"))
    await ledger.query("CREATE SCHEMA trap")
    datastore = PostgresDatastore(
        str(parameters["dbname"]),
        str(parameters["host"]),
        int(str(parameters["port"])),
        str(parameters["user"]),
        str(parameters["password"]),
        schema="trap",
    )
    recorder = PostgresProcessRecorder(datastore)
    recorder.create_table()
    try:
        event = StoredEvent(uuid4(), 0, "topic\0with NUL", b"{}")
        with pytest.raises(Exception, match=r".+"):
            await asyncio.to_thread(recorder.insert_events, [event], tracking=Tracking("auth", 20))
        assert recorder.max_tracking_id("auth") == 20
        assert recorder.max_notification_id() is None
    finally:
        datastore.close()


async def test_whoever_was_overtaken_writes_nothing(ledger: Ledger) -> None:
    move = await _at_ten(ledger)
    other = ledger.make_store("b")
    await other.transact(lambda work: None, move)
    for new in (_NEW, Position(1, 15, 4, "stream"), Position(1, 30, 9, "stream")):
        with pytest.raises(Overtaken):
            await ledger.store.transact(lambda work: add(work, uuid4()), Move("auth", Lane.ROUTINE, _OLD, new))
    assert await ledger.events() == []
    assert await ledger.store.position("auth", Lane.ROUTINE) == _NEW
    # The same position of another epoch, or of a recreated stream, is another place.
    for old in (Position(2, 20, 5, "stream"), Position(1, 20, 5, "another stream")):
        with pytest.raises(Overtaken):
            await ledger.store.transact(lambda work: add(work, uuid4()), Move("auth", Lane.ROUTINE, old, _NEW))


async def test_a_version_conflict_is_decided_again_on_what_the_other_wrote(ledger: Ledger) -> None:
    entity, other = uuid4(), ledger.make_store("b")
    seen: list[int] = []

    def slow(work: Work) -> None:
        add(work, entity)
        seen.append(work.version(entity))
        if len(seen) == 1:
            # Somebody else appends to the entity between our reading and our writing.
            other._transact(lambda theirs: add(theirs, entity, 5), None)

    committed = await ledger.store.transact(slow)
    assert seen == [1, 2]
    assert committed.position == (await ledger.lane())[-1]
    assert len(await ledger.events()) == 2


_CROWD = (
    "SELECT (SELECT count(*) FROM incidents.stored_events),"
    " EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)


async def test_whoever_has_lost_twice_is_let_alone_and_loses_no_third_time(ledger: Ledger) -> None:
    entity, crowd, attempts = uuid4(), ledger.make_store("b"), 0
    await ledger.add(entity=entity)

    def look(work: Work) -> tuple[int, bool]:
        work.cursor.execute(_CROWD)
        count, waits = work.cursor.fetchone().values()  # type: ignore[union-attr]
        return int(count), bool(waits)

    def slow(work: Work) -> int:
        """Decides for as long as another one needs to append, or is seen to wait."""
        nonlocal attempts
        attempts += 1
        add(work, entity)
        before, deadline = look(work)[0], time.monotonic() + DEADLINE
        while (seen := look(work)) == (before, False):
            assert time.monotonic() < deadline, "the others have stopped"
        return seen[0] - before

    async def others() -> None:
        while True:
            await crowd.transact(lambda work: add(work, entity))

    ledger.run(others)
    committed = await ledger.store.transact(slow)
    assert (attempts, committed.result) == (3, 0), "two in vain, and one beside which nobody appends"


async def test_what_waited_past_its_time_is_not_even_decided(ledger: Ledger) -> None:
    with pytest.raises(PastDeadline):
        await ledger.store.transact(lambda work: pytest.fail("nobody waits for it"), until=perf_counter())


async def test_a_unique_value_that_is_taken_is_told_apart_from_a_version_conflict(ledger: Ledger) -> None:
    await ledger.query("ALTER TABLE incidents.timers ADD UNIQUE (name)")
    row = {"name": "one", "due_at": ledger.clock.now()}
    table = chassis_tables(SCHEMA).timers
    await ledger.store.transact(lambda work: work.put(Row(table, row | {"entity": uuid4()})))
    with pytest.raises(AlreadyTaken, match="timers_name_key"):
        await ledger.store.transact(lambda work: work.put(Row(table, row | {"entity": uuid4()})))


_APPENDS = "SELECT pg_advisory_xact_lock(%s)"
_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def test_a_session_frozen_with_the_append_lock_is_ended_by_whoever_has_waited_for_it(ledger: Ledger) -> None:
    frozen = await ledger.connection(autocommit=False)
    await frozen.execute(_APPENDS, (advisory_key(f"pager/append/{SCHEMA}"),))
    async with in_time():
        await ledger.add()
    with pytest.raises(psycopg.OperationalError):
        await frozen.execute("SELECT 1")
    # The lock is the schema's own: another service's append never waits for it.
    assert advisory_key("pager/append/incidents") != advisory_key("pager/append/escalation")


async def test_a_session_that_has_just_asked_for_something_is_not_taken_for_frozen(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many wait together: whoever gets the lock after the frozen one must not be ended by the others."""
    monkeypatch.setattr("libs.chassis.store.log.APPEND_LOCK_TIMEOUT", 2 * DEADLINE)
    quick = await ledger.connection(autocommit=False)
    await quick.execute(_APPENDS, (advisory_key(f"pager/append/{SCHEMA}"),))
    await ledger.store.log_read(lambda log, _cursor: log.end_lock_holder())
    await quick.execute("SELECT 1")


async def test_a_session_that_is_only_slow_with_the_append_lock_is_waited_for(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.store.log.APPEND_LOCK_TIMEOUT", 2 * DEADLINE)
    patient = ledger.make_store("b")
    slow = await ledger.connection(autocommit=False)
    await slow.execute(_APPENDS, (advisory_key(f"pager/append/{SCHEMA}"),))
    adding = asyncio.create_task(patient.transact(lambda work: add(work, uuid4())))
    await until(lambda: ledger.query(_WAITING), lambda rows: rows == [(1,)], "the other waiting")
    await slow.execute("SELECT 1")
    await slow.commit()
    async with in_time():
        await adding


async def test_positions_of_many_writers_become_visible_in_their_order(ledger: Ledger) -> None:
    stores = [ledger.make_store(f"w{i}", role="rpc") for i in range(3)]
    seen: list[int] = []
    done = False

    async def watch() -> None:
        while not done:
            for position in (await ledger.lane())[len(seen) :]:
                seen.append(position)

    async def write(store: Any) -> None:
        for _ in range(40):
            await store.transact(lambda work: add(work, uuid4()))

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(write(store) for store in stores))
    await until(ledger.lane, lambda positions: len(positions) == 120, "every event")
    done = True
    await watching
    final = await ledger.lane()
    assert seen == final[: len(seen)], "a reader that had seen a position never found a smaller one behind it"
    assert final == sorted(final)


async def test_database_functions_of_the_library_are_refused(ledger: Ledger) -> None:
    datastore = Datastore(ledger.url(), schema=SCHEMA, application_name="test", connections=1, check=False)
    try:
        assert datastore.enable_db_functions is False
        datastore.enable_db_functions = True
        with pytest.raises(ValueError, match="POSTGRES_ENABLE_DB_FUNCTIONS must stay off"):
            EventLog(datastore)
    finally:
        datastore.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE incidents.stored_events SET state = ''",
        "DELETE FROM incidents.stored_events",
        "TRUNCATE incidents.stored_events",
        "INSERT INTO incidents.epochs (epoch, after_position) VALUES (7, 0)",
        "DROP TABLE incidents.stored_events",
        "CREATE TABLE incidents.mine (id int)",
        "SELECT * FROM auth.stored_events",
        "UPDATE incidents.alembic_version SET version_num = 'x'",
    ],
)
async def test_a_services_role_can_only_append_to_its_own_log(ledger: Ledger, statement: str) -> None:
    await ledger.add()
    with pytest.raises(pg.InsufficientPrivilege):
        await ledger.query(statement, user=SCHEMA)
    assert len(await ledger.events()) == 1


async def test_sessions_are_opened_when_they_are_needed_and_closed_when_they_are_not(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.store.log.IDLE_SECONDS", 0.1)
    store = ledger.make_store(instance="b")

    async def sessions() -> int:
        ((found,),) = await ledger.query(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", f"pager/{SCHEMA}/b/work"
        )
        return int(found)

    assert await sessions() == 0, "a replica that only stands by needs none"
    over = threading.Event()
    reading = [asyncio.create_task(store.read(lambda _work: over.wait(DEADLINE))) for _ in range(4)]
    await until(sessions, lambda found: found == 4, "one for each who reads")
    over.set()
    assert all(await asyncio.gather(*reading))
    await until(sessions, lambda found: found == 1, "all but one closed")
    await store.read(lambda _work: None)
    assert await sessions() == 1


# --- A database that is not there, and states that were not committed -------------------------------------------------


async def test_a_server_that_takes_no_writes_counts_as_away(ledger: Ledger) -> None:
    def write(work: Work) -> None:
        work.cursor.execute("SET TRANSACTION READ ONLY")
        add(work, uuid4())

    with pytest.raises(Exception, match="read-only") as refused:
        await ledger.store.transact(write)
    assert is_away(refused.value)


async def test_a_state_that_is_only_assumed_is_never_shown(ledger: Ledger) -> None:
    entity = uuid4()
    await ledger.store.transact(lambda work: add(work, entity, 3))

    def look(work: Work) -> int:
        work.expect_new(COUNT, [entity])
        return work.state(COUNT, entity)

    assert (await ledger.store.transact(look)).result == 3


async def test_a_session_that_holds_the_append_lock_and_waits_for_another_is_not_taken_for_frozen(
    ledger: Ledger,
) -> None:
    """Whoever waits for a row waits as long as its own time-out says; who holds that row is at fault."""
    await ledger.store.transact(lambda work: add(work, uuid4()))
    row = await ledger.connection(autocommit=False)
    await row.execute("SELECT name FROM incidents.timers FOR UPDATE")
    waiting = await ledger.connection(autocommit=False)
    key = advisory_key(f"pager/append/{SCHEMA}")
    await waiting.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
    asking = asyncio.create_task(waiting.execute("SELECT name FROM incidents.timers FOR UPDATE"))

    async def has_waited() -> bool:
        old = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query_start < now() - interval '1.1 s'"
        return bool(await ledger.query(old))

    await until(has_waited, bool, "a wait of a second")
    await ledger.store.log_read(lambda log, _cursor: log.end_lock_holder())
    await row.rollback()
    assert await (await asking).fetchall() == [("count",)]
