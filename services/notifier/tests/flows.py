"""The notifier's handlers without servers: what upstreams say, what is decided, and everything learned on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.store.desk import Desk
from libs.chassis.store.work import Cause
from libs.contracts.auth import DeviceRegistered, Platform
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.escalation import EscalationDue, EscalationExhausted, Paged
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentBrief,
    IncidentClosed,
    IncidentResolved,
    IncidentSnoozed,
)
from libs.contracts.model import Lane
from libs.contracts.notifier import Method, NotificationIntended, NotificationKind, PersonUnreachable, ReceiptState
from services.notifier.application import (
    ACTOR,
    Sent,
    follow_people,
    page_people,
    receive,
    record,
    retire,
    send_test,
    stop_incidents,
)
from services.notifier.domain import bundling
from services.notifier.domain.notification import ExpireNotification, RecordAccepted, RecordFailure
from services.notifier.domain.token import RetireToken
from services.notifier.inputs import MemoryInputs
from services.notifier.projections import project
from services.notifier.tests.notifications import BO, BRIEF, INCIDENT, NINE

ME = Actor.service("test")


def happened(fact: Fact, lane: Lane = Lane.URGENT, at: datetime = NINE) -> Envelope[Any]:
    """An event of an upstream."""
    return Envelope(
        id=uuid4(), type=fact.type, time=at, entity=uuid4(), version=1, lane=lane, actor=ME, correlation_id=uuid4(),
        data=fact,
    )  # fmt: skip


def device(
    name: str = "phone", platform: Platform = Platform.ANDROID, user: UUID = BO, at: datetime = NINE
) -> Envelope[Any]:
    return happened(
        DeviceRegistered(
            user_id=user,
            device_id=name,
            name=name,
            platform=platform,
            push_token=f"token of {name}",
            registered_at=at,
        )
    )


def due(
    run: int = 1,
    round: int = 1,  # noqa: A002 - as the contract calls it
    level: int = 1,
    *,
    lane: Lane = Lane.URGENT,
    people: Iterable[UUID] = (BO,),
    brief: IncidentBrief = BRIEF,
) -> Envelope[Any]:
    paged = tuple(Paged(user_id=user, via="admins") for user in people)
    next_due_at = NINE + timedelta(minutes=5)
    return happened(
        EscalationDue(
            incident_id=INCIDENT, run=run, round=round, level=level, people=paged, next_due_at=next_due_at, brief=brief
        ),
        lane,
    )


def exhausted(run: int = 1) -> Envelope[Any]:
    paged = (Paged(user_id=BO, via="admins"),)
    next_due_at = NINE + timedelta(minutes=30)
    return happened(
        EscalationExhausted(
            incident_id=INCIDENT, run=run, round=5, level=2, people=paged, next_due_at=next_due_at, brief=BRIEF
        )
    )


def answer(what: str = "acknowledged", run: int = 1, lane: Lane = Lane.URGENT, at: datetime = NINE) -> Envelope[Any]:
    facts: dict[str, Callable[..., Fact]] = {
        "acknowledged": IncidentAcknowledged,
        "resolved": IncidentResolved,
        "closed": IncidentClosed,
        "snoozed": IncidentSnoozed,
    }
    more = {"until": at + timedelta(hours=1)} if what == "snoozed" else {}
    return happened(facts[what](incident_id=INCIDENT, run=run, by=ME, at=at, **more), lane, at)


@dataclass
class Flow:
    """A notifier at a moment that a test moves; every method returns the facts that were decided."""

    desk: Desk = field(default_factory=lambda: Desk(project))
    inputs: MemoryInputs = field(default_factory=MemoryInputs)
    now: datetime = NINE
    most: int = bundling.MOST
    pages: list[NotificationIntended] = field(default_factory=list)
    unreachable: list[PersonUnreachable] = field(default_factory=list)
    events: list[Envelope[Any]] = field(default_factory=list)
    """All that was decided."""

    def learn(self, *events: Envelope[Any]) -> Flow:
        for event in events:
            self.inputs.apply(event)
        return self

    def register(self, *events: Envelope[Any]) -> list[Fact]:
        return self._take(events, lambda work: follow_people(work, events, self.inputs))

    def page(self, *events: Envelope[Any]) -> list[Fact]:
        return self._take(events, lambda work: page_people(work, events, self.inputs, self.most))

    def answer(self, *events: Envelope[Any]) -> list[Fact]:
        return self._take(events, lambda work: stop_incidents(work, events, self.inputs))

    def record(self, *results: Sent) -> list[Fact]:
        return self._take((), lambda work: record(work, results, self.inputs))

    def test(self, method: Method, person: UUID = BO) -> list[Fact]:
        """Bo sends himself a page."""
        return self._take((), lambda work: send_test(work, person, method, Cause(Actor.user(person), uuid4())))

    def hear(self, page: NotificationIntended, state: ReceiptState, person: UUID | None = BO) -> list[Fact]:
        """Somebody's phone says what became of a page."""
        cause = Cause(Actor.user(person or BO), uuid4())
        return self._take((), lambda work: receive(work, page.notification_id, person, (state, self.now), cause))

    def retire(self, *dead: tuple[RetireToken, Cause]) -> list[Fact]:
        return self._take((), lambda work: retire(work, dead))

    def _take(self, events: Sequence[Envelope[Any]], handler: Callable[[Any], Any]) -> list[Fact]:
        decided = self.desk.take(handler, self.now)
        self.learn(*events, *decided)
        self.events += decided
        facts = [event.data for event in decided]
        self.pages += [fact for fact in facts if isinstance(fact, NotificationIntended)]
        self.unreachable += [fact for fact in facts if isinstance(fact, PersonUnreachable)]
        return facts


def accepted(page: NotificationIntended, attempt: int = 1, kind: NotificationKind = NotificationKind.PAGE) -> Sent:
    return _sent(page, RecordAccepted(attempt, kind, "fcm", "vendor-1", NINE))


def failed(
    page: NotificationIntended,
    reason: str = "UNREGISTERED",
    attempt: int = 1,
    *,
    again: bool = False,
    kind: NotificationKind = NotificationKind.PAGE,
) -> Sent:
    return _sent(page, RecordFailure(attempt, kind, "fcm", "retire", reason, again, None, 0.5, NINE))


def expired(page: NotificationIntended) -> Sent:
    return _sent(page, ExpireNotification(page.expires_at))


def _sent(page: NotificationIntended, command: RecordAccepted | RecordFailure | ExpireNotification) -> Sent:
    return Sent(page.notification_id, command, Cause(ACTOR, uuid4()))
