"""Events, cursor, read model and timers in one commit, with every retry in one place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Generic, NamedTuple, TypeVar

import psycopg
import structlog
from eventsourcing.persistence import DataError, IntegrityError, InternalError, OperationalError
from psycopg import Cursor
from psycopg import errors as pg
from psycopg.rows import dict_row

from libs.chassis.clock import Clock
from libs.chassis.measure.meters import meters
from libs.chassis.store.changes import Change, Row
from libs.chassis.store.commit import Changed, in_time, undoing, write
from libs.chassis.store.cursors import Move, Overtaken, Position, begin_cursor, read_cursor
from libs.chassis.store.epochs import Epoch, Epochs, begin_epoch, read_epochs
from libs.chassis.store.keyring import Keyring, OtherSecret, served
from libs.chassis.store.log import Datastore, EventLog, Run
from libs.chassis.store.memory import Memory
from libs.chassis.store.spare import Spare
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Decided, Projector, Work
from libs.contracts.model import Lane

T = TypeVar("T")
_ATTEMPTS = 10
_FREE_ATTEMPTS = 2
"""After so many nobody else appends while it is decided: whoever lost twice would lose again to a crowd."""
_log = structlog.get_logger()


class Contended(Exception):
    """Others were in the way on every attempt: they kept the append lock, or waited for us as we for them."""


class PastDeadline(Exception):
    """Its time was over before it could be committed: nothing was."""


class AlreadyTaken(Exception):
    """A unique value is taken; the argument names the constraint."""


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What the handler returned, and the log's last position if it wrote events."""

    result: T
    position: int | None
    events: int
    decided: Sequence[Decided] = ()


class Written(NamedTuple):
    """What a commit wrote, for those who wait for it: its events, and the rows that it set."""

    runs: Sequence[Run]
    rows: Sequence[Row]


Listener = Callable[[Written], None]


