"""The composition of a running service: requests in every replica; relay, consumption and timers in the active one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import structlog
from faststream.nats.security import NatsSecurity
from nats.errors import Error as NatsError

from libs.chassis.bus.connection import CONNECTION_OPTIONS, Bus
from libs.chassis.bus.relay import Relay
from libs.chassis.bus.wire import Broker, Wire
from libs.chassis.clock import Clock
from libs.chassis.consume.alarm import ParkedAlarms
from libs.chassis.consume.follower import Consumer, Follower
from libs.chassis.consume.leader import Leader
from libs.chassis.consume.owner import NoRequest
from libs.chassis.measure import telemetry
from libs.chassis.measure.metrics import GaugeValue
from libs.chassis.monitor.monitoring import Monitoring
from libs.chassis.requests.callers import Verifier
from libs.chassis.requests.idempotency import KEPT
from libs.chassis.requests.operations import (
    Replay,
    add_health_operation,
    add_log_operations,
    add_parked_operations,
    replay_of,
)
from libs.chassis.requests.server import Requests, RequestServer
from libs.chassis.settings import ServiceSettings
from libs.chassis.stopping import stoppable
from libs.chassis.store.changes import Row
from libs.chassis.store.connections import RPC, WORK
from libs.chassis.store.pruning import Pruning, Retention
from libs.chassis.store.store import Store, Written
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Decided, Projector, Work
from libs.chassis.timers import Fire, Timers
from libs.contracts.auth import KeySet
from libs.contracts.model import Lane
from libs.contracts.requests import Reply
from libs.contracts.subjects import lanes_of, rpc_subject, wake_subject

_log = structlog.get_logger()


_CATCH_UP = 2.0
"""Seconds that overdue timers wait for it: a page too many is better than none."""


def _nothing(_: object) -> tuple[()]:
    return ()


FetchKeys = Callable[[], Awaitable[KeySet]]
Leading = Callable[[], Awaitable[None]]


@dataclass
class Runtime:
    """What a service's own parts are built on. `work` serves the active consumer, `rpc` the request handlers."""

    name: str
    settings: ServiceSettings
    clock: Clock
    bus: Bus
    work: Store
    rpc: Store
    followers: list[Follower]
    parked: asyncio.Event
    """Set it when something was parked for a failure: the admins are paged about it."""

    async def read_to_end(self, upstream: str, lane: str) -> None:
        """Return when all that a lane of the upstream holds now has taken effect here; raises BusAway."""
        followers = [f for f in self.followers if f.consumer.upstream == upstream and f.lane == lane]
        await asyncio.gather(*(f.read_to_end() for f in followers))


@dataclass
class Parts:
    """What a service is made of; its `main.build(runtime)` returns this.

    `leading`: further tasks of the active replica, started when its first replicas are read. `on_commit`: called
    after each commit with the rows that it set (None: not known, it was another replica's), to wake such a task.
    `replays`: how to try parked inputs of other origins again.
    `prepare`: runs once before anything is served, e.g. to make what a first start makes.
    """

    requests: Requests
    consumers: Sequence[Consumer] = ()
    fire: Fire | None = None
    leading: Sequence[Leading] = ()
    on_commit: Sequence[Callable[[Sequence[Row] | None], None]] = ()
    replays: Mapping[str, Replay] = field(default_factory=dict)
    prepare: Callable[[], Awaitable[None]] | None = None
    keys: FetchKeys | None = None
    """Where the access tokens' public keys come from; by default auth is asked."""
    closing: Callable[[], Awaitable[None]] | None = None
    pressing: Callable[[], bool] = lambda: False
    """Whether work on the paging path waits that patient consumers let go first."""
    forget: Sequence[Retention] = ()
    """Which rows of this service matter only for a while."""
    health_extra: Callable[[], dict[str, Any]] = dict
    """What else this service's health says."""
    observe: Callable[[Sequence[Decided]], object] = _nothing
    """Called with what was decided, once, after its commit, in the replica that committed it: for counting."""
    gauges: Callable[[Work], Iterable[GaugeValue]] = _nothing
    """Further gauges, read from the tables when somebody asks."""
    lags: Callable[[], Mapping[tuple[str, Lane], int]] = dict
    """Messages not taken yet of streams that have no `Consumer`; asked in the active replica."""


Build = Callable[[Runtime], Parts]


