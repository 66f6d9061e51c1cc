"""A level pages a team: its members or its managers, as they are when it fires; and a team has policies of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.store.changes import Gone, Row
from libs.contracts.defaults import DEFAULT_POLICY_ID
from libs.contracts.envelope import Actor
from libs.contracts.escalation import EscalationDue, EscalationStarted, Level, Paged, Target, TargetType
from libs.contracts.model import Priority, Role, TeamRole
from libs.contracts.requests import Invalid
from libs.contracts.teams import TeamCreated, TeamDeleted, TeamMembershipChanged
from services.escalation import application
from services.escalation.application import follow_people
from services.escalation.deciders import POLICY
from services.escalation.domain.policies import (
    ChangePolicy,
    CreatePolicy,
    DeletePolicy,
    Plan,
    admins_policy,
    default_policy,
)
from services.escalation.inputs import Inputs, MemoryInputs
from services.escalation.projections import memberships, teams
from services.escalation.replicas import replicate
from services.escalation.tests.desk import TEAM, EscalationDesk, brief, created, names, requested, said
from services.escalation.tests.world import (
    ADMINS_LEVEL,
    ANN,
    BO,
    DEE,
    NOTHING,
    NOW,
    PLAN,
    an_id,
    minutes,
    only_due,
    start,
)

CORE, OURS, THEIRS, LATER = (an_id(n) for n in ("core", "our policy", "their policy", "a later policy"))
MEMBERS = {ANN: TeamRole.MEMBER, BO: TeamRole.MANAGER}
SOON = NOW + minutes(1)


def level(role: TeamRole | None = None, *more: Target) -> Level:
    return Level(timeout_minutes=5, targets=(Target(type=TargetType.TEAM, id=CORE, role=role), *more))


def paging(*levels: Level, team_id: UUID | None = None, **more: Any) -> Plan:
    return Plan("Ours", more.pop("priority_filter", ()), repeat=0, levels=(*levels, ADMINS_LEVEL), team_id=team_id)


def people(plan: Plan, inputs: MemoryInputs) -> EscalationDue:
    return only_due(NOTHING.when(start(plan=plan, directory=inputs.directory([plan], (), NOW))).facts)


@pytest.mark.parametrize(
    ("role", "paged"),
    [
        (None, {ANN: f"team:{CORE}", BO: f"team:{CORE}"}),
        (TeamRole.MEMBER, {ANN: f"team:{CORE}", BO: f"team:{CORE}"}),
        (TeamRole.MANAGER, {BO: f"team:{CORE}:manager"}),
    ],
)
def test_everybody_of_a_team_is_paged_or_its_managers(role: TeamRole | None, paged: dict[UUID, str]) -> None:
    due = people(paging(level(role)), MemoryInputs(TEAM, teams={CORE: MEMBERS}))
    assert {p.user_id: p.via for p in due.people} == paged
    assert (due.level, due.passed, due.reason) == (1, (), None)


def test_whoever_of_a_team_is_deactivated_is_passed_over() -> None:
    active = {user: roles for user, roles in TEAM.items() if user != ANN}
    due = people(paging(level()), MemoryInputs(active, teams={CORE: MEMBERS}))
    assert (due.people, due.passed) == ((Paged(user_id=BO, via=f"team:{CORE}"),), (ANN,))


@pytest.mark.parametrize(
    ("members", "role", "reason"),
    [
        ({}, None, f"no active member of team {CORE}"),
        ({ANN: TeamRole.MEMBER}, TeamRole.MANAGER, f"no active manager of team {CORE}"),
        (None, None, f"there is no team {CORE}"),
    ],
)
def test_a_team_without_anybody_is_passed_at_once_with_its_reason(
    members: dict[UUID, TeamRole] | None, role: TeamRole | None, reason: str
) -> None:
    due = people(paging(level(role)), MemoryInputs(TEAM, teams={} if members is None else {CORE: members}))
    assert (due.level, [p.user_id for p in due.people]) == (2, [DEE])
    assert due.reason == f"{reason}; level 1 reaches nobody and is passed"


class TeamDesk(EscalationDesk):
    """Ann and Bo are in the team Core, whose policies are `policies`, the oldest first."""

    policies: tuple[UUID, ...] = ()

    @property
    def inputs(self) -> Inputs:
        found = super().inputs
        assert isinstance(found, MemoryInputs)
        return replace(found, teams={CORE: MEMBERS}, policies={CORE: self.policies})


def a_desk(**plans: Plan) -> TeamDesk:
    desk = TeamDesk()
    for name, plan in plans.items():
        policy = {"ours": OURS, "theirs": THEIRS, "later": LATER}[name]
        desk._take(lambda work, i=policy, p=plan: work.decide(POLICY, i, CreatePolicy(i, p, "x", NOW), work.begin(Actor.user(DEE))), NOW)  # type: ignore[misc]  # fmt: skip # noqa: E501
    return desk


def became(user: UUID, role: TeamRole | None) -> TeamMembershipChanged:
    return TeamMembershipChanged(user_id=user, team_id=CORE, role=role, by=Actor.user(DEE), at=NOW, version=2)


def told(desk: TeamDesk, *facts: Any) -> list[str]:
    return names(desk._take(lambda work: follow_people(work, [said(f) for f in facts], desk.inputs), SOON))


def paged(desk: TeamDesk, role: TeamRole | None = None, *more: Target) -> TeamDesk:
    desk.told(said(created(policy_id=OURS)))
    return desk


def test_a_storms_team_that_is_emptied_is_passed_over_as_far_as_one_transaction_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = a_desk(ours=paging(level()))
    for n in range(3):
        desk.told(said(created(incident_id=an_id(f"incident {n}"), number=n + 1, policy_id=OURS)))
    monkeypatch.setattr(application, "MOST_PASSED", 4)
    assert told(desk, became(ANN, None), became(BO, None)) == ["ResponderUnreachable", "EscalationDue"] * 2
    assert len({e.data.incident_id for e in desk.due(NOW + minutes(5))}) == 1, "the third one's time-out stands"


def test_whoever_leaves_the_team_is_not_waited_for_and_the_last_one_passes_the_level() -> None:
    desk = paged(a_desk(ours=paging(level())))
    assert told(desk, became(ANN, None)) == ["ResponderUnreachable"]
    assert told(desk, became(ANN, None)) == [], "twice is once"
    assert told(desk, became(BO, None)) == ["EscalationDue"]
    due = desk.log[-1]
    assert (due.data.level, [p.user_id for p in due.data.people]) == (2, [DEE])
    assert due.data.reason == f"{BO} is no member of team {CORE} any more, and nobody else of level 1 is left"
    assert due.causation_id == said(became(BO, None)).id


def test_a_manager_who_is_none_any_more_is_not_waited_for_where_managers_were_paged() -> None:
    desk = paged(a_desk(ours=paging(level(TeamRole.MANAGER))))
    assert told(desk, became(BO, TeamRole.MEMBER)) == ["EscalationDue"]
    assert desk.log[-1].data.reason.startswith(f"{BO} is no manager of team {CORE} any more")
    desk = paged(a_desk(ours=paging(level())))
    assert told(desk, became(BO, TeamRole.MEMBER)) == [], "everybody was paged"


def test_whoever_the_level_names_all_the_same_is_waited_for() -> None:
    desk = paged(a_desk(ours=paging(level(None, Target(type=TargetType.USER, id=BO)))))
    assert told(desk, became(BO, None)) == []
    assert told(desk, became(ANN, None)) == ["ResponderUnreachable"]


def test_who_has_left_and_come_back_in_one_batch_is_waited_for() -> None:
    desk = paged(a_desk(ours=paging(level())))
    assert told(desk, became(ANN, None), became(ANN, TeamRole.MEMBER)) == []


def test_a_team_that_the_desk_has_not_paged_is_no_matter() -> None:
    desk = paged(a_desk(ours=paging(level())))
    assert told(desk, became(ANN, None).model_copy(update={"team_id": an_id("other")})) == []


def started(desk: TeamDesk, **changes: Any) -> tuple[UUID, str | None]:
    events = desk.told(said(created(team_id=CORE, **changes)))
    start_, due = events
    assert isinstance(start_.data, EscalationStarted)
    return start_.data.policy_id, due.data.reason


def test_an_incident_runs_its_own_policy_its_teams_or_default() -> None:
    mine, everybodys = paging(level(), team_id=CORE), paging(level())
    desk = a_desk(ours=mine, theirs=everybodys)
    desk.policies = (OURS,)
    assert started(desk) == (OURS, None)
    [start_, _] = desk.told(said(requested(2, brief=brief().model_copy(update={"team_id": CORE}))))
    assert start_.data.policy_id == OURS, "also when it is paged for again"
    for policies, own, expected in (((OURS,), THEIRS, THEIRS), ((), None, DEFAULT_POLICY_ID)):
        desk = a_desk(ours=mine, theirs=everybodys)
        desk.policies = policies
        assert started(desk, policy_id=own)[0] == expected


def test_of_a_teams_policies_the_oldest_that_takes_the_priority_runs() -> None:
    low = paging(level(), team_id=CORE, priority_filter=(Priority.LOW,))
    desk = a_desk(ours=low, later=paging(level(), team_id=CORE), theirs=low)
    desk.policies = (OURS, LATER)
    assert started(desk) == (LATER, None)
    desk = a_desk(ours=low, theirs=low)
    desk.policies = (OURS,)
    policy, reason = started(desk, policy_id=THEIRS)
    assert policy == DEFAULT_POLICY_ID
    assert (reason or "").startswith(f"policy {THEIRS} does not take priority critical: Default is used")


def test_the_teams_policy_stands_in_for_one_that_is_gone() -> None:
    desk = a_desk(ours=paging(level(), team_id=CORE), theirs=paging(level()))
    desk.policies = (OURS,)
    desk._take(lambda work: work.decide(POLICY, THEIRS, DeletePolicy(), work.begin(Actor.user(DEE))), NOW)
    assert started(desk, policy_id=THEIRS) == (OURS, f"policy {THEIRS} was deleted: its team's is used")


def test_what_pager_itself_needs_is_the_whole_organisations() -> None:
    for command in (default_policy(NOW), admins_policy(NOW)):
        given = POLICY.evolve(POLICY.initial(), next(iter(POLICY.decide(command, POLICY.initial()))))
        with pytest.raises(Invalid) as refused:
            POLICY.decide(ChangePolicy(team_id=CORE), given)
        assert refused.value.field == "teamId"


def test_in_a_team_nobody_is_a_lead_and_elsewhere_nobody_a_manager() -> None:
    for target in (
        Target(type=TargetType.TEAM, id=CORE, role=Role.LEAD),
        Target(type=TargetType.ROLE, role=TeamRole.MANAGER),
        Target(type=TargetType.USER, id=ANN, role=TeamRole.MANAGER),
    ):
        plan = replace(PLAN, levels=(Level(timeout_minutes=5, targets=(target,)),))
        with pytest.raises(Invalid) as refused:
            POLICY.decide(CreatePolicy(OURS, plan, "x", NOW), POLICY.initial())
        assert refused.value.field == "levels.0.targets.0.role"


def test_teams_and_their_people_are_rows() -> None:
    [made] = replicate(said(TeamCreated(team_id=CORE, name="Core")))
    [gone] = replicate(said(TeamDeleted(team_id=CORE)))
    [came] = replicate(said(became(ANN, TeamRole.MANAGER)))
    [left] = replicate(said(became(ANN, None)))
    key = {"team_id": CORE, "user_id": ANN}
    assert [made, gone] == [Row(teams, {"id": CORE}), Gone(teams, {"id": CORE})]
    assert [came, left] == [Row(memberships, key | {"role": "manager"}), Gone(memberships, key)]
