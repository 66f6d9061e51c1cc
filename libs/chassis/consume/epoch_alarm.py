"""The admins learn that a log was restored: once, before its new epoch begins or as soon as the alarm is taken."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from libs.chassis.bus.agreement import Odds
from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.clock import Clock
from libs.chassis.consume.alarm import raise_alarm

_log = structlog.get_logger()
_PATIENCE = 3.0
"""Seconds for which a new epoch waits until the admins are told: pages wait behind it."""
_SOON, _LATER = 0.1, 30.0
"""Seconds between two tries of an alarm that is refused: the first pause and, doubled each time, the longest."""
AGAIN = timedelta(hours=1)
"""After which what still is so is said once more."""


@dataclass
class EpochAlarm:
    """What is owed is told by `run()`, in whatever replica found it, also when the epoch has long begun.

    It is kept in memory: what is refused until this process ends stands in the log of the process and in `pager epoch`.
    """

    service: str
    bus: Bus
    clock: Clock
    _owed: dict[int, Odds] = field(default_factory=dict)
    """By epoch."""
    _said: tuple[Odds, datetime] | None = None
    _due: asyncio.Event = field(default_factory=asyncio.Event)
    _paid: asyncio.Event = field(default_factory=asyncio.Event)

    async def tell(self, odds: Odds) -> None:
        """Returns when the admins are told, which they may be already, or after a few seconds."""
        now = self.clock.now()
        if self._said is not None and self._said[0] == odds and now < self._said[1] + AGAIN:
            return
        if self._owed.get(odds.epoch) != odds:
            _log.error("log and stream differ", service=self.service, epoch=odds.epoch, found=str(odds))
        self._owed[odds.epoch] = odds
        self._paid.clear()
        self._due.set()
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._paid.wait()
        except TimeoutError:
            _log.error("nobody is paged yet about the new epoch", service=self.service, epoch=odds.epoch)

    async def run(self) -> None:
        """For ever."""
        pause = _SOON
        while True:
            await self._due.wait()
            await self.bus.until_connected()
            epoch, odds = next(iter(self._owed.items()))
            try:
                await self._raise(odds)
            except BusAway as error:
                _log.warning("alarm not accepted", service=self.service, epoch=epoch, reason=str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LATER)
                continue
            pause, self._said = _SOON, (odds, self.clock.now())
            if self._owed[epoch] is odds:
                del self._owed[epoch]
            if not self._owed:
                self._due.clear()
                self._paid.set()

    async def _raise(self, odds: Odds) -> None:
        await raise_alarm(
            self.bus,
            f"The log of {self.service} was restored to an earlier state",
            f"epoch:{self.service}:{odds.epoch}",
            f"{odds}. Epoch {odds.epoch} is to begin after that position; until it does, nothing new of {self.service}"
            f" is published. What was lost has been told: pages were sent for it."
            f" See: pager epoch, and docs/runbooks/restore.md",
        )
