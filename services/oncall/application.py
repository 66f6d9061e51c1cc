"""The shell around schedules: people as auth knows them, commands, timers and the answers to queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.store.work import Cause, Decider, Work
from libs.chassis.timers import Timer
from libs.contracts import oncall as contracts
from libs.contracts.auth import UserRegistered
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID, DEFAULT_SCHEDULE_NAME
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Role
from libs.contracts.oncall import Layer, Override, ScheduleView
from libs.contracts.requests import Invalid
from services.oncall import domain, projections
from services.oncall.views import one_schedule

SCHEDULE: Decider[domain.State, domain.Command] = Decider(domain.initial, domain.evolve, domain.decide)
ONCALL = Actor.service("oncall")


def learn_people(work: Work, events: Sequence[Envelope[UserRegistered]]) -> None:
    """Keep the replica of people; the first admin gets the schedule that every installation begins with."""
    for event in events:
        work.put(*projections.replicate(event))
    admin = next((e for e in events if Role.ADMIN in e.data.roles), None)
    if admin is not None:
        # Decides nothing when the schedule exists.
        work.decide(SCHEDULE, DEFAULT_SCHEDULE_ID, _first_schedule(admin.data.user_id, work.now), _cause(admin))


def _cause(event: Envelope[Any]) -> Cause:
    return Cause.event(event, ONCALL)


def _first_schedule(admin: UUID, now: datetime) -> domain.CreateSchedule:
    monday = now.astimezone(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
    start = monday if monday <= now else monday - timedelta(weeks=1)
    return domain.CreateSchedule(
        schedule_id=DEFAULT_SCHEDULE_ID,
        name=DEFAULT_SCHEDULE_NAME,
        description=None,
        timezone="UTC",
        is_active=True,
        layers=(Layer(start=start.replace(tzinfo=None), participants=(admin,)),),
        created_by=str(admin),
        now=now,
    )


def extend_plans(work: Work, timers: Sequence[Timer]) -> None:
    """Plan what the horizon has come to include, so that at least 89 days are always planned."""
    work.load(SCHEDULE, [t.entity for t in timers])
    for timer in timers:
        work.decide(SCHEDULE, timer.entity, domain.PlanShifts(work.now), work.begin(ONCALL))


def create_schedule(work: Work, body: contracts.CreateSchedule, caller: Caller) -> ScheduleView:
    schedule_id = work.new_id()
    command = domain.CreateSchedule(
        schedule_id=schedule_id,
        name=body.name,
        description=body.description,
        timezone=body.timezone,
        is_active=body.is_active,
        layers=body.layers,
        created_by=str(caller.user_id),
        now=work.now,
    )
    work.decide(SCHEDULE, schedule_id, command, caller.cause(work))
    _check_people(work, named_people(body))
    return _view(work, schedule_id, created_at=work.now, updated_at=work.now)


def change_schedule(work: Work, body: contracts.ChangeSchedule, caller: Caller) -> ScheduleView:
    """Raises NotFound: there is no such schedule."""
    before = one_schedule(work, body.id)
    command = domain.ChangeSchedule(
        now=work.now,
        name=body.name,
        # Given as null, the description goes; not given, it stays.
        description=body.description if "description" in body.model_fields_set else domain.Keep.KEEP,
        timezone=body.timezone,
        is_active=body.is_active,
        layers=body.layers,
    )
    changed = work.decide(SCHEDULE, body.id, command, caller.cause(work))
    _check_people(work, named_people(body))
    updated_at = work.now if changed else before["updated_at"]
    return _view(work, body.id, created_at=before["created_at"], updated_at=updated_at)


def add_override(work: Work, body: contracts.AddOverride, caller: Caller) -> Override:
    """Raises NotFound: there is no such schedule."""
    override = Override(
        id=work.new_id(),
        user_id=body.user_id,
        start_time=body.start_time,
        end_time=body.end_time,
        replaces=body.replaces,
    )
    work.decide(SCHEDULE, body.schedule_id, domain.AddOverride(override, work.now), caller.cause(work))
    _check_people(work, named_people(body))
    return override


def named_people(body: contracts.CreateSchedule | contracts.ChangeSchedule | contracts.AddOverride) -> dict[UUID, str]:
    """The people in a command, with the field that names them first."""
    named: dict[UUID, str] = {}
    if isinstance(body, contracts.AddOverride):
        named[body.user_id] = "userId"
        if body.replaces is not None:
            named.setdefault(body.replaces, "replaces")
        return named
    for i, layer in enumerate(body.layers or ()):
        for j, person in enumerate(layer.participants):
            named.setdefault(person, f"layers.{i}.participants.{j}")
    return named


def _check_people(work: Work, named: Mapping[UUID, str]) -> None:
    """Raises Invalid with the field of the first person whom auth does not know."""
    if unknown := unknown_people(work, named):
        raise Invalid("there is no such person", field=named[unknown[0]])


def unknown_people(work: Work, ids: Mapping[UUID, str]) -> list[UUID]:
    """Those whom our replica of people does not know."""
    if not ids:
        return []
    known = {row["user_id"] for row in work.fetch(projections.PEOPLE, ids=list(ids))}
    return [i for i in ids if i not in known]


def _view(work: Work, schedule_id: UUID, *, created_at: datetime, updated_at: datetime) -> ScheduleView:
    """A schedule as it is after this transaction's decisions."""
    schedule = work.state(SCHEDULE, schedule_id)
    if schedule is None:
        raise domain.NoSuchSchedule
    return ScheduleView(
        id=schedule.id,
        name=schedule.name,
        description=schedule.description,
        timezone=schedule.timezone,
        is_active=schedule.is_active,
        layers=schedule.layers,
        overrides=tuple(o for o in schedule.overrides if o.end_time > work.now),
        version=schedule.rules_version,
        created_by=schedule.created_by,
        created_at=created_at,
        updated_at=updated_at,
    )
