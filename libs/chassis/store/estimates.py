"""How many rows a list has, where they are too many to be counted each time."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

_KEPT_FOR: Final = timedelta(minutes=1)
MOST_KEPT: Final = 4096
"""Of a service's lists, each for whoever sees the same: a megabyte."""


class Total(NamedTuple):
    """How many rows a list has, all pages together."""

    rows: int
    is_estimate: bool = False


def _untold(_kept: bool) -> None:
    pass


@dataclass
class Estimates:
    """What is an estimate anyway, for a minute.

    Totals of long lists, since to find out that there are more than `EXACT` rows costs more than all the rest of a page
    (docs/adr/0076); and what the planner thinks of a statement's rows, which it reads from statistics that are
    older than that (docs/adr/0083).

    Nothing that is exact is kept. A list that gets shorter than that has an exact total again after a minute at most.
    """

    told: Callable[[bool], None] = _untold
    """Called for each total that could be kept, with whether it was."""
    _kept: dict[Hashable, tuple[datetime, Total]] = field(default_factory=dict)

    def get(self, key: Hashable, now: datetime) -> Total | None:
        since, total = self._kept.get(key, (now, None))
        return None if total is None or not timedelta(0) <= now - since < _KEPT_FOR else total

    def keep(self, key: Hashable, now: datetime, total: Total) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._kept = {}  # threads may be reading the other one
        self._kept[key] = (now, total)
