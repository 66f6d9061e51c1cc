"""What people, senders and times say to an incident: what stops its paging, and what ends that."""

from __future__ import annotations

from uuid import UUID

from libs.contracts.envelope import Actor
from libs.contracts.incidents.incident import AlertPlace, CountedFact, Suppression
from libs.contracts.model import Moment, RunAnswered


class IncidentAcknowledged(CountedFact, type="pager.incidents.IncidentAcknowledged.v1"):
    """An answer: it stops every run of paging up to `run`."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    notes: str | None = None
    occurred_at: Moment | None = None
    """When its sender says that it was, where it comes late: shown, never used for timers."""
    resolves_at: Moment | None = None
    """When it is resolved by itself, unless something becomes of it before."""
    place: AlertPlace | None = None
    """Of the newest of its alerts that had been taken by then, if that is known: whoever answers has heard of it."""


class IncidentResolved(CountedFact, type="pager.incidents.IncidentResolved.v1"):
    """An answer: it stops every run of paging up to `run`."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    notes: str | None = None
    occurred_at: Moment | None = None
    """When its sender says that it was, where it comes late: shown, never used for timers."""


class IncidentClosed(CountedFact, type="pager.incidents.IncidentClosed.v1"):
    """An answer: it stops every run of paging up to `run`."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    by: Actor
    at: Moment
    notes: str | None = None
    occurred_at: Moment | None = None
    """When its sender says that it was, where it comes late: shown, never used for timers."""


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


class IncidentSuppressed(CountedFact, type="pager.incidents.IncidentSuppressed.v1"):
    """It pages nobody for a while: it stops every run of paging up to `run`, and what happens meanwhile begins none."""

    self_contained = True

    incident_id: UUID
    run: RunAnswered = 1
    suppression: Suppression
    by: Actor
    at: Moment
    reason: str | None = None


class SuppressionEnded(CountedFact, type="pager.incidents.SuppressionEnded.v1"):
    """What kept it from paging is over and it is still open; a request to page follows."""

    incident_id: UUID
    at: Moment


class AcknowledgementLimited(CountedFact, type="pager.incidents.AcknowledgementLimited.v1"):
    """Its policy gives whoever acknowledged it so much time: without a resolution paging starts again at `until`."""

    incident_id: UUID
    at: Moment
    until: Moment


class ResolutionPlanned(CountedFact, type="pager.incidents.ResolutionPlanned.v1"):
    """It is acknowledged, and its policy resolves it when nothing has been heard of it for so long: `resolvesAt`, if
    nothing is heard from now on."""

    incident_id: UUID
    at: Moment
    quiet_minutes: float
    resolves_at: Moment


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
