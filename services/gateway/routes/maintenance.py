"""Maintenance mode (admin): people's changes are refused, and pages go out as ever."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.consume.owner import NoRequest
from libs.contracts.maintenance import MaintenanceView, SetMaintenance
from services.gateway.envelope import Problem, item
from services.gateway.forwarding import Ask
from services.gateway.front import front_of
from services.gateway.responses import documented, one
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/admin/maintenance", tags=["admin"], route_class=PagerRoute, dependencies=[SIGNED_IN])
_MAINTENANCE = one("maintenance", MaintenanceView, "Maintenance")
_SET = "set by environment (`ENABLE_MAINTENANCE_MODE`)"


@router.get("", operation_id="getMaintenance", summary="Whether it is on (admin)", responses=documented(_MAINTENANCE))
async def get_maintenance(ask: Asking, request: Request) -> Response:
    found = await ask.query("auth", "maintenance", NoRequest())
    by_environment = front_of(request).maintenance.by_environment
    return item("maintenance", found | {"enabled": True, "byEnvironment": True} if by_environment else found)


@router.post(
    "",
    operation_id="setMaintenance",
    summary="Begin it, or end it with `enabled: false` (admin)",
    responses=documented(_MAINTENANCE, conflict=_SET),
)
async def set_maintenance(
    ask: Asking, request: Request, body: Annotated[SetMaintenance | None, Body()] = None
) -> Response:
    """Within a second people's changes are 503 `MAINTENANCE` with `message`, until `until` or somebody ends it. Paging,
    machines, signing in, opening, acknowledging, resolving, escalating, receipts and health go on.
    """
    return await _set(ask, request, body or SetMaintenance())


@router.delete(
    "",
    operation_id="endMaintenance",
    summary="End it (admin)",
    responses=documented(_MAINTENANCE, conflict=_SET),
)
async def end_maintenance(ask: Asking, request: Request) -> Response:
    return await _set(ask, request, SetMaintenance(enabled=False))


async def _set(ask: Ask, request: Request, wanted: SetMaintenance) -> Response:
    front = front_of(request)
    if front.maintenance.by_environment:
        raise Problem("CONFLICT", _SET)
    found = await ask.command("auth", "set_maintenance", wanted)
    await front.heard.ask()  # here it holds with the answer, elsewhere within a second
    return item("maintenance", found)
