"""How much an API key may ask for: a thousand requests in any minute."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from libs.chassis.clock import Clock
from services.gateway.envelope import Problem

MOST = 1000
"""Requests in a minute of one key, whichever of its secrets is shown (technical specification, Rate Limiting)."""
WINDOW = timedelta(minutes=1)
_KEPT = 10_000
"""Keys, the last ones. A moment is kept of each request of the last minute, and of no refused one."""


@dataclass
class Allowance:
    """In this process's memory, so each replica of us has its own."""

    clock: Clock
    _asked: OrderedDict[UUID, deque[datetime]] = field(default_factory=OrderedDict)

    def take(self, key_id: UUID) -> Mapping[str, str]:
        """Count a request; what its answer says of how many are left.

        Raises:
            Problem: 429, with when there may be another one.
        """
        now = self.clock.now()
        asked = self._asked.setdefault(key_id, deque())
        self._asked.move_to_end(key_id)
        if len(self._asked) > _KEPT:
            self._asked.popitem(last=False)
        while asked and not now - WINDOW < asked[0] <= now:  # nor after a clock that was set back
            asked.popleft()
        if len(asked) >= MOST:
            wait = {"Retry-After": str(max(1, math.ceil((asked[0] + WINDOW - now).total_seconds())))}
            headers = self._headers(asked, now) | wait
            raise Problem("RATE_LIMITED", f"an API key may ask {MOST} times a minute: wait a moment", headers=headers)
        asked.append(now)
        return self._headers(asked, now)

    def _headers(self, asked: deque[datetime], now: datetime) -> dict[str, str]:
        """`Reset`: in Unix seconds, when the first of these counts no more."""
        reset = (asked[0] if asked else now) + WINDOW
        return {
            "X-RateLimit-Limit": str(MOST),
            "X-RateLimit-Remaining": str(MOST - len(asked)),
            "X-RateLimit-Reset": str(math.ceil(reset.timestamp())),
        }
