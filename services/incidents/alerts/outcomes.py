"""What became of each message of ALERTS: one outcome each, beside what was taken (docs/adr/0067).

They are written with the row that says what a batch has taken, in its transaction: a byte an alert and which incident
it is of, and no statement more. An answer that waits is written again when it takes effect, in a row of its own.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Column, DateTime, Index, Table, Text, Uuid, any_, bindparam, select

from libs.chassis.store.changes import Row
from libs.chassis.store.cursors import Position
from libs.chassis.store.work import Work
from libs.contracts.incident_alerts import AlertOutcome
from services.incidents.projections import metadata

_CODES = tuple(AlertOutcome)
"""By their place: rows are kept for days, so new ones come last."""
_CODE = {outcome: code for code, outcome in enumerate(_CODES)}
_NO_INCIDENT = 0xFFFF
"""In the place of an incident's; a batch has 500 alerts at most."""


class Became(NamedTuple):
    """The outcome of one alert, and the incident that it is of."""

    outcome: AlertOutcome
    incident_id: UUID | None = None


PARKED = Became(AlertOutcome.PARKED)
REFUSED = Became(AlertOutcome.REFUSED)

late_outcomes = Table(
    "late_outcomes",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("incarnation", Text, primary_key=True),
    Column("outcome", Text, nullable=False),
    Column("incident_id", Uuid),
    Column("at", DateTime(timezone=True), nullable=False),
    Index("late_outcomes_age_idx", "at"),
)
_late = select(late_outcomes).where(late_outcomes.c.sequence == any_(bindparam("sequences", type_=ARRAY(BigInteger))))


def late(place: Position, became: Became, at: datetime) -> Row:
    """What became of an answer that had waited."""
    return Row(
        late_outcomes,
        {
            "sequence": place.position,
            "incarnation": place.incarnation,
            "outcome": str(became.outcome),
            "incident_id": became.incident_id,
            "at": at,
        },
    )


def packed(outcomes: Sequence[Became]) -> bytes:
    """Of a batch, in its order."""
    incidents = {i: n for n, i in enumerate(dict.fromkeys(b.incident_id for b in outcomes if b.incident_id))}
    codes = bytes(_CODE[b.outcome] for b in outcomes)
    which = [_NO_INCIDENT if b.incident_id is None else incidents[b.incident_id] for b in outcomes]
    return codes + struct.pack(f"<{len(which)}H", *which) + b"".join(i.bytes for i in incidents)


def unpacked(raw: bytes, number: int) -> list[Became]:
    """Of the `number` alerts of a batch."""
    which = struct.unpack_from(f"<{number}H", raw, number)
    incidents = raw[3 * number :]
    return [
        Became(_CODES[code], None if n == _NO_INCIDENT else UUID(bytes=incidents[16 * n : 16 * n + 16]))
        for code, n in zip(raw[:number], which, strict=True)
    ]


def counted(batches: Iterable[bytes], numbers: Iterable[int]) -> Counter[AlertOutcome]:
    """How many of each there are."""
    found = Counter[int]()
    for raw, number in zip(batches, numbers, strict=True):
        found.update(raw[:number])
    return Counter({_CODES[code]: times for code, times in found.items()})


def settled(work: Work, sequences: Sequence[int]) -> Mapping[int, dict[str, Any]]:
    """What became since of answers that had waited, by their sequence; of one that was used again, the newest."""
    rows = work.fetch(_late, sequences=list(sequences)) if sequences else []
    return {row["sequence"]: row for row in sorted(rows, key=lambda row: row["at"])}