@dataclass
class Service:
    """One replica of one service; `async with Service(...)` for tests, `run` for a process."""

    name: str
    settings: ServiceSettings
    clock: Clock
    project: Projector
    build: Build
    followers: list[Follower] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def start(self) -> None:
        """Connect and serve; returns when requests are answered."""
        telemetry.start(self.name)
        self.broker = Broker(**self._connection())
        self.bus = Bus(cast("Wire", await self.broker.connect()))
        await self.bus.start()
        self.runtime = Runtime(
            self.name,
            self.settings,
            self.clock,
            self.bus,
            self.store("work", WORK),
            self.store("rpc", RPC),
            self.followers,
            asyncio.Event(),
        )
        self.parts = self.build(self.runtime)
        self.leader = Leader(self.settings.database_url.get_secret_value(), self.name, self.settings.instance)
        self.relay = Relay(self.name, self.runtime.work, self.bus, self.clock)
        self.timers = (
            Timers(self.name, self.runtime.work, self.clock, self.parts.fire) if self.parts.fire is not None else None
        )
        self.monitoring = Monitoring(self)
        for store in (self.runtime.work, self.runtime.rpc):
            store.listen(self._committed)
            store.observe(self.monitoring.observe)
        self.followers.extend(
            Follower(
                self.name, consumer, lane, self.runtime.work, self.bus, self.runtime.parked.set, self.parts.pressing
            )
            for consumer in self.parts.consumers
            for lane in lanes_of(consumer.upstream)
        )
        if self.parts.prepare is not None:
            await self.parts.prepare()
        await self._serve()
        await self.monitoring.start()
        self._tasks.append(
            asyncio.create_task(stoppable(partial(self.leader.run, self._lead)), name=f"{self.name} leader")
        )

    async def _serve(self) -> None:
        requests = self.parts.requests
        replays = {f.consumer.upstream: replay_of(f) for f in self.followers} | dict(self.parts.replays)
        add_log_operations(requests, self.runtime.rpc)
        add_parked_operations(requests, self.runtime.rpc, replays)
        add_health_operation(
            requests,
            self.runtime.rpc,
            self.settings.instance,
            lambda: (self.leader.active, self.followers),
            self.parts.health_extra,
        )
        verifier = Verifier(self.parts.keys or self._auth_keys, self.clock)
        RequestServer(requests, self.runtime.rpc, verifier).attach(self.broker)
        await self.bus.client.subscribe(wake_subject(self.name), cb=self._woken)
        await self.broker.start()
        await self.bus.client.flush()  # only then does the server know who answers

    async def stop(self) -> None:
        """Stop serving and hand the lock over at once."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.monitoring.stop()
        await self.broker.stop()
        if self.parts.closing is not None:
            await self.parts.closing()
        self.runtime.work.close()
        self.runtime.rpc.close()
        telemetry.stop(self.name)

    async def finished(self) -> None:
        """Returns, or raises, only if the service can no longer run."""
        await asyncio.gather(*self._tasks)

    def _connection(self) -> dict[str, Any]:
        url = self.settings.nats_url.get_secret_value()
        user = url.split("://", 1)[-1].split(":", 1)[0]

        async def interrupted() -> None:
            _log.warning("bus away", service=self.name)
            await self.bus.interrupted()

        async def back() -> None:
            _log.info("bus back", service=self.name)
            await self.bus.restored()

        return (
            CONNECTION_OPTIONS
            | self._security()
            | {
                "servers": [url],
                "name": f"pager-{self.name}-{self.settings.instance}",
                # Replies come to an inbox of our own: in a shared one anybody could read them (prototype, 7).
                "inbox_prefix": f"_INBOX_{user}",
                "disconnected_cb": interrupted,
                "reconnected_cb": back,
                "logger": None,
            }
        )

    def _security(self) -> dict[str, Any]:
        """FastStream takes the options of TLS as an object of its own."""
        if not (tls := self.settings.nats_tls()):
            return {}
        return {"security": NatsSecurity(ssl_context=tls["tls"], tls_handshake_first=tls["tls_handshake_first"])}

    def store(self, role: str, connections: int) -> Store:
        """Another way to this service's tables; `role` names its sessions."""
        return Store(
            self.settings.database_url.get_secret_value(),
            self.name,
            clock=self.clock,
            projector=self.project,
            instance=self.settings.instance,
            role=role,
            connections=connections,
        )

    def _committed(self, written: Written) -> None:
        self.relay.hand(written.runs)
        if self.timers is not None:
            self.timers.wake(written.rows)
        for listener in self.parts.on_commit:
            listener(written.rows)
        if not self.leader.active and self.bus.connected:
            # A lost wake is made good by the active replica's look at its tables once a second.
            asyncio.get_running_loop().create_task(self._wake_others())

    async def _wake_others(self) -> None:
        with contextlib.suppress(NatsError):
            await self.bus.client.publish(wake_subject(self.name), b"")

    async def _woken(self, _message: Any) -> None:
        self.relay.wake()
        if self.timers is not None:
            self.timers.wake()
        for listener in self.parts.on_commit:
            listener(None)

    async def _lead(self) -> None:
        """Everything that only one replica does, in the order of rule 12."""
        self.runtime.work.forget()  # another one may have decided since we led
        first = [f for f in self.followers if f.consumer.first]
        answers = Retention(chassis_tables(self.name).answers, "answered_at", KEPT)
        pruning = Pruning(self.name, self.runtime.work, self.clock, (answers, *self.parts.forget))
        alarms = ParkedAlarms(self.name, self.runtime.work, self.bus, self.clock, self.runtime.parked)
        async with asyncio.TaskGroup() as group:
            group.create_task(stoppable(self.relay.run))
            group.create_task(stoppable(alarms.run))
            group.create_task(stoppable(pruning.run))
            for follower in self.followers:
                follower.caught_up.clear()
            for follower in first:
                group.create_task(stoppable(follower.run))
            await asyncio.gather(*(f.caught_up.wait() for f in first))
            for follower in self.followers:
                if not follower.consumer.first:
                    group.create_task(stoppable(follower.run))
            if self.timers is not None:
                group.create_task(self._fire_timers(self.timers))
            for task in self.parts.leading:
                group.create_task(stoppable(task))

    async def _fire_timers(self, timers: Timers) -> None:
        """What was due while nobody led fires after what happened meanwhile is read: it may have been acknowledged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP):
                await asyncio.gather(*(f.caught_up.wait() for f in self.followers))
        await stoppable(timers.run)

    async def _auth_keys(self) -> KeySet:
        raw = await self.bus.request(rpc_subject("auth", "keys"), NoRequest().to_json())
        return KeySet.model_validate(Reply.model_validate_json(raw).data)
