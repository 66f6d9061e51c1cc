"""What was told lately, so that whoever comes back goes on where they were."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from services.gateway.streaming.feeds import LANES, Change
from services.gateway.streaming.positions import NOWHERE, Place, Places

MOST: Final = 20_000
"""Changes that are kept, some 5 MiB: a storm of five minutes, or the work of days."""

Lost = Literal["too_old", "another_epoch", "unknown_position"]


@dataclass
class Recent:
    """The last changes in the order in which they were told, and up to where in each lane that is."""

    most: int = MOST
    told: list[Place] = field(default_factory=lambda: [NOWHERE] * len(LANES))
    _after: list[Place] = field(default_factory=lambda: [NOWHERE] * len(LANES))
    """After these places everything is here."""
    _changes: deque[Change] = field(default_factory=deque)

    def begin(self, lane: int, after: Place) -> None:
        """What is added of a lane from here on is all after this place; what was added of it before is forgotten."""
        self._changes = deque(change for change in self._changes if change.lane != lane)
        self.told[lane] = self._after[lane] = after

    def add(self, change: Change) -> None:
        self._changes.append(change)
        self.told[change.lane] = change.place
        if len(self._changes) > self.most:
            oldest = self._changes.popleft()
            self._after[oldest.lane] = oldest.place

    def is_ahead(self, places: Places) -> bool:
        """Whether a client has been told of something that was not told here yet: another replica was faster."""
        return any(theirs > ours for theirs, ours in zip(places, self.told, strict=False))

    def since(self, places: Places) -> Sequence[Change] | Lost:
        """What was told after these places, in order; or why that is not known."""
        if len(places) != len(LANES):
            return "unknown_position"
        known = list(zip(places, self.told, self._after, strict=True))
        # A lane in which nothing had ever been had no epoch either.
        began = [theirs == NOWHERE and after.position == 0 for theirs, _, after in known]
        if any(t.epoch != o.epoch and o.epoch > 0 and not b for (t, o, _), b in zip(known, began, strict=True)):
            return "another_epoch"
        if any(theirs > ours for theirs, ours, _ in known):
            return "unknown_position"
        if any(t < after and not b for (t, _, after), b in zip(known, began, strict=True)):
            return "too_old"
        return [change for change in self._changes if change.place > places[change.lane]]
