"""Read models of incidents: the list, open dedup keys, integrations, responders and the timeline."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.audit import audit_table, audited
from libs.chassis.store.changes import Change, Gone, Newest, Patch, Row, Tally
from libs.chassis.store.cursors import Position
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentCreated,
    IncidentEscalated,
    IncidentReassigned,
    IncidentReopened,
    IncidentResolved,
    IncidentView,
    RespondersAdded,
    Suppression,
)
from libs.contracts.integrations import IntegrationCreated, IntegrationDeleted
from libs.contracts.reviews import ReviewDeleted
from libs.contracts.slots import thread_of
from services.incidents.alert_rows import alert_changes, alert_repeats_table, alerts_table
from services.incidents.dedup import shown_key, stands_alone
from services.incidents.domain.alerts import totals
from services.incidents.domain.incident import OPEN, Incident
from services.incidents.domain.integration import Integration
from services.incidents.domain.review import Review
from services.incidents.review_rows import review_view, reviews_table
from services.incidents.waiting import timer_changes
from services.incidents.words import summary_of

SCHEMA = "incidents"
DEFAULT_TIMEOUT_MINUTES = 15.0
ORGANISATION = UUID(int=0)
"""Stands in the place of a team for what is the whole organisation's: an index finds it as it finds teams."""
metadata = MetaData(schema=SCHEMA)

_GIVES = IncidentCreated | IncidentEscalated | IncidentAcknowledged | IncidentReassigned | RespondersAdded
"""What makes an incident somebody's."""
IS_OPEN = text(f"status IN ({', '.join(repr(str(status)) for status in OPEN)})")
"""Whoever asks for it says it as an index does, word for word."""

