"""How alerts, incidents and people have fared: numbers of a period, as JSON or as a table for spreadsheets."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.responses import Response as HttpResponse

from libs.contracts import csv_tables
from libs.contracts.analytics import AnalyticsQuery, Load, Noise, Response, Summary
from libs.contracts.model import Contract, SentMoment
from libs.contracts.texts import TimeZone
from services.gateway.envelope import success
from services.gateway.responses import answer, documented
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/analytics", tags=["analytics"], route_class=PagerRoute, dependencies=[SIGNED_IN])


class Format(StrEnum):
    JSON = "json"
    CSV = "csv"


From = Annotated[SentMoment | None, Query(alias="from", description="Of this moment and later; 30 days before `to`.")]
To = Annotated[SentMoment | None, Query(description="Of before this moment; now.")]
OfTeam = Annotated[UUID | None, Query(alias="teamId", description="Only what belongs to this team.")]
Zone = Annotated[TimeZone, Query(description="Of the hours of the day.", examples=["Europe/Oslo"])]
Form = Annotated[Format, Query(alias="format", description="`csv`: RFC 4180, what looks like a formula behind a '.")]


def _documented(title: str, data: type[Contract]) -> dict[int | str, dict[str, Any]]:
    said = documented(answer(title, data), missing="there is no such team")
    said[200]["content"] = {csv_tables.MEDIA_TYPE: {"schema": {"type": "string"}}}
    return said


async def _told(ask: Asking, operation: str, view: type[Contract], form: Format, **asked: Any) -> HttpResponse:
    given = {name: value for name, value in asked.items() if value is not None}
    found = await ask.query("incidents", operation, AnalyticsQuery.model_validate(given))
    if form is Format.JSON:
        return success(found)
    table = csv_tables.of(view.model_validate(found)).encode()
    named = {"Content-Disposition": f'attachment; filename="pager-{operation}.csv"'}
    return HttpResponse(table, headers=named, media_type=f"{csv_tables.MEDIA_TYPE}; charset=utf-8; header=present")


@router.get(
    "/summary",
    operation_id="getAnalyticsSummary",
    summary="How soon incidents were answered and resolved",
    responses=_documented("AnalyticsSummary", Summary),
)
async def get_summary(
    ask: Asking,
    from_: From = None,
    to: To = None,
    team_id: OfTeam = None,
    timezone: Zone = "UTC",
    form: Form = Format.JSON,
) -> HttpResponse:
    """Seconds. Of incidents that were opened in the period, and that the caller may see by their teams."""
    asked = {"from_": from_, "to": to, "team_id": team_id, "timezone": timezone}
    return await _told(ask, "summary", Summary, form, **asked)


@router.get(
    "/response",
    operation_id="getAnalyticsResponse",
    summary="Which levels of policies answered, how soon, and who",
    responses=_documented("AnalyticsResponse", Response),
)
async def get_response(
    ask: Asking, from_: From = None, to: To = None, team_id: OfTeam = None, form: Form = Format.JSON
) -> HttpResponse:
    return await _told(ask, "response", Response, form, from_=from_, to=to, team_id=team_id)


@router.get(
    "/load",
    operation_id="getAnalyticsLoad",
    summary="How often people were paged, and at night",
    responses=_documented("AnalyticsLoad", Load),
)
async def get_load(
    ask: Asking, from_: From = None, to: To = None, team_id: OfTeam = None, form: Form = Format.JSON
) -> HttpResponse:
    """Oneself; whom a manager's team paged; everybody, for admins. Night is by the clock of where each of them was."""
    return await _told(ask, "load", Load, form, from_=from_, to=to, team_id=team_id)


@router.get(
    "/noise",
    operation_id="getAnalyticsNoise",
    summary="The noisiest dedup keys and integrations",
    responses=_documented("AnalyticsNoise", Noise),
)
async def get_noise(
    ask: Asking, from_: From = None, to: To = None, team_id: OfTeam = None, form: Form = Format.JSON
) -> HttpResponse:
    return await _told(ask, "noise", Noise, form, from_=from_, to=to, team_id=team_id)
