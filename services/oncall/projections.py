"""The read model: schedules, overrides, planned shifts and the people in them; what each event writes; the queries."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    and_,
    any_,
    bindparam,
    cast,
    exists,
    false,
    func,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.audit import audit_table, audited
from libs.chassis.store.changes import Change, Cleared, Gone, Patch, Row
from libs.chassis.store.listing import Keyset, Listing
from libs.chassis.store.person_keys import person_keys
from libs.chassis.store.personal import PersonalText
from libs.chassis.store.scanning import Scan
from libs.chassis.timers import Timer, timer_gone, timer_set
from libs.contracts.auth import (
    DeviceAdded,
    DeviceRemoved,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.envelope import Actor, ActorKind, Envelope
from libs.contracts.erasure import ERASED, PersonErased
from libs.contracts.oncall import (
    OverrideAdded,
    OverrideCancelled,
    ScheduleChanged,
    ScheduleCreated,
    Shift,
    ShiftsPlanned,
)
from libs.contracts.teams import TeamCreated, TeamDeleted
from services.oncall.domain import Deleted, Schedule

SCHEMA = "oncall"
FROM_PEOPLE = (UserRegistered, UserChanged, UserDeactivated, UserReactivated, PersonErased)
FROM_DEVICES = (DeviceAdded, DeviceRemoved)
FROM_TEAMS = (TeamCreated, TeamDeleted)
PLAN_TIMER = "plan"
PLAN_AGAIN = timedelta(days=89, hours=1)
"""What is left of the plan when it is extended: the hour is for a service that is just starting."""

metadata = MetaData(schema=SCHEMA)

people = Table(
    "people",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    # Code from before writes it, and no other.
    Column("name", Text, nullable=False, server_default=""),
    Column("is_active", Boolean, nullable=False),
    Column("erased", Boolean, nullable=False, server_default=false()),
    Column("first_name", PersonalText("user_id")),
    Column("last_name", PersonalText("user_id")),
)
keys = person_keys(SCHEMA)
# Who can be paged at all: no token, and no name of a device, is anything to this service.
devices = Table(
    "devices",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("device_id", Text, primary_key=True),
)
audit = audit_table(metadata)
schedules = Table(
    "schedules",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("timezone", Text, nullable=False),
    Column("is_active", Boolean, nullable=False),
    Column("layers", JSONB, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    # None: the whole organisation's.
    Column("team_id", Uuid),
    Index("schedules_team_idx", "team_id"),
)
# Which teams there are, as auth says.
teams = Table("teams", metadata, Column("id", Uuid, primary_key=True))
# Apart from `schedules`, so that every row is written whole by one event and a rebuild in any batch is the same.
creations = Table(
    "creations",
    metadata,
    Column("schedule_id", Uuid, primary_key=True),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Index("creations_created_at_idx", "created_at", "schedule_id"),
)
plans = Table(
    "plans",
    metadata,
    Column("schedule_id", Uuid, primary_key=True),
    Column("planned_from", DateTime(timezone=True), nullable=False),
    Column("planned_to", DateTime(timezone=True), nullable=False),
)
overrides = Table(
    "overrides",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("schedule_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("start_time", DateTime(timezone=True), nullable=False),
    Column("end_time", DateTime(timezone=True), nullable=False),
    Column("replaces", Uuid),
    Column("added", BigInteger, nullable=False),
    Column("created_by", Uuid),
    Column("created_at", DateTime(timezone=True)),
    Index("overrides_schedule_idx", "schedule_id", "added"),
)
# Apart from `overrides`, as `creations` are from `schedules`.
cancellations = Table(
    "cancellations",
    metadata,
    Column("override_id", Uuid, primary_key=True),
    Column("cancelled_by", Uuid),
    Column("cancelled_at", DateTime(timezone=True), nullable=False),
    Column("schedule_id", Uuid),
    Index("cancellations_schedule_idx", "schedule_id"),
)
shifts = Table(
    "shifts",
    metadata,
    Column("schedule_id", Uuid, primary_key=True),
    Column("start_time", DateTime(timezone=True), primary_key=True),
    Column("end_time", DateTime(timezone=True), nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("layer", Integer, nullable=False),
    Column("is_override", Boolean, nullable=False),
)


@audited(audit)
def project(event: Envelope[Any], state: Schedule | Deleted) -> Iterable[Change]:
    """What an event writes; the timer extends the plan before less than 89 days of it are left."""
    if isinstance(state, Deleted):
        yield from _gone(state.id)
        return
    match event.data:
        case ScheduleCreated(schedule_id=schedule_id, created_by=created_by):
            yield _schedule_row(event, state)
            origin = {"schedule_id": schedule_id, "created_by": created_by, "created_at": event.time}
            yield Row(creations, origin)
        case ScheduleChanged():
            yield _schedule_row(event, state)
            yield _timer(state)  # its plan may stay as it was, while it is extended or not
        case OverrideAdded(schedule_id=schedule_id, override=override):
            yield _schedule_row(event, state)
            added = {"schedule_id": schedule_id, "added": event.version}
            origin = {"created_by": _person(event.actor), "created_at": event.time}
            yield Row(overrides, override.model_dump() | added | origin)
        case OverrideCancelled(schedule_id=schedule_id, override_id=override_id, cancelled_at=cancelled_at):
            yield _schedule_row(event, state)
            key = {"override_id": override_id, "schedule_id": schedule_id}
            yield Row(cancellations, key | {"cancelled_by": _person(event.actor), "cancelled_at": cancelled_at})
        case ShiftsPlanned():
            yield from _plan_rows(event.data, state)


def replicate(event: Envelope[Any]) -> Iterable[Change]:
    """The row that an event of AUTH writes here; pure, for rebuilds."""
    match event.data:
        case UserRegistered() as person:
            row = {"user_id": person.user_id, "is_active": True, "erased": False}
            yield Row(people, row | _names(person))
        case UserChanged() as person:
            yield Patch(people, {"user_id": person.user_id, **_names(person)})
        case UserDeactivated(user_id=user_id) | UserReactivated(user_id=user_id):
            yield Patch(people, {"user_id": user_id, "is_active": isinstance(event.data, UserReactivated)})
        case PersonErased(user_id=user_id):
            nobody = {"name": ERASED, "first_name": None, "last_name": None}
            yield Patch(people, {"user_id": user_id, **nobody, "is_active": False, "erased": True})
            yield Cleared(devices, {"user_id": user_id})
        case DeviceAdded(user_id=user_id, device_id=device_id):
            yield Row(devices, {"user_id": user_id, "device_id": device_id})
        case DeviceRemoved(user_id=user_id, device_id=device_id):
            yield Gone(devices, {"user_id": user_id, "device_id": device_id})
        case TeamCreated(team_id=team_id):
            yield Row(teams, {"id": team_id})
        case TeamDeleted(team_id=team_id):
            yield Gone(teams, {"id": team_id})


def _names(person: UserRegistered | UserChanged) -> dict[str, str]:
    return {"first_name": person.first_name, "last_name": person.last_name}


def _gone(schedule_id: UUID) -> Iterable[Change]:
    """A schedule with all that belongs to it."""
    yield Gone(schedules, {"id": schedule_id})
    key = {"schedule_id": schedule_id}
    yield from (Cleared(table, key) for table in (creations, plans, overrides, cancellations, shifts))
    yield timer_gone(SCHEMA, schedule_id, PLAN_TIMER)


def _person(actor: Actor) -> UUID | None:
    return UUID(actor.id) if actor.kind is ActorKind.USER else None


def _schedule_row(event: Envelope[Any], state: Schedule) -> Row:
    values = {
        "id": state.id,
        "name": state.name,
        "description": state.description,
        "timezone": state.timezone,
        "is_active": state.is_active,
        "layers": [layer.model_dump(mode="json", by_alias=True) for layer in state.layers],
        "version": state.rules_version,
        "updated_at": event.time,
        "team_id": state.team_id,
    }
    return Row(schedules, values)


def _plan_rows(fact: ShiftsPlanned, state: Schedule) -> Iterable[Change]:
    key = {"schedule_id": state.id}
    for start_time in state.displaced:
        yield Gone(shifts, key | {"start_time": start_time})
    # A shift that was cut keeps what came before (or after) the plan: begin with the first that was touched.
    since = min([fact.from_time, *state.displaced])
    for shift in state.planned:
        if since <= shift.start_time <= fact.to_time:
            yield _shift_row(state.id, shift)
    yield Row(plans, key | {"planned_from": state.planned_from, "planned_to": state.planned_to})
    yield _timer(state)


def _timer(state: Schedule) -> Change:
    if state.is_active and state.planned_to is not None:
        return timer_set(SCHEMA, Timer(state.id, PLAN_TIMER, state.planned_to - PLAN_AGAIN))
    return timer_gone(SCHEMA, state.id, PLAN_TIMER)


def _shift_row(schedule_id: UUID, shift: Shift) -> Row:
    return Row(shifts, {"schedule_id": schedule_id} | shift.model_dump())


_known_schedules = (
    select(schedules, creations.c.created_by, creations.c.created_at, plans.c.planned_from, plans.c.planned_to)
    .join(creations, creations.c.schedule_id == schedules.c.id)
    .outerjoin(plans, plans.c.schedule_id == schedules.c.id)
)
SCHEDULE = _known_schedules.where(schedules.c.id == bindparam("id", type_=Uuid))
"""One schedule by `id`, with its creation and how far it is planned."""

_OLDEST_FIRST = Keyset("schedules", (creations.c.created_at, creations.c.schedule_id))
_listed = _known_schedules.add_columns(creations.c.schedule_id)
_is_of_teams = schedules.c.team_id == any_(bindparam("teams", type_=ARRAY(Uuid)))
_is_seen = or_(
    and_(schedules.c.team_id.is_(None), bindparam("organisation", type_=Boolean)),
    _is_of_teams,
    schedules.c.layers.contains(bindparam("theirs", type_=JSONB)),
)
"""`organisation`, `teams`: whose schedules somebody sees; `theirs`: layers that they are in, as JSON."""
SCHEDULES = Listing(_OLDEST_FIRST, _listed)
"""All of them, oldest first."""
SCHEDULES_SEEN = Listing(_OLDEST_FIRST, _listed.where(_is_seen))
SCHEDULES_OF = Listing(_OLDEST_FIRST, _listed.where(_is_of_teams))
"""There are few: they are read along the list's index."""
_total = func.count().over().label("total")
SCHEDULES_USING = (
    select(schedules.c.id, schedules.c.name, _total)
    .where(schedules.c.team_id == bindparam("id", type_=Uuid))
    .order_by(schedules.c.name, schedules.c.id)
    .limit(bindparam("count", type_=Integer))
)
"""The first `count` schedules of the team `id`, and how many there are."""
TEAM = select(teams.c.id).where(teams.c.id == bindparam("id", type_=Uuid))

