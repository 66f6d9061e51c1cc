"""Where oncall's tables come from."""

from __future__ import annotations

from libs.chassis.rebuild.origins import Origins, Replica, folding
from libs.contracts.auth import UserRegistered
from libs.contracts.oncall import OverrideAdded, ScheduleChanged, ScheduleCreated, ShiftsPlanned
from services.oncall.application import SCHEDULE
from services.oncall.projections import (
    SCHEMA,
    creations,
    overrides,
    people,
    plans,
    project,
    replicate,
    schedules,
    shifts,
)

ORIGINS = Origins(
    SCHEMA,
    project,
    streams={(ScheduleCreated, ScheduleChanged, OverrideAdded, ShiftsPlanned): folding(SCHEDULE)},
    projections=(schedules, creations, plans, overrides, shifts),
    replicas=(Replica(people, {"auth": (UserRegistered,)}, replicate),),
)
