"""How a service is watched: its readiness, its metrics, and the two ways to ask for them (port and bus)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from libs.chassis.bus.connection import Bus
from libs.chassis.consume.parking import count_parked
from libs.chassis.consume.reader import place_of
from libs.chassis.measure.meters import meters
from libs.chassis.measure.metrics import GaugeValue
from libs.chassis.monitor.port import Monitor, Readiness
from libs.chassis.monitor.sampling import database_samples, process_samples
from libs.chassis.monitor.storing import Storing
from libs.chassis.monitor.watched import Replica
from libs.chassis.stopping import stoppable
from libs.chassis.store.door import Door
from libs.chassis.store.store import Store, is_away
from libs.chassis.store.work import Decided, Work
from libs.contracts.health import Health
from libs.contracts.model import Lane
from libs.contracts.requests import MetricsView, Reply
from libs.contracts.subjects import rpc_subject

_log = structlog.get_logger()

BUS_GRACE = 5.0
"""Seconds without a connection after which a process is not ready: a restart of one NATS node takes two."""
_FRESH = 1.0
"""Seconds for which the database is not asked again, however often we are."""
_STALE = 5.0
"""Seconds for which an old answer stands in for one that is slow to come."""
_SCRAPE_WAIT = 0.3
"""Seconds that metrics wait for the database: the gateway waits 0.5 for all of our answer."""
_READY_WAIT = 2.0
_HEALTH_WAIT = 1.0
"""Seconds that health waits for the database: whoever asks for it waits for two (`verdict.PATIENCE`)."""


class BusWatch:
    """For how long the bus has been away."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._since = asyncio.get_running_loop().time()
        bus.on_interruption(self._interrupted)

    def _interrupted(self) -> None:
        self._since = asyncio.get_running_loop().time()

    def reasons(self) -> list[str]:
        """Why the bus makes this process unready: nothing, or one sentence."""
        away = 0.0 if self._bus.connected else asyncio.get_running_loop().time() - self._since
        return [f"bus: away for {away:.0f} s"] if away > BUS_GRACE else []


