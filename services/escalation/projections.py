"""Read models and replicas of escalation, what each event writes, and the queries."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    all_,
    and_,
    bindparam,
    cast,
    exists,
    false,
    func,
    or_,
    select,
    text,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.audit import audit_table, audited
from libs.chassis.store.changes import Change, Gone, Row
from libs.chassis.store.listing import Keyset, Listing
from libs.chassis.store.scanning import Scan
from libs.chassis.timers import Timer, timer_gone, timer_set
from libs.contracts.envelope import Envelope
from libs.contracts.escalation import ResponderUnreachable
from libs.contracts.oncall import ShiftsPlanned
from services.escalation.domain import escalations as running
from services.escalation.domain.policies import Policy

SCHEMA = "escalation"
TIMER = "escalate"
KEEP_SHIFTS = timedelta(days=1)
"""How long shifts are kept after their end; the newest of them still answers while clocks disagree."""

metadata = MetaData(schema=SCHEMA)

audit = audit_table(metadata)
policies = Table(
    "policies",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("priority_filter", JSONB, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("levels", JSONB, nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    # None: the whole organisation's.
    Column("team_id", Uuid),
    Column("acknowledgement_timeout_minutes", Float),
    Column("auto_resolve_minutes", Float),
    Index("policies_name_idx", "name", "id"),
    Index("policies_team_idx", "team_id", "created_at", "id"),
)
_RUNS = text("state IN ('waiting', 'exhausted')")
"""Whoever asks for it says it as its index does, word for word."""
# The event that set the timer, its correlation and its trace are kept so that a timer, which has none, names its cause.
# `run` is the highest that was started or answered.
escalations = Table(
    "escalations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("incident_id", Uuid, nullable=False),
    Column("run", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("policy_id", Uuid),
    Column("policy_version", Integer),
    Column("level", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("next_due_at", DateTime(timezone=True)),
    Column("event_id", Uuid, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("traceparent", Text),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    # What runs keeps its policy from being deleted.
    Index("escalations_running_policy_idx", "policy_id", postgresql_where=_RUNS),
)
people = Table(
    "people",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("roles", postgresql.ARRAY(Text), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("erased", Boolean, nullable=False, server_default=false()),
    Index("people_roles_idx", "roles", postgresql_using="gin"),
)
# Who can be paged at all: no token, and no name of a device, is anything to this service.
devices = Table(
    "devices",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("added_at", DateTime(timezone=True), nullable=False),
)
# Apart from `devices`: AUTH and NOTIFIER are heard of in any order, and what was registered since `dead_at` is alive.
retired_tokens = Table(
    "retired_tokens",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("dead_at", DateTime(timezone=True), nullable=False),
)
schedules = Table(
    "schedules",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("plan_version", Integer),
)
teams = Table("teams", metadata, Column("id", Uuid, primary_key=True))
memberships = Table(
    "memberships",
    metadata,
    Column("team_id", Uuid, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("role", Text, nullable=False),
)
# Which policy its incidents run, for whoever wants to delete one.
integrations = Table(
    "integrations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("policy_id", Uuid),
)
shifts = Table(
    "shifts",
    metadata,
    Column("schedule_id", Uuid, primary_key=True),
    Column("start_time", DateTime(timezone=True), primary_key=True),
    Column("end_time", DateTime(timezone=True), nullable=False),
    Column("user_id", Uuid, nullable=False),
)

_IDS = bindparam("ids", type_=ARRAY(Uuid))
_MOMENT = bindparam("moment", type_=DateTime(timezone=True))
_ACTIVE = and_(people.c.active, people.c.id != all_(bindparam("without", type_=ARRAY(Uuid))))
"""`without`: who has just been deactivated, in the transaction that asks."""


def _shift(condition: Any, order: Any, label: str, *, active: bool = True) -> Any:
    """The nearest shift of an active person on one side of the moment, or of one who is deactivated."""
    return (
        select(shifts.c.user_id)
        .join(people, and_(people.c.id == shifts.c.user_id, _ACTIVE if active else ~_ACTIVE))
        .where(shifts.c.schedule_id == schedules.c.id, condition)
        .order_by(order)
        .limit(1)
        .lateral(label)
    )


_now = and_(shifts.c.start_time <= _MOMENT, shifts.c.end_time > _MOMENT)
_current = _shift(_now, shifts.c.start_time.desc(), "current_shift")
_passed = _shift(_now, shifts.c.start_time.desc(), "passed_shift", active=False)
_coming = _shift(shifts.c.start_time > _MOMENT, shifts.c.start_time, "coming_shift")

ON_CALL = (
    select(
        schedules.c.id,
        schedules.c.plan_version,
        _current.c.user_id.label("user_id"),
        _coming.c.user_id.label("next_id"),
        _passed.c.user_id.label("passed_id"),
    )
    .select_from(schedules.outerjoin(_current, true()).outerjoin(_coming, true()).outerjoin(_passed, true()))
    .where(schedules.c.id == func.any(_IDS))
)
"""`ids`, `moment`, `without`: each schedule's plan's version, who is on call, who comes next, and who is passed."""

PEOPLE = (
    select(people.c.id, people.c.roles)
    .where(
        _ACTIVE,
        or_(
            people.c.id == func.any(_IDS),
            people.c.roles.overlap(bindparam("roles", type_=postgresql.ARRAY(Text))),
        ),
    )
    .order_by(people.c.id)
)
"""`ids`, `roles`, `without`: the active people among the ids or with one of the roles."""

INACTIVE = select(people.c.id, people.c.erased).where(people.c.id == func.any(_IDS), ~people.c.active)
"""Those of the people `ids` who are deactivated, or erased."""

TEAM_PEOPLE = (
    select(teams.c.id, people.c.id.label("user_id"), memberships.c.role, _ACTIVE.label("active"))
    .select_from(
        teams.outerjoin(memberships, memberships.c.team_id == teams.c.id).outerjoin(
            people, people.c.id == memberships.c.user_id
        )
    )
    .where(teams.c.id == func.any(_IDS))
    .order_by(teams.c.id, people.c.id)
)
"""`ids`, `without`: the people of each of these teams that there is; one without any has a row without a person."""

POLICIES_OF_TEAMS = (
    select(policies.c.team_id, policies.c.id)
    .where(policies.c.team_id == func.any(_IDS))
    .order_by(policies.c.team_id, policies.c.created_at, policies.c.id)
)
"""`ids`: the policies of these teams, each team's oldest first."""

