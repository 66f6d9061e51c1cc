"""The list of incidents: each combination of filters is a handful of stretches of one index, merged in their order."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any

from pydantic_core import to_json
from sqlalchemy import ARRAY, Text, Uuid, any_, bindparam, select

from libs.chassis.store.listing import Keyset, Listing
from libs.chassis.store.work import Work
from libs.contracts.incidents import Acknowledgement, IncidentList, IncidentView, ListIncidents, Status
from libs.contracts.model import Priority
from services.incidents.projections import ASSIGNEE, incidents
from services.incidents.views import COMPLETE, complete, with_assignees

_BRIEF = 1000
_FEW = 3

_ORDER = Keyset("incidents", (incidents.c.created_at, incidents.c.id), descending=True)
_THESE = COMPLETE.add_columns(incidents.c.id).where(incidents.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))


@cache
def _listing(*, status: bool, priority: bool, assignee: bool) -> Listing:
    """By which of these is filtered; their values are the parameters of the same names.

    Where nothing is said of a status or a priority it has one of those that there are: each is a stretch.
    """
    rows = select(incidents.c.created_at, incidents.c.id)
    if not (status or priority or assignee):
        return Listing(_ORDER, rows)
    if assignee:
        rows = rows.where(bindparam("assignee", type_=Uuid) == ASSIGNEE)
    statuses: list[Any] = [bindparam("status", type_=Text)] if status else [str(s) for s in Status]
    priorities: list[Any] = [bindparam("priority", type_=Text)] if priority else [str(p) for p in Priority]
    stretches = (
        rows.where(incidents.c.status == of_status, incidents.c.priority == of_priority)
        for of_status, of_priority in product(statuses, priorities)
    )
    return Listing(_ORDER, *stretches)


def list_incidents(work: Work, query: ListIncidents) -> IncidentList:
    """A page, newest first; long texts stay with the incident itself.

    Raises:
        Invalid: there is no such page.
    """
    filters = {
        "status": query.status and str(query.status),
        "priority": query.priority and str(query.priority),
        "assignee": query.assigned_to,
    }
    given = {name: value for name, value in filters.items() if value is not None}
    page = _listing(**{name: name in given for name in filters}).page(work, query, **given)
    found = {row["id"]: row for row in work.fetch(_THESE, ids=[row["id"] for row in page.rows])} if page.rows else {}
    rows = (found[row["id"]] for row in page.rows)
    views = [complete(IncidentView.model_validate(row["view"]), row) for row in rows]
    return IncidentList(**page.told("incidents", map(in_brief, with_assignees(work, views))))


def in_brief(view: IncidentView) -> IncidentView:
    """For lists: many should fit into one answer, so long texts stay with the incident itself."""
    shorter: dict[str, Any] = {"acknowledgements": tuple(map(_acknowledgement_in_brief, view.acknowledgements[-_FEW:]))}
    if view.acknowledgement_notes is not None:
        shorter["acknowledgement_notes"] = view.acknowledgement_notes[:_BRIEF]
    if view.description is not None and len(view.description) > _BRIEF:
        shorter["description"] = view.description[: _BRIEF - 1] + "…"
    if len(to_json(view.metadata)) > _BRIEF:
        shorter["metadata"] = {"shortened": "see the incident itself"}
    return view.model_copy(update=shorter)


def _acknowledgement_in_brief(one: Acknowledgement) -> Acknowledgement:
    return one.model_copy(update={"notes": one.notes[:_BRIEF] if one.notes else one.notes})
