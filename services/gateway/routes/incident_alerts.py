"""The alerts of an incident."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from libs.contracts.incident_alerts import AlertSort, AlertState, AlertView, ListAlerts
from services.gateway.forwarding import complete
from services.gateway.listing import Paging, page
from services.gateway.responses import documented, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/incidents", tags=["incidents"], route_class=PagerRoute, dependencies=[SIGNED_IN])


@router.get(
    "/{id}/alerts",
    operation_id="listAlerts",
    summary="Its alerts, each with how often it came",
    responses=documented(several("alerts", AlertView, "Alerts")),
)
async def list_alerts(
    incident_id: Annotated[UUID, Path(alias="id")],
    paging: Paging,
    ask: Asking,
    state: Annotated[AlertState | None, Query()] = None,
    sort: Annotated[AlertSort, Query()] = AlertSort.OLDEST,
) -> Response:
    """Different alerts of one dedup key, told apart by their fingerprints; repeats of one are its `count`.

    Oldest first, or newest first with `sort=-createdAt`. All are `resolved` once the incident is.
    """
    wanted = complete(ListAlerts, paging, id=incident_id, state=state, sort=sort)
    return page("alerts", await ask.query("incidents", "alerts", wanted), paging)
