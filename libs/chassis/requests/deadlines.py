"""How long a command may still take: its caller waits for so long, and repeats it then as it was told.

A frozen service, or a bus that held a message back, would carry it out beside its repetition, and two incidents page.
No clock is compared with another: a sender says what its monotonic clock showed, and the least difference to ours that
was seen lately is what two clocks and an idle bus make; what a message took beyond that, it was late.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

from libs.contracts.requests import ErrorKind, Rejected

_WINDOW = 300.0
"""Seconds after which the least difference is looked for anew: clocks drift by some ten milliseconds meanwhile."""
_SENDERS = 1000
_LONGEST = 3600.0
_ME = uuid4().hex
"""Of this process: after a restart a monotonic clock may begin anew."""


class TooLate(Rejected):
    """It came too late: its caller was told that it had failed, and nothing was done."""

    kind = ErrorKind.UNAVAILABLE


def deadline_header(seconds: float, monotonic: Callable[[], float] = time.monotonic) -> str:
    """`<sender> <its clock> <seconds>`: the value of `Pager-Deadline` for a command that is sent now."""
    return f"{_ME} {monotonic():.3f} {seconds:.3f}"


class _Least(NamedTuple):
    """The least differences of this window and of the one before it."""

    begun_at: float
    now: float
    before: float


@dataclass
class Deadlines:
    """One for a service's requests."""

    monotonic: Callable[[], float] = time.monotonic
    _least: dict[str, _Least] = field(default_factory=dict)

    def left(self, header: str | None) -> float | None:
        """Seconds that a command has left; None: nobody said that its time is limited, or said it in our words.

        Raises:
            TooLate: none are left.
        """
        sender, sent, seconds = _read(header)
        if sender is None:
            return None
        arrived = self.monotonic()
        left = seconds - (arrived - sent - self._fastest(sender, arrived - sent, arrived))
        if left <= 0:
            raise TooLate
        return left

    def _fastest(self, sender: str, took: float, at: float) -> float:
        known = self._least.get(sender)
        if known is None:
            if len(self._least) >= _SENDERS:
                self._least.clear()
            known = _Least(at, took, took)
        elif at - known.begun_at > _WINDOW:
            known = _Least(at, took, known.now)
        else:
            known = known._replace(now=min(known.now, took))
        self._least[sender] = known
        return min(known.now, known.before)


def _read(header: str | None) -> tuple[str | None, float, float]:
    parts = (header or "").split()
    if len(parts) != 3 or len(parts[0]) > len(_ME):
        return None, 0.0, 0.0
    try:
        sent, seconds = float(parts[1]), float(parts[2])
    except ValueError:
        return None, 0.0, 0.0
    # Also refuses what is no number: it compares with nothing.
    return (parts[0], sent, seconds) if abs(sent) < 1e12 and 0 < seconds <= _LONGEST else (None, 0.0, 0.0)
