"""The answers to queries: from the plan where there is one, and from the same pure function elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.store.work import Work
from libs.contracts.defaults import DEFAULT_SCHEDULE_ID
from libs.contracts.model import StillSealed
from libs.contracts.oncall import (
    Layer,
    OnCallListView,
    OnCallQuery,
    OnCallView,
    Override,
    OverridesQuery,
    OverridesView,
    OverrideView,
    SchedulesQuery,
    SchedulesView,
    ScheduleView,
    Shift,
)
from libs.contracts.requests import NoTeamToListBy
from services.oncall import projections
from services.oncall.calendar import shifts, whole_shifts
from services.oncall.domain import NoSuchSchedule
from services.oncall.overrides import NoSuchOverride
from services.oncall.sights import sees_row, shown

_ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
_MOMENT = timedelta(microseconds=1)
_NO_NAME = "unknown"


def one_schedule(work: Work, schedule_id: UUID) -> dict[str, Any]:
    """The row of a schedule; raises NoSuchSchedule."""
    for row in work.fetch(projections.SCHEDULE, id=schedule_id):
        return row
    raise NoSuchSchedule


def seen_schedule(work: Work, schedule_id: UUID, caller: Caller) -> dict[str, Any]:
    """The same; raises NoSuchSchedule for one that the caller does not see."""
    row = one_schedule(work, schedule_id)
    if not sees_row(caller, row):
        raise NoSuchSchedule().hides()
    return row


def schedule_view(work: Work, schedule_id: UUID, caller: Caller) -> ScheduleView:
    """A schedule with the overrides that have not ended; raises NoSuchSchedule."""
    return next(_views(work, [seen_schedule(work, schedule_id, caller)]))


def schedules_page(work: Work, query: SchedulesQuery, caller: Caller) -> SchedulesView:
    """A page of the schedules that the caller sees, oldest first.

    Raises:
        NoTeamToListBy: there is no such team, for them.
    """
    seen = shown(caller)
    if query.team_id is not None:
        if not is_team(work, query.team_id):
            raise NoTeamToListBy
        if not (seen is None or query.team_id in seen.teams):
            raise NoTeamToListBy().hides()
        page = projections.SCHEDULES_OF.page(work, query, teams=[query.team_id])
    elif seen is None:
        page = projections.SCHEDULES.page(work, query)
    else:
        page = projections.SCHEDULES_SEEN.page(work, query, **seen._asdict())
    return SchedulesView(**page.told("schedules", _views(work, page.rows)))


def one_override(work: Work, schedule_id: UUID, override_id: UUID) -> OverrideView:
    """An override of a schedule; raises NoSuchSchedule, NoSuchOverride."""
    one_schedule(work, schedule_id)
    for row in work.fetch(projections.MADE_OVERRIDE, schedule_id=schedule_id, id=override_id):
        return _histories(work, [row])[0]
    raise NoSuchOverride


def overrides_page(work: Work, query: OverridesQuery) -> OverridesView:
    """A page of a schedule's overrides, newest first; raises NoSuchSchedule."""
    one_schedule(work, query.schedule_id)
    page = projections.MADE_OVERRIDES.page(work, query, schedule_id=query.schedule_id)
    return OverridesView(**page.told("overrides", _histories(work, page.rows)))


def is_team(work: Work, team_id: UUID) -> bool:
    """Whether there is such a team, as far as is known here."""
    return bool(work.fetch(projections.TEAM, id=team_id))


def is_reachable(work: Work, person: UUID) -> bool:
    """Whether they are active and have a device that can be paged."""
    return bool(_reachable(work, [person]))


def inactive(work: Work, people: Iterable[UUID]) -> tuple[UUID, ...]:
    """Who of these people is deactivated, in their order."""
    asked = list(dict.fromkeys(people))
    found = {row["user_id"] for row in work.fetch(projections.INACTIVE, ids=asked)} if asked else set()
    return tuple(person for person in asked if person in found)


