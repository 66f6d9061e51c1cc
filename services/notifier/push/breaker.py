"""A circuit breaker per push provider: a dead vendor costs its pages no time (specification, Circuit Breaker)."""

from datetime import datetime, timedelta
from enum import StrEnum

from services.notifier.push.outcome import Outcome, Verdict

FAILURES = frozenset({Verdict.CREDENTIALS, Verdict.TRANSIENT})
# A refused token proves as well as an accepted page that the vendor answers and knows us. OURS and THROTTLE are about
# one message or one device: they neither help nor harm.
SUCCESSES = frozenset({Verdict.ACCEPTED, Verdict.RETIRE})


class BreakerState(StrEnum):
    """Closed lets everything pass, open nothing, half-open a few probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens after `failures` failed sends in a row, probes after `open_for`, closes after `successes` good probes.

    Pure: no clock and no task of its own; every call names its time (aware UTC). It never holds a page back: when
    `allows` says no, the caller takes the next device or method at once and records why.
    """

    def __init__(
        self,
        *,
        failures: int = 5,
        successes: int = 2,
        open_for: timedelta = timedelta(seconds=60),
        probe_window: timedelta = timedelta(seconds=5),
    ) -> None:
        self.state = BreakerState.CLOSED
        self.opened_at: datetime | None = None
        self._failures_allowed = failures
        self._successes_needed = successes
        self._open_for = open_for
        self._probe_window = probe_window
        self._failures = 0
        self._successes = 0
        self._probes = 0
        self._probing_since: datetime | None = None

    @property
    def retry_at(self) -> datetime | None:
        """When the next probe may pass; None unless open."""
        if self.state is not BreakerState.OPEN or self.opened_at is None:
            return None
        return self.opened_at + self._open_for

    def allows(self, now: datetime) -> bool:
        """Whether a send may go now. While half-open each True is a probe whose outcome the caller must record."""
        if self.state is BreakerState.CLOSED:
            return True
        if self.state is BreakerState.OPEN:
            retry_at = self.retry_at
            if retry_at is not None and now < retry_at:
                return False
            self.state = BreakerState.HALF_OPEN
            self._successes = 0
            self._probing_since = None
        # A probe whose sender died is never recorded: after the window others may try.
        if self._probing_since is None or now - self._probing_since >= self._probe_window:
            self._probing_since = now
            self._probes = 0
        if self._probes >= self._successes_needed:
            return False
        self._probes += 1
        return True

    def record(self, outcome: Outcome, now: datetime) -> bool:
        """Count one outcome. True exactly when it opened the breaker: then tell the operator."""
        if self.state is BreakerState.OPEN:
            # Sends that began before the breaker opened tell nothing new.
            return False
        if outcome.verdict in FAILURES:
            self._failures += 1
            if self.state is BreakerState.HALF_OPEN or self._failures >= self._failures_allowed:
                self._open(now)
                return True
        elif outcome.verdict in SUCCESSES:
            self._failures = 0
            if self.state is BreakerState.HALF_OPEN:
                self._succeed()
        elif self.state is BreakerState.HALF_OPEN:
            # It taught nothing: hand the probe back.
            self._probes = max(0, self._probes - 1)
        return False

    def _open(self, now: datetime) -> None:
        self.state = BreakerState.OPEN
        self.opened_at = now
        self._failures = 0

    def _succeed(self) -> None:
        self._successes += 1
        self._probes = max(0, self._probes - 1)
        if self._successes >= self._successes_needed:
            self.state = BreakerState.CLOSED
            self.opened_at = None
