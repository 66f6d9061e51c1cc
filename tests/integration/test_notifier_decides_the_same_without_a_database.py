"""Simulations and unit tests give the notifier plain objects: those say what its tables would have said."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from libs.chassis.store.store import Store
from libs.chassis.store.work import Cause, Work
from libs.chassis.testing.clock import MovableClock
from libs.contracts.auth import DeviceRemoved, Platform, UserDeactivated, UserReactivated
from libs.contracts.envelope import Envelope
from libs.contracts.model import Lane
from libs.contracts.notifier import NotificationIntended, NotificationKind, NotificationWithdrawn
from services.notifier.application import ACTOR, Sent, follow_people, page_people, record, retire, stop_incidents
from services.notifier.domain.notification import BUNDLED, ExpireNotification
from services.notifier.domain.token import RetireToken
from services.notifier.projections import NOTIFICATIONS, PAGING, STOPPED, UNREACHABLE, project
from services.notifier.tests.flows import Flow, accepted, answer, device, due, exhausted, expired, failed, happened
from services.notifier.tests.notifications import NINE
from tests.decisions import questions, tables_of, told
from tests.servers import Servers

HISTORIES = range(20)
STEPS = 60
MOST = 1
"""Pages a minute: so few that many are bundled."""
CLOCK = MovableClock()


@pytest.fixture
async def store(servers: Servers) -> AsyncIterator[Store]:
    async with tables_of("notifier", servers, CLOCK, project) as made:
        yield made


def about(event: Envelope[Any], incident: UUID, thread: UUID | None = None) -> Envelope[Any]:
    """The same of another incident, perhaps of one that comes of a key again."""
    changed: dict[str, Any] = {"incident_id": incident}
    if hasattr(event.data, "brief"):
        changed["brief"] = event.data.brief.model_copy(update={"incident_id": incident, "thread": thread})
    return event.model_copy(update={"data": event.data.model_copy(update=changed)})


def by_key(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: str((row.get("id"), row["incident_id"], row.get("user_id"))))


@dataclass
class History:
    """Random steps of three incidents, two of one key, each taken by a notifier on tables and by one on a desk."""

    chance: random.Random
    store: Store
    flow: Flow = field(default_factory=lambda: Flow(most=MOST))

    def __post_init__(self) -> None:
        self.incidents = [self._an_id() for _ in range(3)]
        self.thread = self._an_id()
        self.people = [self._an_id() for _ in range(3)]
        CLOCK.moment = NINE

    def _an_id(self) -> UUID:
        return UUID(int=self.chance.getrandbits(128))

    async def happen(self) -> None:
        for _step in range(10):
            await self.step(self.devices)
        for _step in range(STEPS):
            often = (self.pages, self.pages, self.results, self.results)
            await self.step(self.devices, self.people_leave, self.answers, self.tokens, *often)

    async def step(self, *whats: Callable[[], Awaitable[None]]) -> None:
        await self.chance.choice(whats)()
        CLOCK.advance(seconds=self.chance.choice((1, 1, 1, 1, 60)))
        self.flow.now = CLOCK.now()

    async def devices(self) -> None:
        """One is registered, perhaps again or with the token of another one, or removed."""
        user, name = self.chance.choice(self.people), f"device {self.chance.randrange(3)}"
        event = device(name, self.chance.choice(list(Platform)), user)
        now = {"push_token": f"token {self.chance.randrange(4)}", "registered_at": CLOCK.now()}
        event = event.model_copy(update={"data": event.data.model_copy(update=now)})
        if self.chance.random() < 0.2:
            event = happened(DeviceRemoved(user_id=user, device_id=name, reason="lost"))
        await self._both(follow_people, [event], self.flow.register)

    async def people_leave(self) -> None:
        """Or come back, perhaps twice, perhaps both at once."""
        facts = self.chance.choices((UserDeactivated, UserReactivated), k=self.chance.randint(1, 2))
        user = self.chance.choice(self.people)
        events = [happened(fact(user_id=user, by=ACTOR, at=CLOCK.now()), Lane.ROUTINE) for fact in facts]
        await self._both(follow_people, events, self.flow.register)

    async def pages(self) -> None:
        """Levels fall due, also earlier ones and those that were due before."""
        events = [self._due() for _ in range(self.chance.randint(1, 3))]
        await self._both(partial(page_people, most=MOST), events, self.flow.page)

    def _due(self) -> Envelope[Any]:
        run, incident = self.chance.randint(1, 3), self.chance.choice(self.incidents)
        thread = self.thread if incident in self.incidents[1:] else None
        if self.chance.random() < 0.1:
            return about(exhausted(run), incident, thread)
        lane, people = self.chance.choice(list(Lane)), self.chance.sample(self.people, self.chance.randint(1, 3))
        place = (run, self.chance.randint(1, 3), self.chance.randint(1, 4))
        return about(due(*place, lane=lane, people=people), incident, thread)

    async def answers(self) -> None:
        """Somebody answers, also before the first page and in the same moment as somebody else."""
        events = [self._answer() for _ in range(self.chance.randint(1, 2))]
        await self._both(stop_incidents, events, self.flow.answer)

    def _answer(self) -> Envelope[Any]:
        what = self.chance.choice(("acknowledged", "snoozed", "resolved", "closed"))
        at = CLOCK.now() + timedelta(seconds=self.chance.randrange(3))
        event = answer(what, self.chance.randint(0, 3), self.chance.choice(list(Lane)), at)
        return about(event, self.chance.choice(self.incidents))

    async def results(self) -> None:
        """Vendors take pages, refuse them, or call their tokens dead; some pages were not sent in time."""
        pages = self.chance.sample(self.flow.pages, min(len(self.flow.pages), self.chance.randint(1, 3)))
        results = [self._result(page) for page in pages]
        await self._both(record, results, self.flow.record)

    def _result(self, page: NotificationIntended) -> Sent:
        state = self.flow.inputs.notifications[page.incident_id][page.notification_id]
        attempt, kind = state.attempts + 1, state.sending.kind if state.sending else NotificationKind.PAGE
        reason = f"reason {self.chance.randrange(100)}"
        match self.chance.randrange(4):
            case 0:
                return accepted(page, attempt, kind)
            case 1:
                return expired(page)._replace(command=ExpireNotification(CLOCK.now()))
            case 2:
                return failed(page, reason, attempt, again=True, kind=kind)
            case _:
                return failed(page, reason, attempt, kind=kind)

    async def tokens(self) -> None:
        """A token turns out to be dead, perhaps one that was registered anew meanwhile."""
        dead_at = CLOCK.now() - timedelta(seconds=self.chance.randrange(60))
        user, name = self.chance.choice(self.people), f"device {self.chance.randrange(3)}"
        dead = RetireToken(user, name, dead_at - timedelta(seconds=1), dead_at, "dead")
        await self._both(retire, [(dead, Cause(ACTOR, self._an_id()))], self.flow.retire)

    async def _both(
        self, handler: Callable[[Work, Any], None], given: Sequence[Any], on_desk: Callable[..., object]
    ) -> None:
        before = len(self.flow.events)
        committed = await self.store.transact(lambda work: handler(work, given))
        on_desk(*given)
        assert told((d.event for d in committed.decided), "causation_id") == told(
            self.flow.events[before:], "causation_id"
        )

    async def compare_tables(self) -> None:
        for table in (STOPPED, PAGING, NOTIFICATIONS, UNREACHABLE):
            mine = select(table).where(table.c.incident_id.in_(self.incidents))
            rows = await self.store.read(lambda work, mine=mine: work.fetch(mine))  # type: ignore[misc]
            assert by_key(rows) == by_key(self.flow.desk.rows(table)), table.name


async def test_random_histories_end_in_the_same_facts_and_rows_on_tables_and_on_a_desk(
    store: Store, subtests: pytest.Subtests
) -> None:
    decided: set[str] = set()
    for seed in HISTORIES:
        with subtests.test(seed=seed):
            history = History(random.Random(seed), store)
            await history.happen()
            await history.compare_tables()
            decided |= {type(event.data).__name__ for event in history.flow.events}
            decided |= {fact.reason.partition(":")[0] for fact in history.flow.unreachable}
            facts = [event.data for event in history.flow.events]
            decided |= {BUNDLED for fact in facts if isinstance(fact, NotificationWithdrawn) and fact.reason == BUNDLED}
    assert decided == {
        "NotificationIntended",
        "NotificationAccepted",
        "AttemptFailed",
        "NotificationReplaced",
        "NotificationWithdrawn",
        "PersonUnreachable",
        "PushTokenRetired",
        "no device",
        "deactivated",
        "bundled",
        "every method failed",
    }


async def test_a_batch_of_new_pages_asks_three_times_however_many_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = [UUID(int=n) for n in range(1, 51)]
    await store.transact(lambda work: follow_people(work, [device(user=user) for user in users]))
    asked = questions(monkeypatch)
    pages = [about(due(people=(user,)), UUID(int=user.int)) for user in users]
    committed = await store.transact(lambda work: page_people(work, pages))
    # The lane's turn, what was heard of the incidents, and the devices: new pages have no events to be read.
    assert asked == ["rows"] * 3
    assert committed.events == 50
