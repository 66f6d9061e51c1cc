"""Read models of incidents: the list, open dedup keys, integrations and the timeline, and the queries on them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    Uuid,
    any_,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.changes import Change, Row
from libs.chassis.store.work import Work
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.incidents import (
    EscalationView,
    IncidentCreated,
    IncidentResolved,
    IncidentView,
    IntegrationCreated,
    IntegrationView,
    ListIncidents,
    Status,
)
from services.incidents.dedup import dedup_id, stands_alone
from services.incidents.domain import OPEN, Incident
from services.incidents.words import summary_of

SCHEMA = "incidents"
DEFAULT_TIMEOUT_MINUTES = 15.0
_BRIEF = 1000
metadata = MetaData(schema=SCHEMA)

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
    Index("incidents_created_at_idx", "created_at", "id"),
    Index("incidents_status_idx", "status", "created_at"),
    Index("incidents_assigned_to_idx", "assigned_to", "created_at"),
    Index("incidents_number_idx", "number", unique=True),
)
# Where the running escalation stands, as ESCALATION tells it: a replica, completed into every view.
running = Table(
    "running_escalations",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("level", Integer),
    Column("next_at", DateTime(timezone=True)),
    Column("exhausted", Boolean),
    Column("assigned_to", Uuid),
)
dedup_keys = Table(
    "dedup_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("incident_id", Uuid, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("is_open", Boolean, nullable=False),
)
# Identities of CloudEvents that were taken; forgotten when no repeat of theirs can come any more (main.py).
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
)
integration_keys = Table(
    "integration_keys",
    metadata,
    Column("key_hash", Text, primary_key=True),
    Column("integration_id", Uuid, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
)
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


def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """The rows that one of our events writes."""
    if isinstance(state, Incident):
        yield Row(incidents, incident_row(event, state))
        yield timeline_row(event, event.entity, ())
        created = state.created
        if (
            isinstance(event.data, IncidentCreated | IncidentResolved)
            and created is not None
            and created.dedup_key is not None
            and not stands_alone(created.dedup_key)
            and created.integration_id is not None
        ):
            yield Row(
                dedup_keys,
                {
                    "id": dedup_id(created.integration_id, created.dedup_key),
                    "incident_id": created.incident_id,
                    "generation": created.generation,
                    "is_open": state.status in OPEN,
                },
            )
    elif isinstance(event.data, IntegrationCreated):
        fact = event.data
        yield Row(
            integrations,
            {
                "id": fact.integration_id,
                "name": fact.name,
                "kind": str(fact.kind),
                "policy_id": fact.policy_id,
                "team_id": fact.team_id,
                "created_at": event.time,
            },
        )


def incident_row(event: Envelope[Any], state: Incident) -> dict[str, Any]:
    view = view_of(state, event.version)
    return {
        "id": view.id,
        "number": view.number,
        "status": str(view.status),
        "priority": str(view.priority),
        "assigned_to": view.assigned_to,
        "created_at": view.created_at,
        "view": view,
    }


def view_of(state: Incident, version: int) -> IncidentView:
    """An incident as the API shows it. The incident must exist."""
    fact = state.created
    assert isinstance(fact, IncidentCreated)  # noqa: S101 - every event of an incident follows its creation
    taken = state.acknowledgements[-1] if state.acknowledgements else None
    return IncidentView(
        id=fact.incident_id,
        number=fact.number,
        version=version,
        title=fact.title,
        description=fact.description,
        priority=fact.priority,
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
        dedup_key=fact.dedup_key,
        alert_count=state.alert_count,
        metadata=fact.metadata,
        acknowledgements=state.acknowledgements,
    )


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
            "detail": {"entity": str(event.entity), "version": event.version} | detail,
        },
    )


# --- Queries ---------------------------------------------------------------------------------------------------------

_ids = bindparam("ids", type_=ARRAY(Uuid))
_KEYS = select(dedup_keys).where(dedup_keys.c.id == any_(_ids))
_SEEN = select(seen_alerts.c.id).where(seen_alerts.c.id == any_(_ids))
_COMPLETE = select(incidents.c.view, running).outerjoin(running, running.c.incident_id == incidents.c.id)
_VIEW = _COMPLETE.where(incidents.c.id == bindparam("id"))
_RUNNING = select(running).where(running.c.incident_id == bindparam("id"))
_TIMELINE = (
    select(timeline).where(timeline.c.incident_id == bindparam("id")).order_by(timeline.c.at, timeline.c.event_id)
)
_BY_KEY = (
    select(integrations, integration_keys.c.key_hash)
    .join(integration_keys, integration_keys.c.integration_id == integrations.c.id)
    .where(integration_keys.c.key_hash == any_(bindparam("hashes", type_=ARRAY(Text))))
)
_INTEGRATION = select(integrations).where(integrations.c.id == bindparam("id"))
_INTEGRATIONS = select(integrations).order_by(integrations.c.created_at, integrations.c.id)
_NUMBERS = select(func.nextval(f"{SCHEMA}.incident_number").label("number")).select_from(
    func.generate_series(1, bindparam("count", type_=Integer)).alias("n")
)


def open_keys(work: Work, ids: Sequence[UUID]) -> dict[UUID, dict[str, Any]]:
    """The newest incident of each dedup key, by the key's id."""
    return {row["id"]: row for row in work.fetch(_KEYS, ids=list(ids))} if ids else {}


