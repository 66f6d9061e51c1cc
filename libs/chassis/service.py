"""The composition of a running service: requests in every replica; relay, consumption and timers in the active one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import structlog
from faststream.nats.security import NatsSecurity
from nats.errors import Error as NatsError

from libs.chassis.bus.agreement import Odds
from libs.chassis.bus.connection import CONNECTION_OPTIONS, Bus
from libs.chassis.bus.relay import Relay
from libs.chassis.bus.sending import has_sent
from libs.chassis.bus.wire import Broker, Wire
from libs.chassis.clock import Clock
from libs.chassis.consume.alarm import ParkedAlarms
from libs.chassis.consume.leader import Leader, begins_again
from libs.chassis.consume.owed import Alarm, OwedAlarms
from libs.chassis.consume.owner import NoRequest
from libs.chassis.consume.reader import StoredReader
from libs.chassis.measure import telemetry
from libs.chassis.measure.meters import meters
from libs.chassis.monitor.monitoring import Monitoring
from libs.chassis.monitor.watched import Replica
from libs.chassis.parts import Build, Engine, Runtime
from libs.chassis.requests.callers import Verifier
from libs.chassis.requests.cursors import Cursors
from libs.chassis.requests.idempotency import KEPT
from libs.chassis.requests.operations import add_health_operation, add_log_operations, add_parked_operations
from libs.chassis.requests.revoking import Revoking
from libs.chassis.requests.server import RequestServer
from libs.chassis.requests.sessions import EndedSessions
from libs.chassis.settings import ServiceSettings
from libs.chassis.stopping import Stop, stoppable
from libs.chassis.store.connections import MONITOR, RPC, WORK
from libs.chassis.store.keyring import Keyring
from libs.chassis.store.pruning import Pruning, Retention
from libs.chassis.store.queries import Queries
from libs.chassis.store.store import Store, Written
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Projector
from libs.chassis.timers import Timers
from libs.contracts.auth import KeySet
from libs.contracts.health import Health
from libs.contracts.requests import Reply
from libs.contracts.subjects import rpc_subject, wake_subject

_log = structlog.get_logger()
_CATCH_UP = 2.0
"""Seconds that overdue timers wait for it: a page too many is better than none."""


@dataclass
class Service:
    """One replica of one service: `start` and `stop`; `process.run` does both for a process."""

    name: str
    settings: ServiceSettings
    clock: Clock
    project: Projector
    build: Build
    keyring: Keyring | None = None
    """The keys of persons that it holds."""
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
            OwedAlarms(self.name, self.bus, self.clock),
            self.keyring,
        )
        url, instance = self.settings.database_url.get_secret_value(), self.settings.instance
        self.queries = Queries(url, self.name, clock=self.clock, instance=instance, keyring=self.keyring)
        self.parts = self.build(self.runtime)
        self.runtime.readers.extend(self.parts.reads)
        self.leader = Leader(self.settings.database_url.get_secret_value(), self.name, self.settings.instance)
        self.revoking = Revoking(self.bus)
        self.relay = Relay(self.name, self.runtime.work, self.bus, self.clock, self._tell_of_odds)
        self.timers = (
            Timers(self.name, self.runtime.work, self.clock, self.parts.fire) if self.parts.fire is not None else None
        )
        self.monitoring = Monitoring(self._watched())
        for store in (self.runtime.work, self.runtime.rpc):
            store.listen(self._committed)
            store.observe(self.monitoring.observe)
        for engine in self.parts.engines:
            await prepared(engine)
        await self._serve()
        await self.monitoring.start()
        self._begin("leader", partial(self.leader.run, self._lead))
        self._begin("owed alarms", self.runtime.alarms.run)

    def _begin(self, what: str, task: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._tasks.append(asyncio.create_task(stoppable(task), name=f"{self.name} {what}"))

    @property
    def readers(self) -> list[StoredReader]:
        """All that this service reads."""
        return self.runtime.readers

    def _watched(self) -> Replica:
        return Replica(
            name=self.name,
            settings=self.settings,
            clock=self.clock,
            bus=self.bus,
            leader=self.leader,
            relay=self.relay,
            readers=self.readers,
            has_timers=self.timers is not None,
            watched=self.parts.watched,
            stores={"work": self.runtime.work, "rpc": self.runtime.rpc, "query": self.queries},
            open_store=lambda: self.store("monitor", MONITOR),
        )

    async def _serve(self) -> None:
        requests, rpc = self.parts.answers.requests, self.runtime.rpc
        add_log_operations(requests, rpc)
        add_parked_operations(requests, rpc, self.readers)
        add_health_operation(requests, self._health)
        answers = self.parts.answers
        sessions = answers.sessions or self._follow_sessions()
        verifier = Verifier(answers.keys or self._auth_keys, self.clock, sessions, meters(self.name).forged)
        self._begin("auth's keys", verifier.follow)
        cursors = Cursors.of(self.name, self.settings.secret())
        self.server = RequestServer(requests, rpc, self.queries, verifier, cursors=cursors)
        self.server.attach(self.broker)
        await self.bus.client.subscribe(wake_subject(self.name), cb=self._woken)
        await self.broker.start()
        await has_sent(self.bus.client)  # only then does the server know who answers

    async def _health(self) -> Health:
        found, engines = await self.monitoring.health(), self.parts.engines
        extra = {name: said for engine in engines for name, said in engine.health().items()}
        troubles = tuple(trouble for engine in engines for trouble in engine.troubles())
        return found.model_copy(update={"extra": extra, "troubles": troubles})

    async def stop(self) -> None:
        """Stop serving and hand the lock over at once; whatever hangs or fails on the way is said, and left behind."""
        stop = Stop(self.name)
        await stop.tasks("tasks", self._tasks)
        await stop.step("monitoring", self.monitoring.stop)
        if self.bus.connected:  # else nothing is under way, and FastStream's stop fails
            await stop.step("answers", partial(self.server.stop, self.broker))
            await stop.step("requests", self.broker.stop)
        await stop.step("connection", self.bus.client.close)
        for engine in self.parts.engines:
            await stop.step(type(engine).__name__, engine.close)
        self.runtime.work.close()
        self.runtime.rpc.close()
        self.queries.close()
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
                # Replies come to an inbox of our own: in a shared one anybody could read them.
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
            keyring=self.keyring,
        )

    def _committed(self, written: Written) -> None:
        self.relay.hand(written.runs)
        self.revoking.committed(written.runs)
        if self.timers is not None:
            self.timers.wake(written.rows)
        for engine in self.parts.engines:
            engine.committed(written.rows)
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
        for engine in self.parts.engines:
            engine.committed(None)

    async def _lead(self) -> None:
        """Everything that only one replica does."""
        self.runtime.work.forget()  # another one may have decided since we led
        for reader in self.readers:
            reader.caught_up.clear()
        first = [reader for reader in self.readers if reader.first]
        async with asyncio.TaskGroup() as group:
            for task in (self.relay.run, self._alarms().run, self._pruning().run):
                group.create_task(stoppable(task))
            reading = [(reader, group.create_task(stoppable(reader.run))) for reader in first]
            # A cold start must not page the wrong people: what is decided by is read before what it is decided on.
            # One that has stopped for a fault says so; who is known by then is paged, for that is better than nobody.
            await asyncio.gather(*(_caught_up_or_stopped(reader, task) for reader, task in reading))
            for reader in self.readers:
                if not reader.first:
                    group.create_task(stoppable(reader.run))
            if self.timers is not None:
                group.create_task(stoppable(partial(self._fire_timers, self.timers)))
            for engine in self.parts.engines:
                group.create_task(stoppable(engine.lead))

    async def _tell_of_odds(self, odds: Odds) -> None:
        await self.runtime.alarms.tell(
            Alarm(
                f"The log of {self.name} was restored to an earlier state",
                f"epoch:{self.name}:{odds.epoch}",
                f"{odds}. Epoch {odds.epoch} is to begin after that position; until it does, nothing new of {self.name}"
                f" is published. What was lost has been told: pages were sent for it."
                f" See: pager epoch, and docs/runbooks/restore.md",
            )
        )

    def _alarms(self) -> ParkedAlarms:
        return ParkedAlarms(self.name, self.runtime.work, self.bus, self.clock, self.runtime.parked)

    def _pruning(self) -> Pruning:
        answers = Retention(chassis_tables(self.name).answers, "answered_at", KEPT)
        return Pruning(self.name, self.runtime.work, self.clock, (answers, *self.parts.forgets))

    async def _fire_timers(self, timers: Timers) -> None:
        """What was due while nobody led fires after what happened meanwhile is read: it may have been acknowledged."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CATCH_UP):
                await asyncio.gather(*(reader.caught_up.wait() for reader in self.readers))
        await timers.run()

    def _follow_sessions(self) -> EndedSessions:
        ended = EndedSessions(self.name, self.bus, self.clock)
        self._begin("sessions", ended.run)
        return ended

    async def _auth_keys(self) -> KeySet:
        raw = await self.bus.request(rpc_subject("auth", "keys"), NoRequest().to_json())
        return KeySet.model_validate(Reply.model_validate_json(raw).data)


async def prepared(engine: Engine) -> None:
    """On a tenth of a processor a first decision may take too long for its transaction; the second is compiled."""
    try:
        await engine.prepare()
    except Exception as error:
        if not begins_again(error):
            raise
        _log.warning("prepared again", reason=str(error).strip())
        await engine.prepare()


async def _caught_up_or_stopped(reader: StoredReader, running: asyncio.Task[None]) -> None:
    caught_up = asyncio.create_task(reader.caught_up.wait())
    try:
        await asyncio.wait((caught_up, running), return_when=asyncio.FIRST_COMPLETED)
    finally:
        caught_up.cancel()
