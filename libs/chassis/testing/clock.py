"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta


@dataclass
class MovableClock:
    """Starts at a fixed moment, or at `moment`; only `advance` moves it."""

    moment: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
    _sleepers: list[tuple[datetime, asyncio.Event]] = field(default_factory=list)

    def now(self) -> datetime:
        return self.moment

    async def wait_until(self, moment: datetime) -> None:
        event = asyncio.Event()
        sleeper = (moment, event)
        self._sleepers.append(sleeper)
        try:
            while self.moment < moment:
                event.clear()
                await event.wait()
        finally:
            self._sleepers.remove(sleeper)

    def advance(self, *, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move on, and wake whoever waits."""
        self.moment += timedelta(minutes=minutes, seconds=seconds)
        for _, event in self._sleepers:
            event.set()
        return self.moment
