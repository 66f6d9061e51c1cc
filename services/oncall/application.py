"""The shell around schedules: people as auth knows them, commands, timers and the answers to queries."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.store.person_keys import forget_erased
from libs.chassis.store.snapshots import Shape
from libs.chassis.store.work import Cause, Decider, Work
from libs.chassis.timers import Timer
from libs.contracts import oncall as contracts
from libs.contracts.auth import UserRegistered
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID, DEFAULT_SCHEDULE_NAME
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Role
from libs.contracts.oncall import Layer, Override, OverrideView, ScheduleView
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Invalid, NoSuchTeam, Rejected
from libs.contracts.uses import MOST_NAMED, Use, UserKind, UsesView
from services.oncall import commands, domain, projections
from services.oncall.sights import sees_schedule
from services.oncall.targets import targeting
from services.oncall.views import inactive, is_reachable, is_team, named_in, one_override, one_schedule

SCHEDULE: Decider[domain.State, commands.Command] = Decider(
    domain.initial,
    domain.evolve,
    domain.decide,
    shape=Shape(domain.evolve, domain.Schedule, domain.Deleted),
    team=lambda state: state.team_id if isinstance(state, domain.Schedule) else None,
    version=lambda state: (
        state.rules_version if isinstance(state, domain.Schedule) else 0
    ),  # a plan that goes on by itself changes no rule
)
ONCALL = Actor.service("oncall")
Naming = contracts.CreateSchedule | contracts.ChangeSchedule | contracts.AddOverride
"""A command that names people."""


class NoDevice(Rejected):
    """You have no device that can be paged: sign in on one first, or ask a lead."""


def learn_people(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """Keep the replica of people and devices; the first admin gets the schedule that every installation begins with."""
    forget_erased(work, events)
    for event in events:
        work.put(*projections.replicate(event))
    admin = next((e for e in events if isinstance(e.data, UserRegistered) and Role.ADMIN in e.data.roles), None)
    if admin is not None:
        # Decides nothing when the schedule exists.
        work.decide(SCHEDULE, DEFAULT_SCHEDULE_ID, _first_schedule(admin.data.user_id, work.now), _cause(admin))


def _cause(event: Envelope[Any]) -> Cause:
    return Cause.event(event, ONCALL)


def _first_schedule(admin: UUID, now: datetime) -> commands.CreateSchedule:
    monday = now.astimezone(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=now.weekday())
    start = monday if monday <= now else monday - timedelta(weeks=1)
    return commands.CreateSchedule(
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
        work.decide(SCHEDULE, timer.entity, commands.PlanShifts(work.now), work.begin(ONCALL))


def create_schedule(work: Work, body: contracts.CreateSchedule, caller: Caller) -> ScheduleView:
    schedule_id = work.new_id()
    command = commands.CreateSchedule(
        schedule_id=schedule_id,
        name=body.name,
        description=body.description,
        timezone=body.timezone,
        is_active=body.is_active,
        layers=body.layers,
        created_by=caller.actor.id,
        now=work.now,
        team_id=body.team_id,
    )
    _check_team(work, body.team_id)
    work.decide(SCHEDULE, schedule_id, command, caller.cause(work))
    _check_people(work, named_people(body))
    return _view(work, schedule_id, created_at=work.now, updated_at=work.now)


def change_schedule(work: Work, body: contracts.ChangeSchedule, caller: Caller) -> ScheduleView:
    """Raises NotFound, Forbidden, Unsure; Invalid, NoSuchTeam: what it names does not exist, or cannot be planned."""
    already = _theirs(work, body.id, caller).participants
    before = one_schedule(work, body.id)
    team_id = body.team_id if "team_id" in body.model_fields_set else commands.Keep.KEEP
    if not isinstance(team_id, commands.Keep):
        caller.require(Action.SCHEDULES_WRITE, team_id)
        _check_team(work, team_id)
    command = commands.ChangeSchedule(
        now=work.now,
        name=body.name,
        # Given as null, the description goes; not given, it stays.
        description=body.description if "description" in body.model_fields_set else commands.Keep.KEEP,
        timezone=body.timezone,
        is_active=body.is_active,
        layers=body.layers,
        team_id=team_id,
    )
    changed = work.decide(SCHEDULE, body.id, command, caller.cause(work))
    _check_people(work, named_people(body), already)
    updated_at = work.now if changed else before["updated_at"]
    return _view(work, body.id, created_at=before["created_at"], updated_at=updated_at)


def delete_schedule(work: Work, body: ById, caller: Caller) -> None:
    """With its shifts and overrides, unless a policy pages it.

    A policy that is changed to page it at this moment passes it with a reason (docs/adr/0045).

    Raises:
        NotFound, Forbidden, Unsure.
        InUse: the policies that page it.
        Unreachable: it is not known which do.
    """
    _theirs(work, body.id, caller)
    uses, total = targeting(work, body.id)
    work.decide(SCHEDULE, body.id, commands.DeleteSchedule(uses, total), caller.cause(work))


def add_override(work: Work, body: contracts.AddOverride, caller: Caller) -> OverrideView:
    """Participants take shifts themselves, on a device that can be paged; leads let anybody take them.

    Leads are told by `reachable` when they put somebody on call whom a page would not reach.

    Raises:
        NotFound: there is no such schedule.
        Forbidden, Unsure: the caller is neither a lead nor, for themselves, a participant.
        NoDevice: the caller is no lead, and cannot be paged.
        Invalid, TooManyOverrides: as the rules say; or somebody named is not known, or deactivated.
    """
    schedule = _seen(work, body.schedule_id, caller)
    if not (body.user_id == caller.user_id and caller.user_id in schedule.participants):
        _require_lead(caller, schedule, "only participants of a schedule may take its shifts; leads let anybody do so")
    override = Override(
        id=work.new_id(),
        user_id=body.user_id,
        start_time=body.start_time,
        end_time=body.end_time,
        replaces=body.replaces,
    )
    work.decide(SCHEDULE, body.schedule_id, commands.AddOverride(override, work.now), caller.cause(work))
    # Whoever is deactivated is who has to be replaced.
    _check_people(work, named_people(body), (body.replaces,))
    reachable = is_reachable(work, body.user_id)
    if not reachable and not caller.may(Action.SCHEDULES_WRITE, schedule.team_id):
        raise NoDevice(field="userId")
    return OverrideView(
        **override.model_dump(),
        schedule_id=body.schedule_id,
        created_by=caller.person,
        created_at=work.now,
        reachable=reachable,
    )


def cancel_override(work: Work, body: contracts.CancelOverride, caller: Caller) -> OverrideView:
    """Whoever made it, whom it concerns, and leads. Of two at the same time the first one counts, for both.

    Raises:
        NotFound: there is no such schedule or override.
        Forbidden, Unsure: it is not the caller's.
    """
    schedule = _seen(work, body.schedule_id, caller)
    before = one_override(work, body.schedule_id, body.override_id)
    if caller.user_id not in (before.created_by, before.user_id):
        _require_lead(caller, schedule, "only whoever made an override, whom it concerns, and leads may cancel it")
    command = commands.CancelOverride(body.override_id, work.now)
    if work.decide(SCHEDULE, body.schedule_id, command, caller.cause(work)):
        return before.model_copy(update={"cancelled_by": caller.person, "cancelled_at": work.now})
    # It is over, or whoever cancelled it has committed between the first look and the decision.
    return one_override(work, body.schedule_id, body.override_id)


def _require_lead(caller: Caller, schedule: domain.Schedule, otherwise: str) -> None:
    """Raises Forbidden, which says who else may; Unsure."""
    caller.require(Action.SCHEDULES_WRITE, schedule.team_id, otherwise=otherwise)


def _seen(work: Work, schedule_id: UUID, caller: Caller) -> domain.Schedule:
    """Raises NoSuchSchedule: there is none that the caller sees."""
    schedule = work.state(SCHEDULE, schedule_id)
    if not isinstance(schedule, domain.Schedule):
        raise domain.NoSuchSchedule
    if not sees_schedule(caller, schedule):
        raise domain.NoSuchSchedule().hides()
    return schedule


def _theirs(work: Work, schedule_id: UUID, caller: Caller) -> domain.Schedule:
    """The same, which they may change. Raises NoSuchSchedule, Forbidden, Unsure."""
    schedule = _seen(work, schedule_id, caller)
    caller.require(Action.SCHEDULES_WRITE, schedule.team_id)
    return schedule


def team_uses(work: Work, team_id: UUID) -> UsesView:
    """The schedules that are a team's."""
    rows = work.fetch(projections.SCHEDULES_USING, id=team_id, count=MOST_NAMED)
    uses = tuple(Use(type=UserKind.SCHEDULE, id=row["id"], name=row["name"]) for row in rows)
    return UsesView(uses=uses, total=rows[0]["total"] if rows else 0)


