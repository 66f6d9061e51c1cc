"""What the phone app tells of itself."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from starlette.requests import Request
from starlette.responses import Response

from libs.contracts.client_reports import ClientReports, ReportsAccepted
from services.gateway.edge import trace_of
from services.gateway.envelope import Problem, success
from services.gateway.front import front_of
from services.gateway.responses import Documented, answer, documented
from services.gateway.route import SIGNED_IN, V1, PagerRoute

router = APIRouter(
    prefix=f"{V1}/client-reports", tags=["client-reports"], route_class=PagerRoute, dependencies=[SIGNED_IN]
)
_FROM: Final = {"at": "2026-11-30T09:15:00Z", "appVersion": "1.4.0", "platform": "ios"}
_EXAMPLES: Final[Any] = {
    "timing": {
        "summary": "How long it took",
        "value": {"reports": [{"kind": "timing", "name": "start", "milliseconds": 420, **_FROM}]},
    },
    "error": {
        "summary": "What went wrong",
        "value": {"reports": [{"kind": "error", "name": "outbox.full", "message": "QuotaExceededError", **_FROM}]},
    },
}

_REFUSED: Final[Documented] = {
    403: {"description": "FORBIDDEN: an API key, or a device's credential, was shown"},
    429: {"description": "RATE_LIMITED: the person's apps have sent twenty within a minute"},
}


@router.post(
    "",
    operation_id="sendClientReports",
    summary="Tell how fast the app is, and what went wrong in it",
    status_code=202,
    responses=documented(answer("ReportsAccepted", ReportsAccepted), 202) | _REFUSED,
)
async def send_client_reports(
    body: Annotated[ClientReports, Body(openapi_examples=_EXAMPLES)], request: Request
) -> Response:
    """They become metrics and lines of the log, which name nobody; what is sent twice counts twice. Twenty requests a
    minute, counted by themselves. It works during maintenance. API keys and devices' credentials are refused: an app
    waits with it until somebody is signed in.
    """
    if request.state.by_key:
        raise Problem("FORBIDDEN", "apps tell of themselves; an API key does not")
    accepted = front_of(request).reports.take(body.reports, trace_of(request.scope).request_id)
    return success({"accepted": accepted}, 202)
