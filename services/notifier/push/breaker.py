"""A circuit breaker per push provider: a dead vendor costs its pages no time (specification, Circuit Breaker)."""

from collections import deque
from collections.abc import Hashable
from datetime import datetime, timedelta
from enum import StrEnum

from services.notifier.push.outcome import Outcome, Verdict

FAILURES = frozenset({Verdict.CREDENTIALS, Verdict.TRANSIENT})
# A refused token proves as well as an accepted page that the vendor answers and knows us. OURS and THROTTLE are about
# one message or one device: they neither help nor harm.
SUCCESSES = frozenset({Verdict.ACCEPTED, Verdict.RETIRE})


class BreakerState(StrEnum):
    """Closed lets everything pass, open nothing but a page to a phone that has not failed, half-open a few probes."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens when nothing succeeds and `failures` sends to `devices` devices fail within `window`; a success closes it.

    Phones that hang or are answered 500 alone are no outage: so failures of one device are never enough, unless they
    are everybody's (refused credentials, no connection), and while it is open a page to a device that has not failed
    still goes, one in `pace`. It probes after `open_for`, and with every success it closes.

    Pure: no clock and no task of its own; every call names its time (aware UTC). What it does not allow waits, and
    nothing is recorded of it. One that is not on never opens.
    """

    def __init__(
        self,
        *,
        is_on: bool = True,
        failures: int = 5,
        devices: int = 3,
        window: timedelta = timedelta(seconds=30),
        open_for: timedelta = timedelta(seconds=60),
        probe_window: timedelta = timedelta(seconds=5),
        probes: int = 2,
        pace: timedelta = timedelta(seconds=1),
    ) -> None:
        self.state = BreakerState.CLOSED
        self.opened_at: datetime | None = None
        self._is_on = is_on
        self._failures_needed = failures
        self._devices_needed = devices
        self._window = window
        self._open_for = open_for
        self._probe_window = probe_window
        self._most_probes = probes
        self._pace = pace
        self._failures: deque[tuple[datetime, Hashable]] = deque()
        self._failing: set[Hashable] = set()
        self._probes = 0
        self._probing_since: datetime | None = None
        self._fresh_at: datetime | None = None

    def fresh(self) -> "Breaker":
        """Another one that is set alike, and has seen nothing."""
        return Breaker(
            is_on=self._is_on,
            failures=self._failures_needed,
            devices=self._devices_needed,
            window=self._window,
            open_for=self._open_for,
            probe_window=self._probe_window,
            probes=self._most_probes,
            pace=self._pace,
        )

    @property
    def is_closed(self) -> bool:
        return self.state is BreakerState.CLOSED

    @property
    def retry_at(self) -> datetime | None:
        """When the next probe may pass; None unless open."""
        if self.state is not BreakerState.OPEN or self.opened_at is None:
            return None
        return self.opened_at + self._open_for

    def state_at(self, now: datetime) -> BreakerState:
        """Open only while it holds pages back: where nothing is sent, nobody asks it whether its time is over."""
        is_over = self.retry_at is not None and self.retry_at <= now
        return BreakerState.HALF_OPEN if is_over else self.state

    def fails(self, device: Hashable) -> bool:
        """Whether a send to this device has failed since the last success."""
        return device in self._failing

    def allows(self, now: datetime, device: Hashable) -> bool:
        """Whether a send may go now. Unless it is closed each True is a probe whose outcome the caller must record."""
        return self.is_closed or self._may_probe(now) or self._is_fresh(now, device)

    def record(self, outcome: Outcome, now: datetime, device: Hashable) -> bool:
        """Count one outcome. True exactly when it opened the breaker: then tell the operator."""
        if not self._is_on:
            return False
        # Without a status nobody was asked: a token that cannot be one is refused here.
        if outcome.verdict is Verdict.ACCEPTED or (outcome.verdict in SUCCESSES and outcome.status is not None):
            self._close()
        elif outcome.verdict in FAILURES:
            return self._fail(outcome, now, device)
        elif self.state is BreakerState.HALF_OPEN:
            # It taught nothing: hand the probe back.
            self._probes = max(0, self._probes - 1)
        return False

    def _may_probe(self, now: datetime) -> bool:
        retry_at = self.retry_at
        if retry_at is not None:
            if now < retry_at:
                return False
            self.state = BreakerState.HALF_OPEN
            self._probing_since = None
        # A probe whose sender died is never recorded: after the window others may try.
        if self._probing_since is None or now - self._probing_since >= self._probe_window:
            self._probing_since = now
            self._probes = 0
        if self._probes >= self._most_probes:
            return False
        self._probes += 1
        return True

    def _is_fresh(self, now: datetime, device: Hashable) -> bool:
        if device in self._failing or (self._fresh_at is not None and now - self._fresh_at < self._pace):
            return False
        self._fresh_at = now
        return True

    def _fail(self, outcome: Outcome, now: datetime, device: Hashable) -> bool:
        self._failing.add(device)
        if self.state is BreakerState.HALF_OPEN:
            self._open(now)
            return False
        if self.state is BreakerState.OPEN:
            # Sends that began before the breaker opened tell nothing new.
            return False
        everybodys = outcome.everybodys or outcome.verdict is Verdict.CREDENTIALS
        self._failures.append((now, object() if everybodys else device))
        while now - self._failures[0][0] > self._window:
            self._failures.popleft()
        enough = len(self._failures) >= self._failures_needed
        if not enough or len({who for _, who in self._failures}) < self._devices_needed:
            return False
        self._open(now)
        return True

    def _open(self, now: datetime) -> None:
        self.state = BreakerState.OPEN
        self.opened_at = now
        self._failures.clear()

    def _close(self) -> None:
        self.state = BreakerState.CLOSED
        self.opened_at = self._fresh_at = None
        self._failures.clear()
        self._failing.clear()
