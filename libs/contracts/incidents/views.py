"""An incident as the API shows it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.contracts.incidents.incident import Status, Suppression
from libs.contracts.model import Contract, Lane, Moment, Priority, RunAnswered
from libs.contracts.requests import ListView


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
    levels_run: int | None = None
    """The run in which its levels are paged: later ones only asked others for help. None: `run`."""
    run: int = 1
    """How often paging has started for it; 0: it has not."""
    responders: tuple[UUID, ...] = ()
    """Who was asked for help, in that order; the newest 100."""
    snoozed_until: Moment | None = None
    suppression: Suppression | None = None
    acknowledgement_ends_at: Moment | None = None
    """When paging starts again because of whoever acknowledged it; None: its policy gives them all the time."""
    url: str | None = None
    """Where people find it."""
    metadata: dict[str, Any]
    escalation: EscalationView | None = None
    acknowledgements: tuple[Acknowledgement, ...] = ()


class NoteView(Contract):
    id: UUID
    text: str
    by: str
    at: Moment


class IncidentList(ListView):
    """Newest first."""

    incidents: tuple[IncidentView, ...]
