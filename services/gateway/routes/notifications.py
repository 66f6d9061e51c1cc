"""Notifications of an incident and their attempts."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response

from libs.contracts.notifier import NotificationList, NotificationsQuery
from libs.contracts.requests import ById
from services.gateway.envelope import success
from services.gateway.responses import answer, documented
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(
    prefix=f"{V1}/notifications", tags=["notifications"], route_class=PagerRoute, dependencies=[SIGNED_IN]
)


@router.get(
    "",
    operation_id="listNotifications",
    summary="Who was told about an incident, and how it went",
    responses=documented(answer("Notifications", NotificationList), missing="there is no such incident"),
)
async def list_notifications(incident_id: Annotated[UUID, Query(alias="incidentId")], ask: Asking) -> Response:
    found = await ask.query("notifier", "list", NotificationsQuery(incident_id=incident_id))
    if not found["notifications"]:
        # Nobody was told yet, or there is nothing to tell of: who owns incidents knows.
        await ask.query("incidents", "get", ById(id=incident_id))
    return success(found)