_cancellation = overrides.outerjoin(cancellations, cancellations.c.override_id == overrides.c.id)
# PostgreSQL's `least` leaves nulls out: what was not cancelled ends when it was to end.
_end = func.least(overrides.c.end_time, cancellations.c.cancelled_at, type_=DateTime(timezone=True))
OVERRIDES = (
    select(
        overrides.c.id,
        overrides.c.schedule_id,
        overrides.c.user_id,
        overrides.c.start_time,
        _end.label("end_time"),
        overrides.c.replaces,
    )
    .select_from(_cancellation)
    .where(overrides.c.schedule_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .where(_end > bindparam("since", type_=DateTime(timezone=True)))
    .where(_end > overrides.c.start_time)
    .order_by(overrides.c.schedule_id, overrides.c.added)
)
"""The overrides of the schedules `ids` as far as they apply after `since`, in the order in which they were added."""

_history = (
    select(overrides, cancellations.c.cancelled_by, cancellations.c.cancelled_at)
    .select_from(_cancellation)
    .where(overrides.c.schedule_id == bindparam("schedule_id", type_=Uuid))
)
MADE_OVERRIDE = _history.where(overrides.c.id == bindparam("id", type_=Uuid))
"""The override `id` of a schedule as it was added, with its cancellation."""

MADE_OVERRIDES = Listing(Keyset("overrides", (overrides.c.added,), descending=True), _history)
"""The same of all overrides of a schedule, newest first."""

SHIFTS = (
    select(shifts)
    .where(shifts.c.schedule_id == bindparam("id", type_=Uuid))
    .where(shifts.c.start_time < bindparam("to", type_=DateTime(timezone=True)))
    .where(shifts.c.end_time > bindparam("from", type_=DateTime(timezone=True)))
    .order_by(shifts.c.start_time)
)
"""The planned shifts of schedule `id` that overlap `[from, to)`."""

_AT = bindparam("at", type_=DateTime(timezone=True))
_latest = (
    select(shifts)
    .where(shifts.c.schedule_id == schedules.c.id)
    .where(shifts.c.start_time <= _AT)
    .order_by(shifts.c.start_time.desc())
    .limit(1)
    .lateral("latest")
)
_with_latest = _known_schedules.outerjoin(_latest, true()).add_columns(
    creations.c.schedule_id,
    _latest.c.user_id,
    _latest.c.start_time,
    _latest.c.end_time,
    _latest.c.layer,
    _latest.c.is_override,
)
ON_CALL = _with_latest.where(schedules.c.id == bindparam("id", type_=Uuid))
"""Schedule `id` with its latest shift planned to begin by `at`, which may have ended."""

_is_planned = and_(plans.c.planned_from <= _AT, plans.c.planned_to > _AT)
_by_the_rules = and_(func.coalesce(_is_planned, false()).is_(false()), schedules.c.is_active)
_BY_AGE = Keyset("on_call", (creations.c.created_at, creations.c.schedule_id))
_is_on_call = or_(and_(_is_planned, _latest.c.end_time > _AT), _by_the_rules)
EVERYBODY_SEEN = Listing(_BY_AGE, _with_latest.where(_is_on_call, _is_seen))
EVERYBODY = Listing(_BY_AGE, _with_latest.where(_is_on_call))
"""The same of every schedule, oldest first, on which somebody is on call at `at`, or may be: where nothing is planned,
the rules say so."""

PEOPLE = select(people).where(people.c.user_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
"""The people `ids`, as far as they are known."""

INACTIVE = select(people.c.user_id, people.c.erased).where(
    people.c.user_id == any_(bindparam("ids", type_=ARRAY(Uuid))), ~people.c.is_active
)
"""Those of the people `ids` who are deactivated, or erased."""

REACHABLE = (
    select(people.c.user_id)
    .where(people.c.user_id == any_(bindparam("ids", type_=ARRAY(Uuid))))
    .where(people.c.is_active)
    .where(exists().where(devices.c.user_id == people.c.user_id))
)
"""Those of the people `ids` who are active and have a device that can be paged."""

_PERSON = bindparam("person", type_=Uuid)
SCHEDULES_NAMING = Scan(
    Keyset("schedules", (schedules.c.id,)),
    select(schedules.c.id, schedules.c.name, schedules.c.timezone, schedules.c.is_active),
    or_(
        func.strpos(cast(schedules.c.layers, Text), cast(_PERSON, Text)) > 0,
        exists().where(
            overrides.c.schedule_id == schedules.c.id,
            or_(overrides.c.user_id == _PERSON, overrides.c.replaces == _PERSON),
        ),
    ),
)
"""Schedules that name `person`, or did in an override."""

SHIFTS_OF = Scan(
    Keyset("shifts", (shifts.c.schedule_id, shifts.c.start_time)), select(shifts), shifts.c.user_id == _PERSON
)
"""Shifts of `person`, as planned and as they were."""
