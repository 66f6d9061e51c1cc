"""How far an upstream has been taken: a place in each lane, moved by compare-and-set with the effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from psycopg import Cursor

from libs.contracts.model import Lane


class Overtaken(Exception):
    """Another replica has moved this cursor: what was decided here is rolled back; read the cursor again."""


class Position(NamedTuple):
    """A place in one lane of an upstream: `position` in its log, `sequence` in its stream, as a hint."""

    epoch: int
    position: int
    sequence: int = 0
    incarnation: str = ""
    """The stream's creation time, which says whether `sequence` still means anything."""


START = Position(0, 0)


@dataclass(frozen=True, slots=True)
class Move:
    """A cursor's step, made only if it still stands at `old` (compare-and-set: the fence of promise 5)."""

    upstream: str
    lane: Lane
    old: Position
    new: Position


def begin_cursor(cursor: Cursor[Any], schema: str, upstream: str, lane: Lane) -> None:
    """A lane that was never read begins at epoch 0, position 0."""
    cursor.execute(
        f"INSERT INTO {schema}.cursors (upstream, lane, epoch, position, sequence, incarnation)"  # noqa: S608
        " VALUES (%s, %s, 0, 0, 0, '') ON CONFLICT DO NOTHING",
        (upstream, str(lane)),
    )


def read_cursor(cursor: Cursor[Any], schema: str, upstream: str, lane: Lane) -> Position:
    """Where it stands; `cursor` yields rows as dictionaries."""
    row = cursor.execute(
        f"SELECT epoch, position, sequence, incarnation FROM {schema}.cursors"  # noqa: S608
        " WHERE upstream = %s AND lane = %s",
        (upstream, str(lane)),
    ).fetchone()
    if row is None:
        return START
    return Position(row["epoch"], row["position"], row["sequence"], row["incarnation"])


def move_cursor(cursor: Cursor[Any], schema: str, move: Move) -> None:
    """Updates one row, or none where somebody else has moved it: ask `cursor.rowcount`."""
    old, new = move.old, move.new
    cursor.execute(
        f"UPDATE {schema}.cursors SET epoch = %s, position = %s, sequence = %s, incarnation = %s"  # noqa: S608
        " WHERE upstream = %s AND lane = %s AND epoch = %s AND position = %s AND incarnation = %s",
        (
            new.epoch,
            new.position,
            new.sequence,
            new.incarnation,
            move.upstream,
            str(move.lane),
            old.epoch,
            old.position,
            old.incarnation,
        ),
        prepare=True,
    )
