"""The event log: the eventsourcing library's recorder on our own append (ADR 1)."""

from __future__ import annotations

import hashlib
import select
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresDatastore, PostgresProcessRecorder
from psycopg import Cursor
from psycopg.adapt import AdaptersMap
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import tuple_row
from psycopg.sql import SQL, Composed, Identifier, Literal
from psycopg.types.array import ListBinaryDumper
from psycopg.types.json import set_json_loads
from psycopg_pool import ConnectionPool
from pydantic_core import from_json

from libs.chassis.store.connections import IDLE_SECONDS, session
from libs.chassis.store.snapshots import Snapshot
from libs.contracts.codec import ID_AT
from libs.contracts.model import Lane

_ADAPTERS = AdaptersMap(psycopg.adapters)
_ADAPTERS.register_dumper(list, ListBinaryDumper)  # as text each id of a list is escaped: six times the work
set_json_loads(from_json, _ADAPTERS)  # a third of the time of the standard library's
APPEND_LOCK_TIMEOUT = 2.0
"""Seconds after which the holder of the append lock is taken for frozen and its session is ended (promise 5)."""


IDLE_IN_TRANSACTION = 2.0
"""Seconds after which the server ends a session that computes, or is frozen, inside a transaction."""


def advisory_key(name: str) -> int:
    """A signed 64-bit key from a name: advisory locks are per database, so names carry the schema."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big", signed=True)


def _check_if_it_speaks(connection: psycopg.Connection[Any]) -> None:
    """For the pool: whether a session that lay idle goes on. Raises psycopg.Error: it was ended.

    The server says nothing to an idle session but that it ends it. So only where there is something to read the server
    is asked, which else was a round trip before each transaction. Where the way to the server broke without a word the
    question would have been waited for like the statement after it.
    """
    idle = select.poll()
    idle.register(connection.fileno(), select.POLLIN)
    if idle.poll(0):
        ConnectionPool.check_connection(connection)


class Datastore(PostgresDatastore):
    """The library's connection pool, with our connection string, session settings and a name for each session."""

    def __init__(
        self,
        url: str,
        *,
        schema: str,
        application_name: str,
        connections: int,
        check: bool,
        settings: Sequence[str] = (),
    ) -> None:
        parameters = conninfo_to_dict(url)
        super().__init__(
            dbname=str(parameters.get("dbname", "")),
            host=str(parameters.get("host", "")),
            port=str(parameters.get("port", 5432)),
            user=str(parameters.get("user", "")),
            password=str(parameters.get("password", "")),
            schema=schema,
            pool_size=1,
            max_overflow=connections - 1,
            connect_timeout=5.0,
            idle_in_transaction_session_timeout=IDLE_IN_TRANSACTION,
            pre_ping=check,
            originator_id_type="uuid",
        )
        self.pool._check = _check_if_it_speaks if check else None
        self.pool.num_workers = 1
        self.pool.max_idle = IDLE_SECONDS
        assert isinstance(self.pool.kwargs, dict)  # noqa: S101 - narrows for the type checker
        # Statements are prepared while tables are still empty, and a plan that reads a whole table would stay in force
        # when they have grown (measured with a relay at 4,000 events/s: 78 % of a core for PostgreSQL instead of 29 %).
        # A join with the rows that a statement brings along would be such a plan too: they are few, and found by their
        # keys.
        said = [f"lock_timeout={int(APPEND_LOCK_TIMEOUT * 1000)}", "timezone=UTC", *settings]
        said += [f"enable_{plan}=off" for plan in ("seqscan", "hashjoin", "mergejoin")]
        if not check:
            # The active consumer repeats a few statements, each by an index: to plan them each time for their values
            # cost a tenth of PostgreSQL's time under load.
            said.append("plan_cache_mode=force_generic_plan")
        self.pool.kwargs |= parameters | session(url, application_name, *said) | {"context": _ADAPTERS}


@dataclass(frozen=True)
class NewEvent(StoredEvent):
    """One event to append; `state` is the envelope's JSON."""

    lane: Lane
    recorded_at: datetime
    slot: int


class LoggedEvent(NamedTuple):
    """One event as stored, with what the relay needs to know of it without reading its JSON."""

    position: int
    type: str
    entity: UUID
    recorded_at: datetime
    raw: bytes


class Stream(NamedTuple):
    """What an entity is folded from: its events, oldest first, from the beginning or after a snapshot."""

    events: list[tuple[str, bytes]]
    """(type, raw)"""
    snapshot: Snapshot | None = None


class Run(NamedTuple):
    """Events of one lane that were appended together, in their order."""

    lane: Lane
    previous: int
    """The lane's last position before them; 0 for none."""
    events: list[LoggedEvent]


