"""What incidents counts: incidents as they are committed, and how long people and alerts have waited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from time import time_ns
from typing import Any

from sqlalchemy import ScalarSelect, func, select
from sqlalchemy.sql import Select

from libs.chassis.measure.meters import meters
from libs.chassis.measure.metrics import LONG, PAGE, Bounded, GaugeValue
from libs.chassis.monitor.sampling import seconds_since
from libs.chassis.store.work import Decided, Work
from libs.contracts.incidents import IncidentAcknowledged, IncidentCreated, Status
from libs.contracts.model import Lane, Priority
from services.incidents.alerts.kept import kept_answers
from services.incidents.projections import SCHEMA, incidents

_WAITING = (str(Status.CREATED), str(Status.ESCALATED))


@cache
def measures() -> Measures:
    """The one set in this process."""
    return Measures()


class Measures:
    def __init__(self) -> None:
        metrics = meters(SCHEMA)
        self._created = metrics.counter(
            "incidents_created", "Incidents that were opened; sources beyond 50 are `other`.", "priority", "source"
        )
        self._response = metrics.histogram(
            "pager_incident_response_seconds", "From an incident to its first answer.", "priority", buckets=LONG
        )
        waits = metrics.histogram(
            "pager_alert_wait_seconds",
            "From the stream to the incident, oldest alert of a batch.",
            "lane",
            buckets=PAGE,
        )
        self._waits = {lane: waits.labels(str(lane)) for lane in Lane}
        self._source = Bounded()

    def observe(self, decided: Sequence[Decided]) -> None:
        """Count what was committed."""
        opened: Counter[tuple[str, str]] = Counter()
        for event, state in decided:
            match event.data:
                case IncidentCreated() as fact:
                    opened[str(fact.priority), self._source(fact.source)] += 1
                case IncidentAcknowledged() as fact if len(state.acknowledgements) == 1:
                    waited = (fact.at - state.created.created_at).total_seconds()
                    self._response.labels(str(state.created.priority)).observe(max(0.0, waited))
                case _:
                    pass
        for labels, count in opened.items():
            self._created.labels(*labels).inc(count)

    def taken(self, lane: Lane, stored_at: int) -> None:
        """A batch of alerts has taken effect; the oldest was stored then (Unix nanoseconds, the server's clock)."""
        self._waits[lane].observe(max(0, time_ns() - stored_at) / 1e9)


def gauges(work: Work) -> Iterator[GaugeValue]:
    """What the tables say of those who wait."""
    yield from _unanswered(work)
    [row] = work.fetch(_oldest_answer())
    text = "Age of the oldest answer of a sender that waits for a lane of ALERTS; 0: there is none."
    yield GaugeValue("pager_answer_waiting_seconds", text, seconds_since(row["oldest"], work.now), {})


@cache
def _oldest_answer() -> Select[Any]:
    return select(func.min(kept_answers.c.kept_at).label("oldest"))


def _unanswered(work: Work) -> Iterator[GaugeValue]:
    """For each priority, how long the oldest incident waits that nobody has acknowledged."""
    [oldest] = work.fetch(_oldest_unanswered())
    text = "Age of the oldest incident that nobody has acknowledged; 0: there is none."
    for priority in Priority:
        age = seconds_since(oldest[str(priority)], work.now)
        yield GaugeValue("pager_incident_unanswered_seconds", text, age, {"priority": str(priority)})


@cache
def _oldest_unanswered() -> Select[Any]:
    """The first of each list in its index: in a storm there are tens of thousands, which nobody counts every moment."""
    return select(*(func.least(*(_oldest(status, p) for status in _WAITING)).label(str(p)) for p in Priority))


def _oldest(status: str, priority: Priority) -> ScalarSelect[Any]:
    found = select(incidents.c.created_at).where(incidents.c.status == status)
    # Only the index of these lists has this order: that of all incidents would be walked to the first that fits.
    order = (incidents.c.priority, incidents.c.created_at)
    return (
        found.where(incidents.c.priority.between(str(priority), str(priority)))
        .order_by(*order)
        .limit(1)
        .scalar_subquery()
    )
