"""A log of a million events to read: synthetic, yet valid by the contracts, in a database of its own.

They are written by COPY and not through the append path: a million appends would take half an hour and would measure
something else. Each incident has the ten events of a page that was acknowledged and resolved.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import psycopg
from psycopg import sql

from libs.contracts.auth import DeviceRegistered, Platform, UserRegistered
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID, DEFAULT_POLICY_ID, PAGER
from libs.contracts.envelope import Actor, ActorKind, Envelope, Fact
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationStarted,
    IncidentBrief,
    Level,
    Paged,
    PlannedLevel,
    PolicyCreated,
    Target,
    TargetType,
)
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentCreated,
    IncidentResolved,
    IntegrationCreated,
    IntegrationKind,
)
from libs.contracts.model import Lane, Priority, Role
from libs.contracts.notifier import (
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
)
from services.escalation.domain.escalations import escalation_id
from services.notifier.domain.ids import notification_id

EVENTS_PER_INCIDENT = 10
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
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
class _Writer:
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


def beginning(writer: _Writer) -> Iterator[Stored]:
    """People with phones, the Default policy and integration."""
    system = Actor.service("auth")
    for number in range(_PEOPLE):
        user, correlation = _person(number), writer.id()
        registered = UserRegistered(
            user_id=user,
            email=f"person{number}@pager.test",
            first_name="Person",
            last_name=str(number),
            timezone="UTC",
            roles=(Role.USER,),
        )
        yield writer.event(registered, user, 1, _BEGIN, Lane.ROUTINE, system, correlation)
        device = DeviceRegistered(
            user_id=user,
            device_id=_device(number),
            name="phone",
            platform=Platform.IOS,
            push_token=f"{number:064x}",
            registered_at=_BEGIN,
        )
        entity = uuid5(PAGER, f"device/{user}/{_device(number)}")
        yield writer.event(device, entity, 1, _BEGIN, Lane.ROUTINE, system, correlation)
    policy = PolicyCreated(
        policy_id=DEFAULT_POLICY_ID,
        name="Default",
        repeat=3,
        levels=tuple(
            Level(timeout_minutes=15, targets=(Target(type=TargetType.USER, id=_person(n)),)) for n in range(2)
        ),
        is_default=True,
        created_by="escalation",
        created_at=_BEGIN,
    )
    yield writer.event(policy, DEFAULT_POLICY_ID, 1, _BEGIN, Lane.ROUTINE, Actor.service("escalation"), writer.id())
    integration = IntegrationCreated(
        integration_id=DEFAULT_INTEGRATION_ID, name="Default", kind=IntegrationKind.GENERIC
    )
    me = Actor.service("incidents")
    yield writer.event(integration, DEFAULT_INTEGRATION_ID, 1, _BEGIN, Lane.ROUTINE, me, writer.id())


def incident(writer: _Writer, number: int, at: datetime) -> Iterator[Stored]:
    """The ten events of one page, the services' clocks some milliseconds apart."""
    rng = writer.random
    priority = rng.choice(tuple(Priority))
    lane, correlation, entity = priority.lane, writer.id(), writer.id()
    sender = Actor(kind=ActorKind.INTEGRATION, id=str(DEFAULT_INTEGRATION_ID))
    person = _person(rng.randrange(_PEOPLE))
    phone = _device(0)
    user, escalation, notifier = Actor.user(person), Actor.service("escalation"), Actor.service("notifier")

    def moment(seconds: float) -> datetime:
        return at + timedelta(seconds=seconds, microseconds=rng.randrange(-3000, 3000))

    title = f"{rng.choice(_NAMES)} on host-{rng.randrange(1000)}"
    created = IncidentCreated(
        incident_id=entity,
        number=number,
        title=title,
        description="The check has failed three times in a row; the runbook is linked from the dashboard.",
        priority=priority,
        source="bench",
        integration_id=DEFAULT_INTEGRATION_ID,
        dedup_key=f"key-{number}",
        created_by=sender,
        created_at=at,
        metadata={"host": f"host-{number % 1000}", "service": "checkout", "region": "eu-central-1"},
    )
    first = writer.event(created, entity, 1, at, lane, sender, correlation)
    yield first
    brief = IncidentBrief(incident_id=entity, number=number, title=title, priority=priority, paging_since=at)
    running = escalation_id(entity)
    begun = EscalationStarted(
        incident_id=entity,
        policy_id=DEFAULT_POLICY_ID,
        policy_version=1,
        brief=brief,
        planned=(PlannedLevel(level=1, people=(Paged(user_id=person, via=f"user:{person}"),)),),
    )
    second = moment(0.004)
    yield writer.event(begun, running, 1, second, lane, escalation, correlation, first.event.id)
    due = EscalationDue(
        incident_id=entity,
        level=1,
        round=1,
        people=(Paged(user_id=person, via=f"user:{person}"),),
        next_due_at=second + timedelta(minutes=15),
        brief=brief,
    )
    paged = writer.event(due, running, 2, second, lane, escalation, correlation, first.event.id)
    yield paged
    yield from _notified(writer, paged, person, phone, moment, lane, correlation, notifier)
    acknowledged = IncidentAcknowledged(incident_id=entity, by=user, at=moment(60))
    taken = writer.event(acknowledged, entity, 2, acknowledged.at, lane, user, writer.id())
    yield taken
    stopped = EscalationCancelled(incident_id=entity, by=user, at=acknowledged.at, cause="acknowledged")
    yield writer.event(
        stopped, running, 3, moment(60.004), lane, escalation, taken.event.correlation_id, taken.event.id
    )
    yield from _replaced(writer, paged, taken, person, phone, moment, lane, notifier)
    over = IncidentResolved(incident_id=entity, by=user, at=moment(600))
    yield writer.event(over, entity, 3, over.at, lane, user, writer.id())


