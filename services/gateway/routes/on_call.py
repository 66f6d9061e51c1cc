"""Schedules, overrides, shifts, and who is on call (specification, On-Call Endpoints)."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from libs.contracts.model import SentMoment
from libs.contracts.oncall import (
    AddOverride,
    CancelOverride,
    ChangeSchedule,
    CreateSchedule,
    CurrentQuery,
    CurrentView,
    OnCallQuery,
    OnCallView,
    OverrideBody,
    OverrideQuery,
    OverridesQuery,
    OverrideView,
    ScheduleChange,
    SchedulesQuery,
    ScheduleView,
    ShiftsQuery,
    ShiftsView,
)
from libs.contracts.requests import ById, Nothing
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.listing import OfTeam, Paging, WholePaging, page
from services.gateway.responses import answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/on-call", tags=["on-call"], route_class=PagerRoute, dependencies=[SIGNED_IN])

ScheduleId = Annotated[UUID, Path(alias="id")]
OverrideId = Annotated[UUID, Path(alias="overrideId")]
OfSchedule = Annotated[UUID | None, Query(alias="scheduleId")]
AtMoment = Annotated[SentMoment | None, Query()]

_CANNOT_TAKE_OVER = (
    "the caller has no device that can be paged, the person is deactivated, or 200 overrides are still to come; "
    "or the Idempotency-Key was used with another body"
)
_NO_SCHEDULE = "there is no such schedule"
_OVERRIDE = one("override", OverrideView, "Override")
_SCHEDULE = one("schedule", ScheduleView, "Schedule")


@router.post(
    "/schedules",
    operation_id="createSchedule",
    summary="Create a schedule",
    status_code=201,
    responses=documented(_SCHEDULE, 201),
)
async def create_schedule(body: CreateSchedule, ask: Asking) -> Response:
    return item("schedule", await ask.command("oncall", "create_schedule", body), 201)


@router.get(
    "/schedules",
    operation_id="listSchedules",
    summary="List schedules",
    responses=documented(several("schedules", ScheduleView, "Schedules"), missing="no such team (`teamId`)"),
)
async def list_schedules(paging: Paging, ask: Asking, team_id: OfTeam = None) -> Response:
    asked = paging if team_id is None else complete(SchedulesQuery, paging, team_id=team_id)
    return page("schedules", await ask.query("oncall", "schedules", asked), paging)


@router.get("/schedules/{id}", operation_id="getSchedule", summary="One schedule", responses=documented(_SCHEDULE))
async def get_schedule(schedule_id: ScheduleId, ask: Asking) -> Response:
    return item("schedule", await ask.query("oncall", "schedule", ById(id=schedule_id)))


@router.patch(
    "/schedules/{id}", operation_id="changeSchedule", summary="Change a schedule", responses=documented(_SCHEDULE)
)
async def change_schedule(schedule_id: ScheduleId, body: ScheduleChange, ask: Asking) -> Response:
    request = complete(ChangeSchedule, body, id=schedule_id)
    return item("schedule", await ask.command("oncall", "change_schedule", request))


@router.delete(
    "/schedules/{id}",
    operation_id="deleteSchedule",
    summary="Delete a schedule, with its shifts and overrides",
    responses=documented(answer("ScheduleDeleted", Nothing), conflict="policies page it (`details.usedBy`)"),
)
async def delete_schedule(schedule_id: ScheduleId, ask: Asking) -> Response:
    return success(await ask.command("oncall", "delete_schedule", ById(id=schedule_id)))


@router.get(
    "/schedules/{id}/shifts",
    operation_id="listShifts",
    summary="Who is really paged in a stretch of time",
    description="At most 400 days and 5,000 shifts; what is longer is refused, and `to` is the field at fault.",
    responses=documented(answer("Shifts", ShiftsView)),
)
async def list_shifts(
    schedule_id: ScheduleId,
    from_: Annotated[SentMoment, Query(alias="from")],
    to: Annotated[SentMoment, Query()],
    ask: Asking,
) -> Response:
    wanted = ShiftsQuery(schedule_id=schedule_id, from_=from_, to=to)
    return success(await ask.query("oncall", "shifts", wanted))


@router.post(
    "/schedules/{id}/overrides",
    operation_id="addOverride",
    summary="Take over for a while, or let another person do so",
    description="Participants of the schedule for themselves, on a device that can be paged; leads for anybody, and "
    "`reachable` says whether a page would reach that person. At most 90 days long, begun within 366 days.",
    status_code=201,
    responses=documented(_OVERRIDE, 201, conflict=_CANNOT_TAKE_OVER),
)
async def add_override(schedule_id: ScheduleId, body: OverrideBody, ask: Asking) -> Response:
    request = complete(AddOverride, body, schedule_id=schedule_id)
    return item("override", await ask.command("oncall", "add_override", request), 201)


@router.get(
    "/schedules/{id}/overrides",
    operation_id="listOverrides",
    summary="The overrides of a schedule, newest first, also those that were cancelled or have ended",
    responses=documented(several("overrides", OverrideView, "Overrides")),
)
async def list_overrides(schedule_id: ScheduleId, paging: Paging, ask: Asking) -> Response:
    wanted = complete(OverridesQuery, paging, schedule_id=schedule_id)
    return page("overrides", await ask.query("oncall", "overrides", wanted), paging)


@router.get(
    "/schedules/{id}/overrides/{overrideId}",
    operation_id="getOverride",
    summary="One override",
    responses=documented(_OVERRIDE),
)
async def get_override(schedule_id: ScheduleId, override_id: OverrideId, ask: Asking) -> Response:
    wanted = OverrideQuery(schedule_id=schedule_id, override_id=override_id)
    return item("override", await ask.query("oncall", "override", wanted))


@router.delete(
    "/schedules/{id}/overrides/{overrideId}",
    operation_id="cancelOverride",
    summary="Cancel an override: one that has begun ends now",
    description="Whoever made it, whom it concerns, and leads. It stays in the list; a second time changes nothing.",
    responses=documented(_OVERRIDE),
)
async def cancel_override(schedule_id: ScheduleId, override_id: OverrideId, ask: Asking) -> Response:
    body = CancelOverride(schedule_id=schedule_id, override_id=override_id)
    return item("override", await ask.command("oncall", "cancel_override", body, repeatable=True))


@router.get(
    "/current",
    operation_id="getCurrentOnCall",
    summary="Who is on call on a schedule; null when nobody is",
    responses=documented(answer("CurrentOnCall", CurrentView), missing=_NO_SCHEDULE),
)
async def get_current(ask: Asking, schedule_id: OfSchedule = None, at: AtMoment = None) -> Response:
    return success(await ask.query("oncall", "current", CurrentQuery(schedule_id=schedule_id, at=at)))


@router.get(
    "",
    operation_id="listOnCall",
    summary="Everybody who is on call, now or at a moment",
    description="A row for each schedule on which somebody is. At a moment for which nothing is planned `total` may "
    "count schedules on which nobody is, and says that it is an estimate.",
    responses=documented(several("onCall", OnCallView, "OnCall"), missing=_NO_SCHEDULE),
)
async def list_on_call(
    paging: WholePaging, ask: Asking, schedule_id: OfSchedule = None, at: AtMoment = None
) -> Response:
    wanted = complete(OnCallQuery, paging, schedule_id=schedule_id, at=at)
    return page("onCall", await ask.query("oncall", "on_call", wanted), wanted)
