"""What of incidents a list shows: each combination of filters is a handful of stretches of one index, in their order.

Whoever does not see everything is shown the stretches of their teams, and what they were paged for besides.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Select,
    Text,
    Uuid,
    all_,
    any_,
    bindparam,
    column,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.types import TypeEngine

from libs.chassis.requests.callers import Caller
from libs.chassis.store.listing import Each, Keyset, Listing, Stretch
from libs.contracts.incident_lists import SearchIncidents, Sort
from libs.contracts.incidents import ListIncidents, Status
from libs.contracts.model import Priority
from libs.contracts.permissions import Action
from services.incidents.projections import ASSIGNEE, ORGANISATION, incidents, responders

_COLUMNS = (incidents.c.created_at, incidents.c.id)
NEWEST = Keyset("incidents", _COLUMNS, descending=True)
OLDEST = Keyset("incidents/oldest", _COLUMNS)
_ROWS = select(*_COLUMNS)
_TEAMS = bindparam("teams", type_=ARRAY(Uuid))
_STATUSES, _PRIORITIES = (bindparam(name, type_=ARRAY(Text)) for name in ("statuses", "priorities"))
_IS_ASSIGNED = bindparam("assignee", type_=Uuid) == ASSIGNEE
_SINCE, _UNTIL = (bindparam(name, type_=incidents.c.created_at.type) for name in ("since", "until"))


class Shown(NamedTuple):
    """The incidents of `teams` (None: all), and those of others for which `theirs` was paged (None: nobody).

    `only`: of the others those of this team; None: of any.
    """

    teams: list[UUID] | None = None
    theirs: UUID | None = None
    only: UUID | None = None

    @classmethod
    def to(cls, caller: Caller, query: ListIncidents) -> Shown:
        """What of the list they see that is asked for."""
        sight, wanted = caller.sight(Action.INCIDENTS_LIST), query.team_id
        if sight.everything or (caller.person is not None and query.assigned_to == caller.person):
            return cls(None if wanted is None else [wanted])
        if wanted is not None:
            return cls([wanted]) if wanted in sight.teams else cls([], caller.person, wanted)
        return cls([*((ORGANISATION,) if sight.organisation else ()), *sorted(sight.teams)], caller.person)


class Filters(NamedTuple):
    """By what is filtered, in which direction; the values are the parameters of the same names."""

    status: bool = False
    priority: bool = False
    assignee: bool = False
    teams: bool = False
    theirs: bool = False
    since: bool = False
    until: bool = False
    oldest: bool = False


class Asked(NamedTuple):
    """A query as its statements take it."""

    filters: Filters
    parameters: dict[str, Any]

    @classmethod
    def of(cls, query: SearchIncidents, shown: Shown) -> Asked:
        values = {
            "status": query.status and str(query.status),
            "priority": query.priority and str(query.priority),
            "assignee": query.assigned_to,
            "teams": shown.teams,
            "theirs": shown.theirs,
            "since": query.from_,
            "until": query.to,
        }
        given: dict[str, Any] = {name: value for name, value in values.items() if value is not None}
        filters = Filters(**dict.fromkeys(given, True), oldest=query.sort is Sort.OLDEST)
        given["statuses"] = [str(s) for s in ((query.status,) if query.status else Status)]
        given["priorities"] = [str(p) for p in ((query.priority,) if query.priority else Priority)]
        return cls(filters, given | {"only": shown.only})

    @property
    def listing(self) -> Listing:
        return _listing(self.filters)


@cache
def _listing(by: Filters) -> Listing:
    """Where nothing is said of a status or a priority it has one of those that there are: each is a stretch."""
    order = OLDEST if by.oldest else NEWEST
    every = _ROWS.where(*in_time(incidents.c.created_at, by))
    if not (by.status or by.priority or by.assignee or by.teams):
        return Listing(order, every)
    if by.teams and not by.assignee:
        stretches: list[Stretch] = [_of_teams(every)]
    else:
        rows = every.where(_IS_ASSIGNED) if by.assignee else every
        # What somebody has of other teams is passed over.
        rows = rows.where(incidents.c.team_id == any_(_TEAMS)) if by.teams else rows
        statuses: list[Any] = [bindparam("status", type_=Text)] if by.status else [str(s) for s in Status]
        priorities: list[Any] = [bindparam("priority", type_=Text)] if by.priority else [str(p) for p in Priority]
        stretches = [
            rows.where(incidents.c.status == of_status, incidents.c.priority == of_priority)
            for of_status, of_priority in product(statuses, priorities)
        ]
    return Listing(order, *stretches, *([_of_others(every, assignee=by.assignee)] if by.theirs else ()))


def in_time(created_at: ColumnElement[Any], by: Filters) -> list[ColumnElement[bool]]:
    """In `[since, until)`, so far as these are given."""
    return [*([created_at >= _SINCE] if by.since else []), *([created_at < _UNTIL] if by.until else [])]


def conditions(c: Any, by: Filters) -> list[ColumnElement[bool]]:
    """The filters as what a row has to fulfil, where it was found in another way; `c`: its columns."""
    wanted: list[ColumnElement[bool]] = in_time(c.created_at, by)
    if by.status:
        wanted.append(c.status == bindparam("status", type_=Text))
    if by.priority:
        wanted.append(c.priority == bindparam("priority", type_=Text))
    if by.assignee:
        wanted.append(bindparam("assignee", type_=Uuid) == func.coalesce(c.assigned_to, c.paged))
    if by.teams:
        is_seen = c.team_id == any_(_TEAMS)
        wanted.append(or_(is_seen, others().where(responders.c.incident_id == c.id).exists()) if by.theirs else is_seen)
    return wanted


def _of_teams(every: Select[Any]) -> Each:
    """A stretch for each of the teams, statuses and priorities."""
    teams, statuses, priorities = (
        _unnested(_TEAMS, Uuid()),
        _unnested(_STATUSES, Text()),
        _unnested(_PRIORITIES, Text()),
    )
    return Each(
        teams.join(statuses, true()).join(priorities, true()),
        every.where(
            incidents.c.team_id == teams.c.one,
            incidents.c.status == statuses.c.one,
            incidents.c.priority == priorities.c.one,
        ),
    )


def _unnested(values: BindParameter[Any], kind: TypeEngine[Any]) -> Any:
    return func.unnest(values).table_valued(column("one", kind)).render_derived(f"of_{values.key}")


def others() -> Select[Any]:
    """What somebody was paged for of teams that are not theirs: it is what one person has heard ring."""
    c, only = responders.c, bindparam("only", type_=Uuid)
    is_theirs = c.user_id == bindparam("theirs", type_=Uuid)
    return select(c.incident_id).where(is_theirs, c.team_id != all_(_TEAMS), or_(only.is_(None), c.team_id == only))


def _of_others(every: Select[Any], *, assignee: bool) -> Each:
    """The same, one by one."""
    theirs = others().subquery("theirs")
    rows = every.where(
        incidents.c.id == theirs.c.incident_id,
        incidents.c.status == any_(_STATUSES),
        incidents.c.priority == any_(_PRIORITIES),
    )
    return Each(theirs, rows.where(_IS_ASSIGNED) if assignee else rows)