def runs_of(events: Sequence[NewEvent], rows: Sequence[tuple[int, int]]) -> list[Run]:
    """What `EventLog.append` wrote, by lane; `rows` as it yielded them."""
    runs: dict[Lane, Run] = {}
    for e, (position, previous) in zip(events, rows, strict=True):
        run = runs.setdefault(e.lane, Run(e.lane, previous, []))
        entity = cast("UUID", e.originator_id)  # the library also knows texts
        run.events.append(LoggedEvent(position, e.topic, entity, e.recorded_at, e.state))
    return list(runs.values())


class EventLog(PostgresProcessRecorder):
    """Append and read one service's log.

    The library's `insert_events` can commit tracking without the events when a value cannot be adapted, and its
    EXCLUSIVE table lock needs a privilege that an append-only role lacks; so the append is ours, on its tables.
    """

    datastore: Datastore

    def __init__(self, datastore: Datastore) -> None:
        if datastore.enable_db_functions:
            raise ValueError("POSTGRES_ENABLE_DB_FUNCTIONS must stay off: it drops the tracking row and the lock")
        super().__init__(datastore)
        schema = Identifier(datastore.schema)
        last = SQL("SELECT coalesce(max(notification_id), 0) FROM {}.stored_events WHERE lane = {}")
        ends = [
            SQL("WHEN {0} THEN ({1})").format(lane, last.format(schema, lane)) for lane in map(Literal, map(str, Lane))
        ]
        self.append_lock = advisory_key(f"pager/append/{datastore.schema}")
        self._append: Composed = SQL(
            "INSERT INTO {}.stored_events (originator_id, originator_version, topic, state, lane, recorded_at, slot)"
            " SELECT * FROM unnest(%b::uuid[], %b::bigint[], %b::text[], %b::bytea[], %b::text[], %b::timestamptz[],"
            " %b::smallint[])"
            # A query in here sees the log as it was before: what each lane ended with, looked up once a statement.
            " RETURNING notification_id, CASE lane {} END"
        ).format(schema, SQL(" ").join(ends))
        self._load: Composed = SQL(
            "SELECT originator_id, topic, state FROM {}.stored_events"
            " WHERE originator_id = ANY(%b) ORDER BY originator_id, originator_version"
        ).format(schema)
        # A snapshot counts only where the log has the very event that it was made at: a log may have lost its end.
        self._load_after: Composed = SQL(
            "WITH known AS MATERIALIZED (SELECT i.id, s.* FROM unnest(%b::uuid[]) AS i (id) LEFT JOIN LATERAL ("
            "SELECT s.* FROM {0}.snapshots s JOIN {0}.stored_events e ON e.originator_id = s.entity"
            " AND e.originator_version = s.version AND substring(e.state FROM %b FOR 36) = s.event_id::text::bytea"
            " WHERE s.entity = i.id AND s.shape = %b) s ON true)"
            " SELECT entity, version, NULL, event_id, slot, shape, convert_to(state, 'UTF8') FROM known"
            " WHERE version IS NOT NULL"
            " UNION ALL"
            " SELECT e.originator_id, e.originator_version, e.topic, NULL, NULL, NULL, e.state FROM known k"
            " CROSS JOIN LATERAL (SELECT * FROM {0}.stored_events e WHERE e.originator_id = k.id"
            " AND e.originator_version > coalesce(k.version, 0)) e ORDER BY 1, 2"
        ).format(schema)
        self._held: Composed = SQL(
            "SELECT count(*) FROM unnest(%b::uuid[], %b::bigint[]) AS h (id, version) JOIN {}.stored_events e"
            " ON e.originator_id = h.id AND e.originator_version = h.version + 1"
        ).format(schema)
        self._lane: Composed = SQL(
            "SELECT notification_id, topic, originator_id, recorded_at, state FROM ("
            "SELECT *, sum(octet_length(state)) OVER (ORDER BY notification_id ROWS UNBOUNDED PRECEDING) AS size"
            " FROM {}.stored_events WHERE lane = %s AND notification_id > %s ORDER BY notification_id LIMIT %s"
            ") AS next WHERE size - octet_length(state) < %s ORDER BY notification_id"
        ).format(schema)
        self._newest: Composed = SQL(
            "SELECT notification_id, topic, originator_id, recorded_at, state FROM {}.stored_events"
            " WHERE lane = %s AND notification_id <= %s ORDER BY notification_id DESC LIMIT 1"
        ).format(schema)
        self._last: Composed = last.format(schema, SQL("%s"))
        self._before: Composed = self._last + SQL(" AND recorded_at < %s")

    def _lock_table(self, curs: Cursor[Any]) -> None:
        self.lock_appends(curs)

    def lock_appends(self, curs: Cursor[Any]) -> None:
        """Serialise appends so that positions commit in their order; the lock ends with the transaction.

        Raises:
            psycopg.errors.LockNotAvailable: it was held for longer than `APPEND_LOCK_TIMEOUT`.
        """
        curs.execute("SELECT pg_advisory_xact_lock(%s)", (self.append_lock,), prepare=True)

    def _notify_channel(self, curs: Cursor[Any]) -> None:
        """No NOTIFY: it queues all commits of the server on one lock; the relay is woken in process."""

    def append(self, curs: Cursor[Any], events: Sequence[NewEvent]) -> None:
        """Append in the caller's transaction, which holds the append lock; `curs` then yields a row for each event.

        That is (its position, the position that its lane ended with before this call); `runs_of` reads them.

        Raises (in a pipeline: when that is synchronised):
            psycopg.errors.UniqueViolation: somebody else has appended that version (a version conflict).
        """
        columns = (
            [e.originator_id for e in events],
            [e.originator_version for e in events],
            [e.topic for e in events],
            [e.state for e in events],
            [str(e.lane) for e in events],
            [e.recorded_at for e in events],
            [e.slot for e in events],
        )
        curs.execute(self._append, columns, prepare=True)

    def load_many(self, curs: Cursor[Any], ids: Sequence[UUID], shape: str | None = None) -> Mapping[UUID, Stream]:
        """What each entity is folded from, in one query; where a snapshot has this shape, only what came after it."""
        streams = {i: Stream([]) for i in ids}
        rows = curs.connection.cursor(row_factory=tuple_row, binary=True)
        if shape is None:
            for entity, topic, state in rows.execute(self._load, (list(streams),)):
                streams[entity].events.append((topic, bytes(state)))
            return streams
        for entity, version, topic, event_id, slot, known, state in rows.execute(
            self._load_after, (list(streams), ID_AT + 1, shape)
        ):
            if topic is None:
                snapshot = Snapshot(entity, version, event_id, slot, known, bytes(state).decode())
                streams[entity] = Stream([], snapshot)
            else:
                streams[entity].events.append((topic, bytes(state)))
        return streams

    def count_changed(self, curs: Cursor[Any], versions: Mapping[UUID, int]) -> None:
        """`curs` then yields how many of these entities have events after the version that is given for each.

        It says so for the rest of a transaction that holds the append lock.
        """
        curs.execute(self._held, (list(versions), list(versions.values())), prepare=True)

    def read_lane(self, curs: Cursor[Any], lane: Lane, after: int, limit: int, size: int = 2**62) -> list[LoggedEvent]:
        """The next events of a lane, in order: at most `limit`, and none behind `size` bytes of them."""
        rows = curs.connection.cursor(row_factory=tuple_row, binary=True).execute(
            self._lane, (str(lane), after, limit, size), prepare=True
        )
        return [LoggedEvent(*row) for row in rows]

    def newest(self, curs: Cursor[Any], lane: Lane, upto: int) -> LoggedEvent | None:
        """The newest event of a lane at or before a position."""
        rows = curs.connection.cursor(row_factory=tuple_row, binary=True)
        row = rows.execute(self._newest, (str(lane), upto), prepare=True).fetchone()
        return LoggedEvent(*row) if row else None

    def last_position(self, curs: Cursor[Any], lane: Lane, before: datetime | None = None) -> int:
        """The newest position of a lane (of events older than `before`); 0 for none."""
        plain = curs.connection.cursor(row_factory=tuple_row)
        if before is None:
            row = plain.execute(self._last, (str(lane),)).fetchone()
        else:
            row = plain.execute(self._before, (str(lane), before)).fetchone()
        return int(row[0]) if row else 0

    def end_lock_holder(self) -> None:
        """End the session that holds the append lock: a process frozen inside its commit keeps it for ever.

        Only one that has asked for nothing for a while: many wait together, and the first to get the lock after the
        frozen one must not be ended by the others. Nor one that waits for another lock: it is not frozen, and its own
        time-out will end the wait.
        """
        with self.datastore.transaction(commit=True) as curs:
            curs.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE locktype = 'advisory' AND granted"
                " AND objsubid = 1 AND ((classid::bigint << 32) | objid::bigint) = %s AND pid <> pg_backend_pid()"
                " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
                " AND wait_event_type IS DISTINCT FROM 'Lock'"
                " AND greatest(query_start, state_change) < clock_timestamp() - %s * interval '1 second'",
                (self.append_lock, APPEND_LOCK_TIMEOUT / 2),
            )
