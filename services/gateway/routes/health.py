"""Health, for people and for whatever watches the process (specification, Health Endpoints)."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.contracts.model import Contract
from services.gateway.front import front_of
from services.gateway.health import HealthView, ReadyView
from services.gateway.route import PagerRoute

router = APIRouter(prefix="/health", tags=["health"], route_class=PagerRoute)


class LiveView(Contract):
    status: Literal["ok"] = "ok"


def _answer(view: Contract, status: int = 200) -> Response:
    return Response(view.model_dump_json(by_alias=True, exclude_none=True), status, media_type="application/json")


@router.get(
    "",
    operation_id="getHealth",
    summary="How the system is; 503 when it cannot page",
    responses={200: {"model": HealthView}, 503: {"model": HealthView, "description": "Nobody can be paged"}},
)
async def get_health(request: Request) -> Response:
    front = front_of(request)
    view = (await front.health.view()).model_copy(update={"maintenance": front.maintenance.now.enabled or None})
    return _answer(view, 503 if view.status == "unavailable" else 200)


@router.get(
    "/ready",
    operation_id="getReady",
    summary="Whether bus, database and every service do their work; 503 while one does not",
    responses={
        200: {"model": ReadyView},
        503: {"model": ReadyView, "description": "Callers are refused, or nobody is paged; `troubles` says why"},
    },
)
async def get_ready(request: Request) -> Response:
    view, is_ready = await front_of(request).health.ready()
    return _answer(view, 200 if is_ready else 503)


@router.get("/live", operation_id="getLive", summary="Whether this process runs", responses={200: {"model": LiveView}})
async def get_live() -> Response:
    return _answer(LiveView())
