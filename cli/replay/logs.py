"""The logs as sources of a merge."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import psycopg

from cli.console.failure import Failure
from cli.reach.doors import database_door
from cli.settings import Settings
from libs.chassis.rebuild.history import EVERYTHING, Condition, History, LogRow, connect
from libs.contracts.subjects import SERVICES

T = TypeVar("T")


@dataclass
class LogSource:
    """One service's log from a position to its end as it was read; of what stands up to `done` only `left`."""

    history: History
    after: int
    upto: int
    condition: Condition = EVERYTHING
    done: int = 0
    left: frozenset[int] = field(default_factory=frozenset)
    begun: int = 0

    def __post_init__(self) -> None:
        self.begun = self.after

    @property
    def service(self) -> str:
        return self.history.service

    def page(self) -> Sequence[LogRow]:
        while rows := self.history.page(self.after, self.upto, self.condition):
            self.after = rows[-1].position
            if rows[0].position > self.done:
                return rows
            rows = [row for row in rows if row.position > self.done or row.position in self.left]
            if rows:
                return rows
        self.after = max(self.after, self.upto)
        return ()


def open_logs(url: str, services: Sequence[str] = SERVICES) -> list[History]:
    """A session for each log. Raises `Failure` when the server does not answer."""
    try:
        return [History(connect(url, f"pager/replay/{service}"), service) for service in services]
    except psycopg.Error as error:
        raise Failure(f"PostgreSQL does not answer: {error}") from None


def refused(error: psycopg.Error) -> Failure:
    """What to tell of a failure while reading."""
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return Failure(f"the logs may not be read: {error}; bring the schemas up (`pager migrate up`)")
    if isinstance(error, psycopg.errors.UndefinedTable | psycopg.errors.InvalidSchemaName):
        return Failure("there are no logs yet: start Pager once (`pager up`)")
    return Failure(f"PostgreSQL: {error}")


def as_auditor(settings: Settings, work: Callable[[str], T]) -> T:
    """What a function of the auditor's URL returns, with the failures of reading as `Failure`."""

    async def run() -> T:
        async with database_door(settings, "auditor") as url:
            try:
                return await asyncio.to_thread(work, url)
            except psycopg.Error as error:
                raise refused(error) from None

    return asyncio.run(run())
