"""Where oncall's tables come from."""

from __future__ import annotations

from libs.chassis.rebuild.origins import STATELESS, Origins, Replica, folding
from libs.contracts.audit import OncallActedFrom
from libs.contracts.erasure import PersonErased
from libs.contracts.oncall import (
    OverrideAdded,
    OverrideCancelled,
    ScheduleChanged,
    ScheduleCreated,
    ScheduleDeleted,
    ShiftsPlanned,
)
from services.oncall.application import SCHEDULE
from services.oncall.projections import (
    FROM_DEVICES,
    FROM_PEOPLE,
    FROM_TEAMS,
    SCHEMA,
    audit,
    cancellations,
    creations,
    devices,
    keys,
    overrides,
    people,
    plans,
    project,
    replicate,
    schedules,
    shifts,
    teams,
)
from services.oncall.targets import FROM_ESCALATION, policies, replicate_policy

ORIGINS = Origins(
    SCHEMA,
    project,
    streams={
        (
            ScheduleCreated,
            ScheduleChanged,
            OverrideAdded,
            OverrideCancelled,
            ShiftsPlanned,
            ScheduleDeleted,
        ): folding(SCHEDULE),
        (OncallActedFrom,): STATELESS,
    },
    projections=(schedules, creations, plans, overrides, cancellations, shifts, audit),
    replicas=(
        Replica(people, {"auth": FROM_PEOPLE}, replicate),
        Replica(devices, {"auth": (*FROM_DEVICES, PersonErased)}, replicate),
        Replica(teams, {"auth": FROM_TEAMS}, replicate),
        Replica(policies, {"escalation": FROM_ESCALATION}, replicate_policy),
    ),
    rows={keys: "keys of persons, which auth gives and which are in no event"},
)
