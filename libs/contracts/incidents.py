"""Incidents, from the first alert to the last answer: what incidents publishes and answers of them."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator
from pydantic_core import to_json

from libs.contracts.envelope import Actor, Fact
from libs.contracts.labels import Link
from libs.contracts.model import Contract, Lane, Moment, Priority, Run, RunAnswered, StrictContract
from libs.contracts.requests import ListPage, ListView
from libs.contracts.slots import thread_of
from libs.contracts.texts import ONE_LINE

_BRIEF = 500


class Status(StrEnum):
    """Created or escalated → acknowledged → resolved → closed."""

    CREATED = "created"
    ESCALATED = "escalated"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    CLOSED = "closed"


class IncidentBrief(Contract):
    """What a page says, carried along so that no hop has to ask."""

    incident_id: UUID
    number: int
    title: str
    description: str | None = None
    """At most 500 characters of it."""
    priority: Priority
    team_id: UUID | None = None
    paging_since: Moment | None = None
    """When the incident began to need people in this run: a page that comes much later first looks for an answer."""
    thread: UUID | None = None
    """What it shares with the earlier incidents of its dedup key; None: it is the first one, or nobody has said."""

    @classmethod
    def of(
        cls, created: IncidentCreated, priority: Priority | None = None, paging_since: Moment | None = None
    ) -> IncidentBrief:
        """Of an incident as it was created, or as it is in a later run."""
        return cls(
            incident_id=created.incident_id,
            number=created.number,
            title=created.title,
            description=created.description[:_BRIEF] if created.description else None,
            priority=priority or created.priority,
            team_id=created.team_id,
            paging_since=paging_since or created.created_at,
            thread=_thread(created),
        )


def _thread(created: IncidentCreated) -> UUID | None:
    if created.generation == 1 or created.integration_id is None or created.dedup_key is None:
        return None
    return thread_of(created.integration_id, created.dedup_key)


class AlertPlace(Contract):
    """Where an alert stands in the stream ALERTS; sequences of different incarnations are never compared."""

    incarnation: str
    sequence: int


class IncidentCreated(Fact, type="pager.incidents.IncidentCreated.v1"):
    """Also asks for run 1 of paging, unless it is `suppressed`; then the first `PagingRequested` is run 1."""

    incident_id: UUID
    number: int
    title: str
    description: str | None = None
    priority: Priority
    source: str
    integration_id: UUID | None = None
    dedup_key: str | None = None
    generation: int = 1
    policy_id: UUID | None = None
    """The policy asked for by the caller or set on the integration; escalation chooses when it is None."""
    team_id: UUID | None = None
    assigned_to: UUID | None = None
    created_by: Actor
    created_at: Moment
    occurred_at: Moment | None = None
    """The sender's clock: shown, never used for timers (promise 15)."""
    escalation_timeout_minutes: float | None = None
    """Overrides the time-out of level 1."""
    metadata: dict[str, Any] = {}
    suppressed: bool = False
    """Nobody is paged for it until a request says so."""
    place: AlertPlace | None = None
    """Of the alert that opened it; None: a person did, or an older release."""
    alert_id: UUID | None = None
    """Of its first alert; None: that has the id of the incident (docs/adr/0067)."""
    fingerprint: str | None = None
    labels: dict[str, str] = {}
    links: tuple[Link, ...] = ()


class PagingReason(StrEnum):
    """Why paging starts again."""

    RAISED = "raised"
    REOPENED = "reopened"
    SNOOZE_ENDED = "snooze_ended"
    SUPPRESSION_ENDED = "suppression_ended"
    ACKNOWLEDGEMENT_TIMED_OUT = "acknowledgement_timed_out"


class PagingRequested(Fact, type="pager.incidents.PagingRequested.v1"):
    """Page from level 1 again: run `run` of the incident's one escalation, which replaces every earlier run.

    Self-contained: whoever receives it can page without having seen the incident before, and it is decided together
    with the event that made it necessary. Nothing else numbers runs.
    """

    self_contained = True

    incident_id: UUID
    run: Run
    since: Moment
    """Since when people are needed (again)."""
    reason: PagingReason
    brief: IncidentBrief
    policy_id: UUID | None = None
    assigned_to: UUID | None = None
    first_timeout_minutes: float | None = None


class CountedFact(Fact):
    """Something has become of an incident; it says how many alerts there were by then."""

    alert_count: int | None = None
    """Exactly; None where an older release wrote it."""


class PriorityRaised(CountedFact, type="pager.incidents.PriorityRaised.v1"):
    """It has become worse; from here on it travels in the lane of `priority`. A request to page follows."""

    incident_id: UUID
    previous: Priority
    priority: Priority
    by: Actor
    at: Moment


