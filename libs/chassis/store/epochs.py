"""The epochs of a log: a stretch of its history each, so that a position used twice is never taken for the old one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from psycopg import Connection, DataError
from psycopg.rows import tuple_row


class Epoch(NamedTuple):
    """`after`: the position up to which it shares the history of the epoch before it."""

    number: int
    after: int
    begun_at: datetime
    """UTC."""
    reason: str


@dataclass(frozen=True)
class Epochs:
    """All of a log's, oldest first; there is always one."""

    all: Sequence[Epoch]

    @property
    def current(self) -> Epoch:
        return self.all[-1]

    def shared(self, epoch: int) -> int | None:
        """The position up to which what was read in that epoch still is the log's history; None: all of it is."""
        return min((later.after for later in self.all if later.number > epoch), default=None)

    def keep(self, epoch: int, position: int) -> int:
        """The newest position up to which that place still is the log's history."""
        shared = self.shared(epoch)
        return position if shared is None else min(position, shared)


def read_epochs(connection: Connection[Any], schema: str) -> Epochs:
    """Raises `psycopg.DataError`: there is none, the migrations have not been run."""
    rows = connection.cursor(row_factory=tuple_row, binary=True).execute(
        f"SELECT epoch, after_position, begun_at, reason FROM {schema}.epochs ORDER BY epoch"  # noqa: S608
    )
    found = Epochs([Epoch(*row) for row in rows])
    if not found.all:
        raise DataError(f"{schema}.epochs is empty: run the migrations")
    return found


def begin_epoch(connection: Connection[Any], schema: str, expected: int, epoch: Epoch) -> bool:
    """Begin one after epoch `expected`, if that is the current one; False: somebody else has begun one meanwhile.

    The database sets `begun_at`.

    Raises:
        psycopg.errors.InvalidParameterValue: its number is no later one, its position beyond the log, or no reason is
            given.
        psycopg.errors.InsufficientPrivilege, UndefinedFunction: the schema's function is not there for this role.
    """
    row = (
        connection.cursor(row_factory=tuple_row)
        .execute(
            f"SELECT {schema}.begin_epoch(%s::integer, %s::integer, %s::bigint, %s::text)",
            (expected, epoch.number, epoch.after, epoch.reason),
        )
        .fetchone()
    )
    return bool(row and row[0])
