"""The list of incidents: each combination of filters is a handful of stretches of one index, merged in their order.

Whoever does not see everything is shown the stretches of their teams, and what they were paged for besides.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import ARRAY, BindParameter, Text, Uuid, all_, any_, bindparam, column, func, or_, select, true
from sqlalchemy.types import TypeEngine

from libs.chassis.requests.callers import Caller
from libs.chassis.store.listing import Each, Keyset, Listing, Stretch
from libs.chassis.store.work import Work
from libs.contracts.incidents import Acknowledgement, IncidentList, IncidentView, ListIncidents, Status
from libs.contracts.model import Priority
from libs.contracts.permissions import Action
from services.incidents.projections import ASSIGNEE, ORGANISATION, incidents, responders
from services.incidents.views import COMPLETE, complete, with_assignees

_BRIEF = 1000
_FEW = 3

_ORDER = Keyset("incidents", (incidents.c.created_at, incidents.c.id), descending=True)
_THESE = COMPLETE.add_columns(incidents.c.id).where(incidents.c.id == any_(bindparam("ids", type_=ARRAY(Uuid))))
_ROWS = select(incidents.c.created_at, incidents.c.id)
_TEAMS = bindparam("teams", type_=ARRAY(Uuid))
_STATUSES, _PRIORITIES = (bindparam(name, type_=ARRAY(Text)) for name in ("statuses", "priorities"))
_IS_ASSIGNED = bindparam("assignee", type_=Uuid) == ASSIGNEE


class _Shown(NamedTuple):
    """The incidents of `teams` (None: all), and those of others for which `theirs` was paged (None: nobody).

    `only`: of the others those of this team; None: of any.
    """

    teams: list[UUID] | None = None
    theirs: UUID | None = None
    only: UUID | None = None


def _shown(query: ListIncidents, caller: Caller) -> _Shown:
    sight, wanted = caller.sight(Action.INCIDENTS_LIST), query.team_id
    if sight.everything or (caller.person is not None and query.assigned_to == caller.person):
        return _Shown(None if wanted is None else [wanted])
    if wanted is not None:
        return _Shown([wanted]) if wanted in sight.teams else _Shown([], caller.person, wanted)
    return _Shown([*((ORGANISATION,) if sight.organisation else ()), *sorted(sight.teams)], caller.person)


@cache
def _listing(*, status: bool, priority: bool, assignee: bool, teams: bool, theirs: bool) -> Listing:
    """By which of these is filtered; their values are the parameters of the same names.

    Where nothing is said of a status or a priority it has one of those that there are: each is a stretch.
    """
    if not (status or priority or assignee or teams):
        return Listing(_ORDER, _ROWS)
    if teams and not assignee:
        stretches: list[Stretch] = [_of_teams()]
    else:
        rows = _ROWS.where(_IS_ASSIGNED) if assignee else _ROWS
        # What somebody has of other teams is passed over.
        rows = rows.where(incidents.c.team_id == any_(_TEAMS)) if teams else rows
        statuses: list[Any] = [bindparam("status", type_=Text)] if status else [str(s) for s in Status]
        priorities: list[Any] = [bindparam("priority", type_=Text)] if priority else [str(p) for p in Priority]
        stretches = [
            rows.where(incidents.c.status == of_status, incidents.c.priority == of_priority)
            for of_status, of_priority in product(statuses, priorities)
        ]
    return Listing(_ORDER, *stretches, *([_of_others(assignee=assignee)] if theirs else ()))


def _of_teams() -> Each:
    """A stretch for each of the teams, statuses and priorities."""
    teams, statuses, priorities = (
        _unnested(_TEAMS, Uuid()),
        _unnested(_STATUSES, Text()),
        _unnested(_PRIORITIES, Text()),
    )
    return Each(
        teams.join(statuses, true()).join(priorities, true()),
        _ROWS.where(
            incidents.c.team_id == teams.c.one,
            incidents.c.status == statuses.c.one,
            incidents.c.priority == priorities.c.one,
        ),
    )


def _unnested(values: BindParameter[Any], kind: TypeEngine[Any]) -> Any:
    return func.unnest(values).table_valued(column("one", kind)).render_derived(f"of_{values.key}")


def _of_others(*, assignee: bool) -> Each:
    """What somebody was paged for of teams that are not theirs, one by one: it is what one person has heard ring."""
    c, only = responders.c, bindparam("only", type_=Uuid)
    is_theirs = c.user_id == bindparam("theirs", type_=Uuid)
    is_wanted = or_(only.is_(None), c.team_id == only)
    theirs = select(c.incident_id).where(is_theirs, c.team_id != all_(_TEAMS), is_wanted).subquery("theirs")
    rows = _ROWS.where(
        incidents.c.id == theirs.c.incident_id,
        incidents.c.status == any_(_STATUSES),
        incidents.c.priority == any_(_PRIORITIES),
    )
    return Each(theirs, rows.where(_IS_ASSIGNED) if assignee else rows)


def list_incidents(work: Work, query: ListIncidents, caller: Caller) -> IncidentList:
    """A page of what the caller sees, newest first; long texts stay with the incident itself.

    Raises:
        Invalid: there is no such page.
    """
    shown = _shown(query, caller)
    filters = {
        "status": query.status and str(query.status),
        "priority": query.priority and str(query.priority),
        "assignee": query.assigned_to,
        "teams": shown.teams,
        "theirs": shown.theirs,
    }
    listing = _listing(**{name: value is not None for name, value in filters.items()})
    given: dict[str, Any] = {name: value for name, value in filters.items() if value is not None}
    given["statuses"] = [str(s) for s in ((query.status,) if query.status else Status)]
    given["priorities"] = [str(p) for p in ((query.priority,) if query.priority else Priority)]
    page = listing.page(work, query, **given, only=shown.only)
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