def _check_team(work: Work, team_id: UUID | None) -> None:
    """Raises NoSuchTeam."""
    if team_id is not None and not is_team(work, team_id):
        raise NoSuchTeam(field="teamId")


def named_people(body: Naming) -> dict[UUID, str]:
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


def _check_people(work: Work, named: Mapping[UUID, str], already: Collection[UUID | None] = ()) -> None:
    """Raises Invalid with the field of the first person whom auth does not know, or who is deactivated.

    Whoever is named `already` may stay: nobody has to be thrown out of a schedule before something else of it changes.
    """
    if unknown := unknown_people(work, named):
        raise Invalid("there is no such person", field=named[unknown[0]])
    if left_out := inactive(work, (person for person in named if person not in already)):
        raise Invalid("this person is deactivated", field=named[left_out[0]])


def awaited(work: Work, body: Naming, caller: Caller) -> bool:
    """Whether auth may just have written what a command needs: people, a team, the device of whoever takes a shift."""
    named = named_people(body)
    if unknown_people(work, named) or inactive(work, named):
        return True
    team_id = None if isinstance(body, contracts.AddOverride) else body.team_id
    if team_id is not None and not is_team(work, team_id):
        return True
    needs_device = isinstance(body, contracts.AddOverride) and not caller.may(Action.SCHEDULES_WRITE)
    return needs_device and not is_reachable(work, caller.user_id)


def unknown_people(work: Work, ids: Mapping[UUID, str]) -> list[UUID]:
    """Those whom our replica of people does not know."""
    if not ids:
        return []
    known = {row["user_id"] for row in work.fetch(projections.PEOPLE, ids=list(ids))}
    return [i for i in ids if i not in known]


def _view(work: Work, schedule_id: UUID, *, created_at: datetime, updated_at: datetime) -> ScheduleView:
    """A schedule as it is after this transaction's decisions."""
    schedule = work.state(SCHEDULE, schedule_id)
    if not isinstance(schedule, domain.Schedule):
        raise domain.NoSuchSchedule
    overrides = tuple(o for o in schedule.overrides if o.end_time > work.now)
    return ScheduleView(
        id=schedule.id,
        name=schedule.name,
        description=schedule.description,
        timezone=schedule.timezone,
        is_active=schedule.is_active,
        layers=schedule.layers,
        overrides=overrides,
        inactive=inactive(work, named_in(schedule.layers, overrides)),
        team_id=schedule.team_id,
        version=schedule.rules_version,
        created_by=schedule.created_by,
        created_at=created_at,
        updated_at=updated_at,
    )
