"""What a service is made of: what it answers, what it reads, what it does by itself, what is watched and forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Column

from libs.chassis.bus.connection import Bus
from libs.chassis.clock import Clock
from libs.chassis.consume.fetched_keys import FetchedKeys
from libs.chassis.consume.follower import Consumer, Follower
from libs.chassis.consume.owed import OwedAlarms
from libs.chassis.consume.reader import StoredReader
from libs.chassis.monitor.watched import Watched
from libs.chassis.requests.callers import Sessions
from libs.chassis.requests.server import Requests
from libs.chassis.settings import ServiceSettings
from libs.chassis.store.changes import Row
from libs.chassis.store.keyring import Keyring
from libs.chassis.store.person_keys import StoredKeys
from libs.chassis.store.pruning import Retention
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.chassis.timers import Fire
from libs.contracts.auth import KeySet
from libs.contracts.health import Effect, Trouble
from libs.contracts.subjects import lanes_of

FetchKeys = Callable[[], Awaitable[KeySet]]


@dataclass
class Runtime:
    """What a service's own parts are built on. `work` serves the active replica, `rpc` the request handlers."""

    name: str
    settings: ServiceSettings
    clock: Clock
    bus: Bus
    work: Store
    rpc: Store
    alarms: OwedAlarms
    """For what is found where pages wait."""
    keyring: Keyring | None = None
    """The keys of persons that it holds."""
    readers: list[StoredReader] = field(default_factory=list)
    """All that the service reads; known once its parts are built."""
    parked: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it when something was parked for a failure: the admins are paged about it."""

    def follow(self, consumers: Iterable[Consumer]) -> list[Follower]:
        """The readers of these upstreams, one a lane."""
        return [
            Follower(self.name, consumer, lane, self.work, self.bus, self.parked.set, self.is_pressed)
            for consumer in consumers
            for lane in lanes_of(consumer.upstream)
        ]

    def is_pressed(self) -> bool:
        """Whether work on the paging path waits that patient consumers let go first."""
        return any(reader.pressing for reader in self.readers)

    async def read_to_end(self, upstream: str, lane: str) -> None:
        """Return when all that a lane of the upstream holds now has taken effect here; raises BusAway."""
        of_lane = [r for r in self.readers if isinstance(r, Follower) and (r.upstream, r.lane) == (upstream, lane)]
        await asyncio.gather(*(follower.read_to_end() for follower in of_lane))


@dataclass(frozen=True)
class Answers:
    """What it answers, in every replica."""

    requests: Requests
    keys: FetchKeys | None = None
    """Where the public keys of its callers' tokens come from; by default auth is asked."""
    sessions: Sessions | None = None
    """Who knows which sessions are over; by default what auth publishes is followed."""


class Engine:
    """What a service does by itself, beside answering, reading and firing timers. It overrides what it has."""

    async def prepare(self) -> None:
        """Once in every replica, before anything is served: e.g. what a first start makes."""

    async def lead(self) -> None:
        """In the active replica, from when its first replicas are read until it is cancelled."""

    def committed(self, rows: Sequence[Row] | None) -> None:
        """After each commit, with the rows that it set (None: not known, it was another replica's)."""

    def health(self) -> dict[str, Any]:
        """What else the service's health says."""
        return {}

    def troubles(self) -> Iterable[Trouble]:
        """What it knows to be wrong with others: a vendor, a disk, a policy."""
        return ()

    async def close(self) -> None:
        """Once in every replica, after the last answer."""


@dataclass
class Beginning(Engine):
    """Nothing but what a first start makes, in a transaction that may run again."""

    store: Store
    make: Callable[[Work], object]

    async def prepare(self) -> None:
        await self.store.transact(self.make)


@dataclass
class PersonsKeys(Engine):
    """The keys of those whose texts this service must read while auth is away."""

    fetched: FetchedKeys

    async def prepare(self) -> None:
        keyring = self.fetched.keyring

        def answer(work: Work) -> None:
            keyring.take_turns(work)
            keyring.roll_call.answer(work)

        await self.fetched.store.transact(answer)

    async def close(self) -> None:
        await self.fetched.keyring.roll_call.leave(self.fetched.store)

    async def lead(self) -> None:
        await self.fetched.run()

    def committed(self, rows: Sequence[Row] | None) -> None:
        if any(row.table is self.fetched.whose.table for row in rows or ()):
            self.fetched.wake()

    def troubles(self) -> Iterable[Trouble]:
        if self.fetched.are_missing:
            problem = f"has not given {self.fetched.keyring.schema} the keys of {self.fetched.missing} people"
            yield Trouble(culprit="auth", problem=problem, effect=Effect.FAULT)


def persons_keys(runtime: Runtime, whose: Column[UUID]) -> PersonsKeys:
    """Those of the people in `whose`, a column of a table of the service's own."""
    keyring = runtime.keyring
    assert isinstance(keyring, StoredKeys)  # noqa: S101 - narrows for the type checker
    return PersonsKeys(FetchedKeys(runtime.work, runtime.bus, runtime.clock, keyring, whose))


@dataclass
class Parts:
    """What `main.build(runtime)` returns."""

    answers: Answers
    reads: Sequence[StoredReader] = ()
    fire: Fire | None = None
    """What it decides when its timers are due."""
    engines: Sequence[Engine] = ()
    """What it does by itself beside that: they begin in this order."""
    watched: Watched = field(default_factory=Watched)
    forgets: Sequence[Retention] = ()
    """Which rows of this service matter only for a while."""


Build = Callable[[Runtime], Parts]