def _notified(
    writer: _Writer,
    paged: Stored,
    person: UUID,
    phone: str,
    moment: Any,
    lane: Lane,
    correlation: UUID,
    notifier: Actor,
) -> Iterator[Stored]:
    due: EscalationDue = paged.event.data
    notification, at = notification_id(paged.event.id, person, phone), moment(0.008)
    intended = NotificationIntended(
        notification_id=notification,
        incident_id=due.incident_id,
        user_id=person,
        device_id=phone,
        platform=Platform.IOS,
        level=1,
        round=1,
        lane=lane,
        decided_at=paged.event.time,
        at=at,
        expires_at=at + timedelta(minutes=15),
        brief=due.brief,
    )
    told = writer.event(intended, notification, 1, at, lane, notifier, correlation, paged.event.id)
    yield told
    accepted = NotificationAccepted(
        notification_id=notification,
        incident_id=due.incident_id,
        user_id=person,
        attempt=1,
        provider="apns",
        vendor_id=str(notification),
        at=moment(0.05),
    )
    yield writer.event(accepted, notification, 2, accepted.at, lane, notifier, correlation, told.event.id)


def _replaced(
    writer: _Writer,
    paged: Stored,
    taken: Stored,
    person: UUID,
    phone: str,
    moment: Any,
    lane: Lane,
    notifier: Actor,
) -> Iterator[Stored]:
    notification, incident_id = notification_id(paged.event.id, person, phone), paged.event.data.incident_id
    correlation = taken.event.correlation_id
    replaced = NotificationReplaced(
        notification_id=notification,
        incident_id=incident_id,
        user_id=person,
        kind=NotificationKind.ACKNOWLEDGED,
        at=moment(60.008),
    )
    shown = writer.event(replaced, notification, 3, replaced.at, lane, notifier, correlation, taken.event.id)
    yield shown
    accepted = NotificationAccepted(
        notification_id=notification,
        incident_id=incident_id,
        user_id=person,
        attempt=2,
        kind=NotificationKind.ACKNOWLEDGED,
        provider="apns",
        vendor_id=str(notification),
        at=moment(60.05),
    )
    yield writer.event(accepted, notification, 4, accepted.at, lane, notifier, correlation, shown.event.id)


def history(events: int) -> Iterator[Stored]:
    """About so many events, in the order of their commits: two incidents a second."""
    writer = _Writer(random.Random(42))
    yield from beginning(writer)
    waiting: list[tuple[datetime, int, Stored]] = []
    ticket = count()
    for number in range(1, events // EVENTS_PER_INCIDENT + 1):
        at = _BEGIN + timedelta(hours=1, seconds=number / 2)
        last: dict[UUID, datetime] = {}
        for stored in incident(writer, number, at):
            # Commits of one entity keep their order whatever the clocks say.
            when = max(stored.event.time, last.get(stored.event.entity, stored.event.time))
            last[stored.event.entity] = when
            waiting.append((when, next(ticket), stored))
        if number % 2000 == 0:
            yield from _settled(waiting, at)
    yield from _settled(waiting, datetime.max.replace(tzinfo=UTC))


def _settled(waiting: list[tuple[datetime, int, Stored]], until: datetime) -> Iterator[Stored]:
    waiting.sort()
    ready = [w for w in waiting if w[0] < until]
    del waiting[: len(ready)]
    yield from (stored for _, _, stored in ready)


_COLUMNS = sql.SQL("originator_id, originator_version, topic, state, notification_id, lane, recorded_at")


def fill(url: str, events: int) -> dict[str, int]:
    """Write the history into the empty logs of a migrated database; the number of events by service."""
    services = ("auth", "incidents", "escalation", "notifier")
    written = dict.fromkeys(services, 0)
    rows: dict[str, list[Stored]] = {service: [] for service in services}
    with psycopg.connect(url) as connection:
        for stored in history(events):
            rows[stored.service].append(stored)
            if len(rows[stored.service]) >= 20_000:
                _copy(connection, stored.service, rows[stored.service], written)
        for service in services:
            _copy(connection, service, rows[service], written)
            sequence = f"{service}.stored_events_notification_id_seq"
            connection.execute("SELECT setval(%s, %s)", (sequence, max(written[service], 1)))
    with psycopg.connect(url, autocommit=True) as connection:
        for service in services:
            connection.execute(sql.SQL("VACUUM ANALYZE {}.stored_events").format(sql.Identifier(service)))
    return written


def _copy(connection: psycopg.Connection[Any], service: str, rows: list[Stored], written: dict[str, int]) -> None:
    statement = sql.SQL("COPY {}.stored_events ({}) FROM STDIN (FORMAT BINARY)").format(
        sql.Identifier(service), _COLUMNS
    )
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.set_types(["uuid", "int8", "text", "bytea", "int8", "text", "timestamptz"])
        for position, (_, event) in enumerate(rows, written[service] + 1):
            copy.write_row(
                (event.entity, event.version, event.type, event.to_json(), position, str(event.lane), event.time)
            )
    written[service] += len(rows)
    rows.clear()
