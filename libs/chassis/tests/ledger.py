"""A service reduced to what the chassis sees of it: one kind of entity that counts, and one table."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

import psycopg
from nats.aio.msg import Msg
from psycopg import AsyncConnection

from libs.chassis.bus.connection import CONNECTION_OPTIONS, Bus
from libs.chassis.bus.relay import Relay
from libs.chassis.bus.sending import has_sent
from libs.chassis.bus.wire import Wire
from libs.chassis.requests.callers import Verifier
from libs.chassis.requests.operations import add_log_operations
from libs.chassis.requests.server import Requests, RequestServer
from libs.chassis.stopping import stoppable
from libs.chassis.store.changes import Change
from libs.chassis.store.log import EventLog
from libs.chassis.store.queries import Queries
from libs.chassis.store.store import Store
from libs.chassis.store.work import Cause, Decider, Work
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import DEADLINE
from libs.chassis.testing.sessions import AllGoOn
from libs.chassis.timers import Timer, timer_set
from libs.contracts.auth import KeySet
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.incidents import AlertsGrouped
from libs.contracts.model import Lane
from tests.servers import Servers

SCHEMA = "incidents"
CAUSE = Cause(Actor.service("test"), uuid4(), None, "00-" + "a" * 32 + "-" + "b" * 16 + "-01")
T = TypeVar("T")


def counting(lane: Lane = Lane.URGENT) -> Decider[int, AlertsGrouped]:
    """State: how many there were; a command is the fact itself."""
    return Decider(int, lambda state, fact: state + int(fact.count), lambda fact, _state: [fact], lane=lambda _: lane)


COUNT = counting()


def project(event: Envelope[Any], state: int) -> Iterable[Change]:
    """One row an entity: a timer whose due time is the count in seconds after the clock's start."""
    return (timer_set(SCHEMA, Timer(event.entity, "count", MovableClock().now() + timedelta(seconds=state))),)


def add(work: Work, entity: UUID, count: int = 1, lane: Lane = Lane.URGENT) -> None:
    fact = AlertsGrouped(incident_id=entity, count=count, last_at=work.now)
    work.decide(counting(lane), entity, fact, CAUSE)


async def _no_keys() -> KeySet:
    return KeySet(keys=())


@dataclass
class Ledger:
    """`async with Ledger(servers, database) as ledger: await ledger.add(…)`"""

    servers: Servers
    database: str
    clock: MovableClock = field(default_factory=MovableClock)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def __aenter__(self) -> Self:
        self.store = self.make_store()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    def make_store(self, instance: str = "a", role: str = "work", project: Any = project) -> Store:
        made = Store(
            self.url(), SCHEMA, clock=self.clock, projector=project, instance=instance, role=role, connections=4
        )
        self._stack.callback(made.close)
        return made

    def queries(self) -> Queries:
        made = Queries(self.url(), SCHEMA, clock=self.clock, instance="a")
        self._stack.callback(made.close)
        return made

    def url(self, user: str = SCHEMA) -> str:
        return self.servers.database_url(user, self.database)

    async def connection(self, user: str = SCHEMA, *, autocommit: bool = True) -> AsyncConnection[Any]:
        """A session beside the store, closed at the end."""
        made = await AsyncConnection.connect(self.url(user), autocommit=autocommit)

        async def close() -> None:
            with suppress(psycopg.Error):
                await made.close()

        self._stack.push_async_callback(close)
        return made

    async def query(self, sql: str, *parameters: Any, user: str = "superuser") -> list[Any]:
        async with await AsyncConnection.connect(self.url(user), autocommit=True) as connection:
            cursor = await connection.execute(sql.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []

    async def bus(self, user: str = SCHEMA) -> Bus:
        """A connection to NATS as a service has it."""
        url, made = self.servers.nats_url(user), list[Bus]()

        async def interrupted() -> None:
            await made[0].interrupted()

        async def restored() -> None:
            await made[0].restored()

        options = CONNECTION_OPTIONS | {"disconnected_cb": interrupted, "reconnected_cb": restored}
        client = await Wire.to(servers=url, inbox_prefix=f"_INBOX_{user}", **options)
        bus = Bus(client)
        made.append(bus)
        await bus.start()
        self._stack.push_async_callback(client.close)
        return bus

    async def relay(self) -> asyncio.Task[None]:
        """What is committed is published."""
        relay = Relay(SCHEMA, self.store, await self.bus(), self.clock)
        self.store.listen(lambda written: relay.hand(written.runs))
        return self.run(relay.run)

    async def answer(self, requests: Requests | None = None) -> Bus:
        """A replica that answers `events`, `position` and these; closing the client of its connection kills it."""
        requests = requests or Requests(SCHEMA)
        add_log_operations(requests, self.make_store("rpc", role="rpc"))
        server = RequestServer(requests, self.store, self.queries(), Verifier(_no_keys, self.clock, AllGoOn()))
        bus = await self.bus()

        async def answer(message: Msg) -> None:
            operation = message.subject.split(".", 3)[3]
            await message.respond((await server.answer(operation, message.data, {})).to_json())

        for operation in requests.operations:
            await bus.client.subscribe(f"pager.rpc.{SCHEMA}.{operation}", cb=answer)
        await has_sent(bus.client)
        return bus

    async def begin_epoch(self, epoch: int, after: int) -> None:
        """A restore has lost what came later: the log goes on from there in a new epoch."""
        await self.query("DELETE FROM incidents.stored_events WHERE notification_id > %s", after)
        await self.query("INSERT INTO incidents.epochs (epoch, after_position) VALUES (%s, %s)", epoch, after)

    async def restore(self, after: int) -> None:
        """The log is as it was when it ended there: positions are given out again, and nobody has begun an epoch."""
        await self.query("DELETE FROM incidents.stored_events WHERE notification_id > %s", after)
        sequence = "incidents.stored_events_notification_id_seq"
        await self.query("SELECT setval(%s::regclass, greatest(%s, 1), %s > 0)", sequence, after, after)

    def run(self, task: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Runs beside the test and is stopped at its end."""
        running = asyncio.create_task(stoppable(task))

        async def stop() -> None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

        self._stack.push_async_callback(stop)
        return running

    async def add(self, count: int = 1, entity: UUID | None = None, lane: Lane = Lane.URGENT) -> int:
        """One event; returns its position."""
        committed = await self.store.transact(lambda work: add(work, entity or uuid4(), count, lane))
        assert committed.position is not None
        return committed.position

    async def events(self) -> list[tuple[int, str]]:
        """(position, lane) of the whole log in order."""
        rows = await self.query("SELECT notification_id, lane FROM incidents.stored_events ORDER BY notification_id")
        return [(row[0], row[1]) for row in rows]

    async def lane(self, lane: Lane = Lane.URGENT) -> list[int]:
        """The positions of a lane, in order."""

        def read(log: EventLog, cursor: Any) -> list[int]:
            return [event.position for event in log.read_lane(cursor, lane, 0, 10_000)]

        return await self.store.log_read(read)


async def until(look: Callable[[], Awaitable[T]], good: Callable[[T], bool], what: str) -> T:
    """Looks until it is so; fails after a deadline."""
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while not good(seen := await look()):
        assert asyncio.get_running_loop().time() < deadline, f"never saw {what}; last: {seen}"
        await asyncio.sleep(0.02)
    return seen
