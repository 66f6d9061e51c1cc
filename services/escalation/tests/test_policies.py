"""Policies: what may be written, and that an escalation keeps the version it began with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.defaults import DEFAULT_POLICY_ID, DEFAULT_SCHEDULE_ID
from libs.contracts.escalation import PolicyChanged, PolicyCreated, PolicyDeleted, Target, TargetType
from libs.contracts.model import Priority, Role
from libs.contracts.requests import ErrorKind, Invalid
from libs.contracts.uses import InUse, Use, UserKind
from services.escalation.deciders import POLICY
from services.escalation.domain.policies import (
    ChangePolicy,
    CreatePolicy,
    DeletePolicy,
    Needed,
    NoSuchPolicy,
    Policy,
    admins_policy,
    default_policy,
)
from services.escalation.tests.world import ANN, BRIEF, LEADS_LEVEL, NOW, ON_CALL_LEVEL, PLAN, start
from services.escalation.tests.world import POLICY as POLICY_ID

NOTHING = Given(POLICY, [])
CREATE = CreatePolicy(POLICY_ID, PLAN, created_by=str(ANN), now=NOW)


def test_the_default_policy_is_on_call_then_leads_then_admins_with_three_repeats() -> None:
    [fact] = NOTHING.when(default_policy(NOW)).facts
    assert isinstance(fact, PolicyCreated)
    assert (fact.policy_id, fact.repeat, fact.is_default) == (DEFAULT_POLICY_ID, 3, True)
    assert [(level.timeout_minutes, level.targets) for level in fact.levels] == [
        (15, (Target(type=TargetType.SCHEDULE, id=DEFAULT_SCHEDULE_ID),)),
        (15, (Target(type=TargetType.ROLE, role=Role.LEAD),)),
        (15, (Target(type=TargetType.ROLE, role=Role.ADMIN),)),
    ]


def test_the_default_policy_is_made_once_and_keeps_its_changes() -> None:
    given = NOTHING.when(default_policy(NOW)).then_types(PolicyCreated)
    given = given.when(ChangePolicy(repeat=0)).then_types(PolicyChanged)
    given.when(default_policy(NOW)).then_nothing()


def test_a_change_makes_a_version_and_keeps_the_ones_before() -> None:
    given = NOTHING.when(CREATE).then_types(PolicyCreated)
    given = given.when(ChangePolicy(levels=(LEADS_LEVEL,))).then_types(PolicyChanged)
    state = given.state()
    assert isinstance(state, Policy)
    assert state.version == 2
    assert state.plans == (PLAN, replace(PLAN, levels=(LEADS_LEVEL,)))


def test_a_change_that_changes_nothing_makes_no_version() -> None:
    NOTHING.when(CREATE).then_types(PolicyCreated).when(ChangePolicy(name=PLAN.name)).then_nothing()


def test_a_policy_that_does_not_exist_cannot_be_changed() -> None:
    error = NOTHING.when(ChangePolicy(repeat=1)).then_rejected(NoSuchPolicy)
    assert (error.kind, error.field) == (ErrorKind.NOT_FOUND, "id")


def test_a_policy_that_nothing_needs_goes_for_good() -> None:
    given = NOTHING.when(CREATE).then_types(PolicyCreated)
    use = Use(type=UserKind.INTEGRATION, id=POLICY_ID, name="Shop")
    refused = given.when(DeletePolicy((use,), total=3)).then_rejected(InUse)
    assert str(refused) == 'it is still used by integration "Shop" and 2 more'
    after = given.when(DeletePolicy()).then([PolicyDeleted(policy_id=POLICY_ID)])
    for command in (DeletePolicy(), ChangePolicy(repeat=1)):
        after.when(command).then_rejected(NoSuchPolicy)
    after.when(CREATE).then_nothing()
    NOTHING.when(DeletePolicy()).then_rejected(NoSuchPolicy)


@pytest.mark.parametrize("needed", [default_policy(NOW), admins_policy(NOW)], ids=["Default", "Admins"])
def test_what_pager_itself_needs_is_not_deleted(needed: CreatePolicy) -> None:
    NOTHING.when(needed).then_types(PolicyCreated).when(DeletePolicy()).then_rejected(Needed)


def test_the_default_policy_cannot_be_narrowed() -> None:
    given = NOTHING.when(default_policy(NOW)).then_types(PolicyCreated)
    assert given.when(ChangePolicy(priority_filter=(Priority.LOW,))).then_rejected(Invalid).field == "priorityFilter"


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ({"type": TargetType.SCHEDULE}, "levels.1.targets.0.id"),
        ({"type": TargetType.USER, "role": Role.LEAD, "id": ANN}, "levels.1.targets.0.role"),
        ({"type": TargetType.ROLE}, "levels.1.targets.0.role"),
        ({"type": TargetType.ROLE, "role": Role.LEAD, "id": ANN}, "levels.1.targets.0.id"),
    ],
)
def test_a_target_that_cannot_be_is_named(target: dict[str, Any], field: str) -> None:
    level = ON_CALL_LEVEL.model_copy(update={"targets": (Target(**target),)})
    command = replace(CREATE, plan=replace(PLAN, levels=(ON_CALL_LEVEL, level)))
    assert NOTHING.when(command).then_rejected(Invalid).field == field


@pytest.mark.parametrize("odd", [1e-9, 0.049, 20_000.0])
def test_a_level_has_at_least_three_seconds(odd: float) -> None:
    level = ON_CALL_LEVEL.model_copy(update={"timeout_minutes": odd})
    command = replace(CREATE, plan=replace(PLAN, levels=(ON_CALL_LEVEL, level)))
    assert NOTHING.when(command).then_rejected(Invalid).field == "levels.1.timeoutMinutes"


def test_a_policy_from_before_that_rule_has_them_all_the_same() -> None:
    quick = ON_CALL_LEVEL.model_copy(update={"timeout_minutes": 1e-9})
    plan = replace(PLAN, levels=(quick,))
    assert (plan.minutes(1, Priority.LOW, None), plan.minutes(1, Priority.LOW, 1e-9)) == (0.05, 0.05)


@pytest.mark.parametrize("odd", [0.0, -1.0, 20_000.0, float("nan")])
def test_a_time_out_that_cannot_be_is_named(odd: float) -> None:
    level = ON_CALL_LEVEL.model_copy(update={"timeout_minutes_by_priority": {Priority.HIGH: odd}})
    command = replace(CREATE, plan=replace(PLAN, levels=(level,)))
    assert NOTHING.when(command).then_rejected(Invalid).field == "levels.0.timeoutMinutesByPriority.high"


def test_a_filter_takes_its_priorities_and_an_empty_one_takes_all() -> None:
    assert all(PLAN.takes(p) for p in Priority)
    narrow = replace(PLAN, priority_filter=(Priority.CRITICAL,))
    assert [p for p in Priority if narrow.takes(p)] == [Priority.CRITICAL]


def test_an_id_that_belongs_to_something_else_is_no_policy() -> None:
    from services.escalation.deciders import ESCALATION

    facts = Given(ESCALATION[BRIEF.priority.lane], []).when(start()).facts
    assert not isinstance(Given(POLICY, facts).state(), Policy)


@pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf"), 525_601, 30, 31])
def test_a_quiet_that_ends_an_incident_is_a_time_that_can_be_reached(minutes: float) -> None:
    plan = replace(PLAN, acknowledgement_timeout_minutes=30, auto_resolve_minutes=minutes)
    refused = NOTHING.when(replace(CREATE, plan=plan)).then_rejected(Invalid)
    assert refused.field == "autoResolveMinutes"


def test_a_quiet_that_ends_an_incident_is_kept_and_taken_away_by_itself() -> None:
    given = NOTHING.when(CREATE).then_types(PolicyCreated)
    given = given.when(ChangePolicy(auto_resolve_minutes=20)).then_types(PolicyChanged)
    given = given.when(ChangePolicy(acknowledgement_timeout_minutes=30)).then_types(PolicyChanged)
    given.when(ChangePolicy(acknowledgement_timeout_minutes=20)).then_rejected(Invalid)
    given = given.when(ChangePolicy(auto_resolve_minutes=None)).then_types(PolicyChanged)
    state = given.state()
    assert isinstance(state, Policy)
    assert [p.auto_resolve_minutes for p in state.plans] == [None, 20, 20, None]
    assert state.plan.acknowledgement_timeout_minutes == 30
