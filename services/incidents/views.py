"""Incidents, timelines and integrations as the API shows them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import Select, bindparam, func, select

from libs.chassis.store.work import Work
from libs.contracts.incidents import EscalationView, IncidentView, IntegrationView, ListIncidents, Status
from services.incidents.domain.incident import Incident
from services.incidents.projections import incidents, integrations, running, timeline, view_of

_BRIEF = 1000

_COMPLETE = select(incidents.c.view, running).outerjoin(running, running.c.incident_id == incidents.c.id)
_VIEW = _COMPLETE.where(incidents.c.id == bindparam("id"))
_RUNNING = select(running).where(running.c.incident_id == bindparam("id"))
_TIMELINE = (
    select(timeline).where(timeline.c.incident_id == bindparam("id")).order_by(timeline.c.at, timeline.c.event_id)
)
_INTEGRATION = select(integrations).where(integrations.c.id == bindparam("id"))
_INTEGRATIONS = select(integrations).order_by(integrations.c.created_at, integrations.c.id)


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
    # Of an earlier run nothing is due, and what this one does is not known yet.
    waiting = view.status in (Status.CREATED, Status.ESCALATED) and row["run"] >= view.run
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
