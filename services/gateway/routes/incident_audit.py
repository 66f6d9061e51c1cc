"""What was changed of an incident, by whom and from where."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from libs.contracts.incident_audit import IncidentAudit, IncidentAuditQuery
from services.gateway.envelope import success
from services.gateway.listing import Cursor
from services.gateway.responses import answer, documented
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/incidents", tags=["incidents"], route_class=PagerRoute, dependencies=[SIGNED_IN])


@router.get(
    "/{id}/audit",
    operation_id="getIncidentAudit",
    summary="Every change, with what was and what is",
    responses=documented(answer("IncidentAudit", IncidentAudit)),
)
async def get_incident_audit(
    incident_id: Annotated[UUID, Path(alias="id")],
    ask: Asking,
    cursor: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 100,
) -> Response:
    """Oldest first, for whoever sees the incident. From where somebody acted is shown to who may read the audit, and is
    `[hidden]` for everybody else; `[erased]` where the person is. Repeats of its alert change nothing.
    """
    wanted = IncidentAuditQuery(id=incident_id, cursor=cursor, limit=limit)
    return success(await ask.query("incidents", "incident_audit", wanted))
