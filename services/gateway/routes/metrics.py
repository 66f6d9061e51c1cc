"""`/api/metrics`: Prometheus' text format, of this gateway and of every service that answers."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.measure.metrics import CONTENT_TYPE
from services.gateway.front import front_of
from services.gateway.route import PagerRoute

router = APIRouter(prefix="/metrics", tags=["health"], route_class=PagerRoute)


@router.get(
    "",
    operation_id="getMetrics",
    summary="Metrics of all processes, for PAGER_METRICS_TOKEN or from this machine",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus text format"},
        401: {"description": "UNAUTHENTICATED: a token is set and was not sent"},
        403: {"description": "FORBIDDEN: no token is set and the caller is on another machine"},
        406: {"description": "NOT_ACCEPTABLE: `Accept` takes no text/plain"},
    },
)
async def get_metrics(request: Request) -> Response:
    metrics = front_of(request).metrics
    metrics.check(request)
    return Response(await metrics.everything(), media_type=CONTENT_TYPE)
