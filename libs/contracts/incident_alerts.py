"""The alerts of an incident, each a thing that burns until it is over: their events, their list, and their outcomes."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from libs.contracts.envelope import Actor
from libs.contracts.incidents import CountedFact
from libs.contracts.labels import Link
from libs.contracts.model import Contract, Moment, Priority, StrictContract
from libs.contracts.requests import ListPage, ListView


class AlertAdded(CountedFact, type="pager.incidents.AlertAdded.v1"):
    """A further alert of the incident burns, beside those that do already. Its repeats are counted, not told."""

    incident_id: UUID
    alert_id: UUID
    fingerprint: str | None = None
    """Which one it is, as its sender says or its labels make; None: the one that says nothing of that."""
    again: bool = False
    """It had been over."""
    title: str
    description: str | None = None
    """At most 4,096 characters of it, with a mark."""
    priority: Priority
    source: str
    labels: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    occurred_at: Moment | None = None
    """The sender's clock: shown, never used for timers."""
    by: Actor
    at: Moment


class AlertResolved(CountedFact, type="pager.incidents.AlertResolved.v1"):
    """One alert is over. An incident that alerts opened is resolved together with its last one."""

    incident_id: UUID
    alert_id: UUID
    left: int
    """How many of its alerts still burn."""
    by: Actor
    at: Moment


class AlertsOverflowed(CountedFact, type="pager.incidents.AlertsOverflowed.v1"):
    """There are more different alerts than an incident holds: from here on what is not held is counted alone.

    Nobody knows any more when the last one is over: the incident ends by a resolve of its whole key, or by a person.
    """

    incident_id: UUID
    open: int
    total: int
    at: Moment


class AlertState(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


class AlertSort(StrEnum):
    OLDEST = "createdAt"
    NEWEST = "-createdAt"


class ListAlerts(ListPage):
    """`GET /incidents/{id}/alerts`."""

    id: UUID
    state: AlertState | None = None
    sort: AlertSort = AlertSort.OLDEST


class FindAlerts(ListPage):
    """An operator's question: `key` is an incident's number, its id, or 4 or more digits of the beginning of its id."""

    key: str = Field(min_length=1, max_length=64)
    state: AlertState | None = None


class AlertView(Contract):
    """One alert of an incident."""

    id: UUID
    incident_id: UUID
    number: int
    """In the order of their coming, from 1 in each incident."""
    fingerprint: str | None
    """None: its sender told none; all alerts of the key that tell none are one."""
    state: AlertState
    """All alerts of an incident are over with it."""
    title: str
    """Of its newest repeat, as far as events have told: at most once a minute an incident."""
    description: str | None
    priority: Priority
    source: str
    labels: dict[str, str]
    links: tuple[Link, ...]
    count: int
    """How often it came, exactly."""
    created_at: Moment
    last_at: Moment
    """When it came last."""
    resolved_at: Moment | None
    occurred_at: Moment | None


class AlertList(ListView):
    """In the order of their first coming, or the other way round."""

    alerts: tuple[AlertView, ...]


class AlertOutcome(StrEnum):
    """What became of an accepted alert: one of these, and one only."""

    CREATED = "created"
    """It opened an incident."""
    ADDED = "added"
    """It is a further alert of an open incident, or one that burns again."""
    FOLDED = "folded"
    """It repeats an alert that burns: it is counted."""
    CROWDED = "crowded"
    """It is one more than its incident holds: it is counted."""
    REPEATED = "repeated"
    """The same message was taken before."""
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    OVERTAKEN = "overtaken"
    """An answer to something that has fired anew since: nothing is silenced."""
    UNMATCHED = "unmatched"
    """An answer to what is not open."""
    WAITING = "waiting"
    """An answer that takes effect when both lanes have passed its place; then it has another outcome."""
    REFUSED = "refused"
    """It may not do what it asks for, or names a key that nobody has: it is set aside with the reason."""
    PARKED = "parked"
    """We failed on it: it is set aside, and can be replayed."""


class FindOutcome(StrictContract):
    """An operator's question: what became of the message `sequence` of ALERTS?"""

    sequence: int = Field(ge=1, lt=2**63)


class OutcomeView(Contract):
    """What became of one message of ALERTS."""

    sequence: int
    stored_at: Moment
    """When the stream had it."""
    taken_at: Moment
    outcome: AlertOutcome
    incident_id: UUID | None


class Outcomes(Contract):
    """Of a sequence: more than one where the stream was made anew and has used it again."""

    outcomes: tuple[OutcomeView, ...]


class BalanceQuery(StrictContract):
    """An operator's question: what became of all that was taken of ALERTS in the last `hours`?"""

    hours: float = Field(default=1.0, gt=0, le=24 * 8)


class Balance(Contract):
    """Of what was taken since then: `taken` is the sum of `outcomes` and `untold`."""

    since: Moment
    """Later than was asked where there was more than is read for one answer."""
    taken: int
    outcomes: dict[AlertOutcome, int]
    untold: int = 0
    """Taken by an older release, which tells no outcomes."""
    waiting: int
    """Answers that wait now, since whenever."""
