"""The caller's devices, which pushes go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import AfterValidator
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.consume.owner import NoRequest
from libs.contracts.auth import DeviceQuery, DeviceView, RegisterDevice, RemoveDevice
from libs.contracts.notifier import NotificationView, SendTest, WebPushKey
from libs.contracts.requests import Nothing
from services.gateway.envelope import Problem, item, success
from services.gateway.forwarding import Ask
from services.gateway.front import front_of
from services.gateway.limits import Limit, of_person
from services.gateway.listing import Paging, page
from services.gateway.responses import TOO_MANY_DEVICES, answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/devices", tags=["devices"], route_class=PagerRoute, dependencies=[SIGNED_IN])


def _named(device_id: str) -> str:
    # Not in the description, where it would be a change of what was released: no device has this name.
    if not device_id:
        raise ValueError("must name a device")
    return device_id


DeviceId = Annotated[str, Path(alias="deviceId", max_length=255), AfterValidator(_named)]


@router.post(
    "",
    operation_id="registerDevice",
    summary="Register a device for pushes, or replace its token",
    status_code=201,
    responses=documented(one("device", DeviceView, "Device"), 201, conflict=TOO_MANY_DEVICES),
)
async def register_device(request: Request, body: RegisterDevice, ask: Asking) -> Response:
    # Only what has a place of its own: a hundred names of one device are a hundred devices, of which five may be.
    front_of(request).limits.take([of_person(Limit.PUSHES, request.state.user_id, body.device_id)])
    return item("device", await ask.command("auth", "register_device", body, repeatable=True), 201)


@router.get(
    "",
    operation_id="listDevices",
    summary="The caller's devices",
    responses=documented(several("devices", DeviceView, "Devices")),
)
async def list_devices(paging: Paging, ask: Asking) -> Response:
    found = await ask.query("auth", "devices", paging)
    heard = await _heard(ask) if found["devices"] else {}
    found["devices"] = [_with_receipt(device, heard) for device in found["devices"]]
    return page("devices", found, paging)


@router.get(
    "/web-push-key",
    operation_id="getWebPushKey",
    summary="What a browser subscribes with",
    responses=documented(one("webPushKey", WebPushKey, "WebPushKey"), missing="Web Push is not set up here"),
)
async def get_web_push_key(ask: Asking) -> Response:
    """`applicationServerKey` of `PushManager.subscribe`; the subscription is the `pushToken` of a device of platform
    `web`."""
    return item("webPushKey", await ask.query("notifier", "web_push_key", NoRequest()))


# Device ids are the client's: a slash in one must not make it impossible to see or to remove.
@router.get(
    "/{deviceId:path}",
    operation_id="getDevice",
    summary="One of the caller's devices",
    responses=documented(one("device", DeviceView, "Device")),
)
async def get_device(device_id: DeviceId, ask: Asking) -> Response:
    device = await ask.query("auth", "device", DeviceQuery(device_id=device_id))
    return item("device", _with_receipt(device, await _heard(ask)))


@router.post(
    "/{deviceId:path}/test",
    operation_id="testDevice",
    summary="Send a page about nothing to one of one's own devices",
    status_code=202,
    responses=documented(one("notification", NotificationView, "Notification"), 202),
)
async def test_device(request: Request, device_id: DeviceId, ask: Asking) -> Response:
    """On the way of every page, marked `test`. What came of it: `GET /notifications/{id}`."""
    front_of(request).limits.take([of_person(Limit.TESTS, request.state.user_id, device_id)])
    return item("notification", await ask.command("notifier", "test_device", SendTest(device_id=device_id)), 202)


@router.delete(
    "/{deviceId:path}",
    operation_id="removeDevice",
    summary="Remove a device",
    responses=documented(answer("DeviceRemoved", Nothing)),
)
async def remove_device(device_id: DeviceId, ask: Asking) -> Response:
    await ask.command("auth", "remove_device", RemoveDevice(device_id=device_id), repeatable=True)
    return success({})


async def _heard(ask: Ask) -> dict[str, str]:
    """When each of the caller's devices was last heard of; nothing while notifier is away: what is in auth is told."""
    try:
        found = await ask.query("notifier", "device_receipts", NoRequest())
    except Problem as problem:
        if problem.code != "UNAVAILABLE":
            raise
        return {}
    return {one["deviceId"]: one["lastReceiptAt"] for one in found["devices"]}


def _with_receipt(device: dict[str, Any], heard: Mapping[str, str]) -> dict[str, Any]:
    return device | {"lastReceiptAt": heard.get(device["deviceId"])}
