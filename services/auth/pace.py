"""How often something may be done in a while: a client that renews its session in a loop waits, and stays signed in."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from libs.contracts.requests import ErrorKind, Rejected

MOST: Final = 30
"""Renewals of a session in a minute. A token lives for a quarter of an hour; apps in development start often."""
WINDOW: Final = timedelta(minutes=1)
_REMEMBERED: Final = 10_000
"""Sessions, people or links, the last ones."""
MOST_PASSWORDS: Final = 20
"""New ones that a person or a link may offer in a while: a weak one costs up to two hashes, a change two or three."""

RENEWED: Final = (
    "This session was renewed many times within a minute: wait a moment. It goes on, and the refresh token is good."
)


class TooOften(Rejected):
    """This was done often: wait a moment."""

    kind = ErrorKind.RATE_LIMITED

    def __init__(self, seconds: float, message: str) -> None:
        super().__init__(message, retry_after=seconds)


@dataclass
class Pace:
    """In this process's memory, so each replica has its own. Strangers hold up nobody: only what is right counts,
    or what somebody who is signed in tries."""

    most: int = MOST
    window: timedelta = WINDOW
    message: str = RENEWED
    _passed: OrderedDict[UUID, deque[datetime]] = field(default_factory=OrderedDict)

    def check(self, whose: UUID, now: datetime) -> None:
        """`whose`: a session's or a person's. Raises TooOften."""
        passed = self._passed.get(whose)
        if passed is None or len(passed) < self.most:
            return
        since = now - passed[0]
        if timedelta(0) <= since < self.window:  # not after a clock that was set back
            raise TooOften((self.window - since).total_seconds(), self.message)

    def take(self, whose: UUID, now: datetime) -> None:
        """One more, whatever comes of it. Raises TooOften."""
        self.check(whose, now)
        self.passed(whose, now)

    def passed(self, whose: UUID, now: datetime) -> None:
        """One that has come to its end, or costs as much."""
        self._passed.setdefault(whose, deque(maxlen=self.most)).append(now)
        self._passed.move_to_end(whose)
        if len(self._passed) > _REMEMBERED:
            self._passed.popitem(last=False)


def for_passwords() -> Pace:
    """How often new passwords are offered."""
    return Pace(MOST_PASSWORDS, timedelta(minutes=15), "you have tried that often: wait a while")
