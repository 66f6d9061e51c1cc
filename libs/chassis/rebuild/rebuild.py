"""Rebuilding read models and timers from the logs, into shadow tables, while the service runs (docs/adr/0020)."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import Cursor, IsolationLevel, sql
from sqlalchemy import Table

from libs.chassis.rebuild.folding import Folding
from libs.chassis.rebuild.history import History, connect, ends
from libs.chassis.rebuild.origins import Origins
from libs.chassis.rebuild.repeating import Reading, Writer, upstream_reading
from libs.chassis.rebuild.shadow import Compared, Shadow, Unrepeatable, drop_shadows, shadow_of
from libs.chassis.rebuild.swapping import swap_moment
from libs.chassis.store.connections import session
from libs.chassis.store.epochs import read_epochs
from libs.chassis.store.log import advisory_key
from libs.contracts.model import Lane
from libs.contracts.subjects import lanes_of

_FEW: Final = 500
"""Events that are left for the moment in which nobody appends."""

Progress = Callable[[int, int], None]
"""Events read, and how many there are; what it raises stops the rebuild, and the old tables stay in force."""


class Running(Exception):
    """Another rebuild of this service is under way."""


@dataclass
class Rebuilt:
    """What was found, by table; `swapped`: whether the new tables are in force."""

    compared: dict[str, Compared]
    events: int
    cleaned: list[str] = field(default_factory=list)
    """Shadows that an interrupted rebuild had left."""
    swapped: bool = False


@dataclass
class Rebuild:
    """`Rebuild(ORIGINS, owner's url, …).run()`: everything that a rebuild repeats, or only `tables`.

    Raises:
        Unrepeatable: a table that cannot be repeated was named, with the reason.
        Running: one at a time.
        Busy: the swap's locks could not be had; the old tables stay in force.
        LogHole, UnknownEvent, psycopg.Error: the old tables stay in force.
    """

    origins: Origins
    url: str
    tables: Sequence[str] = ()
    progress: Progress = lambda done, total: None
    quiet: float = 3.0
    _events: int = 0

    def run(self, *, swap: bool = True) -> Rebuilt:
        chosen = self._chosen()
        schema = self.origins.schema
        with contextlib.ExitStack() as stack:
            stack.enter_context(_without_collector())
            connection = stack.enter_context(
                contextlib.closing(psycopg.connect(self.url, **_session(self.url, schema)))
            )
            cursor = connection.cursor()
            stack.enter_context(self._alone(connection))
            cleaned = drop_shadows(cursor, schema)
            shadows = [Shadow(table) for table in chosen.values()]
            for shadow in shadows:
                shadow.create(cursor)
            connection.commit()
            readings = self._readings(chosen, stack)
            writer = Writer(connection, {table: shadow_of(table) for table in chosen.values()})
            stack.enter_context(writer)
            try:
                compared = self._fill(connection, writer, readings, shadows)
                if swap:
                    self._swap(connection, writer, readings, shadows)
                else:
                    drop_shadows(cursor, schema)
                    connection.commit()
            except BaseException:
                writer.stop()
                _clean(connection, schema)
                raise
        return Rebuilt(compared, self._events, cleaned, swapped=swap)

    def _chosen(self) -> dict[str, Table]:
        repeated, kept = self.origins.repeated, self.origins.kept
        for name in self.tables:
            if name in kept:
                raise Unrepeatable(f"{self.origins.schema}.{name} cannot be rebuilt: {kept[name]}")
            if name not in repeated:
                known = ", ".join(sorted(repeated))
                raise Unrepeatable(f"{self.origins.schema} has no projection {name!r}: it has {known}")
        return {name: repeated[name] for name in self.tables or repeated}

    @contextlib.contextmanager
    def _alone(self, connection: psycopg.Connection[Any]) -> Iterator[None]:
        """Hold the schema's lock, and give it back: the server may see only later that a session has ended."""
        key = advisory_key(f"pager/rebuild/{self.origins.schema}")
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (key,)).fetchone()
        if not (row and row[0]):
            raise Running(f"another rebuild of {self.origins.schema} is under way")
        yield
        connection.execute("SELECT pg_advisory_unlock(%s)", (key,))

    # --- What is read ------------------------------------------------------------------------------------------------

    def _readings(self, chosen: Mapping[str, Table], stack: contextlib.ExitStack) -> dict[tuple[str, str], Reading]:
        """By (upstream, lane); the own log is one, in both lanes, under its own name."""
        replicas = [r for r in self.origins.replicas if r.table.name in chosen]
        readings: dict[tuple[str, str], Reading] = {}
        if len(replicas) < len(chosen) or any(r.own for r in replicas):
            folds = {fact.type: fold for facts, fold in self.origins.streams.items() for fact in facts}
            project = self.origins.project
            history = self._history(self.origins.schema, stack)
            own = Reading(history, Folding(history, folds, own=True), lambda d: project(d.event, d.state))
            readings[self.origins.schema, ""] = own
        for upstream in dict.fromkeys(u for r in replicas for u in r.upstreams):
            for lane in lanes_of(upstream):
                history = self._history(upstream, stack, lane)
                of_it = [r for r in replicas if upstream in r.upstreams]
                readings[upstream, str(lane)] = upstream_reading(history, upstream, of_it)
        return readings

    def _history(self, service: str, stack: contextlib.ExitStack, lane: Lane | None = None) -> History:
        connection = stack.enter_context(
            contextlib.closing(connect(self.url, f"pager/{self.origins.schema}/rebuild/{service}"))
        )
        return History(connection, service, (lane,) if lane is not None else tuple(Lane))

    def _bounds(self, cursor: Cursor[Any], readings: Mapping[tuple[str, str], Reading]) -> int:
        """How far each may be read, as this transaction sees it; the number of positions up to there."""
        schema = self.origins.schema
        cursors = sql.Identifier(schema, "cursors")
        cursor.execute(sql.SQL("SELECT upstream, lane, epoch, position FROM {}").format(cursors))
        at = {(str(upstream), str(lane)): (int(epoch), int(position)) for upstream, lane, epoch, position in cursor}
        cursor.execute(
            sql.SQL("SELECT upstream, lane, position FROM {} WHERE kind <> 'input'").format(
                sql.Identifier(schema, "parked")
            )
        )
        parked: dict[tuple[str, str], set[int]] = {}
        for upstream, lane, position in cursor:
            parked.setdefault((upstream, lane), set()).add(position)
        for place, reading in readings.items():
            if not place[1]:
                reading.bound = ends(cursor.connection, (schema,))[schema]
                continue
            # What a restore of the upstream has lost is in no log: the service goes back to there, too.
            reading.bound = read_epochs(cursor.connection, place[0]).keep(*at.get(place, (0, 0)))
            now = frozenset(parked.get(place, ()))
            reading.freed = tuple(sorted(p for p in reading.parked - now if p <= reading.at))
            reading.parked = now
        return sum(reading.bound for reading in readings.values())

    # --- Filling, comparing, swapping --------------------------------------------------------------------------------

    def _fill(
        self,
        connection: psycopg.Connection[Any],
        writer: Writer,
        readings: Mapping[tuple[str, str], Reading],
        shadows: Sequence[Shadow],
    ) -> dict[str, Compared]:
        cursor = connection.cursor()
        self._catch_up(connection, writer, readings, few=_FEW)
        # One snapshot for the old tables, the cursors and the log's end: what is compared belongs together.
        connection.commit()
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        total = self._bounds(cursor, readings)
        self._write(writer, readings, total, commit=False)
        compared = {shadow.table.name: shadow.compare(cursor) for shadow in shadows}
        connection.commit()
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        for shadow in shadows:
            shadow.finish(cursor)
        connection.commit()
        return compared

    def _swap(
        self,
        connection: psycopg.Connection[Any],
        writer: Writer,
        readings: Mapping[tuple[str, str], Reading],
        shadows: Sequence[Shadow],
    ) -> None:
        self._catch_up(connection, writer, readings, few=_FEW)
        connection.commit()
        self.progress(1, 1)  # the last moment to stop it
        with swap_moment(connection, self.origins.schema, [s.old for s in shadows], self.quiet) as cursor:
            total = self._bounds(cursor, readings)
            self._write(writer, readings, total, commit=False)
            for shadow in shadows:
                shadow.swap(cursor)

    def _catch_up(
        self,
        connection: psycopg.Connection[Any],
        writer: Writer,
        readings: Mapping[tuple[str, str], Reading],
        few: int,
    ) -> None:
        """Until hardly anything is left; the service goes on writing meanwhile."""
        cursor = connection.cursor()
        while True:
            total = self._bounds(cursor, readings)
            connection.commit()
            left = total - sum(reading.at for reading in readings.values())
            if left <= few:
                return
            self._write(writer, readings, total, commit=True)

    def _write(self, writer: Writer, readings: Mapping[tuple[str, str], Reading], total: int, *, commit: bool) -> None:
        for reading in readings.values():
            for count, changes in reading.changes():
                self._events += count
                writer.write(changes, commit=commit)
                self.progress(min(sum(r.at for r in readings.values()), total), total)
        writer.flush()


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """States and rows make no cycles, and looking for some in them again and again took two thirds of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _session(url: str, schema: str) -> dict[str, Any]:
    # Losing the last commits of a shadow loses nothing: until the swap nobody needs it, and the swap is flushed.
    settings = ("timezone=UTC", "synchronous_commit=off", "maintenance_work_mem=64MB", "work_mem=16MB")
    return session(url, f"pager/{schema}/rebuild", *settings)


def _clean(connection: psycopg.Connection[Any], schema: str) -> None:
    """Best effort: what is left is removed by the next rebuild."""
    with contextlib.suppress(psycopg.Error):
        connection.rollback()
        connection.isolation_level = IsolationLevel.READ_COMMITTED
        drop_shadows(connection.cursor(), schema)
        connection.commit()
