"""A schedule's rules and the plan made from them.

| state | command | events out |
|---|---|---|
| no schedule | CreateSchedule | ScheduleCreated, and ShiftsPlanned over the horizon when it is active |
| no schedule, deleted | ChangeSchedule, DeleteSchedule, AddOverride, CancelOverride | refused: there is none |
| no schedule, deleted | PlanShifts | nothing |
| deleted | CreateSchedule again | nothing |
| schedule | CreateSchedule again | nothing |
| schedule | ChangeSchedule to what it is | nothing |
| active before and after | ChangeSchedule | ScheduleChanged, ShiftsPlanned where the plan differs |
| active before or after, not both | ChangeSchedule | ScheduleChanged, ShiftsPlanned with all of it (inactive: empty) |
| inactive before and after | ChangeSchedule | ScheduleChanged |
| a policy pages it | DeleteSchedule | refused: it is still used |
| schedule | DeleteSchedule | ScheduleDeleted |
| schedule | AddOverride | OverrideAdded, ShiftsPlanned where the plan differs if it is active |
| schedule | AddOverride again | nothing |
| override to come or begun | CancelOverride | OverrideCancelled, ShiftsPlanned where the plan differs if it is active |
| override that was cancelled, has ended, or never was | CancelOverride | nothing: the tables tell which |
| active, planned for less than the horizon | PlanShifts | ShiftsPlanned for what is missing at the end |
| inactive, or planned far enough | PlanShifts | nothing |
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.oncall import (
    Layer,
    Override,
    OverrideAdded,
    OverrideCancelled,
    ScheduleChanged,
    ScheduleCreated,
    ScheduleDeleted,
    Shift,
    ShiftsPlanned,
)
from libs.contracts.requests import Invalid, NotFound
from libs.contracts.uses import InUse
from services.oncall.calendar import whole_shifts
from services.oncall.commands import (
    AddOverride,
    CancelOverride,
    ChangeSchedule,
    Command,
    CreateSchedule,
    DeleteSchedule,
    Keep,
    PlanShifts,
)
from services.oncall.overrides import MOST, check_override
from services.oncall.plans import Range, differing, told, whole
from services.oncall.rotation import check_layer, zone

HORIZON = timedelta(days=90)
"""How far ahead shifts are planned, at least."""
MOST_SHIFTS = 3500
"""In the horizon; a plan that reached farther is replaced until its end."""


class NoSuchSchedule(NotFound):
    """There is no such schedule."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """What decisions need of it: what is over is forgotten, so that it does not grow with age; the tables keep it all.

    `planned`: the shifts in `[planned_from, planned_to)` that were planned, not replaced, and were not over when the
    newest plan was made. `version` counts the events, `rules_version` is the version of the last one that changed the
    rules. `displaced` are the starts of the shifts that the newest plan replaced wholly or in part, for the projection.
    """

    id: UUID
    name: str
    description: str | None
    timezone: str
    is_active: bool
    layers: tuple[Layer, ...]
    created_by: str
    overrides: tuple[Override, ...] = ()
    """Those that were not cancelled and may not be over, in the order in which they were added."""
    version: int = 1
    rules_version: int = 1
    planned: tuple[Shift, ...] = ()
    planned_from: datetime | None = None
    planned_to: datetime | None = None
    displaced: tuple[datetime, ...] = ()
    team_id: UUID | None = None
    """Whose it is; None: the whole organisation's."""

    @property
    def participants(self) -> frozenset[UUID]:
        """Everybody who takes turns in one of the layers."""
        return frozenset(person for layer in self.layers for person in layer.participants)


@dataclass(frozen=True, slots=True)
class Deleted:
    """It is gone, with everything of it."""

    id: UUID


State = Schedule | Deleted | None


