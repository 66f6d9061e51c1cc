"""What incidents does for all: it keeps ALERTS from filling up, and watches the room that is left for data."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.clock import Clock
from libs.chassis.consume.alarm import Reminders, raise_alarm
from libs.chassis.measure.metrics import GaugeValue
from libs.chassis.monitor.room import Rooms
from libs.chassis.parts import Engine
from libs.chassis.stopping import stoppable
from libs.chassis.store.store import is_away
from libs.contracts.health import STORAGE, Effect, Trouble
from services.incidents.alerts.purge import ALARM_ABOVE, AlertsPurge

_log = structlog.get_logger()
_ROUND = timedelta(seconds=10)
_HASTE = timedelta(seconds=1)
"""Between two looks while ALERTS is about to be full."""
_LOOK = 10.0
_AFTER_FAILURE = 1.0


@dataclass
class Housekeeping(Engine):
    """Every replica looks at the room that is left; the active one makes room in ALERTS and raises alarms."""

    bus: Bus
    clock: Clock
    purge: AlertsPurge
    rooms: Rooms
    _looking: asyncio.Task[None] | None = field(default=None, init=False)
    _reminders: Reminders = field(init=False)

    def __post_init__(self) -> None:
        self._reminders = Reminders(self.clock)

    async def prepare(self) -> None:
        self._looking = asyncio.create_task(stoppable(self._look_for_ever), name="incidents room")

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def lead(self) -> None:
        """For ever; what fails because NATS or PostgreSQL is away is tried again."""
        while True:
            try:
                await self.purge.tend()
                await self.warn()
            except (BusAway, NatsError, APIError, TimeoutError) as error:
                await self._failed(error)
            except Exception as error:
                if not is_away(error):
                    raise
                await self._failed(error)
            else:
                pause = _HASTE if self.purge.used > ALARM_ABOVE else _ROUND
                await self.clock.wait_until(self.clock.now() + pause)

    async def warn(self) -> None:
        """Page the admins about what is about to be full, while an alarm can still be stored; raises BusAway."""
        low = {room.place: room for room in self.rooms.all() if room.low}
        for place in self._reminders.due(low):
            room = low[place]
            await raise_alarm(
                self.bus,
                f"There is little room left in {place}",
                f"storage:{place}",
                f"{room.free / 1024**3:.1f} of {room.size / 1024**3:.1f} GiB are free. When it is full, alerts are"
                " refused and events are not published. See docs/runbooks/storage.md.",
            )
            self._reminders.told(place)

    def health(self) -> dict[str, Any]:
        """`storage` is `unknown` where PostgreSQL and NATS are elsewhere and NATS names no limit, or a disk hangs."""
        rooms = self.rooms.all()
        known = rooms and all(room.known for room in rooms)
        state = "low" if any(room.low for room in rooms) else "healthy" if known else "unknown"
        told = [{"place": r.place, "free": r.free, "size": r.size, "low": r.low, "known": r.known} for r in rooms]
        return {"storage": state, "rooms": told}

    def troubles(self) -> Iterator[Trouble]:
        """Where there is little room left; everybody may read it, so it names a folder and not the way to it."""
        for room in (room for room in self.rooms.all() if room.low):
            problem = f"has little room left in {Path(room.place).name}: when it is full, alerts are refused"
            yield Trouble(culprit=STORAGE, problem=problem, effect=Effect.FAULT)

    def gauges(self) -> Iterator[GaugeValue]:
        """Room by place, and how full ALERTS is as far as the active replica has seen."""
        for room in (room for room in self.rooms.all() if room.known):
            labels = {"place": room.place}
            yield GaugeValue("pager_storage_free_bytes", "What is free for data there.", room.free, labels)
            yield GaugeValue("pager_storage_size_bytes", "What there is in all.", room.size, labels)
            yield GaugeValue("pager_storage_low", "Whether there is little room left.", room.low, labels)
        yield GaugeValue("pager_alerts_stream_used_ratio", "How full ALERTS is, of its bytes.", self.purge.used)

    async def _look_for_ever(self) -> None:
        while True:
            await self.rooms.look()
            await asyncio.sleep(_LOOK)

    async def _failed(self, error: Exception) -> None:
        _log.warning("housekeeping starts again", reason=f"{type(error).__name__}: {error}")
        await asyncio.sleep(_AFTER_FAILURE)
