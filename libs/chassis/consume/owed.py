"""Alarms that nothing may wait for long: told at once, or owed until the stream of alerts takes them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.clock import Clock
from libs.chassis.consume.alarm import raise_alarm

_log = structlog.get_logger()
_PATIENCE = 3.0
"""Seconds for which whoever has found it waits until the admins are told: pages wait behind it."""
_SOON, _LATER = 0.1, 30.0
"""Seconds between two tries of an alarm that is refused: the first pause and, doubled each time, the longest."""
AGAIN = timedelta(hours=1)
"""After which what still is so is said once more."""


class Alarm(NamedTuple):
    summary: str
    dedup_key: str
    """Of what is owed under one key, the newest is told."""
    description: str


@dataclass
class OwedAlarms:
    """Runs in every replica, so that what one found while it led is told when it does so no more.

    They are kept in memory: what is refused until this process ends stands in its log alone.
    """

    service: str
    bus: Bus
    clock: Clock
    _owed: dict[str, Alarm] = field(default_factory=dict)
    _said: dict[str, tuple[Alarm, datetime]] = field(default_factory=dict)
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _paid: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, alarm: Alarm) -> None:
        """Returns when the admins are told, which they may be already, or after a few seconds."""
        said, now = self._said.get(alarm.dedup_key), self.clock.now()
        if said is not None and said[0] == alarm and now < said[1] + AGAIN:
            return
        if self._owed.get(alarm.dedup_key) != alarm:
            _log.error("an alarm is due", service=self.service, alarm=alarm.summary, description=alarm.description)
        self._owed[alarm.dedup_key] = alarm
        self._paid.clear()
        self._due.set()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._paid.wait()
        except TimeoutError:
            _log.error("nobody is paged yet about an alarm", service=self.service, alarm=alarm.summary)

    async def run(self) -> None:
        """For ever."""
        pause = _SOON
        while True:
            await self._due.wait()
            await self.bus.until_connected()
            key, alarm = next(iter(self._owed.items()))
            try:
                await raise_alarm(self.bus, *alarm)
            except BusAway as error:
                _log.warning("alarm not accepted", service=self.service, alarm=alarm.summary, reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LATER)
                continue
            pause, self._said[key] = _SOON, (alarm, self.clock.now())
            if self._owed[key] is alarm:
                del self._owed[key]
            if not self._owed:
                self._due.clear()
                self._paid.set()
