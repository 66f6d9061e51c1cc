"""Incidents as they stand, with whose they are: what the gateway's stream shows to whoever may see it."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, bindparam, func, select

from libs.chassis.store.cursors import read_cursor
from libs.chassis.store.work import Work
from libs.contracts.model import Lane
from libs.contracts.streaming import IncidentState, ReadUpTo, States, StatesQuery
from libs.contracts.subjects import lanes_of
from services.incidents.listing import in_brief
from services.incidents.projections import SCHEMA, incidents, responders
from services.incidents.views import COMPLETE, shown

_FITS = 700_000
"""Bytes of all states together: an answer has to go through the bus."""
_PERSON = 40
"""Bytes that a person's id takes in one."""
_ids = bindparam("ids", type_=ARRAY(Uuid))
_THESE = COMPLETE.add_columns(incidents.c.id).where(incidents.c.id == any_(_ids))
_WHOSE = (
    select(responders.c.incident_id, func.array_agg(responders.c.user_id).label("people"))
    .where(responders.c.incident_id == any_(_ids))
    .group_by(responders.c.incident_id)
)


def states(work: Work, query: StatesQuery) -> States:
    """Those that there are, in the order in which they were asked for, as many as fit into an answer."""
    ids = list(dict.fromkeys(query.ids))
    rows = {row["id"]: row for row in work.fetch(_THESE, ids=ids)}
    whose: dict[UUID, list[UUID]] = {row["incident_id"]: row["people"] for row in work.fetch(_WHOSE, ids=ids)}
    told, left, room = list[IncidentState](), list[UUID](), _FITS
    for view in (in_brief(shown(rows[i])) for i in ids if i in rows):
        people = tuple(whose.get(view.id, ()))
        room -= len(view.to_json()) + _PERSON * len(people)
        if room < 0 and told:
            left.append(view.id)
        else:
            told.append(IncidentState(incident=view, team_id=view.team_id, people=people))
    return States(states=tuple(told), left=tuple(left), escalation=_read(work))


def _read(work: Work) -> dict[Lane, ReadUpTo]:
    cursors = {lane: read_cursor(work.cursor, SCHEMA, "escalation", lane) for lane in lanes_of("escalation")}
    return {lane: ReadUpTo(epoch=at.epoch, position=at.position) for lane, at in cursors.items()}
