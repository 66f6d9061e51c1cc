"""Escalation at a desk: its handlers on events as they arrive, without servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.store.desk import Desk
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.chassis.timers import Timer
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.incidents import IncidentAcknowledged, IncidentBrief, IncidentCreated, PagingReason, PagingRequested
from libs.contracts.model import Lane, Priority, Role
from libs.contracts.notifier import PersonUnreachable, PushTokenRetired
from services.escalation.application import fire, follow_incidents, follow_notifier, make_first_policies
from services.escalation.deciders import ESCALATION
from services.escalation.domain.escalations import State, escalation_id
from services.escalation.inputs import Inputs, MemoryInputs, Schedule
from services.escalation.projections import Span, escalations, project
from services.escalation.tests.world import ANN, BO, CY, DEE, INCIDENT, NOW, an_id, minutes

TIMERS = chassis_tables("escalation").timers
ESCALATION_ID = escalation_id(INCIDENT)
ON_CALL = Schedule(4, (Span(NOW - minutes(60), NOW + minutes(600), ANN),))
TEAM: dict[UUID, frozenset[Role]] = {
    ANN: frozenset((Role.USER,)),
    BO: frozenset((Role.USER,)),
    CY: frozenset((Role.LEAD,)),
    DEE: frozenset((Role.ADMIN,)),
}
"""Ann is on call on the default schedule; Cy leads, Dee is the admin."""


@dataclass
class EscalationDesk:
    """`told` and `due` return what was decided."""

    desk: Desk = field(default_factory=lambda: Desk(project))
    people: dict[UUID, frozenset[Role]] = field(default_factory=lambda: dict(TEAM))
    reachable: frozenset[UUID] = frozenset()
    log: list[Envelope[Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._take(make_first_policies, NOW)

    @property
    def inputs(self) -> Inputs:
        rows = self.desk.tables.get(escalations, {})
        return MemoryInputs(self.people, {DEFAULT_SCHEDULE_ID: ON_CALL}, rows, self.reachable)

    def told(self, *events: Envelope[Any], now: datetime = NOW) -> list[Envelope[Any]]:
        """A batch of INCIDENTS or NOTIFIER."""
        from_notifier = isinstance(events[0].data, PersonUnreachable | PushTokenRetired)
        handle = follow_notifier if from_notifier else follow_incidents
        return self._take(lambda work: handle(work, events, self.inputs), now)

    def due(self, now: datetime) -> list[Envelope[Any]]:
        """Fire what is due, as `Timers` does."""
        timers = [Timer(**row) for row in self.desk.rows(TIMERS) if row["due_at"] <= now]
        for timer in timers:
            del self.desk.tables[TIMERS][timer.entity, timer.name]
        return self._take(lambda work: fire(work, timers, self.inputs), now)

    def _take(self, handler: Callable[[Work], object], now: datetime) -> list[Envelope[Any]]:
        decided = self.desk.take(handler, now)
        self.log.extend(decided)
        return decided

    def state(self, entity: UUID = ESCALATION_ID) -> State:
        states: list[State] = []
        self.desk.take(lambda work: states.append(work.state(ESCALATION[Lane.URGENT], entity)), NOW)
        return states[0]

    @property
    def row(self) -> dict[str, Any]:
        """The one escalation."""
        [row] = self.desk.rows(escalations)
        return row


def said(fact: Fact, lane: Lane = Lane.URGENT, slot: int = 7) -> Envelope[Any]:
    """An event as an upstream publishes it."""
    return Envelope(
        id=an_id(repr(fact)),
        type=fact.type,
        time=NOW,
        entity=INCIDENT,
        version=1,
        lane=lane,
        slot=slot,
        actor=Actor.service("incidents"),
        correlation_id=an_id("correlation"),
        data=fact,
    )


def brief(priority: Priority = Priority.CRITICAL) -> IncidentBrief:
    return IncidentBrief(incident_id=INCIDENT, number=1, title="db down", priority=priority, paging_since=NOW)


def created(**changes: Any) -> IncidentCreated:
    values: dict[str, Any] = {
        "incident_id": INCIDENT,
        "number": 1,
        "title": "db down",
        "priority": Priority.CRITICAL,
        "source": "test",
        "created_by": Actor.user(BO),
        "created_at": NOW,
    }
    return IncidentCreated(**(values | changes))


def requested(run: int, **changes: Any) -> PagingRequested:
    values: dict[str, Any] = {"incident_id": INCIDENT, "since": NOW, "reason": PagingReason.RAISED, "brief": brief()}
    return PagingRequested(run=run, **(values | changes))


def acknowledged(run: int) -> IncidentAcknowledged:
    return IncidentAcknowledged(incident_id=INCIDENT, run=run, by=Actor.user(ANN), at=NOW)


def not_reached(user: UUID, run: int = 1, round_: int = 1, level: int = 1) -> PersonUnreachable:
    return PersonUnreachable(
        incident_id=INCIDENT, user_id=user, run=run, round=round_, level=level, reason="no device", at=NOW
    )


def names(events: Sequence[Envelope[Any]]) -> list[str]:
    return [event.name for event in events]
