"""The requests that oncall answers, on `pager.rpc.oncall.<operation>`."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from libs.chassis.consume.arrival import Arrival
from libs.chassis.requests.auditing import add_audit
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.oncall import (
    AddOverride,
    CancelOverride,
    ChangeSchedule,
    CreateSchedule,
    CurrentQuery,
    CurrentView,
    OnCallListView,
    OnCallQuery,
    OverrideQuery,
    OverridesQuery,
    OverridesView,
    OverrideView,
    SchedulesQuery,
    SchedulesView,
    ScheduleView,
    ShiftsQuery,
    ShiftsView,
)
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Invalid, Nothing
from libs.contracts.uses import UsesView
from services.oncall import application, views
from services.oncall.export import exported
from services.oncall.projections import SCHEMA, audit
from services.oncall.rotation import YEARS

LONGEST_RANGE = timedelta(days=400)
MOST_SHIFTS = 5000
"""In one answer, which must stay below the bus's limit of 1 MiB."""


def api(arrival: Arrival) -> Requests:
    """Managers write their team's schedules and leads the organisation's, but participants may take over shifts.

    `arrival`: how a command waits for a person or a team that auth has just made.
    """
    requests = Requests(SCHEMA)
    _commands(requests, arrival)
    _queries(requests, arrival)
    add_audit(requests, Trail(audit))
    return requests


def _commands(requests: Requests, arrival: Arrival) -> None:
    async def people_arrive(body: application.Naming, caller: Caller) -> None:
        _check_rights(body, caller)
        await arrival.of(lambda work: application.awaited(work, body, caller), "auth")

    @requests.handle("create_schedule", CreateSchedule, action=Action.SCHEDULES_WRITE, before=people_arrive)
    def create_schedule(work: Work, body: CreateSchedule, caller: Caller) -> ScheduleView:
        _check_rights(body, caller)
        return application.create_schedule(work, body, caller)

    @requests.handle(
        "change_schedule",
        ChangeSchedule,
        action=Action.SCHEDULES_WRITE,
        before=people_arrive,
        versioned=application.SCHEDULE,
    )
    def change_schedule(work: Work, body: ChangeSchedule, caller: Caller) -> ScheduleView:
        _check_rights(body, caller)
        return application.change_schedule(work, body, caller)

    async def policies_arrive(_body: ById, _caller: Caller) -> None:
        await arrival.of_everything("escalation")

    @requests.handle(
        "delete_schedule", ById, action=Action.SCHEDULES_WRITE, before=policies_arrive, versioned=application.SCHEDULE
    )
    def delete_schedule(work: Work, body: ById, caller: Caller) -> Nothing:
        application.delete_schedule(work, body, caller)
        return Nothing()

    @requests.handle(
        "add_override", AddOverride, action=Action.SCHEDULES_COVER, before=people_arrive, turn=_of_schedule
    )
    def add_override(work: Work, body: AddOverride, caller: Caller) -> OverrideView:
        _check_rights(body, caller)
        return application.add_override(work, body, caller)

    @requests.handle("cancel_override", CancelOverride, action=Action.SCHEDULES_COVER, turn=_of_schedule)
    def cancel_override(work: Work, body: CancelOverride, caller: Caller) -> OverrideView:
        return application.cancel_override(work, body, caller)


def _of_schedule(body: AddOverride | CancelOverride, _caller: Caller) -> UUID:
    return body.schedule_id


def _check_rights(body: application.Naming, caller: Caller) -> None:
    """What can be said without looking at the schedule. Raises Forbidden, Unsure."""
    if isinstance(body, CreateSchedule) or (isinstance(body, ChangeSchedule) and body.team_id is not None):
        caller.require(Action.SCHEDULES_WRITE, body.team_id)
    elif isinstance(body, AddOverride) and body.user_id != caller.user_id:
        caller.require_somewhere(Action.SCHEDULES_WRITE)


def _queries(requests: Requests, arrival: Arrival) -> None:
    async def team_arrives(query: SchedulesQuery, _caller: Caller) -> None:
        if (team_id := query.team_id) is not None:
            await arrival.of(lambda work: not views.is_team(work, team_id), "auth")

    @requests.query("schedule", ById, action=Action.SCHEDULES_READ)
    def schedule(work: Work, query: ById, caller: Caller) -> ScheduleView:
        return views.schedule_view(work, query.id, caller)

    @requests.query("schedules", SchedulesQuery, action=Action.SCHEDULES_READ, before=team_arrives)
    def schedules(work: Work, query: SchedulesQuery, caller: Caller) -> SchedulesView:
        return views.schedules_page(work, query, caller)

    @requests.query("team_uses", ById, public=True)
    def team_uses(work: Work, body: ById, _caller: None) -> UsesView:
        return application.team_uses(work, body.id)

    @requests.query("override", OverrideQuery, action=Action.SCHEDULES_READ)
    def override(work: Work, query: OverrideQuery, caller: Caller) -> OverrideView:
        views.seen_schedule(work, query.schedule_id, caller)
        return views.one_override(work, query.schedule_id, query.override_id)

    @requests.query("overrides", OverridesQuery, action=Action.SCHEDULES_READ)
    def overrides(work: Work, query: OverridesQuery, caller: Caller) -> OverridesView:
        views.seen_schedule(work, query.schedule_id, caller)
        return views.overrides_page(work, query)

    @requests.query("shifts", ShiftsQuery, action=Action.SCHEDULES_READ)
    def shifts(work: Work, query: ShiftsQuery, caller: Caller) -> ShiftsView:
        _check_range(query.from_, query.to)
        views.seen_schedule(work, query.schedule_id, caller)
        found = views.shifts_between(work, query.schedule_id, query.from_, query.to)
        if len(found) > MOST_SHIFTS:
            raise Invalid(f"expected a range of at most {MOST_SHIFTS} shifts: ask for a shorter one", field="to")
        return ShiftsView(shifts=found, inactive=views.inactive(work, (shift.user_id for shift in found)))

    @requests.query("current", CurrentQuery, action=Action.SCHEDULES_READ)
    def current(work: Work, query: CurrentQuery, caller: Caller) -> CurrentView:
        at = _moment(query.at, work.now)
        return CurrentView(current_on_call=views.current(work, query.schedule_id, at, caller))

    @requests.query("on_call", OnCallQuery, action=Action.SCHEDULES_READ)
    def on_call(work: Work, query: OnCallQuery, caller: Caller) -> OnCallListView:
        return views.on_call(work, query, _moment(query.at, work.now), caller)

    @requests.query("export", ExportQuery, action=Action.ME)
    def export(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
        return exported(work, query, caller)


def _check_range(from_: datetime, to: datetime) -> None:
    for field, moment in (("from", from_), ("to", to)):
        _check_year(moment, field)
    if to <= from_:
        raise Invalid("expected a moment after from", field="to")
    if to - from_ > LONGEST_RANGE:
        raise Invalid(f"expected at most {LONGEST_RANGE.days} days after from", field="to")


def _moment(asked: datetime | None, now: datetime) -> datetime:
    if asked is None:
        return now
    _check_year(asked, "at")
    return asked


def _check_year(moment: datetime, field: str) -> None:
    if moment.year not in YEARS:
        raise Invalid(f"expected a year from {YEARS[0]} to {YEARS[-1]}", field=field)
