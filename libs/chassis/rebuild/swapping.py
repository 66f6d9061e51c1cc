"""The moment of a swap: the append lock and the tables' locks at once, without a deadlock that anybody feels.

Services lock in the order that their work has: tables by reading, the append lock, tables by writing. Whoever takes
both can therefore meet them head-on, in either order. So both are first only tried, thousands of times, which holds
nobody up; where there is never a free moment, they are waited for, and who stands in the way is rolled back by
PostgreSQL's deadlock detector and tries again by itself (`Store` retries that).
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import Cursor, sql
from psycopg.errors import DeadlockDetected, LockNotAvailable

from libs.chassis.store.log import advisory_key

QUIET_SECONDS: Final = 3.0
"""How long a free moment is looked for."""
_PAUSE: Final = 0.002
_TURN: Final = "900ms"
"""Shorter than `deadlock_timeout`: the others' detectors find the deadlock, and never ours, which would be the victim.
Shorter than what makes others take us for frozen, too (`EventLog.end_lock_holder`)."""
_TURNS: Final = 10
_SETTLE: Final = 0.2
"""Seconds in which whoever has read a table arrives at the append lock. PostgreSQL looks for a deadlock once, a second
after a wait began: who has begun to wait before we ask for the tables looks while we still do, and gives way."""


class Busy(Exception):
    """The locks could not be had: too much was going on."""


@contextmanager
def swap_moment(
    connection: psycopg.Connection[Any], schema: str, tables: Sequence[sql.Identifier], quiet: float = QUIET_SECONDS
) -> Iterator[Cursor[Any]]:
    """A transaction in which nobody appends to the log and nobody reads or writes these tables; it commits at the end.

    Raises:
        Busy: not to be had.
    """
    key = advisory_key(f"pager/append/{schema}")
    lock = sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.SQL(", ").join(tables))
    cursor = connection.cursor()
    if not _tried(connection, cursor, key, lock, quiet):
        _waited(connection, cursor, key, lock)
    try:
        yield cursor
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def _tried(
    connection: psycopg.Connection[Any], cursor: Cursor[Any], key: int, lock: sql.Composed, seconds: float
) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        row = cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", (key,)).fetchone()
        if row and row[0]:
            try:
                cursor.execute(lock + sql.SQL(" NOWAIT"))
                return True
            except LockNotAvailable:
                pass
        connection.rollback()
        time.sleep(_PAUSE * (1 + random.random()))  # noqa: S311 - only so that we do not march in step
    return False


def _waited(connection: psycopg.Connection[Any], cursor: Cursor[Any], key: int, lock: sql.Composed) -> None:
    for _ in range(_TURNS):
        try:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
            for _turn in range(3):
                cursor.execute("SAVEPOINT turn")
                cursor.execute(f"SET LOCAL lock_timeout = '{_TURN}'".encode())
                try:
                    cursor.execute(lock)
                    return
                except LockNotAvailable:
                    cursor.execute("ROLLBACK TO SAVEPOINT turn")
        except DeadlockDetected:
            pass
        connection.rollback()
    raise Busy("the tables were never free: try again when there is less to do")
