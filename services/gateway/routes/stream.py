"""The stream of incidents: a WebSocket, which `streaming/` serves. Here is what it says to whoever asks for a page."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from libs.contracts.streaming import LONGEST_POSITION
from services.gateway.envelope import Problem, failure
from services.gateway.route import V1, PagerRoute

router = APIRouter(prefix=f"{V1}/stream", tags=["incidents"], route_class=PagerRoute)


@router.get(
    "",
    operation_id="stream",
    summary="What becomes of incidents, as it happens (WebSocket)",
    status_code=426,
    response_class=Response,
    response_description="UPGRADE_REQUIRED: this is a WebSocket",
    responses={
        101: {"description": "A WebSocket: frames are JSON (`docs/stream.md`, schemas in `docs/stream.json`)"},
        403: {"description": "FORBIDDEN: a browser's page whose Origin is not ours"},
        429: {"description": "RATE_LIMITED: too many streams from here have not said whose they are"},
    },
)
async def stream(
    after: Annotated[str | None, Query(max_length=LONGEST_POSITION, description="The last position handled.")] = None,
) -> Response:
    """The first frame is `{"type": "authenticate", "token": …}`, within 5 s; no token belongs into the address.

    It is answered by `ready`, and then by what becomes of the incidents that `GET /incidents` would list:
    `{"type": "IncidentAcknowledged", "position": …, "incident": …}`. Whoever comes back with the last position as
    `after` misses nothing and is told nothing twice; where that cannot be, `reset` says to list again.
    """
    wanted = {"Upgrade": "websocket", "Connection": "Upgrade"}
    return failure(Problem("UPGRADE_REQUIRED", "this is a WebSocket", headers=wanted))
