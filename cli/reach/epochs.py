"""The epochs of the logs, as their owner sees and begins them; and how far each reader of a log is."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg
from psycopg import sql

from cli.console.failure import USAGE, Failure
from cli.reach.doors import database_door
from cli.settings import Settings
from libs.chassis.store.connections import session
from libs.chassis.store.epochs import Epoch, Epochs, begin_epoch, read_epochs
from libs.contracts.model import Lane
from libs.contracts.subjects import SERVICES, UPSTREAMS

T = TypeVar("T")
Session = psycopg.Connection[Any]


@dataclass(frozen=True)
class ReaderAt:
    """A lane's cursor of another service."""

    service: str
    lane: str
    epoch: int
    position: int


@dataclass(frozen=True)
class LogEnd:
    """One log: its epochs, where it ends, and who has read how far."""

    service: str
    epochs: Epochs
    end: int
    readers: tuple[ReaderAt, ...]

    @property
    def next_number(self) -> int:
        """One that neither the log nor a reader has seen: a reader may know of an epoch that a restore has lost."""
        return max(self.epochs.current.number, *(reader.epoch for reader in self.readers), 0) + 1


async def logs(settings: Settings, services: tuple[str, ...] = SERVICES) -> list[LogEnd]:
    """Raises `Failure` or `StartError`."""
    return await _as_owner(settings, lambda connection: [_log(connection, service) for service in services])


async def begin(settings: Settings, log: LogEnd, after: int, reason: str) -> Epochs:
    """Begin the log's next epoch; returns all of them then.

    Raises:
        Failure: the database refuses it, or another epoch has begun since `log` was read.
        StartError: PostgreSQL cannot be started.
    """
    current = log.epochs.current

    def run(connection: Session) -> Epochs:
        epoch = Epoch(log.next_number, after, current.begun_at, reason)
        if not begin_epoch(connection, log.service, current.number, epoch):
            raise Failure(f"{log.service} has begun another epoch meanwhile: look again with `pager epoch`")
        connection.commit()
        return read_epochs(connection, log.service)

    return await _as_owner(settings, run)


def begin_where_made_anew(url: str) -> dict[str, int]:
    """Where a log is empty that others have read: it begins an epoch that none of them has seen, else its new events
    would be taken for the old ones. The numbers, by service; nothing where a schema is not up to date.

    `url` is the owner's. Raises `psycopg.Error`.
    """
    begun = {}
    with psycopg.connect(url, **session(url, "pager/epoch")) as connection:
        for service in SERVICES:
            try:
                with connection.transaction():
                    log = _log(connection, service)
                    ahead = max((log.epochs.keep(r.epoch, r.position) for r in log.readers), default=0)
                    if log.end == 0 and ahead > 0:
                        current, number = log.epochs.current, log.next_number
                        reason = f"its schema was made anew; others had read up to position {ahead}"
                        if begin_epoch(connection, service, current.number, Epoch(number, 0, current.begun_at, reason)):
                            begun[service] = number
            except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction):
                continue
    return begun


def events_of(url: str, service: str) -> int:
    """How many events a log holds; 0 where there is none. `url` is the owner's. Raises `psycopg.Error`."""
    with psycopg.connect(url, **session(url, "pager/epoch")) as connection:
        log = sql.Identifier(service, "stored_events")
        try:
            row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(log)).fetchone()
        except psycopg.errors.UndefinedTable:
            return 0
        return int(row[0]) if row else 0


async def _as_owner(settings: Settings, run: Callable[[Session], T]) -> T:
    def work(url: str) -> T:
        with psycopg.connect(url, **session(url, "pager/epoch")) as connection:
            return run(connection)

    async with database_door(settings, "owner") as url:
        try:
            return await asyncio.to_thread(work, url)
        except psycopg.errors.InvalidParameterValue as error:
            raise Failure(str(error.diag.message_primary), USAGE) from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction):
            raise Failure("the schemas are not up to date: `pager migrate up`") from None
        except psycopg.Error as error:
            raise Failure(f"PostgreSQL: {error}") from None


def _log(connection: Session, service: str) -> LogEnd:
    epochs = read_epochs(connection, service)
    ends = connection.execute(
        sql.SQL(" UNION ALL ").join(
            sql.SQL("(SELECT coalesce(max(notification_id), 0) FROM {} WHERE lane = {})").format(
                sql.Identifier(service, "stored_events"), sql.Literal(str(lane))
            )
            for lane in Lane
        )
    )
    end = max(int(row[0]) for row in ends)
    readers: list[ReaderAt] = []
    for reader, upstreams in UPSTREAMS.items():
        if service in upstreams and reader in SERVICES:  # the gateway keeps nothing
            if connection.execute("SELECT to_regclass(%s)", (f"{reader}.cursors",)).fetchone() == (None,):
                continue  # its own schema is not there yet
            rows = connection.execute(
                sql.SQL("SELECT lane, epoch, position FROM {} WHERE upstream = %s ORDER BY lane DESC").format(
                    sql.Identifier(reader, "cursors")
                ),
                (service,),
            )
            readers += [ReaderAt(reader, str(lane), int(epoch), int(position)) for lane, epoch, position in rows]
    return LogEnd(service, epochs, end, tuple(readers))
