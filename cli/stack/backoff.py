"""How long to wait before a dead process is started again."""

from dataclasses import dataclass
from typing import Final

FIRST: Final = 0.1
LONGEST: Final = 5.0
STABLE: Final = 30.0


@dataclass
class Backoff:
    """The first restart is at once; then 0.1 s, doubled each time up to 5 s; after 30 s of life it starts anew."""

    _deaths: int = 0

    def delay(self, lived: float) -> float:
        """Seconds to wait after a process that lived for `lived` seconds has died."""
        self._deaths = 1 if lived >= STABLE else self._deaths + 1
        if self._deaths == 1:
            return 0.0
        return float(min(FIRST * 2 ** (self._deaths - 2), LONGEST))
