"""What a rebuild repeats: stretches of logs, folded and projected page by page, and written into shadow tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from sqlalchemy import Table

from libs.chassis.rebuild.folding import Folding
from libs.chassis.rebuild.history import History, LogRow
from libs.chassis.rebuild.origins import STATELESS, Replica, Replicate
from libs.chassis.store.changes import Change, apply_changes
from libs.chassis.store.work import Decided

_PAGE: Final = 2000
"""Events whose rows are in memory at once, twice: while they are written the next ones are folded."""

Projecting = Callable[[Decided], Iterable[Change]]


@dataclass
class Reading:
    """One lane or log that is read: up to `bound`, from `at`; what is parked has had no effect."""

    history: History
    folding: Folding
    project: Projecting
    at: int = 0
    bound: int = 0
    parked: frozenset[int] = frozenset()
    freed: tuple[int, ...] = ()
    """Positions that were parked when they were passed, and are not any more."""

    def changes(self) -> Iterator[tuple[int, list[Change]]]:
        """(how many events, what they write), page by page."""
        if self.freed:
            rows = [r for p in self.freed for r in self.history.page(p - 1, p)]
            self.freed = ()
            yield 0, self._of(rows)
        while self.at < self.bound and (rows := self.history.page(self.at, self.bound, rows=_PAGE)):
            yield len(rows), self._of([row for row in rows if row.position not in self.parked])
            self.at = rows[-1].position
        self.at = max(self.at, self.bound)

    def _of(self, rows: Sequence[LogRow]) -> list[Change]:
        return [change for decided in self.folding.decided(rows) for change in self.project(decided)]


def upstream_reading(history: History, upstream: str, replicas: Sequence[Replica]) -> Reading:
    """What these replicas take from one lane of an upstream."""
    # What several tables take from one event is made once for all of them.
    by_type: dict[str, dict[Replicate, set[Table]]] = {}
    for replica in replicas:
        for fact in replica.upstreams[upstream]:
            by_type.setdefault(fact.type, {}).setdefault(replica.replicate, set()).add(replica.table)

    def project(decided: Decided) -> Iterator[Change]:
        for replicate, tables in by_type[decided.event.type].items():
            for change in replicate(decided.event):
                if change.table in tables:
                    yield change

    return Reading(history, Folding(history, dict.fromkeys(by_type, STATELESS)), project)


@dataclass
class Writer:
    """Writes a page while the next one is read and folded: the server and Python work at the same time."""

    connection: psycopg.Connection[Any]
    shadows: Mapping[Table, Table]
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "rebuild"))
    _under_way: Future[None] | None = None

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown()

    def write(self, changes: Iterable[Change], *, commit: bool) -> None:
        """What concerns the tables in question. Raises what the page before raised."""
        mine = [change for change in changes if change.table in self.shadows]
        self.flush()
        if mine:
            self._under_way = self._thread.submit(self._write, mine, commit)

    def flush(self) -> None:
        """Wait until all of it is written."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def stop(self) -> None:
        """Wait for what is under way, whatever becomes of it: nobody else may use the connection before."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.exception()

    def _write(self, changes: Sequence[Change], commit: bool) -> None:
        apply_changes(self.connection.cursor, changes, self.shadows)
        if commit:
            self.connection.commit()
