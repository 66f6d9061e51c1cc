"""The one clock of a service, injected so that tests can move it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits for it."""

    def now(self) -> datetime:
        """The current moment, aware, in UTC."""
        ...

    async def wait_until(self, moment: datetime) -> None:
        """Return once `now() >= moment`."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def wait_until(self, moment: datetime) -> None:
        # A long sleep would miss a wall clock that was set while we slept.
        while (left := (moment - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(left, 60.0))


async def wait_at_most(clock: Clock, span: timedelta) -> None:
    """Return when this time has passed, by the clock or by itself: one that is set back holds nobody up."""
    waits = [
        asyncio.create_task(clock.wait_until(clock.now() + span)),
        asyncio.create_task(asyncio.sleep(span.total_seconds())),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
