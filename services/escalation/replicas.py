"""Replicas of people, teams, shifts and integrations: what AUTH, ONCALL, INCIDENTS and NOTIFIER say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from libs.chassis.store.changes import Change, Cleared, Gone, Patch, Row
from libs.chassis.store.work import Work
from libs.contracts.auth import (
    DeviceAdded,
    DeviceRemoved,
    RolesChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.envelope import Envelope
from libs.contracts.erasure import PersonErased
from libs.contracts.escalation import Level, TargetType
from libs.contracts.integrations import IntegrationChanged, IntegrationCreated, IntegrationDeleted
from libs.contracts.notifier import PushTokenRetired
from libs.contracts.oncall import ScheduleCreated, ScheduleDeleted, ShiftsPlanned
from libs.contracts.teams import TeamCreated, TeamDeleted, TeamMembershipChanged
from services.escalation.projections import (
    INACTIVE,
    KNOWN_PEOPLE,
    KNOWN_SCHEDULES,
    KNOWN_TEAMS,
    SHIFTS,
    Span,
    devices,
    integrations,
    memberships,
    people,
    replan,
    retired_tokens,
    schedules,
    shifts,
    teams,
)

FROM_PEOPLE = (UserRegistered, RolesChanged, UserDeactivated, UserReactivated, PersonErased)
FROM_DEVICES = (DeviceAdded, DeviceRemoved)
FROM_TEAMS = (TeamCreated, TeamDeleted)
FROM_AUTH = (*FROM_PEOPLE, *FROM_DEVICES, *FROM_TEAMS, TeamMembershipChanged)
_KNOWN = {TargetType.USER: KNOWN_PEOPLE, TargetType.SCHEDULE: KNOWN_SCHEDULES, TargetType.TEAM: KNOWN_TEAMS}
FROM_ONCALL = (ScheduleCreated, ShiftsPlanned, ScheduleDeleted)
FROM_INTEGRATIONS = (IntegrationCreated, IntegrationChanged, IntegrationDeleted)


def replicate(event: Envelope[Any]) -> Iterable[Change]:
    """The rows that an event of an upstream alone writes here; pure, for rebuilds. Shifts need a clock as well."""
    match event.data:
        case UserRegistered() as user:
            row = {"id": user.user_id, "roles": [str(r) for r in user.roles], "active": True, "erased": False}
            yield Row(people, row)
        case RolesChanged() as user:
            yield Patch(people, {"id": user.user_id, "roles": [str(r) for r in user.roles]})
        case UserDeactivated(user_id=user_id) | UserReactivated(user_id=user_id):
            yield Patch(people, {"id": user_id, "active": isinstance(event.data, UserReactivated)})
        case PersonErased(user_id=user_id):
            yield Patch(people, {"id": user_id, "roles": [], "active": False, "erased": True})
            yield Cleared(devices, {"user_id": user_id})
        case DeviceAdded(user_id=user_id, device_id=device_id):
            # It comes with each registration, also of a device that was here before with a token that is dead.
            yield Row(devices, {"user_id": user_id, "device_id": device_id, "added_at": event.time})
        case DeviceRemoved(user_id=user_id, device_id=device_id):
            yield Gone(devices, {"user_id": user_id, "device_id": device_id})
        case TeamCreated(team_id=team_id):
            yield Row(teams, {"id": team_id})
        case TeamDeleted(team_id=team_id):
            yield Gone(teams, {"id": team_id})
        case TeamMembershipChanged(team_id=team_id, user_id=user_id, role=role):
            membership = {"team_id": team_id, "user_id": user_id}
            yield Gone(memberships, membership) if role is None else Row(memberships, {**membership, "role": str(role)})
        case PushTokenRetired() as token:
            key = {"user_id": token.user_id, "device_id": token.device_id}
            yield Row(retired_tokens, key | {"dead_at": token.at})
        case ScheduleCreated() as schedule:
            yield Row(schedules, {"id": schedule.schedule_id})
        case ShiftsPlanned() as plan:
            yield Row(schedules, {"id": plan.schedule_id, "plan_version": plan.schedule_version})
        case ScheduleDeleted(schedule_id=schedule_id):
            yield Gone(schedules, {"id": schedule_id})
        case IntegrationCreated() | IntegrationChanged() as made:
            yield Row(integrations, {"id": made.integration_id, "name": made.name, "policy_id": made.policy_id})
        case IntegrationDeleted(integration_id=integration_id):
            yield Gone(integrations, {"id": integration_id})


def follow_schedules(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """Keep who is on call when: each plan replaces what was planned in its range, and a deletion all of it."""
    said = [e.data for e in events if isinstance(e.data, ShiftsPlanned | ScheduleDeleted)]
    for event in events:
        work.put(*replicate(event))
    before: dict[UUID, list[Span]] = {fact.schedule_id: [] for fact in said}
    for row in work.fetch(SHIFTS, ids=list(before)) if before else ():
        before[row["schedule_id"]].append(Span(row["start_time"], row["end_time"], row["user_id"]))
    after = dict(before)
    for fact in said:
        spans = after[fact.schedule_id]
        after[fact.schedule_id] = replan(spans, fact, work.now) if isinstance(fact, ShiftsPlanned) else []
    for schedule, spans in after.items():
        _write_shifts(work, schedule, set(before[schedule]), set(spans))


def inactive_people(work: Work, people: Iterable[UUID]) -> dict[UUID, bool]:
    """Who of these people is deactivated, in their order, and whether they were erased."""
    asked = list(dict.fromkeys(people))
    found = {row["id"]: row["erased"] for row in work.fetch(INACTIVE, ids=asked)} if asked else {}
    return {person: found[person] for person in asked if person in found}


def unknown_targets(work: Work, levels: Iterable[Level]) -> list[str]:
    """The paths (`levels.0.targets.1.id`) of targets whose user, schedule or team has not been seen here."""
    wanted = {
        (target.type, target.id, f"levels.{i}.targets.{j}.id")
        for i, level in enumerate(levels)
        for j, target in enumerate(level.targets)
        if target.id is not None
    }
    known: set[tuple[TargetType, UUID]] = set()
    for kind, statement in _KNOWN.items():
        if asked := [target for of_kind, target, _ in wanted if of_kind is kind]:
            known |= {(kind, row["id"]) for row in work.fetch(statement, ids=asked)}
    return sorted(path for kind, target, path in wanted if kind in _KNOWN and (kind, target) not in known)


def is_team(work: Work, team_id: UUID) -> bool:
    """Whether there is such a team, as far as is known here."""
    return bool(work.fetch(KNOWN_TEAMS, ids=[team_id]))


def _write_shifts(work: Work, schedule: UUID, before: set[Span], after: set[Span]) -> None:
    starts = {span.start for span in after}
    for span in before - after:
        if span.start not in starts:
            work.put(Gone(shifts, {"schedule_id": schedule, "start_time": span.start}))
    for span in after - before:
        values = {"start_time": span.start, "end_time": span.end, "user_id": span.user_id}
        work.put(Row(shifts, {"schedule_id": schedule, **values}))
