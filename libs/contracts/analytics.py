"""How alerts, incidents and people have fared: what is asked for a period, and the numbers that are answered.

Times are seconds. An incident counts in the period in which it was opened, a page in the one in which it was sent.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID

from pydantic import Field

from libs.contracts.model import Contract, Moment, Priority, SentMoment, StrictContract
from libs.contracts.texts import TimeZone

LONGEST: Final = timedelta(days=366)
"""A period that is asked for."""
YEARS: Final = range(2000, 2200)
"""In which a period is, as shifts are: where years end, a zone that is ahead has no date."""
USUAL: Final = timedelta(days=30)
"""A period of which only the end is said, or nothing: up to now."""
NOISIEST: Final = 20
"""Keys that are named."""
MOST_INTEGRATIONS: Final = 500
"""That are named, the busiest first."""
MOST_PEOPLE: Final = 1000
"""That are named, the most paged first."""


class AnalyticsQuery(StrictContract):
    """`[from, to)`, at most 366 days. Without `to` it is up to now, without `from` it is 30 days.

    `timezone`: of the hours of the day.
    """

    from_: SentMoment | None = Field(default=None, alias="from")
    to: SentMoment | None = None
    team_id: UUID | None = None
    timezone: TimeZone = "UTC"


class Period(Contract):
    """What the numbers are of: `[from, to)`, and the team whose things were asked for."""

    from_: Moment = Field(alias="from")
    to: Moment
    team_id: UUID | None = None
    timezone: str = "UTC"


class Handling(Contract):
    """What became of some incidents.

    `mtta`: mean seconds from when people were first asked for to the first answer of somebody (an acknowledgement, a
    snooze or a resolution, by a person or with an API key). `mttr`: from opening to the resolution that stands, by
    whomever, with all the time in which it was snoozed, suppressed or reopened.
    """

    incidents: int = 0
    answered: int = 0
    """Those that `mtta` is the mean of. One that was answered before anybody was asked, while suppressed, is none."""
    mtta: float | None = None
    median_answer: float | None = None
    resolved: int = 0
    """Those that `mttr` is the mean of: they are over now."""
    mttr: float | None = None
    median_resolution: float | None = None
    resolved_automatically: int = 0
    """Of the resolved: by an integration or by Pager itself."""
    reopened: int = 0
    """Those that were, once or more often; so are the next two."""
    snoozed: int = 0
    suppressed: int = 0


class PriorityHandling(Handling):
    """By the priority that they have now."""

    priority: Priority


class IntegrationHandling(Handling):
    """By the service that their alerts came from; None: a person opened them without a dedup key."""

    integration_id: UUID | None = None
    name: str | None = None
    """None: it is deleted, or there is none."""


class HourHandling(Contract):
    """By the hour of the day, in the query's zone, in which they were opened."""

    hour: int
    incidents: int = 0
    answered: int = 0
    mtta: float | None = None
    resolved: int = 0
    mttr: float | None = None


class PersonLoad(Contract):
    """How often somebody was paged: a level that paged them, however many messages and devices it took, is one page.

    It is counted when the first of its messages was accepted. It is a night page by the clock of where they lived then.
    """

    user_id: UUID
    erased: bool = False
    """Nobody can be named any more."""
    pages: int
    night_pages: int
    incidents: int
    """That they were paged for."""


class Summary(Handling, Period):
    """`GET /analytics/summary`. `people`: those whose load the caller may see."""

    by_priority: tuple[PriorityHandling, ...] = ()
    by_integration: tuple[IntegrationHandling, ...] = ()
    by_hour: tuple[HourHandling, ...] = ()
    people: tuple[PersonLoad, ...] = ()


class LevelResponse(Contract):
    """How one level of policies fared: an answer is that of the level which was paged last before it."""

    level: int
    fired: int = 0
    """How often it was paged, repeats too."""
    answered: int = 0
    mean_seconds: float | None = None
    """From when it was paged to the answer."""
    median_seconds: float | None = None
    p95_seconds: float | None = None


class Responder(Contract):
    """Somebody who has answered: their acknowledgements, snoozes and resolutions; how many came first in a run of
    paging, and how soon those came after the level that was paged."""

    user_id: UUID
    erased: bool = False
    acknowledged: int
    resolved: int
    first: int
    mean_seconds: float | None = None


class Response(Period):
    """`GET /analytics/response`. `responders`: those whom the caller may see, the busiest first."""

    levels: tuple[LevelResponse, ...] = ()
    unpaged: int = 0
    """Runs that were answered before a level was paged."""
    responders: tuple[Responder, ...] = ()


class HourLoad(Contract):
    """Pages by the hour of the day where those who got them lived."""

    hour: int
    pages: int = 0
    is_night: bool = False
    """Whether some of the hour is night."""


class Load(Period):
    """`GET /analytics/load`: the people whom the caller may see, the most paged first. `night`: as `22:00-07:00`."""

    night: str
    pages: int = 0
    night_pages: int = 0
    by_hour: tuple[HourLoad, ...] = ()
    people: tuple[PersonLoad, ...] = ()


class NoisyKey(Contract):
    """A dedup key, and what it has opened in the period."""

    integration_id: UUID | None = None
    dedup_key: str
    title: str
    """Of the newest."""
    incidents: int
    alerts: int
    """That have come to these incidents so far."""
    untouched: int
    """Incidents that were over without anybody's answer: nothing had to be done."""


class NoisyIntegration(Contract):
    integration_id: UUID | None = None
    name: str | None = None
    incidents: int
    alerts: int
    untouched: int


class Noise(Period):
    """`GET /analytics/noise`: the noisiest first."""

    keys: tuple[NoisyKey, ...] = ()
    integrations: tuple[NoisyIntegration, ...] = ()


class Report(Contract):
    """All of it, for operators (`pager report`)."""

    summary: Summary
    response: Response
    load: Load
    noise: Noise
