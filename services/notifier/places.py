"""Places for what is under way: so many by vendor, few for a device that does not answer, none for what rests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from uuid import UUID

from libs.contracts.model import Lane
from services.notifier.outbox import Sendable
from services.notifier.push.outcome import Verdict
from services.notifier.suspects import Device

IN_FLIGHT = 100
"""Pages under way to one provider at a time: as many as one connection to APNs takes well (`apns_connection.py`)."""
FIRST = 2
"""Of these to one device of which nothing is known."""
MOST = IN_FLIGHT - 10
"""Of these to one device that takes pages: it gets twice as many with each that it takes. The rest is for others."""
_KNOWN_FOR = timedelta(seconds=30)
_MANY = 10_000


@dataclass(slots=True)
class _Pace:
    """Of one device."""

    limit: int = FIRST
    under_way: int = 0
    taken_at: datetime | None = None
    waits: dict[str, dict[UUID, None]] = field(default_factory=dict)
    """By lane, what is due and finds no place: not to be looked at before one is free."""

    @property
    def is_crowded(self) -> bool:
        return any(self.waits.values())

    def let(self, most: int) -> None:
        """So many of those that wait may be looked at again."""
        for waiting in (self.waits.get(lane, {}) for lane in Lane):  # urgent first
            for one in list(islice(waiting, most)):
                del waiting[one]
                most -= 1


@dataclass
class Places:
    """In memory: whoever leads next begins with every place free."""

    busy: set[UUID] = field(default_factory=set)
    """Taken and not yet recorded: not to be taken again."""
    crowded: bool = False
    """Whether something waits since this was last set to False."""
    _under_way: Counter[str] = field(default_factory=Counter)
    _devices: dict[Device, _Pace] = field(default_factory=dict)
    _crowds: dict[Device, _Pace] = field(default_factory=dict)
    """Those of them for which something waits."""
    resting: dict[UUID, tuple[str, datetime]] = field(default_factory=dict)
    """Failed in an outage that its log knows of already; by provider, and until when."""

    def hidden(self, now: datetime) -> Collection[UUID]:
        """What is not to be taken now."""
        for one in [one for one, (_, until) in self.resting.items() if until <= now]:
            del self.resting[one]
        # Nobody's end would wake what waits behind nothing: what was let go before it may have been withdrawn.
        for device in [device for device, pace in self._crowds.items() if not pace.under_way]:
            self.crowded = self._let(device, IN_FLIGHT) or self.crowded
        waits = (one for pace in self._crowds.values() for waiting in pace.waits.values() for one in waiting)
        return [*self.busy, *self.resting, *waits]

    @property
    def next_rested(self) -> datetime | None:
        """When something may be tried again."""
        return min((until for _, until in self.resting.values()), default=None)

    def free(self, provider: str) -> int:
        return IN_FLIGHT - self._under_way[provider]

    def under_way(self, provider: str) -> int:
        return self._under_way[provider]

    def has_place(self, row: Sendable, now: datetime) -> bool:
        """Whether its device takes one more now; if not, the row waits until it does."""
        pace = self._pace_of(row.device)
        if pace.taken_at is not None and now - pace.taken_at > _KNOWN_FOR:
            pace.limit, pace.taken_at = min(pace.limit, FIRST), None
        if pace.under_way < pace.limit:
            return True
        pace.waits.setdefault(row.lane, {})[row.notification_id] = None
        self._crowds[row.device] = pace
        self.crowded = True
        return False

    def enter(self, row: Sendable) -> None:
        self.busy.add(row.notification_id)
        self._under_way[row.provider] += 1
        self._pace_of(row.device).under_way += 1

    def leave(self, row: Sendable, verdict: Verdict | None, now: datetime) -> bool:
        """It is answered; True when others have waited for it and may be taken now. None: it was not sent."""
        self._under_way[row.provider] -= 1
        pace = self._devices[row.device]
        pace.under_way -= 1
        if verdict is Verdict.ACCEPTED:
            pace.limit, pace.taken_at = min(2 * pace.limit, MOST), now
        elif verdict in (Verdict.TRANSIENT, Verdict.THROTTLE):
            pace.limit = 1
        if len(self._devices) > _MANY:
            self._devices = {who: p for who, p in self._devices.items() if p.under_way or p.is_crowded}
        if row.device not in self._crowds:
            return False
        # Not at once: looking costs a transaction, and then for many. Never all that wait: for a phone that hangs
        # they would be looked at one and all at each time-out. Where nothing is under way, the next look lets them go.
        if 0 < pace.under_way <= pace.limit // 4:
            self._let(row.device, 2 * pace.limit)
            return True
        return not pace.under_way

    def _pace_of(self, device: Device) -> _Pace:
        pace = self._devices.get(device)
        if pace is None:  # not `setdefault`: it would make one for each page
            pace = self._devices[device] = _Pace()
        return pace

    def _let(self, device: Device, most: int) -> bool:
        """So many of those that wait for a device may be looked at again; True when others go on waiting."""
        pace = self._crowds[device]
        pace.let(most)
        if not pace.is_crowded:
            del self._crowds[device]
        return pace.is_crowded

    def rest(self, row: Sendable, until: datetime) -> None:
        """Leave it alone for a while, unrecorded."""
        self.busy.discard(row.notification_id)
        self.resting[row.notification_id] = (row.provider, min(until, row.deadline))

    def wake(self, provider: str) -> None:
        """The vendor is back: nothing rests any more."""
        self.resting = {one: rest for one, rest in self.resting.items() if rest[0] != provider}

    def clear(self) -> None:
        self.busy.clear()
        self._under_way.clear()
        self._devices.clear()
        self._crowds.clear()
        self.resting.clear()
