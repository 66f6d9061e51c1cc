"""When it is night for somebody: by the clock on their own wall. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from typing import Final, Self
from zoneinfo import ZoneInfo

QUARTER: Final = timedelta(minutes=15)
"""Every zone's offset changes at whole quarters of UTC, and is whole quarters: within one it is night or it is not."""
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


def wall_clock(at: datetime, zone_name: str) -> time:
    """What a clock shows there; of a zone that is not known here, UTC's."""
    there = zone(zone_name)
    return at.timetz().replace(tzinfo=None) if there is None else at.astimezone(there).time()
