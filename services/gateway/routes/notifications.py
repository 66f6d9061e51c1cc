"""Notifications of an incident and their attempts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from libs.contracts.notifier import NotificationsQuery, NotificationView
from libs.contracts.requests import ById
from services.gateway.forwarding import complete
from services.gateway.listing import WholePaging, page
from services.gateway.responses import documented, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(
    prefix=f"{V1}/notifications", tags=["notifications"], route_class=PagerRoute, dependencies=[SIGNED_IN]
)


@router.get(
    "",
    operation_id="listNotifications",
    summary="Who was told about an incident, and how it went",
    responses=documented(
        several("notifications", NotificationView, "Notifications"), missing="there is no such incident"
    ),
)
async def list_notifications(
    incident_id: Annotated[UUID, Query(alias="incidentId")], paging: WholePaging, ask: Asking
) -> Response:
    wanted = complete(NotificationsQuery, paging, incident_id=incident_id)
    found = await ask.query("notifier", "list", wanted)
    if not found["notifications"]:
        # Nobody was told yet, or there is nothing to tell of: who owns incidents knows.
        await ask.query("incidents", "get", ById(id=incident_id))
    return page("notifications", found, wanted)