def named_in(layers: Iterable[Layer], overrides: Iterable[Override]) -> Iterator[UUID]:
    """Everybody whom a schedule names."""
    yield from (person for layer in layers for person in layer.participants)
    yield from (override.user_id for override in overrides)


def shifts_between(work: Work, schedule_id: UUID, from_: datetime, to: datetime) -> tuple[Shift, ...]:
    """Who is really paged in `[from_, to)`: as planned, and by the rules of today before and after the plan.

    Raises:
        NoSuchSchedule: there is no such schedule.
    """
    row = one_schedule(work, schedule_id)
    begins, ends = row["planned_from"] or to, row["planned_to"] or to
    before = _by_the_rules(work, row, from_, min(begins, to))
    planned = [_shift(r) for r in work.fetch(projections.SHIFTS, **{"id": schedule_id, "from": from_, "to": to})]
    after = _by_the_rules(work, row, max(ends, from_), to)
    cut = (
        s.model_copy(update={"start_time": max(s.start_time, from_), "end_time": min(s.end_time, to)}) for s in planned
    )
    return (*before, *cut, *after)


def on_call(work: Work, query: OnCallQuery, at: datetime, caller: Caller) -> OnCallListView:
    """A page of everybody on call at a moment, by the age of the schedules that the caller sees, or of one of them.

    Outside of the plans only the rules say where nobody is: a page may be short there, and its total too large.

    Raises:
        NoSuchSchedule: there is no such schedule.
    """
    if query.schedule_id is not None:
        here = tuple(_on_call_on(work, query.schedule_id, at, caller))
        return OnCallListView(on_call=here, total=len(here))
    seen = shown(caller)
    if seen is None:
        page = projections.EVERYBODY.page(work, query, at=at)
    else:
        page = projections.EVERYBODY_SEEN.page(work, query, at=at, **seen._asdict())
    found = [(row, shift) for row in page.rows if (shift := _at(work, row, at)) is not None]
    estimated = page.total_is_estimate or len(found) < len(page.rows)
    page = page._replace(rows=[row for row, _ in found], total_is_estimate=estimated)
    return OnCallListView(**page.told("on_call", _named(work, found)))


def current(work: Work, schedule_id: UUID | None, at: datetime, caller: Caller) -> OnCallView | None:
    """Who is on call in a schedule; without one, in "Primary On-Call" or else the oldest on which somebody is.

    Raises:
        NoSuchSchedule: there is no such schedule.
    """
    if schedule_id is not None:
        return next(iter(_on_call_on(work, schedule_id, at, caller)), None)
    of_default = [r for r in work.fetch(projections.ON_CALL, id=DEFAULT_SCHEDULE_ID, at=at) if sees_row(caller, r)]
    primary = next(iter(_on_call_of(work, of_default, at)), None)
    query = OnCallQuery()
    while primary is None:
        found = on_call(work, query, at, caller)
        primary = next(iter(found.on_call), None)
        if found.next_cursor is None:
            break
        query = OnCallQuery(cursor=found.next_cursor)
    return primary


def _on_call_on(work: Work, schedule_id: UUID, at: datetime, caller: Caller) -> list[OnCallView]:
    rows = work.fetch(projections.ON_CALL, id=schedule_id, at=at)
    if not rows:
        raise NoSuchSchedule
    if not sees_row(caller, rows[0]):
        raise NoSuchSchedule().hides()
    return _on_call_of(work, rows, at)


def _on_call_of(work: Work, rows: Sequence[Mapping[str, Any]], at: datetime) -> list[OnCallView]:
    return _named(work, [(row, shift) for row in rows if (shift := _at(work, row, at)) is not None])


def _at(work: Work, row: Mapping[str, Any], at: datetime) -> Shift | None:
    """The shift at a moment, from a row with the schedule's latest one."""
    if row["planned_from"] is not None and row["planned_from"] <= at < row["planned_to"]:
        return _shift(row) if row["user_id"] is not None and row["end_time"] > at else None
    if not row["is_active"]:
        return None
    found = whole_shifts(_layers(row), _overrides(work, row["id"]), row["timezone"], at, at + _MOMENT)
    return found[0] if found else None