class PriorityLowered(CountedFact, type="pager.incidents.PriorityLowered.v1"):
    """A person finds it less bad. It goes on travelling in the lane that it has reached, and pages nobody for this."""

    incident_id: UUID
    previous: Priority
    priority: Priority
    by: Actor
    at: Moment


class IncidentEdited(CountedFact, type="pager.incidents.IncidentEdited.v1"):
    """What it says now, all of it, in the place of what its opener said; pages from here on say this."""

    incident_id: UUID
    title: str
    description: str | None = None
    metadata: dict[str, Any] = {}
    by: Actor
    at: Moment


class AlertsGrouped(Fact, type="pager.incidents.AlertsGrouped.v1"):
    """Its alert came again, at least so often: most repeats have no event of their own (docs/adr/0035).

    There is one when 1, 2, 5, 10, 20, 50 … of them have come, and when what they say has changed, for that at most
    once a minute.
    """

    incident_id: UUID
    count: int
    """How many more than the events before it have told of, at least."""
    last_at: Moment
    alert_count: int | None = None
    """All its alerts so far, at least; None: an older release has counted, and each repeat is in an event."""
    title: str | None = None
    """What the newest alert says, where that is not what was told before."""
    description: str | None = None
    alert_id: UUID | None = None
    """Which of its alerts says so; None: the first."""


class IncidentAcknowledged(CountedFact, type="pager.incidents.IncidentAcknowledged.v1"):
    """An answer: it stops every run of paging up to `run`."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    notes: str | None = None
    place: AlertPlace | None = None
    """Of the newest of its alerts that had been taken by then, if that is known: whoever answers has heard of it."""


class IncidentEscalated(CountedFact, type="pager.incidents.IncidentEscalated.v1"):
    """Nobody answered: a level beyond the first fired, or the first one again; the status becomes `escalated`."""

    incident_id: UUID
    run: Run = 1
    level: int
    round: int
    user_ids: tuple[UUID, ...]
    next_at: Moment | None
    exhausted: bool = False


class IncidentResolved(CountedFact, type="pager.incidents.IncidentResolved.v1"):
    """An answer: it stops every run of paging up to `run`."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    notes: str | None = None


class IncidentClosed(CountedFact, type="pager.incidents.IncidentClosed.v1"):
    """An answer: it stops every run of paging up to `run`."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    notes: str | None = None


class IncidentSnoozed(CountedFact, type="pager.incidents.IncidentSnoozed.v1"):
    """An answer for a while: it stops every run of paging up to `run`, and at `until` paging starts again."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    until: Moment
    place: AlertPlace | None = None
    """As of `IncidentAcknowledged`."""


class SnoozeEnded(CountedFact, type="pager.incidents.SnoozeEnded.v1"):
    """Its time is over; a request to page follows."""

    incident_id: UUID
    at: Moment


class SuppressionEnded(CountedFact, type="pager.incidents.SuppressionEnded.v1"):
    """What kept it from paging is over and it is still open; a request to page follows."""

    incident_id: UUID
    at: Moment


class AcknowledgementTimedOut(CountedFact, type="pager.incidents.AcknowledgementTimedOut.v1"):
    """Whoever acknowledged it has not resolved it in time; a request to page follows."""

    incident_id: UUID
    at: Moment


class IncidentReopened(CountedFact, type="pager.incidents.IncidentReopened.v1"):
    """A resolution was taken back, by a person or for an alert that is newer than it; a request to page follows."""

    incident_id: UUID
    by: Actor
    at: Moment
    notes: str | None = None


METADATA_LIMIT = 64 * 1024
"""Bytes of JSON: an event must fit into a message of 1 MiB with all the rest."""


def _small(metadata: dict[str, Any]) -> dict[str, Any]:
    json.dumps(metadata, allow_nan=False)  # 1e400 is read as infinity, and would be stored as null
    if len(to_json(metadata)) > METADATA_LIMIT:
        raise ValueError(f"must be at most {METADATA_LIMIT} bytes as JSON")
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_small)]


class CreateIncident(StrictContract):
    """`POST /incidents`."""

    # Odd values that an alert on NATS is read without (docs/adr/0034) are refused here, and the field named.
    title: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    description: str | None = Field(default=None, max_length=16_384)
    priority: Priority = Priority.MEDIUM
    assigned_to: UUID | None = None
    dedup_key: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    metadata: Metadata = {}
    escalation_timeout_minutes: float | None = Field(default=None, ge=0.05, le=10_080)
    policy_id: UUID | None = None
    team_id: UUID | None = None


class StatusBody(StrictContract):
    """May be left out."""

    notes: str | None = Field(default=None, max_length=10_000, examples=["Investigating the database connection issue"])


class ChangeStatus(StatusBody):
    """`POST /incidents/{id}/acknowledge`, `/resolve`, `/close`."""

    id: UUID


