"""Kept answers take effect when their time has come, and whatever one of them does, it harms no other."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import pytest
from pydantic_core import to_json

from libs.chassis.consume import apply
from libs.chassis.store.changes import Row
from libs.chassis.store.cursors import Position
from libs.chassis.testing.deadline import in_time
from libs.contracts.alerts import read_alert
from libs.contracts.model import Lane
from libs.contracts.slots import thread_of
from services.incidents.alerts import answers
from services.incidents.alerts.answers import Settling
from services.incidents.alerts.kept import Keeping, kept_answers, parked_of, signal_in, signal_of
from services.incidents.alerts.stream import READ, AlertStream
from services.incidents.alerts.threads import Signal
from services.incidents.places import changed, created
from services.incidents.tests.lanes import KEY, RESOLVE, ROUTINE, SHOP, TRIGGER, URGENT, sent

OLD = "2026-03-01 00:00:00+00:00"
NEW = changed(OLD, 0, "2026-03-02 00:00:00+00:00")
"""A stream that was made anew: nothing of the old one is in it."""


@dataclass
class Bus:
    """Holds messages of some lanes at some sequences."""

    holds: dict[Lane, list[int]] = field(default_factory=dict)
    asked: int = 0

    async def request(self, _subject: str, question: bytes, timeout: float) -> bytes:
        self.asked += 1
        asked = json.loads(question)
        lane = next(lane for lane in Lane if asked["next_by_subj"] in READ[lane])
        found = [sequence for sequence in self.holds.get(lane, []) if sequence >= asked["seq"]]
        if not found:
            return b'{"error": {"err_code": 10037, "description": "no message found"}}'
        return json.dumps({"message": {"seq": found[0], "time": "2026-03-02T09:00:00Z"}}).encode()


@dataclass
class Store:
    """Keeps rows; an answer whose key is "bad" fails each time that it is tried."""

    rows: list[dict[str, Any]]
    tried: list[list[str]] = field(default_factory=list)

    incarnation: str = ""
    """Which the cursors name."""
    looks: int = 0
    aside: list[dict[str, Any]] = field(default_factory=list)

    async def read(self, handler: Callable[[Any], Any]) -> Any:
        await asyncio.sleep(0)  # as a question on the wire does
        self.looks += 1
        return handler(self)

    def fetch(self, statement: Any) -> list[dict[str, Any]]:
        return self.rows[: answers._LOOK] if statement is answers._kept else [{"incarnation": self.incarnation}] * 2


def kept(incarnation: str, *sequences: int, key: str = "good") -> list[dict[str, Any]]:
    return [{"incarnation": incarnation, "sequence": sequence, "dedup_key": key} for sequence in sequences]


def settling_of(rows: list[dict[str, Any]], bus: Bus, **at: int) -> tuple[Settling, AlertStream, Store]:
    """`at`: how far each lane has come in the new stream."""
    store = Store(rows, incarnation=NEW)
    stream = AlertStream(cast("Any", store), cast("Any", bus), incarnation=NEW)
    stream.at = {lane: Position(0, at[lane], 0, NEW) for lane in Lane}
    settling = Settling(cast("Any", store), stream)

    async def transact(rows: list[dict[str, Any]]) -> None:
        store.tried.append([row["dedup_key"] for row in rows])
        if "bad" in store.tried[-1]:
            raise ValueError("it does not take effect")
        store.rows = [row for row in store.rows if row not in rows]

    async def set_aside(row: dict[str, Any], _reason: str) -> None:
        store.aside.append(row)
        store.rows = [one for one in store.rows if one is not row]

    settling._transact = transact  # type: ignore[method-assign, assignment]
    settling._set_aside = set_aside  # type: ignore[method-assign, assignment]
    return settling, stream, store


def test_what_is_kept_of_an_answer_has_no_routing_key() -> None:
    place = Position(0, 7, 7, NEW)
    alert = read_alert("pager.alerts.shop", {}, json.dumps({"summary": "s", "routingKey": KEY}).encode())
    signal = Signal(alert, uuid4(), None, None, "till", "00-0-0-00", place)
    rows: list[Row] = []

    class Work:
        now = datetime(2026, 3, 1, tzinfo=UTC)
        put = rows.append

    assert Keeping(cast("Any", Work()), passed=0).put_off(signal)
    assert signal.alert.routing_key == KEY
    assert KEY not in repr(rows[0])


async def test_an_answer_of_a_stream_that_is_no_more_waits_for_nobody() -> None:
    lost, ours = kept(OLD, 1000, 2000), kept(NEW, 5)
    bus = Bus({Lane.URGENT: [4]})
    settling, _, _ = settling_of([*lost, *ours], bus, urgent=3, routine=5)
    assert await settling._due([*lost, *ours]) == lost, "the urgent lane has still to take what stands before ours"
    asked = bus.asked
    assert await settling._due(lost) == lost
    assert bus.asked == asked, "how far the lanes are says nothing of them"


async def test_an_answer_of_a_stream_that_is_no_more_does_not_switch_waiting_off_in_the_new_one() -> None:
    """An idle lane has passed what is asked for: never what lies far behind the end of this stream."""
    rows = [*kept(OLD, 1000), *kept(NEW, 5)]
    bus = Bus()
    settling, stream, _ = settling_of(rows, bus, urgent=3, routine=5)
    assert await settling._due(rows) == rows
    bus.holds = {Lane.URGENT: [6]}
    assert await stream.passed(Lane.URGENT, 7) == 5
    assert await stream.passed_at_once(Lane.URGENT, 7) == 5
    later = kept(NEW, 7)
    assert await settling._due(later) == []


async def test_an_answer_waits_although_an_older_release_cut_the_path_to_its_stream() -> None:
    rows, made = kept(NEW, 50), created(NEW)
    settling, stream, _ = settling_of(rows, Bus({Lane.URGENT: [40]}), urgent=3, routine=60)
    stream.incarnation = made
    stream.at = {lane: place._replace(incarnation=made) for lane, place in stream.at.items()}
    assert await settling._due(rows) == []


async def test_a_replica_that_knows_an_earlier_stream_judges_nothing_that_its_successor_keeps() -> None:
    """It was frozen while the stream was recreated, and another one reads now."""
    settling, stream, store = settling_of(kept(NEW, 50), Bus(), urgent=3, routine=60)
    for known in (OLD, "another"):
        stream.incarnation = known
        stream.at = {lane: Position(0, 5000, 0, known) for lane in Lane}
        await settling._settle()
    assert (store.tried, len(store.rows)) == ([], 1)
    assert settling.any_kept()
    stream.incarnation = NEW
    stream.at = {lane: Position(0, 60, 0, NEW) for lane in Lane}
    await settling._settle()
    assert store.rows == []


async def test_while_a_lane_stands_still_what_the_other_takes_costs_no_look_at_what_is_kept() -> None:
    rows, bus = kept(NEW, 50, 60), Bus({Lane.URGENT: [40]})
    settling, stream, store = settling_of(rows, bus, urgent=3, routine=60)
    for taken in range(60, 80):
        stream.at[Lane.ROUTINE] = Position(0, taken, 0, NEW)
        await settling._settle()
    assert store.looks == 1
    settling.kept()
    store.rows = [*kept(NEW, 45), *rows]
    await settling._settle()
    await settling._settle()
    assert store.looks == 2, "an earlier one may have come"
    stream.at[Lane.URGENT], bus.holds = Position(0, 40, 0, NEW), {Lane.URGENT: [47]}
    await settling._settle()
    assert [row["sequence"] for row in store.rows] == [50, 60]
    stream.incarnation = store.incarnation = changed(NEW, 40, created(NEW))
    await settling._settle()
    assert store.rows == [], "they were lost with the end of the stream"


async def test_answers_that_fail_each_time_are_set_aside_and_keep_no_later_one_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However many there are: more than are looked at together."""
    monkeypatch.setattr(apply, "_PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(answers, "_LOOK", 20)
    bad = kept(NEW, *range(1, 1 + answers._LOOK), key="bad")
    settling, _, store = settling_of([*bad, *kept(NEW, 2000)], Bus(), urgent=5000, routine=5000)
    leading = asyncio.create_task(settling.lead())
    try:
        async with in_time():
            while store.rows:
                await asyncio.sleep(0)
        assert (store.aside, store.tried[-1]) == (bad, ["good"])
        assert store.tried.count(["bad"]) == len(apply._PAUSES) * len(bad), "each was tried again alone"
        assert not leading.done()
    finally:
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)


def test_an_answer_that_was_set_aside_is_replayed_as_it_was_kept() -> None:
    lanes = sent((URGENT, TRIGGER), (ROUTINE, RESOLVE), (URGENT, TRIGGER))
    lanes.read(ROUTINE)
    (row,) = lanes.desk.rows(kept_answers)
    read = {column: json.loads(to_json(value)) if column == "alert" else value for column, value in row.items()}
    parked = parked_of(read, "it failed")
    assert signal_in(parked) == signal_of(read)
    assert parked.entity == str(thread_of(SHOP, "db")), "later ones of its key wait behind it"
    assert KEY.encode() not in parked.raw