def _by_the_rules(work: Work, row: Mapping[str, Any], from_: datetime, to: datetime) -> tuple[Shift, ...]:
    if from_ >= to or not row["is_active"]:
        return ()
    return shifts(_layers(row), _overrides(work, row["id"]), row["timezone"], from_, to)


def _named(work: Work, found: Sequence[tuple[Mapping[str, Any], Shift]]) -> list[OnCallView]:
    ids = list({s.user_id for _, s in found})
    people = {r["user_id"]: r for r in work.fetch(projections.PEOPLE, ids=ids)} if ids else {}
    unknown = {"name": _NO_NAME, "first_name": None, "last_name": None, "is_active": True}
    return [
        OnCallView(
            user_id=shift.user_id,
            user_name=_name_of(people.get(shift.user_id, unknown)),
            inactive=not people.get(shift.user_id, unknown)["is_active"],
            schedule_id=row["id"],
            schedule_name=row["name"],
            start_time=shift.start_time,
            end_time=shift.end_time,
        )
        for row, shift in found
    ]


def _name_of(person: Mapping[str, Any]) -> str:
    """As it can be read now: a name whose key is not here is still sealed."""
    names = [name for name in (person["first_name"], person["last_name"]) if name is not None]
    still = next((name for name in names if isinstance(name, StillSealed)), None)
    return str(still) if still is not None else " ".join(names).strip() or str(person["name"])


def _histories(work: Work, rows: Sequence[Mapping[str, Any]]) -> list[OverrideView]:
    reachable = _reachable(work, [row["user_id"] for row in rows])
    left_out = inactive(work, [row["user_id"] for row in rows])
    return [
        OverrideView.model_validate(
            dict(row) | {"reachable": row["user_id"] in reachable, "inactive": row["user_id"] in left_out}
        )
        for row in rows
    ]


def _reachable(work: Work, people: Sequence[UUID]) -> set[UUID]:
    return {row["user_id"] for row in work.fetch(projections.REACHABLE, ids=list(set(people)))} if people else set()


def _views(work: Work, rows: Sequence[Mapping[str, Any]]) -> Iterator[ScheduleView]:
    ids = [row["id"] for row in rows]
    found: dict[UUID, list[Override]] = {i: [] for i in ids}
    for override in work.fetch(projections.OVERRIDES, ids=ids, since=work.now) if ids else ():
        found[override["schedule_id"]].append(Override.model_validate(override))
    layers = {row["id"]: _layers(row) for row in rows}
    named = {person for i in ids for person in named_in(layers[i], found[i])}
    left_out = {r["user_id"]: r["erased"] for r in work.fetch(projections.INACTIVE, ids=list(named))} if named else {}
    for row in rows:
        rules, over = layers[row["id"]], tuple(found[row["id"]])
        gone = tuple(person for person in dict.fromkeys(named_in(rules, over)) if person in left_out)
        erased = tuple(person for person in gone if left_out[person])
        named_so = {"layers": rules, "overrides": over, "inactive": gone, "erased": erased}
        yield ScheduleView.model_validate(dict(row) | named_so)


def _layers(row: Mapping[str, Any]) -> tuple[Layer, ...]:
    return tuple(Layer.model_validate(layer) for layer in row["layers"])


def _overrides(work: Work, schedule_id: UUID) -> list[Override]:
    rows = work.fetch(projections.OVERRIDES, ids=[schedule_id], since=_ALWAYS)
    return [Override.model_validate(row) for row in rows]


def _shift(row: Mapping[str, Any]) -> Shift:
    return Shift(
        user_id=row["user_id"],
        start_time=row["start_time"],
        end_time=row["end_time"],
        layer=row["layer"],
        is_override=row["is_override"],
    )
