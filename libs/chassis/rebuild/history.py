"""Reading whole logs: page by page in the order of positions, for those who replay and rebuild (not for services)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql

from libs.chassis.store.connections import session
from libs.contracts.codec import CODEC, Codec
from libs.contracts.model import Lane

PAGE_ROWS: Final = 4000
PAGE_BYTES: Final = 4 * 2**20
"""A page ends early with the event that passes it: one of them may have 1 MiB."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_CHUNK: Final = 500


class LogRow(NamedTuple):
    """One stored event. Nothing of it is decoded: a million of them are read in seconds."""

    position: int
    entity: bytes
    """The 16 bytes of its UUID."""
    type: str
    lane: str
    time: bytes
    """PostgreSQL's own form of a moment, which `microseconds` reads."""
    raw: bytes
    hole: bool
    """The entity's event before this one is missing in the log."""


def microseconds(time: bytes) -> int:
    """Since 2000-01-01 UTC."""
    return int.from_bytes(time, "big", signed=True)


def moment(since_2000: int) -> datetime:
    return _EPOCH + timedelta(microseconds=since_2000)


def since_2000(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def connect(url: str, name: str) -> psycopg.Connection[Any]:
    """A session for reading logs; every statement is a transaction of its own, so that nothing is held up by it."""
    return psycopg.connect(
        url,
        autocommit=True,
        # The plan must never depend on what the statistics of a growing table say: positions have an index.
        **session(url, name, "timezone=UTC", "enable_seqscan=off", "enable_bitmapscan=off"),
    )


@dataclass(frozen=True)
class Condition:
    """A further condition on `stored_events e`, with its parameters by name."""

    text: str = "true"
    parameters: Mapping[str, Any] = field(default_factory=dict)


EVERYTHING: Final = Condition()


@dataclass
class History:
    """One service's log, through a connection that only this object uses."""

    connection: psycopg.Connection[Any]
    service: str
    lanes: tuple[Lane, ...] = tuple(Lane)
    codec: Codec = CODEC

    def __post_init__(self) -> None:
        self._table = sql.Identifier(self.service, "stored_events")
        self._pages: dict[str, str] = {}

    @property
    def _hole(self) -> sql.Composed:
        """Whether the entity's event before this one is missing.

        As a value, and not NOT EXISTS: that PostgreSQL may answer from a hash of the whole table, which it makes for
        each page anew.
        """
        return sql.SQL(
            "e.originator_version > 1 AND (SELECT p.originator_version FROM {} p WHERE p.originator_id ="
            " e.originator_id AND p.originator_version = e.originator_version - 1) IS NULL"
        ).format(self._table)

    def page(self, after: int, upto: int, condition: Condition = EVERYTHING, rows: int = PAGE_ROWS) -> list[LogRow]:
        """The next events after a position, at most `rows` and about `PAGE_BYTES`; none: there is nothing more.

        Raises:
            psycopg.Error: the server is away, or the role may not read this log.
        """
        found: list[LogRow] = []
        size = 0
        statement = self._pages.get(condition.text) or self._page_statement(condition)
        parameters = {"after": after, "upto": upto, "rows": rows, **condition.parameters}
        with self.connection.cursor(binary=True) as cursor:
            for row in cursor.stream(statement, parameters, size=_CHUNK):
                found.append(LogRow._make(row))
                size += len(row[5])
                if size > PAGE_BYTES:
                    break
        return found

    def _page_statement(self, condition: Condition) -> str:
        # A branch for each lane, since the only index of positions is by lane; the server merges them in order.
        branch = sql.SQL(
            "(SELECT e.notification_id, uuid_send(e.originator_id), e.topic, e.lane, timestamptz_send(e.recorded_at),"
            " e.state, {hole}"
            " FROM {table} e WHERE e.lane = {lane} AND e.notification_id > %(after)s AND e.notification_id <= %(upto)s"
            " AND {condition} ORDER BY e.notification_id LIMIT %(rows)s)"
        )
        condition_text = sql.SQL(condition.text)
        branches = [
            branch.format(table=self._table, hole=self._hole, lane=sql.Literal(str(lane)), condition=condition_text)
            for lane in self.lanes
        ]
        whole = sql.SQL(" UNION ALL ").join(branches)
        if len(branches) > 1:
            whole += sql.SQL(" ORDER BY 1 LIMIT %(rows)s")
        self._pages[condition.text] = text = whole.as_string(self.connection)
        return text

    def count(self, after: int, upto: int | None = None) -> int:
        """How many events stand after a position, up to another one or the end."""
        branch = sql.SQL(
            "(SELECT count(*) AS n FROM {table} WHERE lane = {lane} AND notification_id > %(after)s"
            " AND notification_id <= %(upto)s)"
        )
        branches = [branch.format(table=self._table, lane=sql.Literal(str(lane))) for lane in self.lanes]
        limit = 2**63 - 1 if upto is None else upto
        rows = self.connection.execute(sql.SQL(" UNION ALL ").join(branches), {"after": after, "upto": limit})
        return sum(int(row[0]) for row in rows)

    def previous(self, position: int) -> int:
        """The position before one, in these lanes; 0 for none."""
        newest = sql.SQL(" UNION ALL ").join(
            sql.SQL(
                "(SELECT notification_id FROM {table} WHERE lane = {lane} AND notification_id < %(before)s"
                " ORDER BY notification_id DESC LIMIT 1)"
            ).format(table=self._table, lane=sql.Literal(str(lane)))
            for lane in self.lanes
        )
        rows = self.connection.execute(newest, {"before": position}).fetchall()
        return max((int(row[0]) for row in rows), default=0)

    def entity(self, entity: UUID) -> list[LogRow]:
        """Every event of one entity, oldest first."""
        statement = sql.SQL(
            "SELECT e.notification_id, uuid_send(e.originator_id), e.topic, e.lane, timestamptz_send(e.recorded_at),"
            " e.state, {hole}"
            " FROM {table} e WHERE e.originator_id = %s ORDER BY e.originator_version"
        ).format(table=self._table, hole=self._hole)
        with self.connection.cursor(binary=True) as cursor:
            return [LogRow._make(row) for row in cursor.execute(statement, (entity,)).fetchall()]

    def before(self, entities: Sequence[UUID], position: int) -> list[LogRow]:
        """The events of these entities before a position, each entity's in order."""
        statement = sql.SQL(
            "SELECT notification_id, uuid_send(originator_id), topic, lane, timestamptz_send(recorded_at), state, false"
            " FROM {table} WHERE originator_id = ANY(%s) AND notification_id < %s"
            " ORDER BY originator_id, originator_version"
        ).format(table=self._table)
        with self.connection.cursor(binary=True) as cursor:
            return [LogRow._make(row) for row in cursor.execute(statement, (list(entities), position)).fetchall()]

    def entities_between(self, low: UUID, high: UUID, type_name: str, limit: int) -> list[UUID]:
        """Entities in a range of ids whose first event has this type."""
        statement = sql.SQL(
            "SELECT originator_id FROM {table} WHERE originator_id BETWEEN %s AND %s AND originator_version = 1"
            " AND topic = %s ORDER BY originator_id LIMIT %s"
        ).format(table=self._table)
        return [row[0] for row in self.connection.execute(statement, (low, high, type_name, limit)).fetchall()]

    def position_before(self, at: datetime) -> int:
        """A position whose events up to it were all recorded before a moment, as near to it as can be told.

        Times follow positions but for what a decision takes; whoever needs all events since a moment asks for one
        a minute earlier. Found by bisection: some twenty looks at the index, however long the log is.
        """
        statement = sql.SQL(" UNION ALL ").join(
            sql.SQL(
                "(SELECT notification_id, recorded_at FROM {table} WHERE lane = {lane} AND notification_id > %(after)s"
                " ORDER BY notification_id LIMIT 1)"
            ).format(table=self._table, lane=sql.Literal(str(lane)))
            for lane in self.lanes
        ) + sql.SQL(" ORDER BY 1 LIMIT 1")
        low, high = 0, ends(self.connection, (self.service,))[self.service]
        while low < high:
            middle = (low + high) // 2
            row = self.connection.execute(statement, {"after": middle}).fetchone()
            if row is None or row[1] >= at:
                high = middle
            else:
                low = int(row[0])
        return low


def ends(connection: psycopg.Connection[Any], services: Sequence[str]) -> dict[str, int]:
    """The last position of each log, all at one moment: an effect is never within them without its cause."""
    newest = sql.SQL(
        "(SELECT coalesce(max(last), 0) FROM ((SELECT notification_id AS last FROM {table} WHERE lane = 'urgent'"
        " ORDER BY notification_id DESC LIMIT 1) UNION ALL (SELECT notification_id FROM {table} WHERE lane = 'routine'"
        " ORDER BY notification_id DESC LIMIT 1)) l)"
    )
    columns = [newest.format(table=sql.Identifier(service, "stored_events")) for service in services]
    row = connection.execute(sql.SQL("SELECT ") + sql.SQL(", ").join(columns)).fetchone()
    assert row is not None  # noqa: S101 - a SELECT without FROM has one row
    return dict(zip(services, map(int, row), strict=True))


def pages(history: History, after: int, upto: int, condition: Condition = EVERYTHING) -> Iterator[list[LogRow]]:
    """Page after page up to a position."""
    while rows := history.page(after, upto, condition):
        yield rows
        after = rows[-1].position