def initial() -> State:
    return None


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case None, ScheduleCreated():
            return Schedule(
                fact.schedule_id,
                fact.name,
                fact.description,
                fact.timezone,
                fact.is_active,
                fact.layers,
                fact.created_by,
                team_id=fact.team_id,
            )
        case Schedule(), ScheduleChanged():
            return _ruled(state, fact)
        case Schedule(), ScheduleDeleted():
            return Deleted(state.id)
        case Schedule(), OverrideAdded():
            return _overridden(state, fact.override)
        case Schedule(), OverrideCancelled():
            return _cancelled(state, fact)
        case Schedule(), ShiftsPlanned():
            return _planned(state, fact)
    return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """The table at the top.

    Raises:
        NoSuchSchedule: the command needs one.
        InUse: a policy pages it.
        TooManyOverrides: no more can be added.
        Invalid: rules that cannot be planned, with the field at fault.
    """
    match state, command:
        case None, CreateSchedule():
            return _create(command)
        case (None | Deleted(), PlanShifts()) | (Deleted(), CreateSchedule()):
            return []
        case None | Deleted(), _:
            raise NoSuchSchedule
        case Schedule(), ChangeSchedule():
            return _change(state, command)
        case Schedule(), DeleteSchedule(uses, total) if total:
            raise InUse(uses, total)
        case Schedule(), DeleteSchedule():
            return [ScheduleDeleted(schedule_id=state.id)]
        case Schedule(), AddOverride(override, now):
            return _override(state, override, now)
        case Schedule(), CancelOverride(override_id, now):
            return _cancel(state, override_id, now)
        case Schedule(), PlanShifts(now):
            return _extend(state, now)
    return []


def _create(command: CreateSchedule) -> list[Fact]:
    created = ScheduleCreated(
        schedule_id=command.schedule_id,
        name=command.name,
        description=command.description,
        timezone=command.timezone,
        is_active=command.is_active,
        layers=command.layers,
        team_id=command.team_id,
        created_by=command.created_by,
    )
    _check(created)
    schedule = evolve(None, created)
    assert isinstance(schedule, Schedule)  # noqa: S101 - narrows for the type checker
    return [created, *_plan(schedule, command.now)]


def _change(state: Schedule, command: ChangeSchedule) -> list[Fact]:
    changed = ScheduleChanged(
        schedule_id=state.id,
        name=state.name if command.name is None else command.name,
        description=state.description if isinstance(command.description, Keep) else command.description,
        timezone=state.timezone if command.timezone is None else command.timezone,
        is_active=state.is_active if command.is_active is None else command.is_active,
        layers=state.layers if command.layers is None else command.layers,
        team_id=state.team_id if isinstance(command.team_id, Keep) else command.team_id,
    )
    after = _ruled(state, changed)
    if after == _ruled(state):
        return []
    _check(changed)
    if not (state.is_active or after.is_active):
        return [changed]
    return [changed, *_plan(after, command.now, anew=state.is_active != after.is_active)]


def _override(state: Schedule, override: Override, now: datetime) -> list[Fact]:
    if any(o.id == override.id for o in state.overrides):
        return []
    check_override(override, state.overrides, now)
    after = _overridden(state, override)
    added = OverrideAdded(schedule_id=state.id, override=override)
    return [added, *(_plan(after, now) if after.is_active else ())]


def _cancel(state: Schedule, override_id: UUID, now: datetime) -> list[Fact]:
    if not any(o.id == override_id and o.end_time > now for o in state.overrides):
        return []
    cancelled = OverrideCancelled(schedule_id=state.id, override_id=override_id, cancelled_at=now)
    after = _cancelled(state, cancelled)
    # However many shifts it had covered: who is on call by mistake can always be relieved.
    return [cancelled, *(_plan(after, now, most=None) if after.is_active else ())]


def _check(rules: ScheduleCreated | ScheduleChanged) -> None:
    zone(rules.timezone)
    for i, layer in enumerate(rules.layers):
        check_layer(layer, f"layers.{i}")


def _plan(state: Schedule, now: datetime, most: int | None = MOST_SHIFTS, *, anew: bool = False) -> list[Fact]:
    """How the plan from now on differs from the one before, after the rules have changed; `anew`: all of it.

    What was planned until now stays. The shift that runs keeps its start where the same person goes on in the same
    layer, and with the first plan, which has nothing to contradict. A schedule that never was active has no plan.

    Raises:
        Invalid: there are more shifts in the horizon than `most`.
    """
    planned_to = state.planned_to
    if state.is_active:
        to = max(now + HORIZON, planned_to or now)
        fresh = whole_shifts(state.layers, state.overrides, state.timezone, now, to)
    elif planned_to is not None:
        to, fresh = planned_to, ()
    else:
        return []
    if most is not None and sum(s.start_time < now + HORIZON for s in fresh) > most:
        raise Invalid(f"expected at most {most} shifts in {HORIZON.days} days: make turns longer", field="layers")
    if fresh and fresh[0].start_time < now and planned_to is not None:
        fresh = (_going_on(state, fresh[0], now), *fresh[1:])
    begins = min(now, fresh[0].start_time) if fresh else now
    if anew:
        # Whoever keeps what was never planned, of events that a restore has lost, is put right by that.
        return _told(state, now, [whole(begins, to, fresh)] if begins < to else [])
    before = [_cut(s, begins) for s in state.planned if s.end_time > begins]
    return _told(state, now, differing(before, planned_to or begins, whole(begins, to, fresh)))


