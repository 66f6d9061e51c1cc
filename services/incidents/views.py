"""An incident, timelines and integrations as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import DateTime, Integer, Uuid, bindparam, func, select

from libs.chassis.store.changes import Tally
from libs.chassis.store.listing import Keyset, fitting
from libs.chassis.store.work import Work
from libs.contracts.escalation import EscalationStarted
from libs.contracts.incidents import AlertTotals, EscalationView, IncidentView, Status, TimelineQuery
from services.incidents.domain.incident import OPEN, Incident
from services.incidents.erased import Story, told
from services.incidents.projections import incidents, repeats, running, timeline, view_of
from services.incidents.references import erased, inactive, people

_ENTRY_BYTES = 500
"""Of an entry of a timeline beside its words, at most."""
_BEGINNING, _LATELY, _LAST_RUNS = 1_000, 10_000, 50
"""Rows that an explanation reads."""

_BESIDE = (running, repeats.c.count.label("repeats"), repeats.c.last_at.label("repeated_at"))
"""What completes a view: rows that change without an event of the incident."""
COMPLETE = (
    select(incidents.c.view, *_BESIDE, (~people.c.active).label("assignee_inactive"))
    .outerjoin(running, running.c.incident_id == incidents.c.id)
    .outerjoin(repeats, repeats.c.incident_id == incidents.c.id)
    .outerjoin(people, people.c.id == func.coalesce(incidents.c.assigned_to, running.c.assigned_to))
)
"""Rows that `shown` reads."""
_VIEW = COMPLETE.where(incidents.c.id == bindparam("id"))
_wanted = select(bindparam("id", type_=Uuid).label("id")).subquery()
_ONE_BESIDE = (
    select(*_BESIDE)
    .select_from(_wanted)
    .outerjoin(running, running.c.incident_id == _wanted.c.id)
    .outerjoin(repeats, repeats.c.incident_id == _wanted.c.id)
)
_NUMBER = func.coalesce(timeline.c.detail["version"].as_integer(), 0).label("number")
_ORDER = Keyset("timeline", (timeline.c.at, _NUMBER, timeline.c.event_id))
"""Of a row in its timeline. What has one moment stands by the versions of its entities: a creation comes first."""
_OF_IT = select(timeline, _NUMBER).where(timeline.c.incident_id == bindparam("id"))
_OLDEST = _OF_IT.order_by(*_ORDER.columns).limit(bindparam("limit", type_=Integer))
# The first condition says no more than the second, and is what the index knows.
_AFTER = _OLDEST.where(timeline.c.at >= bindparam("place_0", type_=DateTime(timezone=True)), _ORDER.after())
_NEWEST = _OF_IT.order_by(*(column.desc() for column in _ORDER.columns)).limit(bindparam("limit", type_=Integer))
_STARTS = _NEWEST.where(timeline.c.type == EscalationStarted.__name__)


def incident_view(work: Work, incident_id: UUID) -> IncidentView | None:
    rows = work.fetch(_VIEW, id=incident_id)
    return shown(rows[0]) if rows else None


def decided_view(work: Work, state: Incident, version: int) -> IncidentView:
    """An incident as this transaction leaves it."""
    view = view_of(state, version)
    row = work.fetch(_ONE_BESIDE, id=view.id)[0]
    for tally in (c for c in work.changes if isinstance(c, Tally) and c.key == view.id):
        row |= {"repeats": (row["repeats"] or 0) + tally.values["count"], "repeated_at": tally.values["last_at"]}
    completed = complete(view, row)
    return _said(completed, is_gone=bool(inactive(work, (completed.assigned_to,))))


def shown(row: dict[str, Any]) -> IncidentView:
    """A row of `COMPLETE` as the API shows it."""
    return _said(complete(IncidentView.model_validate(row["view"]), row), is_gone=bool(row["assignee_inactive"]))


def _said(view: IncidentView, *, is_gone: bool) -> IncidentView:
    """The same, which says whether its assignee is deactivated."""
    return view.model_copy(update={"assignee_inactive": True}) if is_gone else view


def complete(view: IncidentView, row: dict[str, Any]) -> IncidentView:
    """The view with all its alerts and its running escalation: nothing is due once somebody has answered."""
    if view.alerts is None:
        view = view.model_copy(update={"alerts": AlertTotals(open=int(view.status in OPEN), total=1)})
    if row["repeats"] is not None:
        # Where an older release has counted, the log may have more.
        alerts, last = max(view.alert_count, 1 + row["repeats"]), max(view.updated_at, row["repeated_at"])
        view = view.model_copy(update={"alert_count": alerts, "updated_at": last})
    if row["level"] is None:
        return view
    # Of an earlier run nothing is due, and what this one does is not known yet.
    quiet = view.snoozed_until is not None or view.suppression is not None
    waiting = (
        view.status in (Status.CREATED, Status.ESCALATED) and row["run"] >= (view.levels_run or view.run) and not quiet
    )
    next_at = row["next_at"] if waiting else None
    escalation = EscalationView(level=row["level"], next_at=next_at, exhausted=bool(row["exhausted"]))
    known = {"escalation": escalation, "assigned_to": view.assigned_to or row["assigned_to"]}
    if row["timeout_minutes"] is not None:
        known["escalation_timeout_minutes"] = row["timeout_minutes"]
    return view.model_copy(update=known)


class Page(NamedTuple):
    """A stretch of a timeline in causal order, and the cursor of what follows it; None: nothing does."""

    story: Story
    following: str | None


def timeline_page(work: Work, query: TimelineQuery) -> Page:
    """Oldest first; a page ends early where it would not fit into an answer.

    Raises:
        Invalid: the cursor is none of ours.
    """
    if query.cursor is None:
        rows = work.fetch(_OLDEST, id=query.id, limit=query.limit + 1)
    else:
        rows = work.fetch(_AFTER, id=query.id, limit=query.limit + 1, **_ORDER.place(query.cursor))
    shown = fitting(rows[: query.limit], _size)
    following = _ORDER.cursor(shown[-1]) if len(shown) < len(rows) else None
    return Page(told(causal_order(shown), partial(erased, work)), following)


def _size(row: Mapping[str, Any]) -> int:
    return len(to_json(row["summary"])) + _ENTRY_BYTES


def timeline_of(work: Work, incident_id: UUID) -> Story:
    """For explanations, in causal order: how it began, what happened lately, and how its last runs started.

    That is all of it, unless it is very long.
    """
    rows = [
        *work.fetch(_OLDEST, id=incident_id, limit=_BEGINNING),
        *work.fetch(_NEWEST, id=incident_id, limit=_LATELY),
        *work.fetch(_STARTS, id=incident_id, limit=_LAST_RUNS),
    ]
    ordered = causal_order(list({row["event_id"]: row for row in rows}.values()))
    return told(ordered, partial(erased, work))


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


def _version(row: Mapping[str, Any]) -> int:
    return int(row["detail"].get("version", 0))
