"""Reviews of incidents that are over."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.contracts.requests import ById, Nothing
from libs.contracts.reviews import ChangeReview, ReviewChange, ReviewView
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.responses import answer, documented, one
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(
    prefix=f"{V1}/incidents/{{id}}/review", tags=["incidents"], route_class=PagerRoute, dependencies=[SIGNED_IN]
)

IncidentId = Annotated[UUID, Path(alias="id")]
_REVIEW = one("review", ReviewView, "Review")
_NONE = "there is no such incident, or no review of it"


@router.post(
    "",
    operation_id="draftReview",
    summary="Begin a review with what the timeline says",
    status_code=201,
    responses=documented(_REVIEW, 201, conflict="the incident is not over yet"),
)
async def draft_review(incident_id: IncidentId, ask: Asking) -> Response:
    """In Markdown; people stand in it by their ids. Where there is a review already it is answered as it is."""
    return item("review", await ask.command("incidents", "draft_review", ById(id=incident_id)), 201)


@router.get(
    "",
    operation_id="getReview",
    summary="The review of an incident",
    responses=documented(_REVIEW, missing=_NONE),
)
async def get_review(incident_id: IncidentId, ask: Asking) -> Response:
    return item("review", await ask.query("incidents", "review", ById(id=incident_id)))


@router.patch(
    "",
    operation_id="changeReview",
    summary="Change a review, its action items, and whether it is published",
    responses=documented(_REVIEW, missing=_NONE),
)
async def change_review(incident_id: IncidentId, body: ReviewChange, ask: Asking) -> Response:
    """Action items are replaced as a whole: one with an `id` is that one, one without is new."""
    request = complete(ChangeReview, body, id=incident_id)
    return item("review", await ask.command("incidents", "change_review", request))


@router.delete(
    "",
    operation_id="deleteReview",
    summary="Delete the draft of a review",
    responses=documented(
        answer("ReviewDeleted", Nothing), missing=_NONE, conflict="it is published: make it a draft again first"
    ),
)
async def delete_review(incident_id: IncidentId, ask: Asking) -> Response:
    """The timeline says who did. Another one may be begun."""
    return success(await ask.command("incidents", "delete_review", ById(id=incident_id)))
