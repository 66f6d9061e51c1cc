"""Numbers of a sequence that were given to transactions which did not write them: the next one of this store gets them.

A sequence itself never takes one back: a storm whose batches were tried again would leave holes of hundreds. What a
process knows of is lost with it; the holes of a crash or of a takeover stay.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from threading import Lock


@dataclass
class Spare:
    """Handlers run in several threads."""

    _numbers: list[int] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def take(self, count: int) -> list[int]:
        """At most `count`, the smallest first."""
        with self._lock:
            return [heappop(self._numbers) for _ in range(min(count, len(self._numbers)))]

    def give(self, numbers: Iterable[int]) -> None:
        """What nothing has been written with, for certain."""
        with self._lock:
            for number in numbers:
                heappush(self._numbers, number)