EVERYONE = select(people.c.id).where(_ACTIVE).order_by(people.c.id)
_dead = exists().where(
    retired_tokens.c.user_id == devices.c.user_id,
    retired_tokens.c.device_id == devices.c.device_id,
    retired_tokens.c.dead_at > devices.c.added_at,
)
_reachable = and_(_ACTIVE, exists().where(devices.c.user_id == people.c.id, ~_dead))
_COUNT = bindparam("count", type_=Integer)
REACHABLE = select(people.c.id).where(_reachable).order_by(people.c.id).limit(_COUNT)
"""`without`, `count`: the first active people who have a device that no vendor has said to be dead."""
REACHABLE_OF = REACHABLE.where(people.c.roles.overlap(bindparam("roles", type_=postgresql.ARRAY(Text))))
"""`roles` as well: those who have one of them."""
REACHABLE_ON_CALL = (
    select(people.c.id, schedules.c.id.label("schedule_id"))
    .select_from(schedules.join(_current, true()).join(people, people.c.id == _current.c.user_id))
    .where(_reachable)
    .ext(postgresql.distinct_on(people.c.id))
    .order_by(people.c.id, schedules.c.id)
    .limit(_COUNT)
)
"""`moment` as well: those who are on call, each with the first such schedule."""
CAUSES = select(
    escalations.c.id, escalations.c.event_id, escalations.c.correlation_id, escalations.c.traceparent
).where(escalations.c.id == func.any(_IDS))
KNOWN_PEOPLE = select(people.c.id).where(people.c.id == func.any(_IDS))
KNOWN_TEAMS = select(teams.c.id).where(teams.c.id == func.any(_IDS))
KNOWN_SCHEDULES = select(schedules.c.id).where(schedules.c.id == func.any(_IDS))
SHIFTS = select(shifts).where(shifts.c.schedule_id == func.any(_IDS)).order_by(shifts.c.start_time)
_total = func.count().over().label("total")
RUNNING = (
    select(escalations.c.id, _total)
    .where(escalations.c.policy_id == bindparam("id", type_=Uuid), _RUNS)
    .order_by(escalations.c.id)
    .limit(bindparam("count", type_=Integer))
)
"""The first `count` escalations that page by the policy `id`, and how many there are."""
USING = (
    select(integrations.c.id, integrations.c.name, _total)
    .where(integrations.c.policy_id == bindparam("id", type_=Uuid))
    .order_by(integrations.c.name, integrations.c.id)
    .limit(bindparam("count", type_=Integer))
)
"""The first `count` integrations whose incidents run the policy `id`, and how many there are."""
RUNS = (
    select(escalations.c.id)
    .where(_RUNS, escalations.c.next_due_at.is_not(None))
    .order_by(escalations.c.next_due_at.desc(), escalations.c.id)
    .limit(bindparam("count", type_=Integer))
)
"""Those that page, at most `count`, of which the next page is the farthest first."""
INTEGRATION = select(integrations.c.id).where(integrations.c.id == bindparam("id", type_=Uuid))
POLICY = select(policies).where(policies.c.id == bindparam("id", type_=Uuid))
_BY_NAME = Keyset("policies", (policies.c.name, policies.c.id))
_OF_TEAMS = policies.c.team_id == func.any(bindparam("teams", type_=ARRAY(Uuid)))
POLICIES = Listing(_BY_NAME, select(policies))
POLICIES_OF = Listing(_BY_NAME, select(policies).where(_OF_TEAMS))
"""`teams`: theirs alone. There are few policies: they are read along the list's index."""
POLICIES_SEEN = Listing(_BY_NAME, select(policies).where(or_(policies.c.team_id.is_(None), _OF_TEAMS)))
"""`teams`: theirs and the organisation's."""
USING_TEAM = (
    select(policies.c.id, policies.c.name, _total)
    .where(
        or_(
            policies.c.team_id == bindparam("id", type_=Uuid),
            policies.c.levels.contains(bindparam("paging", type_=JSONB)),
        )
    )
    .order_by(policies.c.name, policies.c.id)
    .limit(bindparam("count", type_=Integer))
)
"""The first `count` policies of the team `id`, or that page it (`paging`: as levels say it), and how many there are."""
POLICIES_NAMING = Scan(
    Keyset("policies", (policies.c.id,)),
    select(policies.c.id, policies.c.name),
    func.strpos(cast(policies.c.levels, Text), cast(bindparam("person", type_=Uuid), Text)) > 0,
)
"""Policies that name `person`."""
ALL_POLICIES = select(policies.c.id, policies.c.name, policies.c.team_id, policies.c.repeat, policies.c.levels)


