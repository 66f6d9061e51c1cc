"""What escalation counts: levels as they are committed, and how late it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from sqlalchemy import bindparam, func, select
from sqlalchemy.sql import Select

from libs.chassis.measure.meters import meters
from libs.chassis.measure.metrics import GaugeValue
from libs.chassis.monitor.sampling import seconds_since
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Decided, Work
from libs.contracts.envelope import Fact
from libs.contracts.escalation import EscalationDue, EscalationExhausted
from services.escalation.projections import SCHEMA, TIMER


@cache
def measures() -> Measures:
    """The one set in this process."""
    return Measures()


class Measures:
    def __init__(self) -> None:
        self._triggered = meters(SCHEMA).counter(
            "escalations_triggered", "Levels that were paged, by why (docs/runbooks/metrics.md).", "level", "reason"
        )

    def observe(self, decided: Sequence[Decided]) -> None:
        """Count what was committed."""
        fired: Counter[tuple[str, str]] = Counter()
        for event, _ in decided:
            if (reason := reason_of(event.data)) is not None:
                fired[str(event.data.level), reason] += 1
        for labels, count in fired.items():
            self._triggered.labels(*labels).inc(count)


def reason_of(fact: Fact) -> str | None:
    """Why a level is paged, in one of five words: the event's own reason is a sentence with names in it."""
    match fact:
        case EscalationExhausted():
            return "exhausted"
        case EscalationDue(reason=str()):
            return "fallback"
        case EscalationDue(run=1, round=1, level=1):
            return "created"
        case EscalationDue(level=1):
            return "repeat"
        case EscalationDue():
            return "timeout"
        case _:
            return None


def delay(work: Work) -> Iterator[GaugeValue]:
    """The specification's `escalation_delay_seconds`."""
    oldest = work.fetch(_oldest_due(), moment=work.now)[0]["oldest"]
    text = "How late the oldest escalation is that should have gone on by now; 0: none is late."
    yield GaugeValue("escalation_delay_seconds", text, seconds_since(oldest, work.now))


@cache
def _oldest_due() -> Select[Any]:
    c = chassis_tables(SCHEMA).timers.c
    return select(func.min(c.due_at).label("oldest")).where(c.due_at <= bindparam("moment"), c.name == TIMER)
