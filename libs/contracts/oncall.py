"""Schedules, overrides and shifts: what oncall publishes and answers."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from libs.contracts.envelope import Fact
from libs.contracts.model import Contract, Moment, SentMoment, StrictContract, WallClock
from libs.contracts.requests import ListPage, ListView
from libs.contracts.texts import DURATION, ONE_LINE, TIME_OF_DAY, TimeZone


class RotationType(StrEnum):
    HOURLY = "hourly"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    CUSTOM = "custom"


class Day(StrEnum):
    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class Restriction(StrictContract):
    """Hours in which a layer applies: from `from` (local wall clock, HH:MM) on each of `days`, for `duration`."""

    days: tuple[Day, ...] = Field(default=tuple(Day), min_length=1, max_length=7)
    from_: str = Field(alias="from", pattern=TIME_OF_DAY)
    duration: str = Field(pattern=DURATION)
    """ISO 8601, at most P7D."""


class Layer(StrictContract):
    """A rotation: participants take turns of `interval` units, handing over at `start`'s local wall clock."""

    rotation_type: RotationType = RotationType.WEEKLY
    interval: int = Field(default=1, ge=1, le=366)
    shift_length: str | None = Field(default=None, pattern=DURATION)
    """ISO 8601, only with `custom`."""
    start: WallClock
    """Local wall clock in the schedule's zone, without an offset."""
    end: WallClock | None = None
    participants: tuple[UUID, ...] = Field(min_length=1, max_length=200)
    restrictions: tuple[Restriction, ...] = Field(default=(), max_length=50)


class Override(Contract):
    """A person takes over `[start_time, end_time)`; with `replaces`, only where that person would be on call."""

    id: UUID
    user_id: UUID
    start_time: SentMoment
    end_time: SentMoment
    replaces: UUID | None = None


class Shift(Contract):
    """A person's stretch on call, `[start_time, end_time)`."""

    user_id: UUID
    start_time: Moment
    end_time: Moment
    layer: int
    """Index of the layer that it comes from; -1 for an override."""
    is_override: bool = False


class ScheduleCreated(Fact, type="pager.oncall.ScheduleCreated.v1"):
    schedule_id: UUID
    name: str
    description: str | None = None
    timezone: str
    is_active: bool
    layers: tuple[Layer, ...]
    team_id: UUID | None = None
    """Whose it is; None: the whole organisation's."""
    created_by: str


class ScheduleChanged(Fact, type="pager.oncall.ScheduleChanged.v1"):
    """The whole schedule after the change."""

    schedule_id: UUID
    name: str
    description: str | None = None
    timezone: str
    is_active: bool
    layers: tuple[Layer, ...]
    team_id: UUID | None = None


class ScheduleDeleted(Fact, type="pager.oncall.ScheduleDeleted.v1"):
    """Nobody is on call on it any more, and none of its shifts or overrides can be asked for."""

    schedule_id: UUID


class OverrideAdded(Fact, type="pager.oncall.OverrideAdded.v1"):
    schedule_id: UUID
    override: Override


class OverrideCancelled(Fact, type="pager.oncall.OverrideCancelled.v1"):
    """The override does not apply from `cancelled_at` on; one that had not begun by then never does."""

    schedule_id: UUID
    override_id: UUID
    cancelled_at: Moment


class ShiftsPlanned(Fact, type="pager.oncall.ShiftsPlanned.v1"):
    """Who is on call in `[from_time, to_time)`: replaces every shift planned earlier in that range.

    Sorted, not overlapping; a gap is nobody on call. Only the range in which the plan differs from the one before is
    told: what was planned outside of it stays, also of a shift that reaches into it, and a plan that differs in nothing
    is no event.
    """

    schedule_id: UUID
    schedule_version: int
    """The schedule's version (its stream in the log) whose rules made the plan."""
    planned_at: Moment | None = None
    """What had ended by then is over, and is not planned again. None: it is older than this field."""
    from_time: Moment
    to_time: Moment
    shifts: tuple[Shift, ...]


