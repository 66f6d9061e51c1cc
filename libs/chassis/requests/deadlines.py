"""How long a command may still take: its caller waits for so long, and repeats it then as it was told.

A frozen service, or a bus that held a message back, would carry it out beside its repetition, and two incidents page.
No clock is believed for it. A service that has not met a sender lately, or to which a command seems late, does nothing
and answers with what its own clock shows. Whoever still waits repeats the command at once with that: it was shown
before the repetition was sent, so the clocks differ by no less, and what a later command takes beyond that, it is late.
For whoever has given up nobody repeats it. So a clock that is off, jumps or drifts costs a round trip, never a command.

What remains: a machine that was paused with its clock finds nothing late of what waited for it for up to `_KNOWN_FOR`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple
from uuid import uuid4

import structlog

from libs.contracts.requests import ErrorKind, Refusal, Rejected

_log = structlog.get_logger()

_KNOWN_FOR = 300.0
"""Seconds after which a sender is met anew: clocks drift by some ten milliseconds meanwhile."""
_PARTED = 1.0
"""Seconds by which two clocks have parted rather than drifted: no message arrives so long before it was sent."""
_SENDERS = 1000
_LONGEST = 3600.0
_ME = uuid4().hex
"""Of this process: after a restart a monotonic clock may begin anew."""


class TooLate(Rejected):
    """It came too late: its caller was told that it had failed, and nothing was done."""

    kind = ErrorKind.UNAVAILABLE

    def __init__(self, clock: str | None = None) -> None:
        super().__init__()
        self.clock = clock

    def refusal(self) -> Refusal:
        return super().refusal().model_copy(update={"clock": self.clock})


def deadline_header(seconds: float, clock: str | None = None, monotonic: Callable[[], float] = time.monotonic) -> str:
    """`<sender> <its clock> <seconds>`: the value of `Pager-Deadline` for a command that is sent now.

    `clock` is that of a refusal which came while we waited: this is the same command, repeated at once.
    """
    header = f"{_ME} {monotonic():.3f} {seconds:.3f}"
    return header if clock is None else f"{header} {clock}"


class _Met(NamedTuple):
    """By how much our clock is ahead of a sender's, at least; and when that was found out, by ours."""

    ahead: float
    at: float


class _Said(NamedTuple):
    sender: str
    sent: float
    seconds: float
    shown_by: str = ""
    shown: float = 0.0


@dataclass
class Deadlines:
    """One for a service's requests. `parted` is called when two clocks are found to have parted."""

    monotonic: Callable[[], float] = time.monotonic
    parted: Callable[[], None] = lambda: None
    _met: dict[str, _Met] = field(default_factory=dict)

    def left(self, header: str | None) -> float | None:
        """Seconds that a command has left; None: nobody said that its time is limited, or said it in our words.

        Raises:
            TooLate: none are left, as far as can be told. With its `clock` the caller can show that it still waits.
        """
        said = _read(header)
        if said is None:
            return None
        arrived = self.monotonic()
        if said.shown_by == _ME and arrived - _LONGEST < said.shown <= arrived + 0.001:
            self._meet(said, arrived)
        met = self._met.get(said.sender)
        if met is not None and arrived - met.at <= _KNOWN_FOR:
            late = arrived - said.sent - met.ahead
            if -_PARTED < late < said.seconds:
                return said.seconds - max(late, 0.0)
        raise TooLate(f"{_ME} {arrived:.3f}")

    def _meet(self, said: _Said, arrived: float) -> None:
        ahead, before = said.shown - said.sent, self._met.get(said.sender)
        if before is not None and abs(ahead - before.ahead) > _PARTED:
            _log.warning("clocks have parted", sender=said.sender, seconds=round(ahead - before.ahead, 3))
            self.parted()
        if len(self._met) >= _SENDERS:
            self._met.clear()
        self._met[said.sender] = _Met(ahead, arrived)


def _read(header: str | None) -> _Said | None:
    parts = (header or "").split()
    if len(parts) not in (3, 5) or any(len(name) > len(_ME) for name in parts[::3]):
        return None
    try:
        sent, seconds, shown = (float(parts[n]) for n in (1, 2, -1))
    except ValueError:
        return None
    # Also refuses what is no number: it compares with nothing.
    if not (abs(sent) < 1e12 and abs(shown) < 1e12 and 0 < seconds <= _LONGEST):
        return None
    return _Said(parts[0], sent, seconds, *((parts[3], shown) if len(parts) == 5 else ()))
