"""Answers of senders that are kept: their rows, and what is written there and read again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Column, DateTime, Index, Table, Text, Uuid, select
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.consume.parking import Parked, ParkedKind
from libs.chassis.store.changes import Row
from libs.chassis.store.cursors import Position
from libs.chassis.store.work import Work
from libs.contracts.alerts import Alert
from libs.contracts.incident_alerts import AlertOutcome
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS
from services.incidents.alerts.outcomes import Became, late
from services.incidents.alerts.threads import Signal
from services.incidents.places import place_at
from services.incidents.projections import metadata

kept_answers = Table(
    "kept_answers",
    metadata,
    Column("incarnation", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("integration_id", Uuid, nullable=False),
    Column("dedup_key", Text, nullable=False),
    Column("alert", JSONB, nullable=False),
    Column("traceparent", Text, nullable=False),
    Column("kept_at", DateTime(timezone=True), nullable=False),
    # As of its signal; NULL where an older release has kept it.
    Column("fired_before", DateTime(timezone=True)),
    Index("kept_answers_order_idx", "sequence"),
)
KEPT_PATHS = select(kept_answers.c.incarnation).distinct()
"""The incarnations of ALERTS in which any is kept."""

KEPT_ANSWER = "kept answer"
"""The type of one that is parked: no subject of ALERTS is named so."""
_SIGNAL = TypeAdapter(Signal)


@dataclass
class Keeping:
    """What one batch of a lane keeps, whose other lane has been taken up to `passed`."""

    work: Work
    passed: int
    kept: int = 0

    def put_off(self, signal: Signal) -> bool:
        """Keep an answer that may be preceded by what the other lane has not taken; returns whether it is."""
        place = signal.place
        if place is None or place.position <= self.passed:
            return False
        # What it says beside that is nowhere shown, that it is no repeat has been seen to, and whose it is is known.
        left_out: dict[str, Any] = {"description": None, "metadata": {}, "event_id": None, "routing_key": None}
        left_out |= {"labels": {}, "links": ()}
        alert = signal.alert.model_copy(update=left_out)
        row = {
            "incarnation": place.incarnation,
            "sequence": place.position,
            "integration_id": signal.integration_id,
            "dedup_key": signal.dedup_key,
            "alert": alert,
            "traceparent": signal.traceparent,
            "kept_at": self.work.now,
            "fired_before": signal.fired_before,
        }
        self.work.put(Row(kept_answers, row))
        self.kept += 1
        return True


def signal_of(row: Mapping[str, Any]) -> Signal:
    """What a row keeps."""
    return Signal(
        alert=Alert.model_validate(row["alert"]),
        integration_id=row["integration_id"],
        policy_id=None,
        team_id=None,
        dedup_key=row["dedup_key"],
        traceparent=row["traceparent"],
        place=place_of(row),
        fired_before=row["fired_before"],
    )


def tell_late(work: Work, signal: Signal, outcome: AlertOutcome, incident_id: UUID | None) -> None:
    """An answer that has waited has its outcome."""
    if signal.place is not None:
        work.put(late(signal.place, Became(outcome, incident_id), work.now))


def place_of(row: Mapping[str, Any]) -> Position:
    """Where a row's answer stands in ALERTS."""
    place = place_at(row["incarnation"], row["sequence"])
    assert place is not None  # noqa: S101 - its primary key
    return place


def parked_of(row: Mapping[str, Any], reason: str) -> Parked:
    """One that could not take effect, as it is set aside: a later one of its key waits behind it in a replay.

    Which lane it came in is not kept.
    """
    signal = signal_of(row)
    place, entity = place_of(row).position, str(signal.thread)
    return Parked(
        ParkedKind.FAILURE, ALERTS, Lane.ROUTINE, place, entity, KEPT_ANSWER, reason, _SIGNAL.dump_json(signal), {}
    )


def signal_in(parked: Parked) -> Signal:
    """What was set aside as a `KEPT_ANSWER`: it still has its place."""
    return _SIGNAL.validate_json(parked.raw)
