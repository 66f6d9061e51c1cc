"""Deciding without servers: a log and tables in memory, for tests of whole flows and for simulations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NoReturn, cast
from uuid import UUID

from sqlalchemy import Table
from uuid_utils.compat import uuid4

from libs.chassis.store.changes import Change, Cleared, Gone, Newest, NewestPatch, Patch, Row, Tally
from libs.chassis.store.log import NewEvent, Stream
from libs.chassis.store.snapshots import Snapshot
from libs.chassis.store.work import Projector, Work
from libs.contracts.codec import CODEC, Codec, id_of
from libs.contracts.envelope import Envelope
from libs.contracts.model import Lane

Rows = dict[Any, dict[str, Any]]


@dataclass
class MemoryLog:
    """The events of entities as they would be stored."""

    _streams: dict[UUID, list[tuple[str, bytes]]] = field(default_factory=dict)
    _snapshots: dict[UUID, Snapshot] = field(default_factory=dict)
    events_read: int = 0
    """By decisions, so far."""

    def append(self, event: NewEvent) -> None:
        """Raises ValueError for a version that does not follow."""
        stream = self._streams.setdefault(event.originator_id, [])  # type: ignore[arg-type] # the library also knows texts
        if event.originator_version != len(stream) + 1:
            raise ValueError(f"version {event.originator_version} after {len(stream)} events of {event.originator_id}")
        stream.append((event.topic, event.state))

    def keep(self, snapshot: Snapshot) -> None:
        self._snapshots[snapshot.entity] = snapshot

    def load_many(self, _curs: Any, ids: Sequence[UUID], shape: str | None = None) -> Mapping[UUID, Stream]:
        streams = {entity: self._stream(entity, shape) for entity in ids}
        self.events_read += sum(len(stream.events) for stream in streams.values())
        return streams

    def _stream(self, entity: UUID, shape: str | None) -> Stream:
        events, kept = self._streams.get(entity, []), self._snapshots.get(entity)
        if kept is None or kept.shape != shape or id_of(events[kept.version - 1][1]) != str(kept.event_id):
            return Stream(list(events))
        return Stream(events[kept.version :], kept)

    def lock_appends(self, _curs: Any) -> None:
        """Nobody else is here."""

    def last_position(self, _curs: Any, _lane: Lane) -> int:
        return sum(map(len, self._streams.values()))


class _NoDatabase:
    """Stands where a transaction has its cursor."""

    def __getattr__(self, name: str) -> NoReturn:
        raise RuntimeError("there is no database here: what a decision needs comes as an input")


@dataclass
class Desk:
    """One service's handlers, run as in a transaction: what they decide is encoded, projected and kept here.

    A handler that raises leaves nothing behind. Queries have no answer here: whoever decides is given its inputs.
    """

    project: Projector
    new_id: Callable[[], UUID] = uuid4
    codec: Codec = CODEC
    log: MemoryLog = field(default_factory=MemoryLog)
    tables: dict[Table, Rows] = field(default_factory=dict)

    def take(self, handler: Callable[[Work], object], now: datetime) -> list[Envelope[Any]]:
        """The events that a handler decided, as a follower of this service would read them."""
        work = Work(now, self.log, cast("Any", _NoDatabase()), self.project, codec=self.codec, new_id=self.new_id)
        handler(work)
        events, changes = work.new_events()
        for event in events:
            self.log.append(event)
        for snapshot in work.snapshots():
            self.log.keep(snapshot)
        for change in changes:
            self._apply(change)
        return [self.codec.decode(event.topic, event.state) for event in events]

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """What projections and replicas have written, in no order that means anything."""
        return list(self.tables.get(table, {}).values())

    def _apply(self, change: Change) -> None:
        rows = self.tables.setdefault(change.table, {})
        if isinstance(change, Cleared):
            self.tables[change.table] = {k: row for k, row in rows.items() if not change.values.items() <= row.items()}
            return
        old = rows.get(change.key)
        if isinstance(change, Gone):
            rows.pop(change.key, None)
        elif isinstance(change, Tally):
            rows[change.key] = dict(change.values) if old is None else change.onto(old)
        elif not (
            (isinstance(change, Patch | NewestPatch) and old is None)
            or (isinstance(change, Newest | NewestPatch) and old is not None and change.is_before(old))
        ):
            rows[change.key] = {**(_blank(change) if old is None else old), **change.values}


def _blank(change: Change) -> dict[str, Any]:
    """Of a row that may be written in parts, what nobody has written is null."""
    return {c.name: None for c in change.table.columns if c.nullable} if isinstance(change, Row) else {}
