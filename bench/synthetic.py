"""A history of a million events to read: synthetic, yet valid by the contracts.

They are written by COPY (`bench.filling`) and not through the append path: a million appends would take half an hour
and would measure something else. Each incident has the ten events of a page that was acknowledged and resolved.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from libs.contracts.auth import DeviceRegistered, Platform, UserRegistered
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID, DEFAULT_POLICY_ID, PAGER
from libs.contracts.envelope import Actor, ActorKind, Envelope, Fact
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationStarted,
    Level,
    Paged,
    PlannedLevel,
    PolicyCreated,
    Target,
    TargetType,
)
from libs.contracts.incidents import IncidentAcknowledged, IncidentBrief, IncidentCreated, IncidentResolved
from libs.contracts.integrations import IntegrationCreated, IntegrationKind
from libs.contracts.model import Lane, Priority, Role
from libs.contracts.notifier import (
    Method,
    MethodKind,
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
)
from services.escalation.domain.escalations import escalation_id
from services.notifier.domain.ids import notification_id
from services.notifier.domain.place import LOWEST

EVENTS_PER_INCIDENT = 10
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_PEOPLE = 50
_NAMES = ("db down", "disk full", "latency above the objective", "certificate expires", "queue grows")


class Stored(NamedTuple):
    """One row of a log, without its position."""

    service: str
    event: Envelope[Any]


def _person(number: int) -> UUID:
    return uuid5(PAGER, f"bench/person/{number}")


def _device(number: int) -> str:
    return f"phone-{number}"


@dataclass
class Writer:
    """Makes envelopes of one chain; ids are those of a seeded generator, so that every run makes the same log."""

    random: random.Random

    def id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def event(
        self,
        fact: Fact,
        entity: UUID,
        version: int,
        at: datetime,
        lane: Lane,
        actor: Actor,
        correlation: UUID,
        cause: UUID | None = None,
    ) -> Stored:
        service = fact.type.split(".")[1]
        envelope: Envelope[Any] = Envelope(
            id=self.id(),
            type=fact.type,
            time=at,
            entity=entity,
            version=version,
            lane=lane,
            actor=actor,
            correlation_id=correlation,
            causation_id=cause,
            traceparent=f"00-{correlation.hex}-{self.random.getrandbits(64):016x}-01",
            data=fact,
        )
        return Stored(service, envelope)


def beginning(writer: Writer) -> Iterator[Stored]:
    """People with phones, the Default policy and integration."""
    for number in range(_PEOPLE):
        yield from _somebody(writer, number)
    policy = PolicyCreated(
        policy_id=DEFAULT_POLICY_ID,
        name="Default",
        repeat=3,
        levels=tuple(
            Level(timeout_minutes=15, targets=(Target(type=TargetType.USER, id=_person(n)),)) for n in range(2)
        ),
        is_default=True,
        created_by="escalation",
        created_at=BEGIN,
    )
    yield writer.event(policy, DEFAULT_POLICY_ID, 1, BEGIN, Lane.ROUTINE, Actor.service("escalation"), writer.id())
    integration = IntegrationCreated(
        integration_id=DEFAULT_INTEGRATION_ID, name="Default", kind=IntegrationKind.GENERIC
    )
    me = Actor.service("incidents")
    yield writer.event(integration, DEFAULT_INTEGRATION_ID, 1, BEGIN, Lane.ROUTINE, me, writer.id())


def _somebody(writer: Writer, number: int) -> Iterator[Stored]:
    user, chain, me = _person(number), writer.id(), Actor.service("auth")
    registered = UserRegistered(
        user_id=user,
        email=f"person{number}@pager.test",
        first_name="Person",
        last_name=str(number),
        timezone="UTC",
        roles=(Role.USER,),
    )
    yield writer.event(registered, user, 1, BEGIN, Lane.ROUTINE, me, chain)
    device = DeviceRegistered(
        user_id=user,
        device_id=_device(number),
        name="phone",
        platform=Platform.IOS,
        push_token=f"{number:064x}",
        registered_at=BEGIN,
    )
    entity = uuid5(PAGER, f"device/{user}/{_device(number)}")
    yield writer.event(device, entity, 1, BEGIN, Lane.ROUTINE, me, chain)


@dataclass
class Page:
    """One incident, its person and its chain, with the services' clocks some milliseconds apart."""

    writer: Writer
    number: int
    at: datetime

    def __post_init__(self) -> None:
        rng = self.writer.random
        self.priority = rng.choice(tuple(Priority))
        self.lane, self.chain, self.id = self.priority.lane, self.writer.id(), self.writer.id()
        number = rng.randrange(_PEOPLE)
        self.person, self.phone = _person(number), _device(number)
        self.title = f"{rng.choice(_NAMES)} on host-{rng.randrange(1000)}"
        self.running = escalation_id(self.id)
        self.brief = IncidentBrief(
            incident_id=self.id,
            number=self.number,
            title=self.title,
            priority=self.priority,
            paging_since=self.at,
        )

    def moment(self, seconds: float) -> datetime:
        return self.at + timedelta(seconds=seconds, microseconds=self.writer.random.randrange(-3000, 3000))

    def events(self) -> Iterator[Stored]:
        """Created, paged, acknowledged a minute later, resolved after ten."""
        created = self._created()
        yield created
        started, due = self._escalated(created.event)
        yield from (started, due)
        yield from self._notified(due.event)
        user = Actor.user(self.person)
        taken = IncidentAcknowledged(incident_id=self.id, by=user, at=self.moment(60))
        acknowledged = self.writer.event(taken, self.id, 2, taken.at, self.lane, user, self.writer.id())
        yield acknowledged
        yield self._cancelled(acknowledged.event)
        yield from self._replaced(acknowledged.event)
        over = IncidentResolved(incident_id=self.id, by=user, at=self.moment(600))
        yield self.writer.event(over, self.id, 3, over.at, self.lane, user, self.writer.id())

    def _created(self) -> Stored:
        sender = Actor(kind=ActorKind.INTEGRATION, id=str(DEFAULT_INTEGRATION_ID))
        fact = IncidentCreated(
            incident_id=self.id,
            number=self.number,
            title=self.title,
            description="The check has failed three times in a row; the runbook is linked from the dashboard.",
            priority=self.priority,
            source="bench",
            integration_id=DEFAULT_INTEGRATION_ID,
            dedup_key=f"key-{self.number}",
            created_by=sender,
            created_at=self.at,
            metadata={"host": f"host-{self.number % 1000}", "service": "checkout", "region": "eu-central-1"},
        )
        return self.writer.event(fact, self.id, 1, self.at, self.lane, sender, self.chain)

    def _escalated(self, created: Envelope[Any]) -> tuple[Stored, Stored]:
        at, me = self.moment(0.004), Actor.service("escalation")
        people = (Paged(user_id=self.person, via=f"user:{self.person}"),)
        started = EscalationStarted(
            incident_id=self.id,
            policy_id=DEFAULT_POLICY_ID,
            policy_version=1,
            brief=self.brief,
            planned=(PlannedLevel(level=1, people=people),),
        )
        due = EscalationDue(
            incident_id=self.id,
            level=1,
            round=1,
            people=people,
            next_due_at=at + timedelta(minutes=15),
            brief=self.brief,
        )
        return (
            self.writer.event(started, self.running, 1, at, self.lane, me, self.chain, created.id),
            self.writer.event(due, self.running, 2, at, self.lane, me, self.chain, created.id),
        )

    def _cancelled(self, taken: Envelope[Any]) -> Stored:
        fact = EscalationCancelled(incident_id=self.id, by=Actor.user(self.person), at=taken.time, cause="acknowledged")
        me, at = Actor.service("escalation"), self.moment(60.004)
        return self.writer.event(fact, self.running, 3, at, self.lane, me, taken.correlation_id, taken.id)

    def _notified(self, due: Envelope[Any]) -> Iterator[Stored]:
        at = self.moment(0.008)
        fact = NotificationIntended(
            notification_id=self._page,
            incident_id=self.id,
            user_id=self.person,
            method=self._method,
            round=1,
            level=1,
            lane=self.lane,
            decided_at=due.time,
            at=at,
            expires_at=at + timedelta(minutes=15),
            brief=self.brief,
        )
        yield from self._sent(fact, fact.notification_id, 1, NotificationKind.PAGE, self.chain, due.id)

    @property
    def _method(self) -> Method:
        return Method(id=self.phone, kind=MethodKind.APNS)

    @property
    def _page(self) -> UUID:
        return notification_id(self.id, LOWEST, self.person, self._method)

    def _replaced(self, taken: Envelope[Any]) -> Iterator[Stored]:
        fact = NotificationReplaced(
            notification_id=self._page,
            incident_id=self.id,
            user_id=self.person,
            kind=NotificationKind.ACKNOWLEDGED,
            at=self.moment(60.008),
        )
        yield from self._sent(fact, fact.notification_id, 3, fact.kind, taken.correlation_id, taken.id)

    def _sent(
        self,
        fact: NotificationIntended | NotificationReplaced,
        entity: UUID,
        version: int,
        kind: NotificationKind,
        chain: UUID,
        cause: UUID,
    ) -> Iterator[Stored]:
        """What is to be sent, and that the vendor has taken it."""
        me = Actor.service("notifier")
        told = self.writer.event(fact, entity, version, fact.at, self.lane, me, chain, cause)
        yield told
        accepted = NotificationAccepted(
            notification_id=entity,
            incident_id=self.id,
            user_id=self.person,
            attempt=(version + 1) // 2,
            kind=kind,
            provider="apns",
            vendor_id=str(entity),
            at=fact.at + timedelta(milliseconds=42),
        )
        yield self.writer.event(accepted, entity, version + 1, accepted.at, self.lane, me, chain, told.event.id)
