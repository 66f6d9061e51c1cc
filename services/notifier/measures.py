"""What the notifier counts: attempts as they are committed, how long vendors take, and how late a page is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from time import perf_counter
from typing import Any

from prometheus_client import Histogram
from sqlalchemy import bindparam, func, select
from sqlalchemy.sql import Select

from libs.chassis.measure.meters import meters
from libs.chassis.measure.metrics import PAGE, GaugeValue
from libs.chassis.monitor.sampling import seconds_since
from libs.chassis.store.work import Decided, Work
from libs.contracts.notifier import (
    AttemptFailed,
    MethodKind,
    NotificationAccepted,
    NotificationKind,
    NotificationWithdrawn,
    is_test,
)
from services.notifier.domain.notification import Notification, paging_since
from services.notifier.projections import OUTBOX
from services.notifier.providers import Provider, PushClient
from services.notifier.push.breaker import BreakerState
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome, Verdict

EXPIRED = "expired"
"""What counts beside the verdicts: a notification whose deadline passed unsent."""


@cache
def measures() -> Measures:
    """The one set in this process."""
    return Measures()


class Measures:
    def __init__(self) -> None:
        metrics = meters("notifier")
        self._pushes = metrics.counter(
            "pager_pushes", "Attempts by what came of them; `accepted` is the vendor's word.", "provider", "verdict"
        )
        # From the start, at 0: of a series that begins with its first failure a rate would not see that failure.
        for provider in MethodKind:
            for verdict in (*Verdict, EXPIRED):
                self._pushes.labels(str(provider), str(verdict))
        self.seconds = metrics.histogram(
            "pager_push_duration_seconds", "From our request to the vendor's answer, or to our giving up.", "provider"
        )
        self._latency = metrics.histogram(
            "pager_page_latency_seconds",
            "To the vendor's acceptance: since the incident began (its first page), since a level was decided (all).",
            "provider",
            "since",
            buckets=PAGE,
        )
        self._since: dict[tuple[str, str], Histogram] = {}

    def observe(self, decided: Sequence[Decided]) -> None:
        """Count what was committed."""
        pushes: Counter[tuple[str, str]] = Counter()
        for event, state in decided:
            if isinstance(state, Notification) and is_test(state.intent):
                continue  # it says nothing of how paging does
            match event.data:
                case NotificationAccepted() as fact:
                    pushes[fact.provider, "accepted"] += 1
                    if fact.kind is NotificationKind.PAGE:
                        self._accepted(fact, state)
                case AttemptFailed() as fact:
                    pushes[fact.provider, fact.verdict] += 1
                case NotificationWithdrawn(reason="expired"):
                    pushes[str(state.intent.method.kind), EXPIRED] += 1
                case _:
                    pass
        for labels, count in pushes.items():
            self._pushes.labels(*labels).inc(count)

    def _accepted(self, fact: NotificationAccepted, state: Notification) -> None:
        intent = state.intent
        since = {"level": intent.not_before or intent.decided_at}
        if intent.level == 1 and intent.round == 1 and intent.not_before is None:
            since["incident"] = paging_since(intent)
        for name, moment in since.items():
            key = (fact.provider, name)
            if key not in self._since:
                self._since[key] = self._latency.labels(*key)
            self._since[key].observe(max(0.0, (fact.at - moment).total_seconds()))


class MeasuredClient:
    """A vendor whose answers are timed; one that the sender stops waiting for counts with the time until then."""

    def __init__(self, client: PushClient, seconds: Histogram) -> None:
        self._client = client
        self._seconds = seconds

    @property
    def trouble(self) -> str | None:
        return self._client.trouble

    async def start(self) -> None:
        await self._client.start()

    async def close(self) -> None:
        await self._client.close()

    async def send(self, token: str, page: Page, limit: float) -> Outcome:
        began = perf_counter()
        try:
            return await self._client.send(token, page, limit)
        finally:
            self._seconds.observe(perf_counter() - began)


def measure_clients(vendors: Mapping[str, Provider]) -> None:
    """From now on the answers of these vendors are timed."""
    for name, vendor in vendors.items():
        if vendor.client is not None:
            vendor.client = MeasuredClient(vendor.client, measures().seconds.labels(name))


def backlog(vendors: Mapping[str, Provider], work: Work) -> Iterator[GaugeValue]:
    """What should have been sent by now, and each vendor's breaker."""
    due = {row["provider"]: row for row in work.fetch(_overdue(), moment=work.now)}
    for name, vendor in vendors.items():
        labels = {"provider": name}
        row = due.get(name, {"n": 0, "oldest": None})
        yield GaugeValue("pager_pushes_due", "Pushes that should have been sent by now.", row["n"], labels)
        overdue = seconds_since(row["oldest"], work.now)
        yield GaugeValue("pager_pushes_overdue_seconds", "How late the oldest of them is.", overdue, labels)
        if vendor.client is not None:
            shown = vendor.state_at(work.now)
            for state in BreakerState:
                here = {"state": str(state), **labels}
                yield GaugeValue("pager_push_breaker", "1 for the breaker's state.", shown is state, here)


@cache
def _overdue() -> Select[Any]:
    c = OUTBOX.c
    late = select(c.provider, func.count().label("n"), func.min(c.due_at).label("oldest"))
    return late.where(c.due_at <= bindparam("moment")).group_by(c.provider)