@audited(audit)
def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """The rows and the timer that an event writes; whole rows, so that the last of several says everything."""
    match state:
        case Policy(deleted=True):
            yield Gone(policies, {"id": event.entity})
        case Policy():
            yield Row(policies, policy_row(state, updated_at=event.time))
        case running.Waiting() | running.Exhausted() if isinstance(event.data, ResponderUnreachable):
            # The timer and what has set it stay as they are.
            return
        case running.Waiting() | running.Exhausted():
            yield _escalation(event, state.run, state, state.due_at)
            yield _timer(event.entity, state.due_at)
        case running.Cancelled():
            yield _escalation(event, state.run, state, None)
            yield timer_gone(SCHEMA, event.entity, TIMER)
        case _:
            # An escalation that has only just started: the page of the same decision writes its row.
            return


def policy_row(policy: Policy, updated_at: datetime) -> dict[str, Any]:
    plan = policy.plan
    return {
        "id": policy.id,
        "name": plan.name,
        "priority_filter": [str(p) for p in plan.priority_filter],
        "repeat": plan.repeat,
        "levels": [level.model_dump(mode="json", by_alias=True) for level in plan.levels],
        "is_default": policy.is_default,
        "version": policy.version,
        "created_by": policy.created_by,
        "created_at": policy.created_at,
        "updated_at": updated_at,
        "team_id": plan.team_id,
        "acknowledgement_timeout_minutes": plan.acknowledgement_timeout_minutes,
        "auto_resolve_minutes": plan.auto_resolve_minutes,
    }


def _timer(entity: UUID, due_at: datetime | None) -> Change:
    return timer_gone(SCHEMA, entity, TIMER) if due_at is None else timer_set(SCHEMA, Timer(entity, TIMER, due_at))


def _escalation(
    event: Envelope[Any],
    run: running.Run | None,
    state: running.Waiting | running.Exhausted | running.Cancelled,
    next_due_at: datetime | None,
) -> Row:
    values = {
        "id": event.entity,
        "incident_id": event.data.incident_id,
        "run": running.newest(state),
        "state": type(state).__name__.lower(),
        "policy_id": run.policy_id if run else None,
        "policy_version": run.policy_version if run else None,
        "level": state.level,
        "round": state.round,
        "next_due_at": next_due_at,
        "event_id": event.id,
        "correlation_id": event.correlation_id,
        "traceparent": event.traceparent,
        "updated_at": event.time,
    }
    return Row(escalations, values)


@dataclass(frozen=True, slots=True)
class Span:
    """A planned shift, `[start, end)`."""

    start: datetime
    end: datetime
    user_id: UUID


def replan(spans: Sequence[Span], plan: ShiftsPlanned, now: datetime) -> list[Span]:
    """The spans of one schedule after a plan: within its range its own, outside what there was, sorted.

    What ended more than `KEEP_SHIFTS` ago is forgotten. A plan may begin months ahead, where the horizon ended.
    """
    begin, end, forgotten = plan.from_time, plan.to_time, now - KEEP_SHIFTS
    outside = [s for s in spans if s.end <= begin or s.start >= end]
    across = [s for s in spans if s.start < end and s.end > begin]
    outside += [Span(s.start, begin, s.user_id) for s in across if s.start < begin]
    outside += [Span(end, s.end, s.user_id) for s in across if s.end > end]
    kept = [s for s in outside if s.end > forgotten]
    new = [Span(max(s.start_time, begin), min(s.end_time, end), s.user_id) for s in plan.shifts]
    return sorted([*kept, *(s for s in new if s.start < s.end)], key=lambda s: s.start)
