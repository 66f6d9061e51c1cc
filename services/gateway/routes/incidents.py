"""Incidents (specification, Incident Endpoints)."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query
from starlette.requests import Request
from starlette.responses import Response

from libs.contracts.incident_lists import SearchIncidents, Sort, Words
from libs.contracts.incidents import (
    CreateIncident,
    EditIncident,
    ExplainQuery,
    Explanation,
    IncidentEdit,
    IncidentView,
    Outcome,
    Status,
    Timeline,
    TimelineQuery,
    Whose,
)
from libs.contracts.links import incident_url
from libs.contracts.model import Priority, SentMoment
from libs.contracts.requests import ById
from services.gateway.device_doors import DEVICES_TOO
from services.gateway.envelope import Problem, item, success
from services.gateway.forwarding import Ask, complete
from services.gateway.labels import Labels
from services.gateway.listing import Paging, check_period, page
from services.gateway.responses import answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/incidents", tags=["incidents"], route_class=PagerRoute, dependencies=[SIGNED_IN])

_OPEN = (Status.CREATED, Status.ESCALATED, Status.ACKNOWLEDGED)
IncidentId = Annotated[UUID, Path(alias="id")]

INCIDENT = one("incident", IncidentView, "Incident")
_EXAMPLES = {
    "slow": {
        "summary": "A slow API",
        "value": {
            "title": "API Response Time Degradation",
            "description": "API endpoints responding slowly",
            "priority": "high",
            "assignedTo": "550e8400-e29b-41d4-a716-446655440000",
        },
    }
}


_Q = Query(
    description='Words, as in a search engine: `disk "is full" -test`, `postgres or kafka`. In titles and at the'
    " beginning of descriptions.",
    examples=["disk full"],
)
_FROM = Query(alias="from", description="Created at this moment or later.")
_TO = Query(description="Created before this moment.")
_SORT = Query(
    description="`priority`: the most urgent first. `updatedAt` is the last event's time here: a mere repeat of an"
    " alert moves nothing."
)


def linked(ask: Ask, view: dict[str, Any]) -> dict[str, Any]:
    """With the address where people find it."""
    return view | {"url": incident_url(ask.forwarder.public_url, view["id"])}


@router.get(
    "",
    operation_id="listIncidents",
    summary="List incidents",
    responses=documented(several("incidents", IncidentView, "Incidents"), missing="there is no such person or team"),
    dependencies=[DEVICES_TOO],
)
async def list_incidents(
    paging: Paging,
    ask: Asking,
    request: Request,
    labels: Labels,
    status: Annotated[Status | None, Query()] = None,
    priority: Annotated[Priority | None, Query()] = None,
    assigned_to: Annotated[Whose | None, Query()] = None,
    assigned_to_too: Annotated[Whose | None, Query(alias="assignedTo")] = None,
    team_id: Annotated[UUID | None, Query(alias="teamId")] = None,
    integration_id: Annotated[UUID | None, Query(alias="integrationId")] = None,
    q: Annotated[Words | None, _Q] = None,
    from_: Annotated[SentMoment | None, _FROM] = None,
    to: Annotated[SentMoment | None, _TO] = None,
    sort: Annotated[Sort, _SORT] = Sort.NEWEST,
) -> Response:
    """What the caller may see: the organisation's, that of their teams, and what they were paged for.

    All that is given has to fit. `metadata.<key>=<value>` asks for a label, for example `metadata.host=db-1`, or
    `metadata.labels.severity=page` for one that stands deeper; at most ten.

    `assigned_to` is the specification's spelling; `assignedTo` is understood too. `me` is whoever asks. A device's
    credential lists what is open: it names that `status`.
    """
    if request.state.by_device and status not in _OPEN:
        raise Problem("FORBIDDEN", f"a device's credential lists what is open: status is {', '.join(_OPEN)}")
    if assigned_to is not None and assigned_to_too is not None:
        raise Problem.invalid("assignedTo", "is given twice, once as assigned_to")
    check_period(from_, to)
    whose = assigned_to or assigned_to_too
    more = {"team_id": team_id, "integration_id": integration_id, "q": q, "from": from_, "to": to}
    # An older service does not know them.
    given: dict[str, Any] = {name: value for name, value in more.items() if value is not None}
    given |= {"metadata": labels} if labels else {}
    given |= {} if sort is Sort.NEWEST else {"sort": sort}
    wanted = complete(SearchIncidents, paging, status=status, priority=priority, assigned_to=whose, **given)
    found = await ask.query("incidents", "list", wanted)
    return page("incidents", found | {"incidents": [linked(ask, view) for view in found["incidents"]]}, paging)


@router.post(
    "",
    operation_id="createIncident",
    summary="Create an incident",
    status_code=201,
    responses=documented(INCIDENT, 201),
)
async def create_incident(body: Annotated[CreateIncident, Body(openapi_examples=_EXAMPLES)], ask: Asking) -> Response:
    return item("incident", linked(ask, await ask.command("incidents", "create", body)), 201)


@router.get("/{id}", operation_id="getIncident", summary="One incident", responses=documented(INCIDENT))
async def get_incident(incident_id: IncidentId, ask: Asking) -> Response:
    return item("incident", linked(ask, await ask.query("incidents", "get", ById(id=incident_id))))


@router.patch(
    "/{id}",
    operation_id="editIncident",
    summary="Edit an incident",
    responses=documented(INCIDENT, conflict="it is over, and its priority would change"),
)
async def edit_incident(incident_id: IncidentId, body: IncidentEdit, ask: Asking) -> Response:
    """A higher priority pages its people again, as for a worse alert; a lower one pages nobody."""
    request = complete(EditIncident, body, id=incident_id)
    return item("incident", linked(ask, await ask.command("incidents", "edit", request)))


@router.get(
    "/{id}/timeline",
    operation_id="getTimeline",
    summary="What happened, oldest first",
    responses=documented(answer("Timeline", Timeline)),
)
async def get_timeline(
    incident_id: IncidentId,
    ask: Asking,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> Response:
    """Page by page: `cursor` is the `nextCursor` of the page before, which the last page does not have."""
    wanted = TimelineQuery(id=incident_id, cursor=cursor, limit=limit)
    return success(await ask.query("incidents", "timeline", wanted))


@router.get(
    "/{id}/explain",
    operation_id="explainIncident",
    summary="Why people were paged, or were not",
    responses=documented(answer("Explanation", Explanation)),
)
async def explain_incident(
    incident_id: IncidentId, ask: Asking, user_id: Annotated[UUID | None, Query(alias="userId")] = None
) -> Response:
    found = await ask.query("incidents", "explain", ExplainQuery(id=incident_id, user_id=user_id))
    if user_id is not None and all(_may_be_nobody(one) for one in found["people"]):
        # Somebody who was not paged, or nobody at all: who owns people knows.
        await ask.query("auth", "user", ById(id=user_id))
    return success(found)


def _may_be_nobody(explained: dict[str, Any]) -> bool:
    return explained["outcome"] == Outcome.NOT_PAGED and not explained["erased"]