class Monitoring:
    """Asks the database over a connection of its own: it must not wait for what it watches."""

    def __init__(self, replica: Replica) -> None:
        self._replica = replica
        self._meters = meters(replica.name)
        self._bus = BusWatch(replica.bus)
        self._store: Store | None = None
        self._storing = Storing(
            replica.name, replica.bus, replica.clock, self._own_store, self._published, replica.watched.probe
        )
        self._looking: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._door = Door(replica.settings.database_url.get_secret_value())
        self._found: Sequence[GaugeValue] = ()
        self._parked: dict[str, int] = {}
        self._asked_at = float("-inf")
        self._found_at = asyncio.get_running_loop().time()  # it has just been used
        self.monitor = Monitor(replica.settings, self.ready, self.metrics)

    async def start(self) -> None:
        """Listen on the monitor port, if there is one, and on the bus; raises SettingsError for a taken port."""
        # Not in a queue group: every replica answers.
        await self._replica.bus.client.subscribe(rpc_subject(self._replica.name, "metrics"), cb=self._answer)
        self._looking = asyncio.create_task(stoppable(self._storing.run), name=f"{self._replica.name} storing")
        await self.monitor.start()

    async def stop(self) -> None:
        await self.monitor.stop()
        if self._asking is not None:
            self._asking.cancel()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        if self._store is not None:
            self._store.close()

    async def ready(self) -> Readiness:
        """Whether this replica can do its work, and why not."""
        await self._ask(_READY_WAIT)
        return self._readiness()

    async def health(self) -> Health:
        """What this replica knows of itself; it waits for nobody long, so that silence means that it hangs."""
        await self._ask(_HEALTH_WAIT, fresh=0.0)
        stopped = (*(f"{place_of(r)}: {r.stopped}" for r in self._replica.readers if r.stopped), *self.at_odds())
        unstored, database = tuple(self.unstored()), self._is_database_up()
        return Health(
            service=self._replica.name,
            instance=self._replica.settings.instance,
            active=self._replica.leader.active,
            ready=database and not stopped and not unstored,
            database=database,
            lag={place_of(reader): reader.lag for reader in self._replica.readers},
            stopped=stopped,
            unstored=unstored,
            parked=self._parked,
        )

    async def metrics(self, **labels: str) -> bytes:
        """Everything in Prometheus' text format, with further labels if wanted."""
        await self._ask(_SCRAPE_WAIT)
        ready = self._readiness().status == "ok"
        self._meters.read(
            (
                *process_samples(self._replica),
                GaugeValue("pager_ready", "Whether the monitor port's /ready says so.", ready),
                GaugeValue(
                    "pager_bus_stores", "Whether NATS stores what this service gives it.", not self._storing.reasons()
                ),
                GaugeValue("pager_database_up", "Whether PostgreSQL has answered within 5 s.", self._is_database_up()),
                *(self._found if self._is_database_up() else ()),
            )
        )
        return self._meters.text(**labels)

    def observe(self, decided: Sequence[Decided]) -> None:
        """Let the service count what was committed. Counting must never undo or repeat it."""
        try:
            self._replica.watched.observe(decided)
        except Exception:  # noqa: BLE001 - a fault in counting is no fault of the page
            _log.exception("not counted", service=self._replica.name)

    def _readiness(self) -> Readiness:
        reasons = [
            f"consumption of {place_of(reader)} has stopped: {reader.stopped}"
            for reader in self._replica.readers
            if reader.stopped is not None
        ]
        reasons += self._bus.reasons() or self.unstored()
        reasons += self.at_odds()
        if not self._is_database_up():
            reasons.append("database: away")
        return Readiness(
            status="unavailable" if reasons else "ok",
            service=self._replica.name,
            instance=self._replica.settings.instance,
            reasons=tuple(reasons),
        )

    def unstored(self) -> list[str]:
        """What NATS does not store of what it should, a sentence each."""
        return [f"bus: {reason}" for reason in self._storing.reasons()]

    def at_odds(self) -> list[str]:
        """How log and stream differ, a sentence each: what the relay says of it, or what a replica without one sees."""
        if self._replica.leader.active:
            return self._replica.relay.reasons()
        return [f"publishing: {reason}" for reason in self._storing.odds()]

    def _published(self, lane: Lane) -> int | None:
        return self._replica.relay.published.get(lane) if self._replica.leader.active else None

    def _own_store(self) -> Store:
        if self._store is None:
            self._store = self._replica.open_store()
        return self._store

    def _is_database_up(self) -> bool:
        return asyncio.get_running_loop().time() - self._found_at <= _STALE

    async def _ask(self, wait: float, fresh: float = _FRESH) -> None:
        """One question at a time, none `fresh` seconds after the last, and nobody waits for it longer than `wait`."""
        now = asyncio.get_running_loop().time()
        if self._asking is None or (self._asking.done() and now - self._asked_at >= fresh):
            self._asked_at = now
            self._asking = asyncio.create_task(self._ask_database())
        # What hangs since long is not waited for again.
        await asyncio.wait((self._asking,), timeout=max(0.0, wait - (now - self._asked_at)))

    async def _ask_database(self) -> None:
        replica = self._replica

        def read(work: Work) -> None:
            self._found, self._parked = database_samples(replica, work), count_parked(work, replica.name)

        try:
            await self._own_store().read(read)
            await self._door.look()
            self._found_at = asyncio.get_running_loop().time()
        except Exception as error:  # noqa: BLE001 - whatever it is, readiness and metrics say it
            if is_away(error):
                self._found_at = float("-inf")
                _log.warning("database not read", service=replica.name, reason=str(error))
            else:
                # A fault in counting is ours: PostgreSQL has answered.
                self._found, self._found_at = (), asyncio.get_running_loop().time()
                _log.exception("database not read", service=replica.name)

    async def _answer(self, message: Msg) -> None:
        instance = self._replica.settings.instance
        text = (await self.metrics(instance=instance)).decode()
        with contextlib.suppress(NatsError):
            await message.respond(Reply(ok=True, data=MetricsView(instance=instance, text=text)).to_json())
