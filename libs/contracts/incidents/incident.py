"""An incident, as it was opened and as it is told again: what it is about, how bad it is, and how often it came."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.contracts.envelope import Actor, Fact
from libs.contracts.labels import Link
from libs.contracts.model import Contract, Moment, Priority
from libs.contracts.slots import thread_of

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


class Suppression(Contract):
    """Why an incident pages nobody for a while, whatever happens to it."""

    by: str
    """Who or what did: a person's id, or the name of what keeps it quiet."""
    until: Moment | None = None
    """None: until somebody asks for people."""


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
    suppression: Suppression | None = None
    """By what, and until when, where it is."""
    place: AlertPlace | None = None
    """Of the alert that opened it; None: a person did, or an older release."""
    alert_id: UUID | None = None
    """Of its first alert; None: that has the id of the incident (docs/adr/0067)."""
    fingerprint: str | None = None
    labels: dict[str, str] = {}
    links: tuple[Link, ...] = ()


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


class NoteAdded(CountedFact, type="pager.incidents.NoteAdded.v1"):
    """What somebody has to say about it. It changes nothing else."""

    incident_id: UUID
    note_id: UUID
    text: str
    by: Actor
    at: Moment
