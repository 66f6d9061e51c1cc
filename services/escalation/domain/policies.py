"""Policies: whom to page in which order, and which version of that an escalation runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import TypeVar
from uuid import UUID

from libs.contracts.defaults import (
    ADMINS_POLICY_ID,
    ADMINS_POLICY_NAME,
    DEFAULT_POLICY_ID,
    DEFAULT_POLICY_NAME,
    DEFAULT_SCHEDULE_ID,
)
from libs.contracts.envelope import Fact
from libs.contracts.escalation import Level, PolicyChanged, PolicyCreated, PolicyDeleted, Target, TargetType
from libs.contracts.model import Priority, Role
from libs.contracts.requests import Invalid, NotFound, Rejected
from libs.contracts.uses import InUse, Use

T = TypeVar("T")
MIN_MINUTES = 0.05
"""Three seconds: twenty levels of nearly no time rang one phone a thousand times in forty seconds."""
MAX_MINUTES = 10_080.0
"""A week: the longest time-out of a level."""
MAX_QUIET_MINUTES = 525_600.0
"""A year: the longest quiet after which an incident is resolved."""


class NoSuchPolicy(NotFound):
    """There is no such policy."""


class Needed(Rejected):
    """Pager itself needs this policy: it can be changed, and not deleted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One version of a policy. `repeat`: how often the levels run again after their first pass (3: 1 + 3 times)."""

    name: str
    priority_filter: tuple[Priority, ...]
    repeat: int
    levels: tuple[Level, ...]
    team_id: UUID | None = None
    """None: it is the whole organisation's."""
    acknowledgement_timeout_minutes: float | None = None
    """None: an acknowledgement stands for ever."""
    auto_resolve_minutes: float | None = None
    """After so long a quiet what is acknowledged is resolved; None: as the installation says."""

    def takes(self, priority: Priority) -> bool:
        """Whether incidents of this priority start it; an empty filter takes all."""
        return not self.priority_filter or priority in self.priority_filter

    def minutes(self, level: int, priority: Priority, first: float | None) -> float:
        """The time-out of a level (1, 2, …); `first`, set on an incident, overrides that of level 1."""
        if level == 1 and first is not None and 0 < first <= MAX_MINUTES:
            return max(first, MIN_MINUTES)
        chosen = self.levels[level - 1]
        return max(chosen.timeout_minutes_by_priority.get(priority, chosen.timeout_minutes), MIN_MINUTES)


@dataclass(frozen=True, slots=True)
class NoPolicy:
    """Nothing has been created under this id."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All versions of a policy: version n is the plan after its n-th event, kept for escalations that run it."""

    id: UUID
    plans: tuple[Plan, ...]
    is_default: bool
    created_by: str
    created_at: datetime
    deleted: bool = False
    """Then nothing begins with it any more."""

    @property
    def plan(self) -> Plan:
        return self.plans[-1]

    @property
    def version(self) -> int:
        return len(self.plans)


State = NoPolicy | Policy


@dataclass(frozen=True, slots=True)
class CreatePolicy:
    """Make a policy; repeated under the same id it does nothing."""

    id: UUID
    plan: Plan
    created_by: str
    now: datetime
    is_default: bool = False


class Keep(Enum):
    """Says that a change leaves a field as it is, where None is a value."""

    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class ChangePolicy:
    """Change what is given; a change that changes nothing makes no new version."""

    name: str | None = None
    priority_filter: tuple[Priority, ...] | None = None
    repeat: int | None = None
    levels: tuple[Level, ...] | None = None
    team_id: UUID | Keep | None = Keep.KEEP
    acknowledgement_timeout_minutes: float | Keep | None = Keep.KEEP
    auto_resolve_minutes: float | Keep | None = Keep.KEEP


@dataclass(frozen=True, slots=True)
class DeletePolicy:
    """`uses`: the first of what needs it, `total` of them all."""

    uses: Sequence[Use] = ()
    total: int = 0


