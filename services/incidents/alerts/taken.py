"""What was taken from ALERTS: the sequence of each alert and when it was stored, so that it is never taken twice.

Both together, because a stream that lost its end uses sequences again, and clocks run backwards. One row a batch; it is
read when a lane begins to read, and kept as long as ALERTS keeps its messages.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Column, DateTime, Index, LargeBinary, Table, Text, select

from libs.chassis.bus.stored import Stored
from libs.chassis.consume.item import Item
from libs.chassis.store.changes import Row
from libs.chassis.store.work import Work
from libs.contracts.model import Lane
from services.incidents.alerts.outcomes import PARKED, Became, packed
from services.incidents.projections import metadata

taken_alerts = Table(
    "taken_alerts",
    metadata,
    Column("lane", Text, primary_key=True),
    # Of the batch's last alert, by which the batch is found.
    Column("last", BigInteger, primary_key=True, autoincrement=False),
    Column("last_stored_at", BigInteger, primary_key=True, autoincrement=False),
    Column("first", BigInteger, nullable=False),
    Column("others", LargeBinary),
    # What became of each; NULL where an older release has taken them.
    Column("outcomes", LargeBinary),
    Column("taken_at", DateTime(timezone=True), nullable=False),
    Index("taken_alerts_age_idx", "taken_at"),
)
_rows = select(taken_alerts.c.last, taken_alerts.c.last_stored_at, taken_alerts.c.others)


def remember(work: Work, lane: Lane, items: Sequence[Item], became: Mapping[int, Became]) -> None:
    """Record a batch, and what became of each by its sequence, in the transaction that moves the cursor over it.

    What nothing is said of was set aside.
    """
    places = [Stored(item.at.position, item.stored_at) for item in items]
    last = places[-1]
    row = {"lane": str(lane), "last": last.sequence, "last_stored_at": last.stored_at, "first": places[0].sequence}
    row |= {"others": _packed(places), "taken_at": work.now}
    row["outcomes"] = packed([became.get(place.sequence, PARKED) for place in places])
    work.put(Row(taken_alerts, row))


def known_among(work: Work, lane: Lane, places: Sequence[Stored]) -> set[Stored]:
    """Which of these messages of a lane, given in their order, have been taken."""
    overlapping = _rows.where(
        taken_alerts.c.lane == str(lane),
        taken_alerts.c.last >= places[0].sequence,
        taken_alerts.c.first <= places[-1].sequence,
    )
    wanted, known = set(places), set[Stored]()
    for row in work.fetch(overlapping):
        known |= wanted & {Stored(row["last"], row["last_stored_at"]), *_unpacked(row["others"])}
    return known


def places_in(row: Mapping[str, Any]) -> list[Stored]:
    """All that a batch's row has taken, in its order."""
    return [*_unpacked(row["others"]), Stored(row["last"], row["last_stored_at"])]


class LastOnes(NamedTuple):
    """The last alerts of a lane's batches."""

    lane: Lane

    def at(self, work: Work, sequence: int) -> set[Stored]:
        """Those with this sequence: more than one where it was used again."""
        here = _rows.where(taken_alerts.c.lane == str(self.lane), taken_alerts.c.last == sequence)
        return {Stored(row["last"], row["last_stored_at"]) for row in work.fetch(here)}

    def up_to(self, work: Work, sequence: int) -> Stored | None:
        """The one with the greatest sequence up to this."""
        before = _rows.where(taken_alerts.c.lane == str(self.lane), taken_alerts.c.last <= sequence)
        newest = before.order_by(taken_alerts.c.last.desc(), taken_alerts.c.last_stored_at.desc()).limit(1)
        return next((Stored(row["last"], row["last_stored_at"]) for row in work.fetch(newest)), None)


def _packed(places: Sequence[Stored]) -> bytes | None:
    """All but the last, as differences: five or six bytes each."""
    if len(places) == 1:
        return None
    sequences, moments = zip(*places[:-1], strict=True)
    numbers = (*_differences(sequences), *_differences(moments))
    return zlib.compress(struct.pack(f"<{len(numbers)}q", *numbers), 1)


def _unpacked(packed: bytes | None) -> Iterable[Stored]:
    if packed is None:
        return ()
    raw = zlib.decompress(packed)
    numbers = struct.unpack(f"<{len(raw) // 8}q", raw)
    half = len(numbers) // 2
    return map(Stored, accumulate(numbers[:half]), accumulate(numbers[half:]))


def _differences(numbers: Sequence[int]) -> Iterable[int]:
    return (numbers[0], *(after - before for before, after in pairwise(numbers)))