class CreateSchedule(StrictContract):
    name: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    description: str | None = Field(default=None, max_length=10_000)
    timezone: TimeZone = "UTC"
    is_active: bool = True
    layers: tuple[Layer, ...] = Field(default=(), max_length=50)
    team_id: UUID | None = None
    """Whose it is; None: the whole organisation's."""


class ScheduleChange(StrictContract):
    """Fields not given stay; `layers` is replaced as a whole; a `teamId` of null makes it the whole organisation's."""

    name: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    description: str | None = Field(default=None, max_length=10_000)
    timezone: TimeZone | None = None
    is_active: bool | None = None
    layers: tuple[Layer, ...] | None = Field(default=None, max_length=50)
    team_id: UUID | None = None


class ChangeSchedule(ScheduleChange):
    id: UUID


class SchedulesQuery(ListPage):
    team_id: UUID | None = None
    """Those of this team; None: all that the caller sees."""


class OverrideBody(StrictContract):
    user_id: UUID
    start_time: SentMoment
    end_time: SentMoment
    replaces: UUID | None = None


class AddOverride(OverrideBody):
    schedule_id: UUID


class CancelOverride(StrictContract):
    schedule_id: UUID
    override_id: UUID


class OverrideQuery(StrictContract):
    schedule_id: UUID
    override_id: UUID


class OverridesQuery(ListPage):
    schedule_id: UUID


class ShiftsQuery(StrictContract):
    schedule_id: UUID
    from_: SentMoment = Field(alias="from")
    to: SentMoment


class CurrentQuery(StrictContract):
    schedule_id: UUID | None = None
    at: SentMoment | None = None


class OnCallQuery(ListPage):
    schedule_id: UUID | None = None
    at: SentMoment | None = None
    limit: int = Field(default=100, ge=1, le=100)


class ScheduleView(Contract):
    id: UUID
    name: str
    description: str | None = None
    timezone: str
    is_active: bool
    layers: tuple[Layer, ...]
    overrides: tuple[Override, ...] = ()
    inactive: tuple[UUID, ...] = ()
    """Who of the people in `layers` and `overrides` is deactivated: their shifts stay, and pages pass them over."""
    erased: tuple[UUID, ...] = ()
    """Who of those was erased: put somebody else in their place."""
    team_id: UUID | None = None
    version: int
    created_by: str
    created_at: Moment
    updated_at: Moment


class OverrideView(Override):
    """An override with its history: who made it, and whether and by whom it was cancelled."""

    schedule_id: UUID
    inactive: bool = False
    """Whether the person is deactivated: a page passes them over."""
    created_by: UUID | None = None
    """None: it is older than this field, or no person made it."""
    created_at: Moment | None = None
    cancelled_by: UUID | None = None
    cancelled_at: Moment | None = None
    """From then on it does not apply; when that is not after `start_time`, it never did."""
    reachable: bool
    """Whether the person has a device now that can be paged. False is a warning: a page would reach nobody."""


class OverridesView(ListView):
    """A page of a schedule's overrides, also of those that have ended, newest first."""

    overrides: tuple[OverrideView, ...]


class OnCallView(Contract):
    """The specification's `currentOnCall`."""

    user_id: UUID
    user_name: str
    inactive: bool = False
    """The person is deactivated: whoever has the next shift is paged in their place."""
    schedule_id: UUID
    schedule_name: str
    start_time: Moment
    end_time: Moment


class SchedulesView(ListView):
    """A page of schedules, oldest first."""

    schedules: tuple[ScheduleView, ...]


class ShiftsView(Contract):
    """`inactive`: who of the people in `shifts` is deactivated now. Their shifts stay, and pages pass them over."""

    shifts: tuple[Shift, ...]
    inactive: tuple[UUID, ...] = ()


class CurrentView(Contract):
    current_on_call: OnCallView | None


class OnCallListView(ListView):
    """A page of who is on call, by the age of their schedules."""

    on_call: tuple[OnCallView, ...]
