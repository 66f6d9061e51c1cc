"""A sender's surroundings without servers: an outbox in memory with the real decisions, and obedient vendors."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from eventsourcing.persistence import OperationalError

from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import in_time
from libs.contracts.envelope import Fact
from libs.contracts.model import Lane
from libs.contracts.notifier import NotificationAccepted
from services.notifier.application import NOTIFICATION, Sent
from services.notifier.domain import token
from services.notifier.domain.notification import Command, IntendNotification, Notification, paging_since
from services.notifier.domain.token import RetireToken
from services.notifier.freshness import Freshness
from services.notifier.outbox import EAGER, RESERVED, Room, Sendable, Taken
from services.notifier.providers import Provider
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.sender import Sender
from services.notifier.suspects import Suspect
from services.notifier.tests.notifications import BO, NINE

ACCEPTED = Outcome(Verdict.ACCEPTED, "accepted", 200, "vendor-1")
REGISTERED = NINE - timedelta(days=1)


@dataclass
class FakeOutbox:
    """What `StoredOutbox` does, on folded states; `away` counts how many more records fail for want of PostgreSQL."""

    facts: dict[UUID, list[Fact]] = field(default_factory=dict)
    retired: list[RetireToken] = field(default_factory=list)
    tokens: dict[UUID, str | None] = field(default_factory=dict)
    devices: dict[UUID, str] = field(default_factory=dict)
    """Which device a notification is for; by default each has one of its own."""
    away: int = 0
    records: list[int] = field(default_factory=list)
    looks: int = 0
    """How often it was asked what is due."""
    on_commit: Callable[[], None] = lambda: None

    _folded: dict[UUID, tuple[int, Notification | None]] = field(default_factory=dict)
    """How many of its facts were folded, and what became of them."""
    _made: dict[UUID, tuple[Notification, Sendable]] = field(default_factory=dict)
    """The row of a state: most are as they were at the look before."""

    def state(self, notification: UUID) -> Notification | None:
        facts, nothing = self.facts.get(notification, ()), (0, NOTIFICATION.initial())
        count, state = self._folded.get(notification, nothing) if facts else nothing
        for fact in facts[count:]:
            state = NOTIFICATION.evolve(state, fact)
        self._folded[notification] = len(facts), state
        return state

    def decide(self, notification: UUID, command: Command) -> None:
        facts = NOTIFICATION.decide(command, self.state(notification))
        self.facts.setdefault(notification, []).extend(facts)

    def intend(self, command: IntendNotification) -> UUID:
        self.decide(command.notification_id, command)
        return command.notification_id

    async def take(self, now: datetime, busy: Collection[UUID], room: Mapping[str, Room]) -> Taken:
        await asyncio.sleep(0)
        self.looks += 1
        hidden = frozenset(busy)
        free = [row for row in self._rows() if row.notification_id not in hidden]
        due = [row for row in free if row.due_at <= now or (row.attempt > 1 and self._is_early(row, room, now))]
        rows: list[Sendable] = []
        for provider, (places, _, is_away) in room.items():
            if is_away:
                rows += [r for r in due if r.provider == provider and r.deadline <= now]
            urgent = [r for r in due if r.provider == provider and r.lane == Lane.URGENT][: max(places, 0)]
            left = max(places - RESERVED - len(urgent), 0)
            rows += urgent + [r for r in due if r.provider == provider and r.lane == Lane.ROUTINE][:left]
        return Taken(list(dict.fromkeys(rows)), min((r.due_at for r in free if r.due_at > now), default=None))

    async def record(self, results: Sequence[Sent]) -> Collection[UUID]:
        if self.away:
            self.away -= 1
            raise OperationalError("PostgreSQL is away")
        self.records.append(len(results))
        for result in results:
            self.decide(result.notification_id, result.command)
        self.on_commit()
        return ()

    async def retire(self, suspects: Sequence[Suspect]) -> Collection[Suspect]:
        evident = [suspect for suspect in suspects if self._is_evident(suspect)]
        self.retired += [s.dead for s in evident if token.decide(s.dead, None)]
        return evident

    def _is_evident(self, suspect: Suspect) -> bool:
        accepted = [f for facts in self.facts.values() for f in facts if isinstance(f, NotificationAccepted)]
        return any(
            (f.provider, f.credentials) == (suspect.provider, suspect.credentials)
            and f.at >= suspect.since
            and (BO, self.devices.get(f.notification_id, str(f.notification_id))) != suspect.device
            for f in accepted
        )

    @staticmethod
    def _is_early(row: Sendable, room: Mapping[str, Room], now: datetime) -> bool:
        return room[row.provider].is_back and row.due_at <= now + EAGER

    def _rows(self) -> list[Sendable]:
        states = [state for one in self.facts if (state := self.state(one)) is not None]
        return sorted((self._row(s) for s in states if s.sending is not None), key=lambda row: row.due_at)

    def _row(self, state: Notification) -> Sendable:
        name = state.intent.notification_id
        of, row = self._made.get(name, (None, None))
        if of is not state or row is None:
            row = self._new_row(state)
            self._made[name] = state, row
        return row

    def _new_row(self, state: Notification) -> Sendable:
        intent, sending = state.intent, state.sending
        assert sending is not None
        return Sendable(
            notification_id=intent.notification_id,
            provider=str(intent.method.kind),
            lane=intent.lane,
            kind=sending.kind,
            attempt=state.attempts + 1,
            due_at=sending.due_at,
            deadline=sending.deadline,
            correlation_id=uuid4(),
            causation_id=uuid4(),
            traceparent=None,
            incident_id=intent.incident_id,
            user_id=BO,
            method_id=self.devices.get(intent.notification_id, str(intent.notification_id)),
            run=intent.run,
            level=1,
            paging_since=paging_since(intent),
            number=7,
            title="db down",
            description=None,
            priority="critical",
            further=intent.further,
            push_token=self.tokens.get(intent.notification_id, "token"),
            registered_at=REGISTERED,
            alive=True,
        )


@dataclass
class FakeVendor:
    """Answers what `answer` says; by default it accepts."""

    answer: Callable[[Page], Awaitable[Outcome]] | None = None
    pages: list[Page] = field(default_factory=list)
    trouble: str | None = None

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, token: str, page: Page, limit: float) -> Outcome:
        assert token
        assert limit > 0
        self.pages.append(page)
        return ACCEPTED if self.answer is None else await self.answer(page)


@dataclass
class Bench:
    """A sender on a clock that a test moves; `async with` runs it."""

    outbox: FakeOutbox = field(default_factory=FakeOutbox)
    apns: FakeVendor | None = field(default_factory=FakeVendor)
    fcm: FakeVendor | None = field(default_factory=FakeVendor)
    clock: MovableClock = field(default_factory=MovableClock)
    alarms: list[str] = field(default_factory=list)
    credentials: str = "ours"
    caught_up: list[str] = field(default_factory=list)
    """The lanes of INCIDENTS that were read to their end."""
    on_catch_up: Callable[[], object] = lambda: None

    def __post_init__(self) -> None:
        vendors = (("apns", self.apns), ("fcm", self.fcm))
        self.sender = Sender(
            outbox=self.outbox,
            clock=self.clock,
            providers={name: Provider(name, client, self.credentials) for name, client in vendors},
            public_url="https://pager.example/",
            freshness=Freshness(self._read_incidents, self.clock),
            alarm=self._alarm,
            chance=lambda: 0.5,
        )

        self.outbox.on_commit = self.sender.wake

    async def __aenter__(self) -> Bench:
        self._task = asyncio.create_task(self.sender.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something, in real time; fails after a deadline."""
        async with in_time():
            while not holds():
                assert not self._task.done(), self._task
                await asyncio.sleep(0.001)

    async def turn(self) -> None:
        """Whatever can happen at this moment of the clock happens."""
        self.sender.wake()
        for _ in range(100):
            await asyncio.sleep(0)

    async def settled(self) -> None:
        """Until nothing is owed that is due now."""
        await self.until(lambda: not self.outbox._rows())

    def page(self, command: IntendNotification) -> UUID:
        one = self.outbox.intend(command)
        self.sender.wake()
        return one

    async def _read_incidents(self, lane: str) -> None:
        self.caught_up.append(lane)
        self.on_catch_up()

    async def _alarm(self, summary: str, _key: str, _description: str) -> None:
        self.alarms.append(summary)