incidents = Table(
    "incidents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Text, nullable=False),
    Column("assigned_to", Uuid),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("view", JSONB, nullable=False),
    # Whom ESCALATION pages first, and the run, round and level in which: what happened here leaves both as they are.
    Column("paged", Uuid),
    Column("paged_in", ARRAY(Integer)),
    # None, too, where a release has written it that did not know this column: then the view says it.
    Column("integration_id", Uuid),
    Column("team_id", Uuid, nullable=False, server_default=text(f"'{ORGANISATION}'::uuid")),
    # Who walks it for many teams sees in it whose each is, and reads no row that is not theirs.
    Index("incidents_created_at_team_idx", "created_at", "id", postgresql_include=["team_id"]),
    Index("incidents_status_priority_idx", "status", "priority", "created_at", "id"),
    # What somebody sees who does not see everything.
    Index("incidents_team_idx", "team_id", "status", "priority", "created_at", "id"),
    # Compared byte by byte (`searching.py`): without its Z such a text stands in the order of time.
    Index("incidents_updated_at_idx", text("rtrim(view ->> 'updatedAt', 'Z')"), "id"),
    Index("incidents_number_idx", "number", unique=True),
    # What is open keeps its integration from being deleted.
    Index("incidents_open_integration_idx", "integration_id", postgresql_where=IS_OPEN),
)
ASSIGNEE = func.coalesce(incidents.c.assigned_to, incidents.c.paged)
"""Who is shown as the one whose incident it is: who has it, or else whom its escalation pages."""
# What it includes is what the expression is made of: without it PostgreSQL would read the rows to count them.
Index(
    "incidents_assignee_team_idx",
    ASSIGNEE,
    incidents.c.status,
    incidents.c.priority,
    incidents.c.created_at,
    incidents.c.id,
    postgresql_include=["assigned_to", "paged", "team_id"],
)
# Whose an incident is whatever its team: whom it has paged, and whom it was assigned to. What is the organisation's has
# no rows here, since everybody sees it.
responders = Table(
    "responders",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("team_id", Uuid, nullable=False),
    Index("responders_user_idx", "user_id", "team_id", "incident_id"),
)
# Where the running escalation stands, as ESCALATION tells it: a replica, completed into every view.
audit = audit_table(metadata)
running = Table(
    "running_escalations",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("level", Integer, nullable=False),
    Column("next_at", DateTime(timezone=True)),
    Column("exhausted", Boolean, nullable=False),
    Column("assigned_to", Uuid),
    Column("timeout_minutes", Float),
)
dedup_keys = Table(
    "dedup_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("incident_id", Uuid, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("is_open", Boolean, nullable=False),
    # Where the alert that opened it stands in ALERTS; a person's has no place.
    Column("incarnation", Text),
    Column("sequence", BigInteger),
)
# How often each incident's alert came again, exactly: most repeats have no event. Both lanes of ALERTS add to it. The
# place is that of its newest repeat in the stream (its creation's is no row's); `POST /incidents` has none: then
# `unplaced_at` says when. `placed` counts those of which either is known: an older release adds to `count` alone.
repeats = Table(
    "repeats",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("last_at", DateTime(timezone=True), nullable=False),
    Column("last_incarnation", Text),
    Column("last_sequence", BigInteger),
    Column("placed", BigInteger, nullable=False, server_default="0"),
    Column("unplaced_at", DateTime(timezone=True)),
)
alerts = alerts_table(metadata)
alert_repeats = alert_repeats_table(metadata)
# Identities of alerts with an id that were taken; forgotten when no repeat of theirs can come any more (main.py).
seen_alerts = Table(
    "seen_alerts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    Index("seen_alerts_age_idx", "seen_at"),
)
integrations = Table(
    "integrations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("policy_id", Uuid),
    Column("team_id", Uuid),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("updated_at", DateTime(timezone=True)),
    Index("integrations_created_at_idx", "created_at", "id"),
)
# A key's id follows from its hash (dedup.py). What it was used for last is written once a minute.
integration_keys = Table(
    "integration_keys",
    metadata,
    Column("key_hash", Text, primary_key=True),
    Column("integration_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("hint", Text),
    Column("last_used_at", DateTime(timezone=True)),
    Index("integration_keys_integration_idx", "integration_id", "created_at"),
)
reviews = reviews_table(metadata)
# Our own events and those of ESCALATION and NOTIFIER, in words: the timeline, and the chains that explain walks.
timeline = Table(
    "timeline",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("incident_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("type", Text, nullable=False),
    Column("actor", JSONB, nullable=False),
    Column("summary", Text, nullable=False),
    Column("causation_id", Uuid),
    Column("user_ids", ARRAY(Uuid), nullable=False),
    Column("detail", JSONB, nullable=False),
    Index("timeline_incident_idx", "incident_id", "at"),
)


@audited(audit)
def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """The rows that one of our events writes."""
    if isinstance(state, Incident):
        yield Row(incidents, incident_row(event, state))
        yield timeline_row(event, event.entity, ())
        yield from alert_changes(alerts, event.data, state)
        created = state.created
        yield from timer_changes(event)
        if created is not None and isinstance(event.data, _GIVES):
            people = event.data.user_ids if isinstance(event.data, RespondersAdded) else (state.assigned_to,)
            yield from responder_rows(created.incident_id, created.team_id, people)
        if (
            isinstance(event.data, IncidentCreated | IncidentResolved | IncidentReopened)
            and created is not None
            and created.dedup_key is not None
            and not stands_alone(created.dedup_key)
            and created.integration_id is not None
        ):
            # A generation that is opened again is not the key's newest where a later one has begun.
            yield Newest(
                dedup_keys,
                {
                    "id": thread_of(created.integration_id, created.dedup_key),
                    "incident_id": created.incident_id,
                    "generation": created.generation,
                    "is_open": state.status in OPEN,
                    "incarnation": created.place.incarnation if created.place else None,
                    "sequence": created.place.sequence if created.place else None,
                },
                by=("generation",),
            )
    elif isinstance(state, Integration):
        yield _integration_change(event, state)
    elif isinstance(state, Review):
        if isinstance(event.data, ReviewDeleted):
            yield Gone(reviews, {"incident_id": event.data.incident_id})
        else:
            view = review_view(state, event.entity, event.version)
            yield Row(reviews, {"incident_id": view.incident_id, "version": view.version, "view": view})
        yield timeline_row(event, event.data.incident_id, ())


def _integration_change(event: Envelope[Any], state: Integration) -> Change:
    row = {
        "id": event.entity,
        "name": state.name,
        "kind": str(state.kind),
        "policy_id": state.policy_id,
        "team_id": state.team_id,
        "version": event.version,
        "updated_at": event.time,
    }
    match event.data:
        case IntegrationCreated():
            return Row(integrations, row | {"created_at": event.time})
        case IntegrationDeleted():
            return Gone(integrations, {"id": event.entity})
        case _:
            return Patch(integrations, row)


def responder_rows(incident_id: UUID, team_id: UUID | None, people: Iterable[UUID | None]) -> Iterable[Row]:
    """That an incident is these people's, from now on."""
    if team_id is not None:
        for person in people:
            if person is not None:
                yield Row(responders, {"incident_id": incident_id, "user_id": person, "team_id": team_id})


def incident_row(event: Envelope[Any], state: Incident) -> dict[str, Any]:
    view = view_of(state, event.version)
    return {
        "id": view.id,
        "number": view.number,
        "status": str(view.status),
        "priority": str(view.priority),
        "assigned_to": view.assigned_to,
        "created_at": view.created_at,
        "integration_id": view.integration_id,
        "team_id": view.team_id or ORGANISATION,
        "view": view,
    }


def view_of(state: Incident, version: int) -> IncidentView:
    """An incident as the API shows it. The incident must exist."""
    fact = state.created
    assert isinstance(fact, IncidentCreated)  # noqa: S101 - every event of an incident follows its creation
    taken = next(reversed(state.acknowledged), None)
    return IncidentView(
        id=fact.incident_id,
        number=fact.number,
        version=version,
        title=fact.title,
        description=fact.description,
        priority=state.priority,
        status=state.status,
        lane=state.lane,
        assigned_to=state.assigned_to,
        created_by=fact.created_by.id,
        created_at=fact.created_at,
        updated_at=state.updated_at or fact.created_at,
        acknowledged_at=taken.at if taken else None,
        acknowledged_by=taken.user_id if taken else None,
        acknowledgement_notes=taken.notes if taken else None,
        resolved_at=state.resolved.at if state.resolved else None,
        resolved_by=state.resolved.by.id if state.resolved else None,
        closed_at=state.closed.at if state.closed else None,
        closed_by=state.closed.by.id if state.closed else None,
        escalation_timeout_minutes=fact.escalation_timeout_minutes or DEFAULT_TIMEOUT_MINUTES,
        team_id=fact.team_id,
        policy_id=fact.policy_id,
        integration_id=fact.integration_id,
        dedup_key=shown_key(fact.dedup_key, fact.team_id),
        alert_count=state.alert_count,
        alerts=totals(state.alerts, is_open=state.is_open),
        levels_run=state.answers_from,
        run=state.run,
        responders=state.responders,
        snoozed_until=state.snoozed_until,
        suppression=_suppression(state),
        acknowledgement_ends_at=state.acknowledged_until,
        metadata=fact.metadata,
        acknowledgements=state.acknowledgements,
    )


def _suppression(state: Incident) -> Suppression | None:
    """An older release did not say by what."""
    return (state.suppression or Suppression(by=SCHEMA)) if state.suppressed and state.is_open else None


def repeated(
    incident_id: UUID,
    count: int,
    placed: int,
    last_at: datetime,
    place: Position | None = None,
    unplaced_at: datetime | None = None,
) -> Tally:
    """Its alert came `count` times more; the place of the newest in ALERTS, if it came from there.

    `placed`: of how many more it is known where they stand, or that they had come by `unplaced_at`.
    """
    values = {
        "incident_id": incident_id,
        "count": count,
        "last_at": last_at,
        "last_incarnation": place.incarnation if place else None,
        "last_sequence": place.position if place else None,
        "placed": placed,
        "unplaced_at": unplaced_at if place else last_at,
    }
    return Tally(repeats, values, sums=("count", "placed"), era="last_incarnation")


def alert_repeated(
    alert_id: UUID,
    count: int,
    last_at: datetime,
    place: Position | None = None,
    unplaced_at: datetime | None = None,
) -> Tally:
    """One of several alerts of an incident came `count` times more; the rest as of `repeated`."""
    values = {
        "id": alert_id,
        "count": count,
        "last_at": last_at,
        "last_incarnation": place.incarnation if place else None,
        "last_sequence": place.position if place else None,
        "unplaced_at": unplaced_at if place else last_at,
    }
    return Tally(alert_repeats, values, sums=("count",), era="last_incarnation")


def _said_with(event: Envelope[Fact]) -> dict[str, str]:
    return {} if event.client is None else {"client": str(event.client)}


def timeline_row(event: Envelope[Fact], incident_id: UUID, user_ids: Sequence[UUID], **detail: Any) -> Row:
    """One event, of ours or of an upstream, in the timeline of an incident."""
    return Row(
        timeline,
        {
            "event_id": event.id,
            "incident_id": incident_id,
            "at": event.time,
            "type": event.name,
            "actor": event.actor,
            "summary": summary_of(event.data),
            "causation_id": event.causation_id,
            "user_ids": list(user_ids),
            "detail": {"entity": event.entity, "version": event.version, **_said_with(event), **detail},
        },
    )
