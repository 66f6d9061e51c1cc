"""What is asked of the numbers: by people, each as far as they see, and by operators."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.analytics import LONGEST, USUAL, YEARS, AnalyticsQuery, Period, Report
from libs.contracts.model import Contract
from libs.contracts.permissions import Action
from libs.contracts.requests import Invalid, NotFound
from libs.contracts.texts import time_zones
from services.incidents.analytics.night import Night
from services.incidents.analytics.numbers import Numbers
from services.incidents.analytics.queries import ROOM
from services.incidents.analytics.scope import Scopes
from services.incidents.references import References


def add_analytics(requests: Requests, references: References, night: Night) -> None:
    """`summary`, `response`, `load` and `noise`, and all of them as a `report` for whoever the bus lets ask."""

    async def team_exists(body: AnalyticsQuery, caller: Caller) -> None:
        if (unknown := await references.unknown(body, caller)) is not None:
            raise NotFound(unknown.reason, field=unknown.field)

    def answers(operation: str, ask: Callable[[Numbers], Contract]) -> None:
        @requests.query(operation, AnalyticsQuery, action=Action.ANALYTICS_READ, before=team_exists)
        def handle(work: Work, body: AnalyticsQuery, caller: Caller) -> Any:
            work.fetch(ROOM)
            return ask(Numbers(work, period_of(body, work.now), Scopes.seen_by(caller, body), night))

    answers("summary", Numbers.summary)
    answers("response", Numbers.response)
    answers("load", Numbers.load)
    answers("noise", Numbers.noise)

    @requests.query("report", AnalyticsQuery, public=True)
    def report(work: Work, body: AnalyticsQuery, _caller: None) -> Report:
        """For operators (`pager report`), guarded by the bus (promise 13)."""
        work.fetch(ROOM)
        of = Numbers(work, period_of(body, work.now), Scopes.everything(body), night)
        return Report(summary=of.summary(), response=of.response(), load=of.load(), noise=of.noise())


def period_of(asked: AnalyticsQuery, now: datetime) -> Period:
    """Raises Invalid: it lasts no time or too long, is of no year of ours, or there is no such zone."""
    if asked.timezone not in time_zones():
        raise Invalid("there is no such time zone", field="timezone")
    for field, at in (("from", asked.from_), ("to", asked.to)):
        if at is not None and at.year not in YEARS:
            raise Invalid(f"must be within the years {YEARS.start} to {YEARS.stop - 1}", field=field)
    until = asked.to or (max(now, asked.from_ + timedelta(microseconds=1)) if asked.from_ else now)
    since = asked.from_ or until - USUAL
    if not timedelta(0) < until - since <= LONGEST:
        raise Invalid(f"must be later than from, by at most {LONGEST.days} days", field="to")
    return Period(from_=since, to=until, team_id=asked.team_id, timezone=asked.timezone)
