"""Simulations give the decisions of incidents plain objects: those say what the tables would have said."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from pydantic_core import from_json, to_json
from sqlalchemy import select

from libs.chassis.consume.item import Item
from libs.chassis.store.cursors import Position
from libs.chassis.store.desk import Desk
from libs.chassis.store.store import Store
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.chassis.testing.clock import MovableClock
from libs.contracts.alerts import Action
from libs.contracts.envelope import Actor
from libs.contracts.incidents import CreateIncident
from libs.contracts.integrations import IntegrationKind
from libs.contracts.model import Priority
from libs.contracts.subjects import OWN_SOURCE
from services.incidents import dedup
from services.incidents.alerts.intake import take_items
from services.incidents.application import SERVICE, create_incident
from services.incidents.domain.integration import CreateIntegration
from services.incidents.inputs import Inputs, MemoryInputs, Source, StoredInputs
from services.incidents.integrations import create_integration
from services.incidents.projections import alert_repeats, alerts, dedup_keys, incidents, project, seen_alerts
from tests.decisions import questions, tables_of, told
from tests.servers import Servers

HISTORIES = range(20)
STEPS = 25
CLOCK = MovableClock()


@pytest.fixture
async def store(servers: Servers) -> AsyncIterator[Store]:
    async with tables_of("incidents", servers, CLOCK, project) as made:
        yield made


def an_id(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128))


def by_id(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A view is compared as the JSON that it becomes in its table."""
    plain = [row | {name: from_json(to_json(row.get(name))) for name in ("view", "links")} for row in rows]
    return sorted(plain, key=lambda row: str(row["id"]))


