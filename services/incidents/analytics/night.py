"""When it is night for somebody: by the clock on their own wall. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from math import ceil
from typing import Final, NamedTuple, Self
from zoneinfo import ZoneInfo

_STEP: Final = timedelta(hours=6)
"""No zone sets its clocks twice within it."""
_SECOND: Final = timedelta(seconds=1)
_WRITTEN: Final = re.compile(r"([01][0-9]|2[0-3]):(00|15|30|45)-([01][0-9]|2[0-3]):(00|15|30|45)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Night:
    """`[begins, ends)` on the wall clock, over midnight where it ends before it begins."""

    begins: time = time(22)
    ends: time = time(7)

    @classmethod
    def read(cls, text: str) -> Self:
        """Of `22:00-07:00`. Raises ValueError: it is no such text, or no night at all."""
        found = _WRITTEN.fullmatch(text)
        if found is None or found.group(1, 2) == found.group(3, 4):
            raise ValueError("must be two times of the day on quarters of an hour, such as 22:00-07:00")
        begins, ends = (time(int(hour), int(minute)) for hour, minute in (found.group(1, 2), found.group(3, 4)))
        return cls(begins, ends)

    def __str__(self) -> str:
        return f"{self.begins:%H:%M}-{self.ends:%H:%M}"

    def covers(self, wall: time) -> bool:
        if self.begins < self.ends:
            return self.begins <= wall < self.ends
        return wall >= self.begins or wall < self.ends

    def has(self, quarter: int) -> bool:
        """Whether this quarter of the day is night."""
        return self.covers(time(quarter // 4, quarter % 4 * 15))

    def touches(self, hour: int) -> bool:
        """Whether some of this hour is night."""
        return any(self.covers(time(hour, minute)) for minute in (0, 15, 30, 45))


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo | None:
    """None: there is none of this name, here."""
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        return None


class Stretch(NamedTuple):
    """`[begins, ends)` of UTC, in which a zone's clocks are ahead of it by so many seconds."""

    zone: str
    begins: datetime
    ends: datetime
    seconds: int


@lru_cache(maxsize=1024)
def stretches(zone_name: str, since: datetime, until: datetime) -> tuple[Stretch, ...]:
    """All of a period, parted where clocks are set; of a zone that is not known here, as in UTC.

    PostgreSQL adds the seconds: its own zones may be others, and one that it does not know fails the whole statement.
    """
    there, found, begins, at = zone(zone_name), list[Stretch](), since, since
    while at < until:
        following = min(at + _STEP, until)
        if (before := _ahead(there, at)) != _ahead(there, following):
            changed = _change(there, at, following)
            found.append(Stretch(zone_name, begins, changed, before))
            begins = following = changed
        at = following
    found.append(Stretch(zone_name, begins, until, _ahead(there, begins)))
    return tuple(found)


def _change(there: ZoneInfo | None, early: datetime, late: datetime) -> datetime:
    """When the clocks are set between these: the first whole second of the new time."""
    before, begin = _ahead(there, early), early.replace(microsecond=0)
    low, high = 0, ceil((late - begin) / _SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _ahead(there, begin + middle * _SECOND) == before else (low, middle)
    return begin + high * _SECOND


def _ahead(there: ZoneInfo | None, at: datetime) -> int:
    offset = None if there is None else at.astimezone(there).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())
