"""What a handler decided is written in one round trip: the cursor's move, events and rows, or nothing of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from time import perf_counter, thread_time
from typing import Any
from uuid import UUID

import psycopg
from psycopg import Connection
from psycopg import errors as pg
from psycopg.rows import tuple_row

from libs.chassis.store.changes import Change, apply_changes
from libs.chassis.store.cursors import Move, Overtaken, move_cursor
from libs.chassis.store.log import IDLE_IN_TRANSACTION, EventLog, NewEvent, Run, runs_of
from libs.chassis.store.work import Work

_IN_TIME = b"SELECT 1 / (clock_timestamp() < now() + %s * interval '1 second')::int"
"""Fails when more than so many seconds have passed since the transaction began."""


_WORKED = 0.25
"""The share of `IDLE_IN_TRANSACTION` that must have been work: a process that stood still is no slow decision."""


class TooSlow(Exception):
    """A decision computed for so long that the server ended its transaction: it would do so every time."""


class Changed(Exception):
    """An entity that a handler holds was appended to by somebody else before the commit."""


def write(
    log: EventLog,
    connection: Connection[Any],
    schema: str,
    move: Move | None,
    events: Sequence[NewEvent],
    changes: Sequence[Change],
    held: Mapping[UUID, int],
    left: float | None,
) -> list[Run]:
    """Everything in one round trip; the append lock first, so that whoever freezes in here is found by it.

    `left`: seconds in which it must be done; whether it was is asked last, of the server's own clock, which runs on
    while we are frozen.

    Raises:
        Overtaken: the cursor no longer stands where `move` says.
        Changed: an entity of `held` has other events than these.
        psycopg.errors.DivisionByZero: no time was left.
    """
    moved = connection.cursor()
    appended = connection.cursor(row_factory=tuple_row)
    changed = connection.cursor(row_factory=tuple_row)
    with connection.pipeline():
        if events or held:
            log.lock_appends(connection.cursor())
        if move is not None:
            move_cursor(moved, schema, move)
        if held:
            log.count_changed(changed, held)
        if events:
            log.append(appended, events)
        apply_changes(connection.cursor, changes)
        if left is not None:
            connection.cursor().execute(_IN_TIME, (left,))
    if move is not None and moved.rowcount != 1:
        raise Overtaken(f"{move.upstream}.{move.lane} left {move.old.position}")
    if held and changed.fetchone() != (0,):
        raise Changed
    return runs_of(events, appended.fetchall()) if events else []


@contextmanager
def undoing(work: Work) -> Iterator[None]:
    """Around all of a transaction but its commit, of which nobody may know whether it has happened."""
    try:
        yield
    except BaseException:
        work.undone()
        raise


@contextmanager
def in_time(work: Work) -> Iterator[None]:
    """Tell a session that the server ended for our slowness from a database that is away: trying again cures only one.

    Inside a pipeline the client does not learn why it was disconnected, so the time says it. A machine that stood still
    for as long has computed nothing: for it the session is one that got lost, as when the database is away.
    """
    try:
        yield
    except psycopg.Error as error:
        computed, worked = perf_counter() - work.asked_at, thread_time() - work.worked_at
        has_ended = isinstance(error, pg.IdleInTransactionSessionTimeout) or (
            isinstance(error, psycopg.OperationalError) and error.sqlstate is None and computed >= IDLE_IN_TRANSACTION
        )
        if has_ended and worked >= IDLE_IN_TRANSACTION * _WORKED:
            raise TooSlow(f"the decision computed for {computed:.1f} s inside its transaction") from error
        raise
