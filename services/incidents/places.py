"""Where alerts stand in ALERTS, and which of two came later, also after the stream has lost its end or was made anew.

An incarnation is a path: `<created>`, and behind it `/<cut>@<created>` for each time that the stream was found to be
another one than was read; up to `cut` it was still the same. What was stored after a change came later than all that
was stored before it, whatever the sequences say. Clocks are asked only where there is nothing else, for they may run
backwards: a trigger that was replayed, or that an older release took, has no place.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from libs.chassis.store.cursors import Position

_APART = timedelta(seconds=1)
"""What the clocks of one installation may differ by."""
_CHANGES = 8
"""How many changes a path names; whoever comes from before them is taken for older than all."""


def created(incarnation: str) -> str:
    """The stream's own word for when it was made."""
    return incarnation.rpartition("@")[2]


def changed(incarnation: str, cut: int, made: str) -> str:
    """The incarnation that follows: the stream as it is now, which is known to be the same up to `cut`."""
    begun, *changes = incarnation.split("/")
    return "/".join((begun, *[*changes, f"{cut}@{made}"][-_CHANGES:]))


def longest(incarnations: Iterable[str], made: str) -> str:
    """The path that names most changes, first of those that end in the present stream; `made` where there is none.

    Readers of one stream may know different paths to it: an older release writes the stream's own word alone.
    """
    return max(filter(None, incarnations), key=lambda path: (created(path) == made, path.count("/")), default=made)


def place_in(incarnation: str, sequence: int) -> Position:
    """The place of what a stream holds: under the oldest incarnation that had it, so that it stays the same."""
    while "/" in incarnation:
        before, _, change = incarnation.rpartition("/")
        if sequence > int(change.partition("@")[0]):
            break
        incarnation = before
    return Position(0, sequence, 0, incarnation)


def place_at(incarnation: str | None, sequence: int | None) -> Position | None:
    """A place as rows hold it; None where they hold none."""
    return None if incarnation is None or sequence is None else Position(0, sequence, 0, incarnation)


def is_later(one: Position, other: Position) -> bool:
    """Whether `one` was stored after `other`. What cannot be compared was not."""
    if one.incarnation == other.incarnation:
        return one.position > other.position
    return one.incarnation.startswith(f"{other.incarnation}/")


def are_comparable(one: Position, other: Position) -> bool:
    """Whether it is known which of two was stored first, if they are not the same.

    Not where the path between them was lost: an older release writes the stream's own word alone.
    """
    return one.incarnation == other.incarnation or is_later(one, other) or is_later(other, one)


def latest(one: Position | None, other: Position | None) -> Position | None:
    """The later of two places; None is none."""
    if one is None or other is None:
        return one or other
    return one if is_later(one, other) else other


def fired_before(stored_at: int | None, taken_at: datetime) -> datetime | None:
    """Before when, by our clock, something must have fired for an answer to be surely about it; None: nobody can say.

    `stored_at`: of the answer, in Unix nanoseconds by the server's clock; `taken_at`: by ours. The earlier one counts,
    and a little less, because clocks differ: a page too many is better than one that is missing.
    """
    if not stored_at:
        return None
    return min(datetime.fromtimestamp(stored_at / 10**9, UTC), taken_at) - _APART


def is_gone(incarnation: str, place: Position) -> bool:
    """Whether the stream as it is now is surely without the message of that place.

    Where the path between them was lost, the stream's own word decides: as long as it is the same one, it may be there.
    """
    if incarnation.startswith(f"{place.incarnation}/"):
        return place_in(incarnation, place.position).incarnation != place.incarnation
    return created(incarnation) != created(place.incarnation) and not place.incarnation.startswith(f"{incarnation}/")