def _going_on(state: Schedule, first: Shift, now: datetime) -> Shift:
    """The shift that runs now by the rules, since it was planned to, or else from now on."""
    running = next((s for s in state.planned if s.start_time <= now < s.end_time), None)
    same = running is not None and (running.user_id, running.layer) == (first.user_id, first.layer)
    return first.model_copy(update={"start_time": running.start_time if running is not None and same else now})


def _extend(state: Schedule, now: datetime) -> list[Fact]:
    """What the horizon has come to include since the last plan: earlier shifts stand and are not repeated."""
    to = now + HORIZON
    if not state.is_active or state.planned_to is None or state.planned_to >= to:
        return []
    begins = state.planned_to
    fresh = whole_shifts(state.layers, state.overrides, state.timezone, begins, to)
    # Plans end where a shift ends; only new rules of a time zone could make one reach back.
    return _told(state, now, [whole(begins, to, tuple(_cut(s, begins) for s in fresh))])


def _cut(shift: Shift, begins: datetime) -> Shift:
    return shift if shift.start_time >= begins else shift.model_copy(update={"start_time": begins})


def _told(state: Schedule, now: datetime, ranges: Iterable[Range]) -> list[Fact]:
    return [fact for plan in ranges for fact in told(state.id, state.rules_version, now, plan)]


def _ruled(state: Schedule, changed: ScheduleChanged | None = None) -> Schedule:
    version = state.version + 1
    ruled = replace(state, version=version, rules_version=version, displaced=())
    if changed is None:
        return ruled
    return replace(
        ruled,
        name=changed.name,
        description=changed.description,
        timezone=changed.timezone,
        is_active=changed.is_active,
        layers=changed.layers,
        team_id=changed.team_id,
    )


def _overridden(state: Schedule, override: Override) -> Schedule:
    overrides = (*state.overrides, override)
    if len(overrides) > MOST:
        # No more than that are to come or running: the one that ends before all others is over.
        over = min(overrides, key=lambda o: o.end_time)
        overrides = tuple(o for o in overrides if o is not over)
    return replace(_ruled(state), overrides=overrides)


def _cancelled(state: Schedule, fact: OverrideCancelled) -> Schedule:
    """From that moment on it is as if it had never been; what was planned before stays."""
    return replace(_ruled(state), overrides=tuple(o for o in state.overrides if o.id != fact.override_id))


def _planned(state: Schedule, fact: ShiftsPlanned) -> Schedule:
    """The plan with that range of it replaced; bisected, since it is long and a range of it is not."""
    begins, to, plan = fact.from_time, fact.to_time, state.planned
    first = bisect_right(plan, begins, key=_end)
    last = bisect_left(plan, to, lo=first, key=_start)
    displaced = plan[first:last]
    head = tuple(s.model_copy(update={"end_time": begins}) for s in displaced[:1] if s.start_time < begins)
    tail = tuple(s.model_copy(update={"start_time": to}) for s in displaced[-1:] if s.end_time > to)
    past = fact.planned_at or datetime.min.replace(tzinfo=UTC)
    over = bisect_right(plan, past, hi=first, key=_end)
    return replace(
        state,
        version=state.version + 1,
        overrides=tuple(o for o in state.overrides if o.end_time > past),
        planned=(*plan[over:first], *head, *fact.shifts, *tail, *plan[last:]),
        planned_from=begins if state.planned_from is None else min(state.planned_from, begins),
        planned_to=to if state.planned_to is None else max(state.planned_to, to),
        displaced=tuple(s.start_time for s in displaced),
    )


def _start(shift: Shift) -> datetime:
    return shift.start_time


def _end(shift: Shift) -> datetime:
    return shift.end_time
