"""What of incidents needs a team that somebody wants to delete: its integrations and its open incidents."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Integer, Uuid, bindparam, func, select

from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.requests import ById
from libs.contracts.uses import MOST_NAMED, Use, UserKind, UsesView
from services.incidents.projections import IS_OPEN, incidents, integrations

_TOTAL = func.count().over().label("total")
_TEAM, _COUNT = bindparam("id", type_=Uuid), bindparam("count", type_=Integer)
_INTEGRATIONS = (
    select(integrations.c.id, integrations.c.name, _TOTAL)
    .where(integrations.c.team_id == _TEAM)
    .order_by(integrations.c.name, integrations.c.id)
    .limit(_COUNT)
)
_INCIDENTS = (
    select(incidents.c.id, incidents.c.number, _TOTAL)
    .where(incidents.c.team_id == _TEAM, IS_OPEN)
    .order_by(incidents.c.number)
    .limit(_COUNT)
)


def add_team_uses(requests: Requests) -> None:
    """`team_uses`, for auth: the bus says who may ask."""

    @requests.query("team_uses", ById, public=True)
    def team_uses(work: Work, body: ById, _caller: None) -> UsesView:
        wanted: dict[str, Any] = {"id": body.id, "count": MOST_NAMED}
        of_team, open_ = work.fetch(_INTEGRATIONS, **wanted), work.fetch(_INCIDENTS, **wanted)
        uses = [Use(type=UserKind.INTEGRATION, id=row["id"], name=row["name"]) for row in of_team]
        uses += [Use(type=UserKind.INCIDENT, id=row["id"], name=f"#{row['number']}") for row in open_]
        return UsesView(uses=tuple(uses), total=sum(rows[0]["total"] for rows in (of_team, open_) if rows))
