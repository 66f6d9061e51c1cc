"""The stream ALERTS is kept from filling up: what everybody has taken is purged in time, and mostly after a day.

Alerts would be refused for load otherwise, although nobody waits for what the stream is full of (docs/adr/0038).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import structlog
from nats.js.api import StreamInfo

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.stored import next_message
from libs.chassis.clock import Clock
from libs.chassis.consume.alarm import Reminders, raise_alarm
from libs.chassis.store.store import Store
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERTS
from services.incidents.alerts.stream import READ
from services.incidents.places import created

_log = structlog.get_logger()
PURGE_ABOVE = 0.60
PURGE_DOWN_TO = 0.50
"""More than needed stays: a restored database reads it again."""
ALARM_ABOVE = 0.80
YIELD_ABOVE = 0.90
YIELD_DOWN_TO = 0.85
"""Then the floor yields, and the admins are paged all the same: to refuse everybody's next alert is worse than what a
restored database would miss."""
_ANY = (">",)


class AlertsReader(Protocol):
    """Whoever reads ALERTS and must not lose anything to a purge: registered in `main.py`."""

    async def taken(self, info: StreamInfo) -> int:
        """The last sequence up to which all that it reads has taken effect; 0 for none.

        `info` was read before: what came later counts as not taken.
        """
        ...


@dataclass(frozen=True)
class LaneReader:
    """A lane of incidents' own intake, by its committed cursor."""

    lane: Lane
    store: Store
    bus: Bus

    async def taken(self, info: StreamInfo) -> int:
        """A lane without traffic holds nothing back: it has taken all before the next alert that it will read."""
        cursor = await self.store.position(ALERTS, self.lane)
        # Another stream's place, or one that this one has lost: it is about to be read from its start.
        anew = created(cursor.incarnation) != str(info.created) or cursor.position > info.state.last_seq
        after = 0 if anew else cursor.position
        following = await next_message(self.bus, ALERTS, READ[self.lane], after)
        return info.state.last_seq if following is None else following.sequence - 1


@dataclass
class AlertsPurge:
    """Its owner, in the active replica of incidents. Whatever happens to a purge, the next one begins anew."""

    bus: Bus
    clock: Clock
    readers: Sequence[AlertsReader]
    floor: timedelta
    """What is younger stays, as long as there is room for what comes."""
    used: float = field(default=0.0, init=False)
    """The share of its bytes that the stream held when it was looked at."""
    _reminders: Reminders = field(init=False)

    def __post_init__(self) -> None:
        self._reminders = Reminders(self.clock)

    async def tend(self) -> None:
        """Look once, and do what is due.

        Raises:
            BusAway, NatsError, APIError, TimeoutError: NATS is away; psycopg's errors: PostgreSQL is.
        """
        info = await self._look()
        if self.used > PURGE_ABOVE and await self._purge(info):
            info = await self._look()
        for stream in self._reminders.due([ALERTS] if self.used > ALARM_ABOVE else []):
            await self._alarm(info)
            self._reminders.told(stream)

    async def _look(self) -> StreamInfo:
        info = await self.bus.js.stream_info(ALERTS)
        limit = info.config.max_bytes or 0
        self.used = info.state.bytes / limit if limit > 0 else 0.0
        return info

    async def _purge(self, info: StreamInfo) -> bool:
        """Purge the oldest of what may go, as much as is needed; whether anything went."""
        first, last = info.state.first_seq, info.state.last_seq
        taken = min([await reader.taken(info) for reader in self.readers], default=0)

        def needed(share: float) -> int:
            # In sequences, as if all were of one size: where they are not, the next look goes on.
            enough = first + int((last - first + 1) * (1 - share / self.used))
            return min(taken + 1, max(enough, first + 1), last + 1)

        keep = await self._old_enough(first, needed(PURGE_DOWN_TO))
        if self.used > YIELD_ABOVE:
            keep = max(keep, needed(YIELD_DOWN_TO))
        if keep <= first:
            _log.warning("nothing of ALERTS may be purged", used=f"{self.used:.0%}", taken=taken, first=first)
            return False
        # "All below this one": said twice, it changes nothing.
        await self.bus.js.purge_stream(ALERTS, seq=keep)
        _log.info("alerts purged that were taken", keep=keep, before=first, used=f"{self.used:.0%}")
        return True

    async def _old_enough(self, first: int, keep: int) -> int:
        """The largest sequence up to `keep` below which nothing is younger than the floor, by halving.

        The earlier of the server's clock and ours counts: one that runs ahead must not make alerts look old.
        """
        youngest = min(self.clock.now(), await self._server_now()) - self.floor
        horizon = int(youngest.timestamp() * 10**6) * 10**3  # Unix nanoseconds, as the server says when it stored
        low, high = first, keep
        while low < high:
            middle = (low + high) // 2
            message = await next_message(self.bus, ALERTS, _ANY, middle - 1)
            if message is None or message.sequence >= high:
                high = middle  # a gap: nothing to be purged above the middle
            elif message.stored_at > horizon:
                high = middle
            else:
                low = message.sequence + 1
        return low

    async def _server_now(self) -> datetime:
        answer = json.loads(await self.bus.request(f"$JS.API.STREAM.INFO.{ALERTS}", b""))
        return datetime.fromisoformat(answer["ts"])

    async def _alarm(self, info: StreamInfo) -> None:
        await raise_alarm(
            self.bus,
            f"The stream ALERTS is {self.used:.0%} full",
            f"alerts-stream-full:{info.created}",
            "When it is full, alerts are refused. What everybody has taken is purged above 60 %, but nothing younger"
            f" than {self.floor.total_seconds() / 3600:.0f} h (PAGER_ALERTS_FLOOR_HOURS) until it is 90 % full, and"
            " nothing that a reader has still to read. See docs/runbooks/storage.md: find who sends so much.",
        )
