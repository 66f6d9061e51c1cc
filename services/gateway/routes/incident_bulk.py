"""Many incidents at once."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from libs.contracts.incident_bulk import BulkBody, BulkResults
from services.gateway.envelope import success
from services.gateway.front import front_of
from services.gateway.responses import answer, documented
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/incidents", tags=["incidents"], route_class=PagerRoute, dependencies=[SIGNED_IN])


@router.post(
    "/bulk",
    operation_id="bulkIncidents",
    summary="Acknowledge, resolve, close, reopen, reassign or snooze many",
    responses=documented(answer("BulkResults", BulkResults), conflict="the Idempotency-Key was used for another bulk"),
)
async def bulk_incidents(body: Annotated[BulkBody, Body()], ask: Asking, request: Request) -> Response:
    """Each as by its own door: one that cannot be changed fails alone, and its result says why. What was not tried
    because the service did not answer is done when the same is sent again; with the same `Idempotency-Key` nothing is
    done twice.
    """
    results = await front_of(request).bulks.change(ask, body)
    return success(BulkResults(results=tuple(results)).model_dump(mode="json", by_alias=True, exclude_none=True))