def already_seen(work: Work, ids: Sequence[UUID]) -> set[UUID]:
    return {row["id"] for row in work.fetch(_SEEN, ids=list(ids))} if ids else set()


def integrations_by_key(work: Work, hashes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Integrations by the hash of the routing key that was sent."""
    return {row["key_hash"]: row for row in work.fetch(_BY_KEY, hashes=list(hashes))} if hashes else {}


def next_numbers(work: Work, count: int) -> list[int]:
    return [row["number"] for row in work.fetch(_NUMBERS, count=count)] if count else []


def incident_view(work: Work, incident_id: UUID) -> IncidentView | None:
    rows = work.fetch(_VIEW, id=incident_id)
    return complete(IncidentView.model_validate(rows[0]["view"]), rows[0]) if rows else None


def decided_view(work: Work, state: Incident, version: int) -> IncidentView:
    """An incident as this transaction leaves it."""
    view = view_of(state, version)
    rows = work.fetch(_RUNNING, id=view.id)
    return complete(view, rows[0]) if rows else view


def complete(view: IncidentView, row: dict[str, Any]) -> IncidentView:
    """The view with its running escalation; nothing is due any more once somebody has answered."""
    if row["level"] is None:
        return view
    waiting = view.status in (Status.CREATED, Status.ESCALATED)
    next_at = row["next_at"] if waiting else None
    escalation = EscalationView(level=row["level"], next_at=next_at, exhausted=bool(row["exhausted"]))
    return view.model_copy(update={"escalation": escalation, "assigned_to": view.assigned_to or row["assigned_to"]})


def list_views(work: Work, query: ListIncidents) -> tuple[list[IncidentView], int]:
    """A page, newest first, and the exact total up to 10,000."""
    filters = [
        column == value
        for column, value in (
            (incidents.c.status, query.status and str(query.status)),
            (incidents.c.priority, query.priority and str(query.priority)),
            (func.coalesce(incidents.c.assigned_to, running.c.assigned_to), query.assigned_to),
        )
        if value is not None
    ]
    page: Select[Any] = _COMPLETE.where(*filters)
    page = page.order_by(incidents.c.created_at.desc(), incidents.c.id.desc())
    rows = work.fetch(page.limit(query.limit).offset((query.page - 1) * query.limit))
    every = select(incidents.c.id).outerjoin(running, running.c.incident_id == incidents.c.id)
    capped = every.where(*filters).limit(10_001).subquery()
    total = work.fetch(select(func.count().label("total")).select_from(capped))[0]["total"]
    return [in_brief(complete(IncidentView.model_validate(row["view"]), row)) for row in rows], total


def in_brief(view: IncidentView) -> IncidentView:
    """For lists: a page of 100 must fit into one answer, so long texts stay with the incident itself."""
    shorter: dict[str, Any] = {}
    if view.description is not None and len(view.description) > _BRIEF:
        shorter["description"] = view.description[: _BRIEF - 1] + "…"
    if len(to_json(view.metadata)) > _BRIEF:
        shorter["metadata"] = {"shortened": "see the incident itself"}
    return view.model_copy(update=shorter) if shorter else view


def timeline_of(work: Work, incident_id: UUID) -> list[dict[str, Any]]:
    """Oldest first; at one moment a cause stands before its effect."""
    return causal_order(work.fetch(_TIMELINE, id=incident_id))


def causal_order(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows by time; a row never stands before the one that caused it, nor before an earlier one of its entity."""
    known = {row["event_id"]: row for row in rows}
    ordered: dict[UUID, dict[str, Any]] = {}
    by_time = sorted(rows, key=_moment)
    before: dict[UUID, dict[str, Any]] = {}
    newest: dict[str, dict[str, Any]] = {}
    for row in by_time:
        earlier = newest.get(entity := row["detail"].get("entity", str(row["event_id"])))
        # Clocks of two replicas may differ: the version decides which of an entity's events is the earlier one.
        if earlier is None or _version(earlier) < _version(row):
            newest[entity] = row
            if earlier is not None:
                before[row["event_id"]] = earlier

    def place(row: dict[str, Any]) -> None:
        for first in (before.get(row["event_id"]), known.get(row["causation_id"])):
            if first is not None and first["event_id"] not in ordered:
                place(first)
        ordered.setdefault(row["event_id"], row)

    for row in by_time:
        place(row)
    return list(ordered.values())


def _moment(row: dict[str, Any]) -> tuple[datetime, int, str]:
    return row["at"], _version(row), str(row["event_id"])


def _version(row: dict[str, Any]) -> int:
    return int(row["detail"].get("version", 0))


def integration_view(row: dict[str, Any], key: str | None = None) -> IntegrationView:
    return IntegrationView(
        id=row["id"],
        name=row["name"],
        type=row["kind"],
        policy_id=row["policy_id"],
        team_id=row["team_id"],
        created_at=row["created_at"],
        key=key,
    )


def find_integration(work: Work, integration_id: UUID) -> IntegrationView | None:
    rows = work.fetch(_INTEGRATION, id=integration_id)
    return integration_view(rows[0]) if rows else None


def list_integrations(work: Work, page: int, limit: int) -> tuple[list[IntegrationView], int]:
    rows = work.fetch(_INTEGRATIONS)
    first = (page - 1) * limit
    return [integration_view(row) for row in rows[first : first + limit]], len(rows)
