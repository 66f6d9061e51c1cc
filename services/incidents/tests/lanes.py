"""A stream of alerts whose lanes are read as a test likes, by this release or by an older one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.consume.item import Item
from libs.chassis.store.cursors import Position
from libs.chassis.store.desk import Desk
from libs.chassis.store.work import Work
from libs.contracts.alerts import Action, is_urgent
from libs.contracts.envelope import Actor
from libs.contracts.incidents import AcknowledgementLimited, IncidentSnoozed, Status
from libs.contracts.model import Lane
from libs.contracts.slots import thread_of
from libs.contracts.subjects import Header
from services.incidents import dedup
from services.incidents.alerts.answers import settle
from services.incidents.alerts.intake import take_items
from services.incidents.alerts.kept import kept_answers
from services.incidents.alerts.outcomes import Became
from services.incidents.alerts.stream import END, OTHER
from services.incidents.application import INCIDENT, change
from services.incidents.domain.commands import (
    Acknowledge,
    Change,
    EndSnooze,
    LimitAcknowledgement,
    Reopen,
    Resolve,
    Snooze,
    TimeOutAcknowledgement,
)
from services.incidents.inputs import MemoryInputs, Source
from services.incidents.projections import dedup_keys, project, repeats

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = "k" * 32
SHOP = UUID(int=7)
MADE = "2026-03-01 00:00:00+00:00"
TRIGGER, ACKNOWLEDGE, RESOLVE = Action
URGENT, ROUTINE = Lane.URGENT, Lane.ROUTINE


@dataclass
class Lanes:
    """The stream, how far each lane has read it, and what was decided."""

    stream: list[tuple[Lane, Action, str]] = field(default_factory=list)
    incarnation: str = MADE
    now: datetime = START

    def __post_init__(self) -> None:
        self.desk = Desk(project)
        self.inputs = MemoryInputs(self.desk, {dedup.key_hash(KEY): Source(SHOP)})
        self.cursors = dict.fromkeys(Lane, 0)
        self.sent_at: dict[int, datetime] = {}
        self.fields: dict[int, dict[str, Any]] = {}
        self.ids: dict[int, str] = {}
        self.outcomes: dict[int, Became] = {}
        self.facts: list[Any] = []

    def send(self, lane: Lane, action: Action, key: str = "db", message_id: str = "", **fields: Any) -> None:
        """`fields`: what the body says beside the rest."""
        self.stream.append((lane, action, key))
        self.sent_at[len(self.stream)] = self.now
        self.fields[len(self.stream)], self.ids[len(self.stream)] = fields, message_id

    def _unread(self, lane: Lane) -> list[int]:
        return [n for n, (of, _, _) in enumerate(self.stream, 1) if of is lane and n > self.cursors[lane]]

    def passed(self, lane: Lane) -> int:
        return next(iter(self._unread(lane)), END + 1) - 1

    def read(self, lane: Lane, limit: int = 500) -> None:
        """One batch of a lane."""
        numbers = self._unread(lane)[:limit]
        if numbers:
            items = [self.item(n) for n in numbers]
            # While any is kept, later ones are kept as well.
            passed = 0 if self.desk.rows(kept_answers) else self.passed(OTHER[lane])
            became: dict[int, Became] = {}
            self._decide(lambda work: take_items(work, items, self.inputs, passed, became))
            assert self.incarnation != MADE or not became.keys() & self.outcomes.keys(), "an alert has one outcome"
            self.outcomes |= became
            self.cursors[lane] = numbers[-1]

    def read_by_an_older_release(self, lane: Lane) -> None:
        """It knows of no places, takes answers as they come, and counts repeats in the columns that it knows."""
        before = {row["incident_id"]: row for row in self.desk.rows(repeats)}
        numbers = self._unread(lane)
        items = [self.item(n)._replace(at=Position(0, n)) for n in numbers]
        self._decide(lambda work: take_items(work, items, self.inputs))
        for row in self.desk.rows(repeats):
            old = before.get(row["incident_id"], {"placed": 0, "unplaced_at": None})
            row |= {name: old[name] for name in ("placed", "unplaced_at")}
        self.cursors[lane] = numbers[-1]

    def item(self, number: int) -> Item:
        lane, action, key = self.stream[number - 1]
        body = {"summary": "it burns", "priority": "high", "dedupKey": key, "action": action, "routingKey": KEY}
        body |= self.fields[number]
        subject = "pager.alerts.db.critical" if lane is URGENT else "pager.alerts.db"
        assert is_urgent(subject) is (lane is URGENT)
        raw = dedup.without_keys(json.dumps(body).encode())
        stored_at = int(self.sent_at[number].timestamp()) * 10**9 + number
        headers = {Header.MESSAGE_ID: message_id} if (message_id := self.ids[number]) else {}
        return Item(Position(0, number, 0, self.incarnation), "", raw, headers, subject, stored_at)

    def settle(self) -> None:
        """What both lanes have passed takes effect."""
        passed = min(self.passed(lane) for lane in Lane)
        rows = sorted(self.desk.rows(kept_answers), key=lambda row: row["sequence"])
        due = [row for row in rows if row["sequence"] <= passed]
        if due:
            self._decide(lambda work: settle(work, due, self.inputs))

    def _decide(self, handler: Any) -> None:
        self.now += timedelta(seconds=1)
        self.facts += [event.data for event in self.desk.take(handler, self.now)]

    def acknowledge(self, key: str = "db") -> None:
        """A person does, in the app."""
        self._answer(key, lambda by: Acknowledge(by, self.now))

    def snooze(self, key: str = "db") -> None:
        self._answer(key, lambda by: Snooze(by, self.now, self.now + timedelta(hours=1)))

    def end_snooze(self, key: str = "db") -> None:
        """Its time is over."""
        self.now += timedelta(hours=1)
        (snoozed,) = [fact for fact in self.facts if isinstance(fact, IncidentSnoozed)]
        self._answer(key, lambda _by: EndSnooze(snoozed.until, self.now))

    def time_out(self, key: str = "db") -> None:
        """Whoever acknowledged has had their time."""
        self.now += timedelta(hours=1)
        self._answer(key, lambda _by: LimitAcknowledgement(1, timedelta(0), self.now))
        limited = next(fact for fact in reversed(self.facts) if isinstance(fact, AcknowledgementLimited))
        self._answer(key, lambda _by: TimeOutAcknowledgement(limited.until, self.now))

    def resolve(self, key: str = "db") -> None:
        self._answer(key, lambda by: Resolve(by, self.now))

    def reopen(self, key: str = "db") -> None:
        self._answer(key, lambda by: Reopen(by, self.now, "It still burns."))

    def _answer(self, key: str, answer: Callable[[Actor], Change]) -> None:
        row, me = self.row(key), Actor.user(UUID(int=1))
        assert row is not None

        def decide(work: Work) -> None:
            change(work, row["incident_id"], answer(me), work.begin(me), self.inputs)

        self._decide(decide)

    def row(self, key: str) -> dict[str, Any] | None:
        thread = thread_of(SHOP, key)
        return next((row for row in self.desk.rows(dedup_keys) if row["id"] == thread), None)

    def status(self, key: str = "db") -> Status | None:
        row, states = self.row(key), list[Status]()
        if row is None:
            return None
        self.desk.take(lambda work: states.append(work.state(INCIDENT, row["incident_id"]).status), self.now)
        return states[0]

    def count(self, *facts: type) -> int:
        return sum(isinstance(fact, facts) for fact in self.facts)


def sent(*alerts: tuple[Lane, Action]) -> Lanes:
    made = Lanes()
    for lane, action in alerts:
        made.send(lane, action)
    return made
