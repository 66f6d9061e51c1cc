"""What people look up: it only reads, in bounded time, and in places that are not those of commands (ADR 43)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from eventsourcing.persistence import OperationalError
from psycopg import errors as pg
from psycopg.rows import dict_row

from libs.chassis.clock import Clock
from libs.chassis.measure.meters import meters
from libs.chassis.store.connections import QUERIES
from libs.chassis.store.estimates import Estimates
from libs.chassis.store.keyring import Keyring, served
from libs.chassis.store.log import Datastore, EventLog
from libs.chassis.store.work import Work
from libs.contracts.requests import ErrorKind, Rejected

T = TypeVar("T")

STATEMENT_SECONDS: Final = 1.0
"""For one statement: its caller gives up after two seconds (`services/gateway/forwarding.py`)."""
PATIENCE: Final = 0.8
"""Seconds for which a query waits for a place."""
# One moment for all statements of a query: a page and its total fit together.
_SETTINGS = (
    f"statement_timeout={int(STATEMENT_SECONDS * 1000)}",
    "default_transaction_read_only=on",
    r"default_transaction_isolation=repeatable\ read",
)


class NoPlace(Rejected):
    """Too much is being looked up: try again in a moment."""

    kind = ErrorKind.UNAVAILABLE


class QueryTooSlow(Rejected):
    """This took too long to look up: try again in a moment."""

    kind = ErrorKind.UNAVAILABLE


class Queries:
    """Sessions of a service's own that only read; `read` runs a handler on one of them."""

    def __init__(self, url: str, schema: str, *, clock: Clock, instance: str, keyring: Keyring | None = None) -> None:
        self._clock = clock
        self._keyring = keyring
        self._datastore = Datastore(
            url,
            schema=schema,
            application_name=f"pager/{schema}/{instance}/query",
            connections=QUERIES,
            check=True,
            settings=_SETTINGS,
        )
        self._threads = meters(schema).threads("query", QUERIES)
        self._places = asyncio.Semaphore(QUERIES)
        self._estimates = Estimates(meters(schema).total)
        self._log: EventLog | None = None

    def connections(self) -> Mapping[str, int]:
        """As `Store.connections`."""
        return self._datastore.pool.get_stats()

    async def read(self, handler: Callable[[Work], T]) -> T:
        """What `handler` finds, all of it as of one moment.

        Raises:
            NoPlace: the places of queries were taken for all of `PATIENCE`.
            QueryTooSlow: a statement took longer than `STATEMENT_SECONDS`.
            OperationalError: PostgreSQL is away.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                await self._places.acquire()
        except TimeoutError:
            raise NoPlace from None
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read, handler)
        except OperationalError as error:
            if isinstance(error.__cause__, pg.QueryCanceled):
                raise QueryTooSlow from error
            raise
        finally:
            self._places.release()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._datastore.close()

    def _read(self, handler: Callable[[Work], T]) -> T:
        if self._log is None:
            self._log = EventLog(self._datastore)
        # There is nothing to commit; but a ROLLBACK makes psycopg forget which statements it has prepared, so that each
        # was read and planned anew: a third of what a list costs PostgreSQL (docs/adr/0076).
        with self._datastore.transaction(commit=True) as cursor:
            rows = cursor.connection.cursor(row_factory=dict_row, binary=True)
            work = Work(self._clock.now(), self._log, rows, _decides_nothing, estimates=self._estimates)
            return handler(served(work, self._keyring))


def _decides_nothing(*_decided: Any) -> tuple[()]:
    return ()