class IncidentEdit(StrictContract):
    """Fields not given stay; `description` given as null goes, `metadata` is replaced as a whole."""

    title: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    description: str | None = Field(default=None, max_length=16_384)
    priority: Priority | None = None
    metadata: Metadata | None = None


class EditIncident(IncidentEdit):
    id: UUID


def _somebody(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(value)
    except ValidationError:
        raise ValueError("must be a UUID, or me") from None


Whose = Annotated[UUID | Literal["me"], WrapValidator(_somebody)]
"""`me` is whoever asks."""


class ListIncidents(ListPage):
    status: Status | None = None
    priority: Priority | None = None
    assigned_to: Whose | None = None
    team_id: UUID | None = None


class EscalationView(Contract):
    level: int
    next_at: Moment | None = None
    exhausted: bool = False


class Acknowledgement(Contract):
    user_id: str
    at: Moment
    notes: str | None = None
    run: RunAnswered = 1
    """The run of paging that it answered."""


class AlertTotals(Contract):
    """How many different alerts an incident has had, and how many of them are not over."""

    open: int
    total: int
    more: bool = False
    """There were more than an incident holds: they are in `alertCount` alone, and end with the incident."""


class IncidentView(Contract):
    """The specification's incident, and what was added to it."""

    id: UUID
    number: int
    version: int
    title: str
    description: str | None
    priority: Priority
    status: Status
    lane: Lane
    assigned_to: UUID | None
    assignee_inactive: bool = False
    """The person in `assignedTo` is deactivated. While nobody has answered, others are paged; else take it over."""
    created_by: str
    created_at: Moment
    updated_at: Moment
    """The last event or the last alert, whichever is later; a repeat that has no event leaves `version` as it is."""
    acknowledged_at: Moment | None = None
    acknowledged_by: str | None = None
    acknowledgement_notes: str | None = None
    resolved_at: Moment | None = None
    resolved_by: str | None = None
    closed_at: Moment | None = None
    closed_by: str | None = None
    escalation_timeout_minutes: float
    """What the level that is paged has until the next one; before the first one has fired, what was wished, or 15."""
    team_id: UUID | None = None
    policy_id: UUID | None = None
    integration_id: UUID | None = None
    dedup_key: str | None = None
    alert_count: int
    """Exactly, also where no event says so; repeats included."""
    alerts: AlertTotals | None = None
    """None: an older release has written it."""
    run: int = 1
    """How often paging has started for it; 0: it has not."""
    metadata: dict[str, Any]
    escalation: EscalationView | None = None
    acknowledgements: tuple[Acknowledgement, ...] = ()


class IncidentList(ListView):
    """Newest first."""

    incidents: tuple[IncidentView, ...]


class TimelineEntry(Contract):
    at: Moment
    type: str
    actor: Actor
    summary: str
    event_id: UUID
    causation_id: UUID | None = None


class TimelineQuery(StrictContract):
    """`GET /incidents/{id}/timeline`."""

    id: UUID
    cursor: str | None = Field(default=None, max_length=200)
    """`nextCursor` of the page before; None: from the beginning."""
    limit: int = Field(default=100, ge=1, le=500)


class Timeline(Contract):
    """A page, oldest first; within it a cause stands before its effect."""

    entries: tuple[TimelineEntry, ...]
    next_cursor: str | None = None
    """Where the next page begins; None: this was the last one. A page may be shorter than it was asked to be."""
    erased: tuple[UUID, ...] = ()
    """Who of the people in it was erased: nobody can be named any more."""


class ChainLink(Contract):
    event_id: UUID
    at: Moment
    type: str
    summary: str


class Outcome(StrEnum):
    PAGED = "paged"
    NOT_PAGED = "not_paged"
    SUPPRESSED = "suppressed"
    UNREACHABLE = "unreachable"


class PersonExplained(Contract):
    """What became of one person for one incident, with the chain of events that led to it.

    Of a chain that is very long the middle is left out, and of very many people all but the first have none here: it is
    there when one of them is asked for.
    """

    user_id: UUID
    erased: bool = False
    """Nobody can be named any more: this was an erased person."""
    outcome: Outcome
    reason: str
    run: Run = 1
    """The run of paging that `outcome` is about: the newest that concerned this person."""
    chain: tuple[ChainLink, ...]


class ExplainQuery(StrictContract):
    id: UUID
    user_id: UUID | None = None


class Explanation(Contract):
    people: tuple[PersonExplained, ...]


class FindExplanation(StrictContract):
    """An operator's question: `key` is an incident's number, its id, or 4 or more digits of the beginning of its id."""

    key: str = Field(min_length=1, max_length=64)
    user_id: UUID | None = None


class IncidentExplained(Explanation):
    """The explanation of the incident that was meant."""

    incident_id: UUID
    number: int
    title: str
