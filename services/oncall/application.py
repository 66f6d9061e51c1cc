"""The shell around schedules: people as auth knows them, commands, timers and the answers to queries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.identity import Caller
from libs.chassis.timers import Timer
from libs.chassis.work import Cause, Decider, Work
from libs.contracts import oncall as contracts
from libs.contracts.auth import UserRegistered
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID, DEFAULT_SCHEDULE_NAME
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Lane, Role
from libs.contracts.oncall import Layer, Override, ScheduleView
from libs.contracts.requests import ErrorKind, Invalid, PositionView, Rejected
from services.oncall import domain, projections
from services.oncall.views import one_schedule

SCHEDULE: Decider[domain.State, domain.Command] = Decider(domain.initial, domain.evolve, domain.decide)
ONCALL = Actor.service("oncall")

_ARRIVES = 1.0
"""Seconds that a person whom auth has just registered may take to arrive here (design, rule 12)."""
_LOOK_AGAIN = 0.02


class Unreachable(Rejected):
    """This names a person who is not known here yet, and auth does not answer: try again."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True)
class Arrival:
    """How a request waits for people: `ask` tells where auth's log ends, None when auth does not say."""

    ask: Callable[[], PositionView | None]
    pause: Callable[[float], None] = time.sleep
    elapsed: Callable[[], float] = time.monotonic


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
        work.decide(SCHEDULE, timer.entity, domain.PlanShifts(work.now), Cause.new(ONCALL))


def create_schedule(work: Work, body: contracts.CreateSchedule, caller: Caller, arrival: Arrival) -> ScheduleView:
    schedule_id = uuid4()
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
    work.decide(SCHEDULE, schedule_id, command, caller.cause())
    _check_participants(work, body.layers, arrival)
    return _view(work, schedule_id, created_at=work.now, updated_at=work.now)


def change_schedule(work: Work, body: contracts.ChangeSchedule, caller: Caller, arrival: Arrival) -> ScheduleView:
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
    changed = work.decide(SCHEDULE, body.id, command, caller.cause())
    _check_participants(work, body.layers or (), arrival)
    updated_at = work.now if changed else before["updated_at"]
    return _view(work, body.id, created_at=before["created_at"], updated_at=updated_at)


def add_override(work: Work, body: contracts.AddOverride, caller: Caller, arrival: Arrival) -> Override:
    """Raises NotFound: there is no such schedule."""
    override = Override(
        id=uuid4(),
        user_id=body.user_id,
        start_time=body.start_time,
        end_time=body.end_time,
        replaces=body.replaces,
    )
    work.decide(SCHEDULE, body.schedule_id, domain.AddOverride(override, work.now), caller.cause())
    named = {body.user_id: "userId"}
    if body.replaces is not None:
        named.setdefault(body.replaces, "replaces")
    _check_people(work, named, arrival)
    return override


def _check_participants(work: Work, layers: Sequence[Layer], arrival: Arrival) -> None:
    named: dict[UUID, str] = {}
    for i, layer in enumerate(layers):
        for j, person in enumerate(layer.participants):
            named.setdefault(person, f"layers.{i}.participants.{j}")
    _check_people(work, named, arrival)


def _check_people(work: Work, named: Mapping[UUID, str], arrival: Arrival) -> None:
    """Refuse people whom auth does not know; `named` says where the request names them.

    Raises:
        Invalid: with the field of the first unknown person.
        Unreachable: auth cannot be asked whether there is such a person.
    """
    unknown = _unknown(work, named)
    if unknown:
        unknown = _arrived(work, unknown, arrival)
    if unknown:
        raise Invalid("there is no such person", field=named[unknown[0]])


def _unknown(work: Work, ids: Mapping[UUID, str] | Sequence[UUID]) -> list[UUID]:
    if not ids:
        return []
    known = {row["user_id"] for row in work.fetch(projections.PEOPLE, ids=list(ids))}
    return [i for i in ids if i not in known]


def _arrived(work: Work, unknown: list[UUID], arrival: Arrival) -> list[UUID]:
    """Who is still unknown when we have read what auth had written by now, or after a second.

    It waits inside the request's transaction, which sees what others commit: an asynchronous handler could wait
    outside, but would lose the Idempotency-Key and the position in its answer.
    """
    began = arrival.elapsed()
    target = arrival.ask()
    while unknown:
        # The cursor first: what it covers was committed before the people are looked up.
        reached = target is not None and _has_read(work, target)
        unknown = _unknown(work, unknown)
        if reached or arrival.elapsed() - began >= _ARRIVES:
            break
        arrival.pause(_LOOK_AGAIN)
    if unknown and target is None:
        raise Unreachable
    return unknown


def _has_read(work: Work, target: PositionView) -> bool:
    end = (target.epoch, target.lanes.get(Lane.ROUTINE, 0))
    return any((row["epoch"], row["position"]) >= end for row in work.fetch(projections.AUTH_CURSOR))


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
