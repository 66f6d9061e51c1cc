"""Up to when the answers are known: a page that is not new is sent only on recent knowledge of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from libs.chassis.bus.connection import BusAway
from libs.chassis.clock import Clock
from libs.contracts.model import Lane
from libs.contracts.notifier import NotificationKind
from services.notifier.domain.place import LOWEST
from services.notifier.outbox import Sendable

_log = structlog.get_logger()

STALE = timedelta(seconds=0.8)
"""How old the knowledge may be on which a page is sent: none rings a second after its acknowledgement."""
_RENEW = STALE / 2
_LIMIT = 0.9
_USABLE = timedelta(seconds=0.1)
"""For how long a lane counts as known, however long reading it took: else one that takes long each time would never be
known, and the pages that wait for it would never go."""
BLIND = timedelta(seconds=5)
"""How long pages go out without the newest acknowledgements when these cannot be read."""

Known = Mapping[str, datetime]
"""By lane, the moment before which every committed answer had taken effect here."""


@dataclass
class Freshness:
    """`read_incidents(lane)` returns once all of INCIDENTS that is known then has taken effect; may raise BusAway.

    However many pages wait, a lane is read to its end once for all of them, and none of them holds a place meanwhile.
    """

    read_incidents: Callable[[str], Awaitable[None]]
    clock: Clock
    renewed: Callable[[], None] = lambda: None
    """Called when a lane is known anew: pages that waited for it may go."""
    _known: dict[str, datetime] = field(default_factory=dict)
    _reading: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def known(self) -> Known:
        """Ask before the rows are read that are to be judged by it: they show no more than was known then."""
        return dict(self._known)

    def allows(self, row: Sendable, known: Known, now: datetime) -> bool:
        """Whether a row may be sent; if not, or soon not, the lanes that matter are being read from now on."""
        if row.kind != NotificationKind.PAGE or now - row.paging_since <= STALE:
            return True
        ages = {lane: now - known[lane] if lane in known else None for lane in _answered_in(row)}
        for lane, age in ages.items():
            if age is None or age > _RENEW:
                self._renew(lane)
        return all(age is not None and age <= STALE for age in ages.values())

    def stop(self) -> None:
        """Forget everything: another replica leads."""
        for task in self._reading.values():
            task.cancel()
        self._reading.clear()
        self._known.clear()

    def _renew(self, lane: str) -> None:
        if lane not in self._reading:
            self._reading[lane] = asyncio.get_running_loop().create_task(self._read(lane))

    async def _read(self, lane: str) -> None:
        try:
            self._known[lane] = await self._known_now(lane)
        finally:
            self._reading.pop(lane, None)
            self.renewed()

    async def _known_now(self, lane: str) -> datetime:
        reason = "too slow"
        # Twice: a process that was stopped meanwhile wakes up to find that its time is over.
        for _ in range(2):
            asked_at = self.clock.now()
            try:
                async with asyncio.timeout(_LIMIT):
                    await self.read_incidents(lane)
                return max(asked_at, self.clock.now() - STALE + _USABLE)
            except BusAway as error:
                reason = str(error)
                break
            except TimeoutError:
                continue
        # A page too many is better than none.
        _log.warning("paging without the newest acknowledgements", lane=lane, reason=reason)
        return self.clock.now() + BLIND - STALE


def _answered_in(row: Sendable) -> tuple[str, ...]:
    """The lanes in which a page may have been answered: an incident's answers travel in that of its present priority.

    One that began as urgent is always urgent. Any other may have been raised since, or before this run.
    """
    whole_life_urgent = row.lane == Lane.URGENT and row.run == LOWEST.run
    return (row.lane,) if whole_life_urgent else tuple(Lane)
