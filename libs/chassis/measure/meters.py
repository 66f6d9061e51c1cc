"""What every event-sourced service measures: requests, batches, appends, timers and the threads that use its database.

One update a request, a batch, a commit; never one an event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import cache
from time import perf_counter
from typing import ParamSpec, TypeVar

from prometheus_client import Counter, Histogram

from libs.chassis.measure.metrics import FORGED, LONG, SIZES, Metrics
from libs.contracts.model import Lane
from libs.contracts.requests import Reply

P = ParamSpec("P")
T = TypeVar("T")

_WAITS = (0.001, 0.01, 0.1, 1, 5)


@cache
def meters(service: str) -> Meters:
    """The one set of a service in this process, made when it is first asked for."""
    return Meters(service)


class Meters(Metrics):
    """Children of labelled metrics are kept: looking one up costs as much as updating it."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self._requests = self.counter(
            "pager_requests", "Requests over NATS by outcome: ok, or the kind of the refusal.", "operation", "outcome"
        )
        self._request_seconds = self.histogram(
            "pager_request_duration_seconds", "From a request's arrival to its answer.", "operation"
        )
        self._batch_seconds = self.histogram(
            "pager_consumer_batch_seconds", "Taking a batch of an upstream into effect.", "upstream", "lane"
        )
        self._batch_size = self.histogram(
            "pager_consumer_batch_size", "Inputs taken together.", "upstream", "lane", buckets=SIZES
        )
        self._appends = self.histogram(
            "pager_append_seconds", "Commits with events, waiting and retries included.", "role"
        )
        self._conflicts = self.counter("pager_append_conflicts", "Commits tried again: somebody else was first.")
        self._busy = self.histogram("pager_database_busy_seconds", "One use of a database connection.", "role")
        self._waits = self.histogram(
            "pager_database_wait_seconds", "Waiting for a free connection.", "role", buckets=_WAITS
        )
        self._timer_delays = self.histogram(
            "pager_timer_delay_seconds", "How late timers have fired.", buckets=(0.1, 0.5, *LONG)
        )
        self._parted = self.counter(
            "pager_request_clocks_parted", "Callers whose clock was found to have left ours by more than a second."
        )
        self._forged = self.counter("pager_forged_tokens", FORGED)
        totals = self.counter(
            "pager_list_estimates",
            "Totals of more than 10,000 rows: kept for a minute, or counted.",
            "outcome",
        )
        self._totals = {True: totals.labels("kept"), False: totals.labels("counted")}
        self._operations: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        self._roles: dict[str, Histogram] = {}

    async def request(self, operation: str, answer: Awaitable[Reply]) -> Reply:
        """Wait for the answer of an operation, and count it."""
        began = perf_counter()
        reply = await answer
        outcome = "ok" if reply.error is None else str(reply.error.kind)
        key = (operation, outcome)
        if key not in self._operations:
            self._operations[key] = self._requests.labels(*key), self._request_seconds.labels(operation)
        count, seconds = self._operations[key]
        count.inc()
        seconds.observe(perf_counter() - began)
        return reply

    def forged(self) -> None:
        """Somebody has shown an access token that auth has not made."""
        self._forged.inc()

    def total(self, kept: bool) -> None:
        """A list has had more rows than are counted for each who asks."""
        self._totals[kept].inc()

    def clocks_parted(self) -> None:
        self._parted.inc()

    def batches(self, upstream: str, lane: Lane) -> Callable[[int, float], None]:
        """For one lane: `measured(inputs, began)` after a batch has been committed, `began` by `perf_counter`."""
        name = upstream.lower()
        size, seconds = self._batch_size.labels(name, str(lane)), self._batch_seconds.labels(name, str(lane))

        def measured(inputs: int, began: float) -> None:
            size.observe(inputs)
            seconds.observe(perf_counter() - began)

        return measured

    def appended(self, role: str, began: float) -> None:
        """A commit with events has returned; `began` by `perf_counter`."""
        if role not in self._roles:
            self._roles[role] = self._appends.labels(role)
        self._roles[role].observe(perf_counter() - began)

    def conflicted(self) -> None:
        self._conflicts.inc()

    def fired(self, due: Sequence[datetime], now: datetime) -> None:
        """Timers that were due then have fired."""
        for moment in due:
            self._timer_delays.observe(max(0.0, (now - moment).total_seconds()))

    def threads(self, role: str, connections: int) -> ThreadPoolExecutor:
        """Worker threads, one a connection: the sum of `pager_database_busy_seconds` is the use of the pool."""
        return _MeasuredThreads(
            connections, f"{self.service}-{role}", self._waits.labels(role), self._busy.labels(role)
        )


class _MeasuredThreads(ThreadPoolExecutor):
    def __init__(self, workers: int, name: str, waits: Histogram, busy: Histogram) -> None:
        super().__init__(workers, thread_name_prefix=name)
        self._waits = waits
        self._busy = busy

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        asked = perf_counter()

        def run(*inner: P.args, **named: P.kwargs) -> T:
            began = perf_counter()
            self._waits.observe(began - asked)
            try:
                return fn(*inner, **named)
            finally:
                self._busy.observe(perf_counter() - began)

        return super().submit(run, *args, **kwargs)
