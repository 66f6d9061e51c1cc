"""The list of incidents as the API shows it."""

from __future__ import annotations

from typing import Any

from pydantic_core import to_json
from sqlalchemy import ARRAY, Uuid, any_, bindparam

from libs.chassis.requests.callers import Caller
from libs.chassis.store.work import Work
from libs.contracts.incident_lists import ENGLISH, Language, SearchIncidents
from libs.contracts.incidents import Acknowledgement, IncidentList, IncidentView
from services.incidents.projections import incidents
from services.incidents.searching import found
from services.incidents.stretches import Shown
from services.incidents.views import COMPLETE, shown

_BRIEF = 1000
_FEW = 3

_THESE = COMPLETE.add_columns(incidents.c.id).where(incidents.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))


def list_incidents(work: Work, query: SearchIncidents, caller: Caller, language: Language = ENGLISH) -> IncidentList:
    """A page of what the caller sees; long texts stay with the incident itself.

    Raises:
        Invalid: there is no such page, or there is nothing in `q` to look for.
    """
    page = found(work, query, Shown.to(caller, query), language)
    rows = {row["id"]: row for row in work.fetch(_THESE, ids=[row["id"] for row in page.rows])} if page.rows else {}
    return IncidentList(**page.told("incidents", (in_brief(shown(rows[row["id"]])) for row in page.rows)))


def in_brief(view: IncidentView) -> IncidentView:
    """For lists: many should fit into one answer, so long texts stay with the incident itself."""
    # A copy of a view takes as long as reading it from the database: most are short as they are.
    shorter: dict[str, Any] = {}
    if len(view.acknowledgements) > _FEW or any(one.notes and len(one.notes) > _BRIEF for one in view.acknowledgements):
        shorter["acknowledgements"] = tuple(map(_acknowledgement_in_brief, view.acknowledgements[-_FEW:]))
    if view.acknowledgement_notes is not None and len(view.acknowledgement_notes) > _BRIEF:
        shorter["acknowledgement_notes"] = view.acknowledgement_notes[:_BRIEF]
    if view.description is not None and len(view.description) > _BRIEF:
        shorter["description"] = view.description[: _BRIEF - 1] + "…"
    if len(to_json(view.metadata)) > _BRIEF:
        shorter["metadata"] = {"shortened": "see the incident itself"}
    return view.model_copy(update=shorter) if shorter else view


def _acknowledgement_in_brief(one: Acknowledgement) -> Acknowledgement:
    return one.model_copy(update={"notes": one.notes[:_BRIEF] if one.notes else one.notes})
