"""What was committed here and waits to be published: it need not be read back from the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from libs.chassis.store.log import LoggedEvent

_MOST = 2000
"""Events of a lane that may wait here to be published; what comes beyond them is read from the log."""
_MOST_BYTES = 32 * 1024**2


class _Waiting(NamedTuple):
    """Events that were committed here, and their bytes."""

    events: Sequence[LoggedEvent]
    size: int

    def fits(self, count: int, size: int) -> bool:
        return len(self.events) <= count and self.size <= size

    def split(self, count: int, size: int) -> tuple[_Waiting, _Waiting]:
        """(so many from the front, until they are this much; the rest)."""
        taken = number = 0
        while number < min(count, len(self.events)) and taken < size:
            taken += len(self.events[number].raw)
            number += 1
        return _Waiting(self.events[:number], taken), _Waiting(self.events[number:], self.size - taken)


@dataclass
class Handed:
    """Of one lane, runs of events by the position that each follows: commits come in any order, and again."""

    _runs: dict[int, _Waiting] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many events wait."""
        return sum(len(run.events) for run in self._runs.values())

    def put(self, previous: int, events: Sequence[LoggedEvent]) -> bool:
        """False: there is no room for them."""
        size = sum(len(e.raw) for e in events)
        room = size <= _MOST_BYTES - sum(run.size for run in self._runs.values()) and len(self) < _MOST
        if room:
            self._runs[previous] = _Waiting(events, size)
        return room

    def take(self, after: int, count: int, size: int) -> list[LoggedEvent]:
        """What follows upon a position without a gap: so many at most, until they are so many bytes."""
        rows: list[LoggedEvent] = []
        taken = 0
        while len(rows) < count and taken < size and (run := self._runs.pop(after, None)):
            if not run.fits(count - len(rows), size - taken):
                run, rest = run.split(count - len(rows), size - taken)
                if rest.events:
                    self._runs[run.events[-1].position] = rest
            rows += run.events
            taken += run.size
            after = run.events[-1].position
        return rows

    def forget(self, upto: int) -> None:
        """These have been read from the log."""
        self._runs = {previous: run for previous, run in self._runs.items() if previous >= upto}
