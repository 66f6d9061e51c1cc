"""Notifications of an incident, their attempts, and what phones say of them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from libs.contracts.notifier import NotificationsQuery, NotificationView, ReceiptBody, RecordReceipt
from libs.contracts.requests import ById, Nothing
from services.gateway.device_doors import DEVICES_TOO
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.listing import WholePaging, page
from services.gateway.responses import answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(
    prefix=f"{V1}/notifications", tags=["notifications"], route_class=PagerRoute, dependencies=[SIGNED_IN]
)

NotificationId = Annotated[UUID, Path(alias="id")]


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


@router.get(
    "/{id}",
    operation_id="getNotification",
    summary="One notification: its attempts, and what its device has said of it",
    responses=documented(one("notification", NotificationView, "Notification")),
)
async def get_notification(notification_id: NotificationId, ask: Asking) -> Response:
    return item("notification", await ask.query("notifier", "get", ById(id=notification_id)))


@router.post(
    "/{id}/receipts",
    operation_id="recordReceipt",
    summary="Say that a page was received, displayed or opened",
    responses=documented(answer("ReceiptRecorded", Nothing)),
    dependencies=[DEVICES_TOO],
)
async def record_receipt(notification_id: NotificationId, body: ReceiptBody, ask: Asking) -> Response:
    """By whose page it is. Each state counts once, in whatever order they come and however late; nothing follows from
    none."""
    await ask.command("notifier", "receipt", complete(RecordReceipt, body, id=notification_id), repeatable=True)
    return success({})
