"""Incidents, escalation and notifier at one desk each, and the streams between them as queues that a test delivers."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

from libs.chassis.consume.follower import Consumer
from libs.chassis.consume.item import Item
from libs.chassis.store.cursors import Position
from libs.chassis.store.desk import Desk
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Cause, Work
from libs.chassis.timers import Timer
from libs.contracts.auth import DeviceRegistered, Platform, UserDeactivated, UserReactivated
from libs.contracts.defaults import DEFAULT_POLICY_ID, PAGER
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.escalation import Level, Target, TargetType
from libs.contracts.model import Lane, Role
from libs.contracts.notifier import NotificationIntended, NotificationKind, PersonUnreachable
from services.escalation import application as escalation
from services.escalation.consumers import consumers as escalation_consumers
from services.escalation.deciders import POLICY
from services.escalation.domain import policies
from services.escalation.inputs import ME
from services.escalation.inputs import MemoryInputs as EscalationInputs
from services.escalation.projections import escalations
from services.escalation.projections import project as project_escalation
from services.incidents import application as incidents
from services.incidents import timing
from services.incidents.alerts.intake import take_items
from services.incidents.consumers import consumers as incidents_consumers
from services.incidents.domain.commands import (
    Change,
)
from services.incidents.domain.incident import Incident
from services.incidents.inputs import NOTHING_REPEATED
from services.incidents.inputs import MemoryInputs as IncidentsInputs
from services.incidents.projections import project as project_incidents
from services.incidents.projections import repeats
from services.notifier import application as notifier
from services.notifier.consumers import consumers as notifier_consumers
from services.notifier.domain.bundling import MOST
from services.notifier.domain.notification import RecordAccepted, RecordFailure
from services.notifier.domain.token import RetireToken
from services.notifier.inputs import MemoryInputs as NotifierInputs
from services.notifier.projections import NOTIFICATIONS, OUTBOX
from services.notifier.projections import project as project_notifier

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Page(NamedTuple):
    """A page that a phone would get."""

    run: int
    round: int
    level: int
    person: UUID


Pipe = tuple[str, str, Lane]
"""(from, to, lane)"""


@dataclass
class Flow:
    """`flow.fire(…); flow.settle()`: every decision of the three services, with a clock that stands until it is moved.

    `deliver` hands one event of one lane to one follower, `settle` everything, in the order of `pipes`.
    """

    now: datetime = START
    most: int = MOST
    """Pages of one incident to one person a minute."""
    quiet_for: timedelta = timing.NO_TIME
    pipes: dict[Pipe, deque[Envelope[Any]]] = field(default_factory=dict)
    history: list[Envelope[Any]] = field(default_factory=list)
    """Everything that was decided, in this order."""
    _ids: int = 0
    _alerts: int = 0

    def __post_init__(self) -> None:
        self.people: dict[str, UUID] = {}
        self.desks = {
            "incidents": Desk(project_incidents, self._new_id),
            "escalation": Desk(project_escalation, self._new_id),
            "notifier": Desk(project_notifier, self._new_id),
        }
        roles: dict[UUID, Sequence[Role]] = {}
        self.roles = roles
        self.reachable: set[UUID] = set()
        self.incidents_inputs = IncidentsInputs(self.desks["incidents"])
        running = self.desks["escalation"].tables.setdefault(escalations, {})
        self.inactive: dict[UUID, Sequence[Role]] = {}
        """As escalation knows of them, with the roles that they get back."""
        self.escalation_inputs = EscalationInputs(
            people=roles, escalations=running, reachable=self.reachable, inactive=self.inactive
        )
        self.notifier_inputs = NotifierInputs()
        patient = {c.upstream: c.handle for c in incidents_consumers()}
        self._handlers: dict[tuple[str, str], Callable[[Work, Sequence[Envelope[Any]]], None]] = {
            ("incidents", "escalation"): lambda w, e: escalation.follow_incidents(w, e, self.escalation_inputs),
            ("incidents", "notifier"): lambda w, e: notifier.stop_incidents(w, e, self.notifier_inputs),
            ("escalation", "notifier"): lambda w, e: notifier.page_people(w, e, self.notifier_inputs, self.most),
            ("escalation", "incidents"): lambda w, e: incidents.follow_escalation(w, e, self.incidents_inputs),
            ("notifier", "incidents"): patient["notifier"],
            ("notifier", "escalation"): lambda w, e: escalation.follow_notifier(w, e, self.escalation_inputs),
            ("auth", "escalation"): lambda w, e: escalation.follow_people(w, e, self.escalation_inputs),
            ("auth", "notifier"): lambda w, e: notifier.follow_people(w, e, self.notifier_inputs),
        }
        self.take("escalation", escalation.make_first_policies)

    def _new_id(self) -> UUID:
        self._ids += 1
        return uuid5(PAGER, f"flow/{self._ids}")

    # --- Setting up --------------------------------------------------------------------------------------------------

    def person(self, name: str, *roles: Role, phones: int = 1) -> UUID:
        """Somebody with phones."""
        user = self.people[name] = uuid5(PAGER, f"person/{name}")
        self.roles[user] = (Role.USER, *roles)
        for number in range(phones):
            self._registered(user, f"{name}-{number}")
        return user

    def _registered(self, user: UUID, device: str) -> None:
        fact = DeviceRegistered(
            user_id=user,
            device_id=device,
            name=device,
            platform=Platform.ANDROID,
            push_token=f"token of {device}",
            registered_at=self.now,
        )
        self.notifier_inputs.apply(self._of_auth(user, fact))
        self.reachable.add(user)

    def _of_auth(self, user: UUID, fact: Fact) -> Envelope[Any]:
        return Envelope(
            id=self._new_id(),
            type=fact.type,
            time=self.now,
            entity=user,
            version=1,
            lane=Lane.ROUTINE,
            actor=Actor.user(user),
            correlation_id=user,
            data=fact,
        )

    def policy(self, *levels: tuple[float, str], repeat: int = 0, auto_resolve: float | None = None) -> None:
        """The Default policy pages these people: (minutes, name) a level."""
        made = tuple(
            Level(timeout_minutes=minutes, targets=(Target(type=TargetType.USER, id=self.people[name]),))
            for minutes, name in levels
        )
        command = policies.ChangePolicy(levels=made, repeat=repeat, auto_resolve_minutes=auto_resolve)
        self.take(
            "escalation",
            lambda work: work.decide(POLICY, DEFAULT_POLICY_ID, command, work.begin(ME)),
        )

    # --- What happens ------------------------------------------------------------------------------------------------

    def take(self, service: str, handler: Callable[[Work], object]) -> list[Envelope[Any]]:
        """Decide, and put what was decided before its followers."""
        events = self.desks[service].take(handler, self.now)
        for event in events:
            self.history.append(event)
            if service == "notifier":
                self.notifier_inputs.apply(event)
            for source, follower in self._handlers:
                if source == service and self._wants(source, follower, event):
                    self.pipes.setdefault((source, follower, event.lane), deque()).append(event)
        return events

    def _wants(self, source: str, follower: str, event: Envelope[Any]) -> bool:
        return any(
            isinstance(event.data, fact)
            for consumer in _consumers(follower)
            if consumer.upstream == source
            for fact in consumer.facts
        )

    def deliver(self, pipe: Pipe) -> None:
        """Hand the oldest waiting event of a pipe to its follower."""
        source, follower, _ = pipe
        event = self.pipes[pipe].popleft()
        self.take(follower, lambda work: self._handlers[source, follower](work, [event]))
        if follower == "notifier":
            self.notifier_inputs.apply(event)
        elif isinstance(event.data, UserDeactivated) and event.entity in self.roles:
            self.inactive[event.entity] = self.roles.pop(event.entity)
        elif isinstance(event.data, UserReactivated) and event.entity in self.inactive:
            self.roles[event.entity] = self.inactive.pop(event.entity)

    def waiting(self) -> list[Pipe]:
        """Pipes that hold something."""
        return sorted(pipe for pipe, queue in self.pipes.items() if queue)

    def settle(self) -> None:
        """Deliver until nothing waits."""
        while waiting := self.waiting():
            self.deliver(waiting[0])

    def fire(self, summary: str = "db down", priority: str = "critical", **fields: Any) -> UUID:
        """An alert, taken at once; returns the newest incident."""
        self._alerts += 1
        body = {"summary": summary, "priority": priority, **fields}
        at = Position(0, self._alerts, 0, "flow")
        item = Item(at, "", json.dumps(body).encode(), {}, f"pager.alerts.db.{priority}", self._alerts)
        self.take("incidents", lambda work: take_items(work, [item], self.incidents_inputs))
        for row in self.desks["incidents"].rows(repeats):
            if row["last_sequence"] == self._alerts:
                return UUID(str(row["incident_id"]))
        newest = next(e for e in reversed(self.history) if e.service == "incidents")
        incident: UUID = newest.entity
        return incident

    def ask(self, incident: UUID, command: Change) -> list[Envelope[Any]]:
        """A command on an incident, as a person or a timer gives it."""
        return self.take(
            "incidents",
            lambda work: incidents.change(
                work, incident, command, work.begin(incidents.SERVICE), self.incidents_inputs
            ),
        )

    def deactivate(self, name: str) -> None:
        """An admin does; escalation and notifier hear of it, each in its time."""
        self._stands(UserDeactivated, self.people[name])

    def reactivate(self, name: str) -> None:
        self._stands(UserReactivated, self.people[name])

    def _stands(self, fact: type[UserDeactivated | UserReactivated], user: UUID) -> None:
        event = self._of_auth(user, fact(user_id=user, by=Actor.service("auth"), at=self.now))
        self.history.append(event)
        for follower in ("escalation", "notifier"):
            self.pipes.setdefault(("auth", follower, Lane.ROUTINE), deque()).append(event)

    def alerts(self, incident: UUID) -> int:
        """How many it has had, exactly."""
        return 1 + self.incidents_inputs.repeats([incident]).get(incident, NOTHING_REPEATED).times

    def incident(self, incident: UUID) -> Incident:
        work_state: list[Incident] = []
        self.desks["incidents"].take(lambda work: work_state.append(work.state(incidents.INCIDENT, incident)), self.now)
        return work_state[0]

    def advance(self, minutes: float) -> None:
        """Time passes: what is due fires, and everything is delivered."""
        until = self.now + timedelta(minutes=minutes)
        self.settle()
        while (due := self.next_timer()) is not None and due.due_at <= until:
            self.now = max(self.now, due.due_at)
            self.fire_timers()
            self.settle()
        self.now = until

    def next_timer(self) -> Timer | None:
        waiting = (self.desks[service].rows(chassis_tables(service).timers) for service in ("escalation", "incidents"))
        timers = [Timer(**row) for rows in waiting for row in rows]
        return min(timers, key=lambda t: t.due_at, default=None)

    def fire_timers(self) -> None:
        """As the chassis does it: what is due is taken away, unless a decision sets it again."""
        due = self._due("escalation")
        self.take("escalation", lambda work: escalation.fire(work, due, self.escalation_inputs))
        ends = self._due("incidents")
        self.take("incidents", lambda work: timing.fire(work, ends, self.incidents_inputs, self.quiet_for))

    def _due(self, service: str) -> list[Timer]:
        rows = self.desks[service].tables.get(chassis_tables(service).timers, {})
        due = [Timer(**row) for row in rows.values() if row["due_at"] <= self.now]
        for timer in due:
            rows.pop((timer.entity, timer.name))
        return due

    def send(self, *, accepted: bool = True) -> None:
        """The vendors answer whatever is due."""
        pages = self.desks["notifier"].tables.get(NOTIFICATIONS, {})
        results = [
            self._sent(row, pages[row["notification_id"]], accepted=accepted)
            for row in self.desks["notifier"].rows(OUTBOX)
            if row["due_at"] <= self.now
        ]
        self.take("notifier", lambda work: notifier.record(work, [sent for sent, _ in results], self.notifier_inputs))
        dead = [(token, sent.cause) for sent, token in results if token is not None]
        self.take("notifier", lambda work: notifier.retire(work, dead))

    def _sent(
        self, row: dict[str, Any], page: dict[str, Any], *, accepted: bool
    ) -> tuple[notifier.Sent, RetireToken | None]:
        number, kind = row["attempt"], NotificationKind(row["kind"])
        cause = Cause(notifier.ACTOR, row["correlation_id"], row["causation_id"], row["traceparent"])
        if accepted:
            taken = RecordAccepted(number, kind, "fcm", None, self.now)
            return notifier.Sent(row["notification_id"], taken, cause), None
        reason = "UNREGISTERED"
        failed = RecordFailure(number, kind, "fcm", "retire", reason, False, None, 0.0, self.now)
        later = self.now + timedelta(seconds=1)
        dead = RetireToken(page["user_id"], page["method_id"], START, later, reason)
        return notifier.Sent(row["notification_id"], failed, cause), dead

    # --- Looking -----------------------------------------------------------------------------------------------------

    def intended(self, incident: UUID | None = None) -> list[Page]:
        """Every page that was ever intended, in order."""
        return [
            Page(e.data.run, e.data.round, e.data.level, e.data.user_id)
            for e in self.history
            if isinstance(e.data, NotificationIntended) and incident in (None, e.data.incident_id)
        ]

    def names(self, pages: Sequence[Page]) -> list[str]:
        known = {user: name for name, user in self.people.items()}
        return [known[page.person] for page in pages]

    def unreachable(self) -> list[UUID]:
        return [e.data.user_id for e in self.history if isinstance(e.data, PersonUnreachable)]

    def states(self) -> dict[Page, str]:
        """What became of each page."""
        return {
            Page(row["run"], row["round"], row["level"], row["user_id"]): row["state"]
            for row in self.desks["notifier"].rows(NOTIFICATIONS)
        }


def _consumers(service: str) -> Sequence[Consumer]:
    return {
        "incidents": incidents_consumers,
        "escalation": escalation_consumers,
        "notifier": notifier_consumers,
    }[service]()