@dataclass
class History:
    """Random alerts and incidents of people, which share a few keys: decided on tables and on a desk."""

    seed: int
    store: Store
    desk: Desk = field(default_factory=lambda: Desk(project))
    sources: dict[str, Source] = field(default_factory=dict)
    decided: set[str] = field(default_factory=set)
    """What kinds of facts."""

    def __post_init__(self) -> None:
        self.began = CLOCK.now()
        self.chance = random.Random(self.seed)
        self.keys = [f"key {self.seed}.{n}" for n in range(3)]
        self.routing_keys: list[str] = []
        self.positions = count(1)
        self.inputs = MemoryInputs(self.desk, self.sources)

    async def happen(self) -> None:
        [number] = await self.store.read(lambda work: StoredInputs(work).numbers(1))
        self.inputs.numbers(number)  # an earlier history has taken them
        for _step in range(2):
            await self.step(self.integration)
        for _step in range(STEPS):
            await self.step(self.alerts, self.alerts, self.alerts, self.person)

    async def step(self, *whats: Callable[[], Awaitable[None]]) -> None:
        await self.chance.choice(whats)()
        CLOCK.advance(seconds=1)

    async def integration(self) -> None:
        key = f"{self.chance.getrandbits(128):032x}"
        policy, team = an_id(self.chance), self.chance.choice((None, an_id(self.chance)))
        command = CreateIntegration(an_id(self.chance), "any", IntegrationKind.GENERIC, policy, team)
        await self._both(lambda work, _inputs: create_integration(work, command, key, work.begin(SERVICE)))
        self.sources[dedup.key_hash(key)] = Source(command.integration_id, policy, team)
        self.routing_keys.append(key)

    async def person(self) -> None:
        body = CreateIncident(
            title="somebody saw it",
            priority=self.chance.choice(list(Priority)),
            dedup_key=self.chance.choice((None, *self.keys)),
        )
        caller = Actor.user(an_id(self.chance))
        await self._both(lambda work, inputs: create_incident(work, body, work.begin(caller), inputs))

    async def alerts(self) -> None:
        items = [self._alert() for _ in range(self.chance.randint(1, 6))]
        await self._both(lambda work, inputs: take_items(work, items, inputs))

    def _alert(self) -> Item:
        """One that can be read and acted on, or is refused."""
        source = self.chance.choice(("db", "web", OWN_SOURCE))
        key = None if source == OWN_SOURCE else self.chance.choice((None, *self.routing_keys))
        may_answer = key is not None or source == OWN_SOURCE
        body = {
            "summary": f"it burns {self.chance.randrange(100)}",
            "priority": self.chance.choice(("critical", "P2", "warning", "info", "unheard of")),
            "dedupKey": self.chance.choice((None, *self.keys)),
            "action": self.chance.choice(list(Action)) if may_answer else Action.TRIGGER,
            "routingKey": key,
            "fingerprint": self.chance.choice((None, f"pod-1 {self.seed}", f"pod-2 {self.seed}")),
            "metadata": {"load": self.chance.random()},
            "occurredAt": (CLOCK.now() - timedelta(minutes=self.chance.randrange(9))).isoformat(),
        }
        subject = f"pager.alerts.{source}" + self.chance.choice(("", ".critical"))
        raw = dedup.without_keys(self._odd(json.dumps(body)).encode())
        return Item(self._place(), "", raw, self._headers(), subject, stored_at=self.chance.getrandbits(60))

    def _odd(self, body: str) -> str:
        """Now and then: nothing but garbage, an odd field, no summary, a key that nobody knows."""
        garbage = f"garbage {self.seed}.{self.chance.randrange(3)}"  # of no other history in the same tables
        key = self.chance.choice((*self.routing_keys, "of nobody"))
        odd = (
            garbage,
            f'{garbage} "routingKey": "{key}"',
            f'{{"summary": "{garbage}", "routingKey": "of nobody"}}',
            f'{{"summary": "{garbage}", "routingKey": "of nobody", "action": "resolve"}}',
            f'{{"summary": "{garbage}", "dedupKey": [7], "metadata": {{"load": [1e400, NaN, "\\u0000"]}}}}',
            f'{{"priority": "critical", "of": {self.seed}}}',
        )
        return self.chance.choice(odd) if self.chance.random() < 0.2 else body

    def _headers(self) -> dict[str, str]:
        """Of a CloudEvent, perhaps of one that came before, or of none."""
        if self.chance.random() < 0.5:
            return {}
        name = str(self.chance.randrange(20))
        return {"ce-specversion": "1.0", "ce-source": f"/sender/{self.seed}", "ce-id": name, "ce-type": "any"}

    def _place(self) -> Position:
        return Position(0, next(self.positions), 0, f"stream {self.seed}")

    async def _both(self, handler: Callable[[Work, Inputs], object]) -> None:
        seed = self.chance.getrandbits(64)

        def seeded(work: Work, inputs: Inputs) -> None:
            chance = random.Random(seed)
            work.new_id = lambda: an_id(chance)
            handler(work, inputs)

        on_tables = await self.store.transact(lambda work: seeded(work, StoredInputs(work)))
        on_desk = self.desk.take(lambda work: seeded(work, self.inputs), CLOCK.now())
        assert told((d.event for d in on_tables.decided), "traceparent") == told(on_desk, "traceparent")
        self.decided |= {type(event.data).__name__ for event in on_desk}

    async def compare_tables(self) -> None:
        for table in (incidents, dedup_keys, seen_alerts, alerts, alert_repeats):
            on_desk = self.desk.rows(table)
            mine = select(table).where(table.c.id.in_([row["id"] for row in on_desk]))
            rows = await self.store.read(lambda work, mine=mine: work.fetch(mine))  # type: ignore[misc]
            assert by_id(rows) == by_id(on_desk), table.name
        parked = chassis_tables("incidents").parked
        mine = select(parked).where(parked.c.parked_at >= self.began).order_by(parked.c.id)
        rows = await self.store.read(lambda work: work.fetch(mine))
        assert rows, "some were set aside"
        on_tables = [{k: v for k, v in row.items() if k not in ("id", "alarmed_at")} for row in rows]
        assert on_tables == self.desk.rows(parked)


async def test_random_histories_end_in_the_same_facts_and_rows_on_tables_and_on_a_desk(
    store: Store, subtests: pytest.Subtests
) -> None:
    decided: set[str] = set()
    for seed in HISTORIES:
        with subtests.test(seed=seed):
            history = History(seed, store)
            await history.happen()
            await history.compare_tables()
            decided |= history.decided
    assert decided == {
        "IntegrationCreated",
        "IntegrationKeyAdded",
        "IncidentCreated",
        "AlertsGrouped",
        "AlertAdded",
        "AlertResolved",
        "PriorityRaised",
        "PagingRequested",
        "IncidentAcknowledged",
        "IncidentResolved",
    }


async def test_a_batch_of_new_alerts_asks_four_times_however_many_they_are(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = CreateIntegration(UUID(int=1), "any", IntegrationKind.CLOUDEVENTS)
    await store.transact(lambda work: create_integration(work, command, "its key", work.begin(SERVICE)))
    asked = questions(monkeypatch)
    raw = json.dumps({"summary": "it burns", "routingKey": "its key"}).encode()
    items = [
        Item(Position(0, n, 0, "stream"), "", raw, {"ce-source": "/sender", "ce-id": str(n)}, "pager.alerts.db")
        for n in range(1, 51)
    ]
    committed = await store.transact(lambda work: take_items(work, items))
    # The integrations, the repeats, the dedup keys and the numbers: new incidents have no events to be read.
    assert asked == ["rows"] * 4
    assert committed.events == 50