class Store:
    """One service's log and tables; `role` names its database sessions (`work`: the active consumer's).

    `keyring`: the keys of persons, for whoever holds some.
    """

    def __init__(
        self,
        url: str,
        schema: str,
        *,
        clock: Clock,
        projector: Projector,
        instance: str,
        role: str,
        connections: int = 4,
        keyring: Keyring | None = None,
    ) -> None:
        self.schema = schema
        self._keyring = keyring
        self._clock = clock
        self._projector = projector
        self._datastore = Datastore(
            url,
            schema=schema,
            application_name=f"pager/{schema}/{instance}/{role}",
            connections=connections,
            check=role != "work",
        )
        self._role = role
        self._meters = meters(schema)
        self._threads = self._meters.threads(role, connections)
        self._log: EventLog | None = None
        self._memory = Memory()
        self._spare = Spare()
        self._listeners: list[Listener] = []
        self._observers: list[Callable[[Sequence[Decided]], None]] = []

    def listen(self, listener: Listener) -> None:
        """`listener` is called on the event loop after every commit that wrote events or rows."""
        self._listeners.append(listener)

    def observe(self, observer: Callable[[Sequence[Decided]], None]) -> None:
        """`observer` is called on the event loop with what was decided, once, after its commit. It must not raise."""
        self._observers.append(observer)

    def connections(self) -> Mapping[str, int]:
        """The pool's own figures: `pool_max`, `pool_size`, `pool_available`, …"""
        return self._datastore.pool.get_stats()

    async def transact(
        self, handler: Callable[[Work], T], move: Move | None = None, until: float | None = None
    ) -> Committed[T]:
        """Run `handler` and commit what it decided, with the cursor's move, or nothing at all.

        `until`: a moment of `perf_counter` after which nothing is committed any more.

        Raises:
            Overtaken: the cursor no longer stands where `move` says.
            Contended: the append lock could not be had on any attempt.
            AlreadyTaken: a unique value other than an event's version.
            PastDeadline: it is later than `until`.
            TooSlow: the handler computed for more than `IDLE_IN_TRANSACTION` without a question to the database.
            PersistenceError: `is_away` says so: PostgreSQL is away, or ended the session of a process that stood still;
                whether the commit happened is then unknown.
        """
        loop, began = asyncio.get_running_loop(), perf_counter()
        committed, written = await loop.run_in_executor(self._threads, self._transact, handler, move, until)
        if committed.events:
            self._meters.appended(self._role, began)
            for observer in self._observers:
                observer(committed.decided)
        if written is not None:
            for listener in self._listeners:
                listener(written)
        return committed

    async def read(self, handler: Callable[[Work], T]) -> T:
        """Run a handler that only reads."""
        return (await self.transact(handler)).result

    async def consistent(self, handler: Callable[[Work], T]) -> T:
        """Run a handler that only reads, all of it as of one moment: its tables and the log's ends fit together.

        Raises:
            InternalError: it has written something.
            OperationalError: PostgreSQL is away.
        """

        def run() -> T:
            log = self._opened()
            with log.datastore.transaction() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                rows = cursor.connection.cursor(row_factory=dict_row, binary=True)
                return handler(served(Work(self._clock.now(), log, rows, self._projector), self._keyring))

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    async def log_read(self, read: Callable[[EventLog, Cursor[Any]], T]) -> T:
        """Read the log itself, outside a decision."""

        def run() -> T:
            log = self._opened()
            with log.datastore.get_connection() as connection:
                return read(log, connection.cursor())

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)

    def forget(self) -> None:
        """Decide on nothing from memory until it was read or committed anew."""
        self._memory.forget()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._datastore.close()

    def _opened(self) -> EventLog:
        if self._log is None:
            self._log = EventLog(self._datastore)
        return self._log

    def _transact(
        self, handler: Callable[[Work], T], move: Move | None, until: float | None = None
    ) -> tuple[Committed[T], Written | None]:
        log = self._opened()
        taken: set[str | None] = set()
        for attempt in range(_ATTEMPTS):
            if until is not None and perf_counter() >= until:
                raise PastDeadline  # it waited for its turn or a thread: nothing is decided for nobody
            try:
                return self._attempt(log, handler, move, attempt, until)
            except Changed:
                self.forget()
                self._meters.conflicted()
            except IntegrityError as error:
                self.forget()
                cause = error.__cause__
                if not isinstance(cause, pg.UniqueViolation):
                    raise
                self._meters.conflicted()
                if cause.diag.table_name != "stored_events":
                    # Taken since we looked, perhaps by the same request: the next attempt finds it.
                    if cause.diag.constraint_name not in taken:
                        taken.add(cause.diag.constraint_name)
                        continue
                    raise AlreadyTaken(cause.diag.constraint_name) from error
                if move is not None and self._cursor_moved(log, move):
                    raise Overtaken(f"{move.upstream}.{move.lane} left {move.old.position}") from error
            except DataError as error:
                if until is not None and isinstance(error.__cause__, pg.DivisionByZero):
                    raise PastDeadline from error
                raise
            except OperationalError as error:
                self.forget()
                if isinstance(error.__cause__, pg.DeadlockDetected):
                    continue
                if not isinstance(error.__cause__, pg.LockNotAvailable):
                    raise
                _log.warning("append lock held too long, ending its holder", service=self.schema)
                log.end_lock_holder()
        raise Contended(f"others were in the way {_ATTEMPTS} times in a row")

    def _attempt(
        self,
        log: EventLog,
        handler: Callable[[Work], T],
        move: Move | None,
        attempt: int,
        until: float | None,
    ) -> tuple[Committed[T], Written | None]:
        # Any failure inside leaves through `transaction`, which rolls everything back, the cursor included.
        with log.datastore.transaction(commit=True) as cursor:
            connection, left = cursor.connection, None if until is None else until - perf_counter()
            rows = connection.cursor(row_factory=dict_row, binary=True)
            if attempt >= _FREE_ATTEMPTS:
                log.lock_appends(cursor)
            memory = self._memory if attempt == 0 else None
            work = Work(self._clock.now(), log, rows, self._projector, memory, spare=self._spare)
            served(work, self._keyring)
            with in_time(work), undoing(work):
                result = handler(work)
                events, changes = work.new_events()
                table = chassis_tables(self.schema).snapshots
                changes += [Row(table, snapshot._asdict()) for snapshot in work.snapshots()]
                runs = write(log, connection, self.schema, move, events, changes, work.held, left)
        self._memory.learn(work.outcomes())
        position = max(run.events[-1].position for run in runs) if runs else None
        return Committed(result, position, len(events), work.decided), _written(runs, changes)

    def _cursor_moved(self, log: EventLog, move: Move) -> bool:
        with log.datastore.get_connection() as connection:
            return read_cursor(connection.cursor(), self.schema, move.upstream, move.lane) != move.old

    async def position(self, upstream: str, lane: Lane) -> Position:
        """Where the cursor of a lane stands; a new one begins at epoch 0, position 0."""

        def read(_log: EventLog, cursor: Cursor[Any]) -> Position:
            begin_cursor(cursor, self.schema, upstream, lane)
            return read_cursor(cursor, self.schema, upstream, lane)

        return await self.log_read(read)

    async def epochs(self) -> Epochs:
        """All epochs of the log."""
        return await self.log_read(lambda _log, cursor: read_epochs(cursor.connection, self.schema))

    async def begin_epoch(self, expected: int, epoch: Epoch) -> bool:
        """Begin one after epoch `expected`; False: that is not the current one any more.

        Raises:
            PersistenceError: the database does not do it, or is away.
        """

        def run() -> bool:
            with self._opened().datastore.transaction(commit=True) as cursor:
                return begin_epoch(cursor.connection, self.schema, expected, epoch)

        return await asyncio.get_running_loop().run_in_executor(self._threads, run)


def _written(runs: Sequence[Run], changes: Sequence[Change]) -> Written | None:
    if not runs and not changes:
        return None
    return Written(runs, [c for c in changes if isinstance(c, Row)])


def is_away(error: BaseException) -> bool:
    """Whether a failure is the database's absence rather than a fault of the input.

    A server that takes no writes (25006: a standby, or one that was told so) is as good as none; and one that ended a
    session in its transaction (25P03) did so because our process stood still (`TooSlow`: because it computed).
    """
    if isinstance(error, BaseExceptionGroup):
        return all(is_away(one) for one in error.exceptions)
    cause = error.__cause__ if isinstance(error, InternalError) else error
    if isinstance(cause, pg.ReadOnlySqlTransaction | pg.IdleInTransactionSessionTimeout):
        return True
    return isinstance(error, OperationalError | psycopg.OperationalError | psycopg.InterfaceError)


def passes(error: BaseException) -> bool:
    """Whether a failure is one of the surroundings: it says nothing about the input, and the same may go well later."""
    return is_away(error) or isinstance(error, Contended | OtherSecret)
