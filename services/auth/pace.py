"""How often a session may be renewed: a client that asks in a loop waits, and stays signed in."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.contracts.requests import ErrorKind, Refusal, Rejected

MOST: Final = 30
"""Renewals of a session in a minute. A token lives for a quarter of an hour; apps in development start often."""
WINDOW: Final = timedelta(minutes=1)
_SESSIONS: Final = 10_000
"""Are remembered, the last ones renewed."""


class TooOften(Rejected):
    """This session was renewed many times within a minute: wait a moment. It goes on, and the refresh token is good."""

    kind = ErrorKind.RATE_LIMITED

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def refusal(self) -> Refusal:
        return super().refusal().model_copy(update={"retry_after": self.seconds})


@dataclass
class Pace:
    """In this process's memory, so each replica has its own. Only right tokens count: strangers hold up nobody."""

    _renewed: OrderedDict[UUID, deque[datetime]] = field(default_factory=OrderedDict)

    def check(self, session_id: UUID, now: datetime) -> None:
        """Raises TooOften."""
        renewed = self._renewed.get(session_id)
        if renewed is None or len(renewed) < MOST:
            return
        since = now - renewed[0]
        if timedelta(0) <= since < WINDOW:  # not after a clock that was set back
            raise TooOften((WINDOW - since).total_seconds())

    def renewed(self, session_id: UUID, now: datetime) -> None:
        """One that has come to its end."""
        self._renewed.setdefault(session_id, deque(maxlen=MOST)).append(now)
        self._renewed.move_to_end(session_id)
        if len(self._renewed) > _SESSIONS:
            self._renewed.popitem(last=False)