Command = CreatePolicy | ChangePolicy | DeletePolicy


def default_policy(now: datetime) -> CreatePolicy:
    """What the first start makes: on-call → leads → admins, 15 minutes each, 3 repeats."""
    targets = (
        Target(type=TargetType.SCHEDULE, id=DEFAULT_SCHEDULE_ID),
        Target(type=TargetType.ROLE, role=Role.LEAD),
        Target(type=TargetType.ROLE, role=Role.ADMIN),
    )
    levels = tuple(Level(timeout_minutes=15, targets=(t,)) for t in targets)
    plan = Plan(DEFAULT_POLICY_NAME, priority_filter=(), repeat=3, levels=levels)
    return CreatePolicy(DEFAULT_POLICY_ID, plan, created_by="escalation", now=now, is_default=True)


def admins_policy(now: datetime) -> CreatePolicy:
    """What Pager's alarms about itself run: the admins first (promise 8), whoever is on call if no admin answers."""
    targets = (
        Target(type=TargetType.ROLE, role=Role.ADMIN),
        Target(type=TargetType.SCHEDULE, id=DEFAULT_SCHEDULE_ID),
    )
    levels = tuple(Level(timeout_minutes=15, targets=(t,)) for t in targets)
    plan = Plan(ADMINS_POLICY_NAME, priority_filter=(), repeat=3, levels=levels)
    return CreatePolicy(ADMINS_POLICY_ID, plan, created_by="escalation", now=now)


def initial() -> State:
    return NoPolicy()


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case _, PolicyCreated():
            return Policy(fact.policy_id, (_plan(fact),), fact.is_default, fact.created_by, fact.created_at)
        case Policy(), PolicyChanged():
            return replace(state, plans=(*state.plans, _plan(fact)))
        case Policy(), PolicyDeleted():
            return replace(state, deleted=True)
        case _:
            # An id that a caller made up may be another entity's: to us it is no policy.
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """What a command changes.

    Raises:
        NoSuchPolicy: a change of what does not exist, or its deletion.
        Needed, InUse: it cannot be deleted, or not now.
        Invalid: a target or a time-out that cannot be, or a filter on the Default policy.
    """
    match state, command:
        case NoPolicy(), CreatePolicy(plan=plan):
            _check(plan, command.is_default, is_ours(command.id))
            return [_created(command)]
        case Policy(), CreatePolicy():
            return []
        case NoPolicy() | Policy(deleted=True), _:
            raise NoSuchPolicy(field="id")
        case Policy(), ChangePolicy():
            plan = _changed(state.plan, command)
            _check(plan, state.is_default, is_ours(state.id))
            return [] if plan == state.plan else [_change(state.id, plan)]
        case Policy(), DeletePolicy() if state.is_default or is_ours(state.id):
            raise Needed
        case Policy(), DeletePolicy(uses, total) if total:
            raise InUse(uses, total)
        case Policy(), DeletePolicy():
            return [PolicyDeleted(policy_id=state.id)]
    return []


def _plan(fact: PolicyCreated | PolicyChanged) -> Plan:
    limits = (fact.acknowledgement_timeout_minutes, fact.auto_resolve_minutes)
    return Plan(fact.name, fact.priority_filter, fact.repeat, fact.levels, fact.team_id, *limits)


def _created(command: CreatePolicy) -> PolicyCreated:
    return PolicyCreated(
        policy_id=command.id,
        name=command.plan.name,
        priority_filter=command.plan.priority_filter,
        repeat=command.plan.repeat,
        levels=command.plan.levels,
        is_default=command.is_default,
        team_id=command.plan.team_id,
        acknowledgement_timeout_minutes=command.plan.acknowledgement_timeout_minutes,
        auto_resolve_minutes=command.plan.auto_resolve_minutes,
        created_by=command.created_by,
        created_at=command.now,
    )


def _change(policy_id: UUID, plan: Plan) -> PolicyChanged:
    return PolicyChanged(
        policy_id=policy_id,
        name=plan.name,
        priority_filter=plan.priority_filter,
        repeat=plan.repeat,
        levels=plan.levels,
        team_id=plan.team_id,
        acknowledgement_timeout_minutes=plan.acknowledgement_timeout_minutes,
        auto_resolve_minutes=plan.auto_resolve_minutes,
    )


def _changed(plan: Plan, command: ChangePolicy) -> Plan:
    return Plan(
        name=plan.name if command.name is None else command.name,
        priority_filter=plan.priority_filter if command.priority_filter is None else command.priority_filter,
        repeat=plan.repeat if command.repeat is None else command.repeat,
        levels=plan.levels if command.levels is None else command.levels,
        team_id=_kept(command.team_id, plan.team_id),
        acknowledgement_timeout_minutes=_kept(
            command.acknowledgement_timeout_minutes, plan.acknowledgement_timeout_minutes
        ),
        auto_resolve_minutes=_kept(command.auto_resolve_minutes, plan.auto_resolve_minutes),
    )


def _kept(given: T | Keep | None, before: T | None) -> T | None:
    return before if isinstance(given, Keep) else given


def is_ours(policy_id: UUID) -> bool:
    """Whether Pager itself needs it: it is everybody's."""
    return policy_id in (DEFAULT_POLICY_ID, ADMINS_POLICY_ID)


def _check(plan: Plan, is_default: bool, ours: bool) -> None:
    if ours and plan.team_id is not None:
        raise Invalid("this policy is the whole organisation's", field="teamId")
    if is_default and plan.priority_filter:
        # Whatever fits no other policy ends here: a filter would make it silence.
        raise Invalid("the Default policy takes every priority", field="priorityFilter")
    if plan.acknowledgement_timeout_minutes is not None:
        _check_minutes(plan.acknowledgement_timeout_minutes, "acknowledgementTimeoutMinutes")
    if plan.auto_resolve_minutes is not None:
        _check_quiet(plan.auto_resolve_minutes, plan.acknowledgement_timeout_minutes)
    for i, level in enumerate(plan.levels):
        _check_minutes(level.timeout_minutes, f"levels.{i}.timeoutMinutes")
        for priority, minutes in level.timeout_minutes_by_priority.items():
            _check_minutes(minutes, f"levels.{i}.timeoutMinutesByPriority.{priority}")
        for j, target in enumerate(level.targets):
            _check_target(target, f"levels.{i}.targets.{j}")


def _check_minutes(minutes: float, path: str) -> None:
    # Written so that what is no number is refused, too: it compares with nothing.
    if not MIN_MINUTES <= minutes <= MAX_MINUTES:
        raise Invalid(f"a time-out has at least {MIN_MINUTES} (3 s) and at most {MAX_MINUTES:.0f} minutes", field=path)


def _check_quiet(minutes: float, timeout: float | None) -> None:
    field = "autoResolveMinutes"
    if not MIN_MINUTES <= minutes <= MAX_QUIET_MINUTES:
        raise Invalid(f"has at least {MIN_MINUTES} (3 s) and at most {MAX_QUIET_MINUTES:.0f} minutes", field=field)
    if timeout is not None and minutes >= timeout:
        # It would never be reached.
        raise Invalid("has to be less than acknowledgementTimeoutMinutes: then paging starts again", field=field)


def _check_target(target: Target, path: str) -> None:
    if target.type is TargetType.ROLE:
        if not isinstance(target.role, Role):
            raise Invalid("a target of type role names the role user, lead or admin", field=f"{path}.role")
        if target.id is not None:
            raise Invalid("a target of type role has no id", field=f"{path}.id")
    elif target.id is None:
        raise Invalid(f"a target of type {target.type} names an id", field=f"{path}.id")
    elif target.type is TargetType.TEAM:
        if isinstance(target.role, Role):
            raise Invalid("in a team people are member or manager", field=f"{path}.role")
    elif target.role is not None:
        raise Invalid(f"a target of type {target.type} has no role", field=f"{path}.role")
