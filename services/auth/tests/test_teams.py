"""Teams are made, changed and deleted; people come into them and leave them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.testing.given import Given
from libs.contracts.auth import UserChanged, UserRegistered
from libs.contracts.envelope import Actor
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import MOST_TEAMS
from libs.contracts.requests import Invalid, NotFound
from libs.contracts.teams import TeamChanged, TeamCreated, TeamDeleted, TeamMembershipChanged
from libs.contracts.uses import InUse, Use, UserKind, UsesView
from services.auth.domain.teams import ChangeTeam, CreateTeam, DeleteTeam, TeamIsUnknown
from services.auth.domain.users import ChangeUser, Registered, SetMembership, TooManyTeams
from services.auth.entities import USERS
from services.auth.projections import project
from services.auth.teams import TEAMS
from services.auth.tests.test_projections import event

BO, CORE, WEB = (UUID(int=n) for n in (1, 2, 3))
ADMIN = Actor.user(UUID(int=10))
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MADE = TeamCreated(team_id=CORE, name="Core", description="The core")
GONE = TeamDeleted(team_id=CORE)
NOBODY = UsesView()


def registered() -> UserRegistered:
    return UserRegistered(
        user_id=BO, email="bo@x.test", first_name="Bo", last_name="Ek", timezone="UTC", roles=(Role.USER,)
    )


def become(team: UUID, role: TeamRole | None) -> SetMembership:
    return SetMembership(BO, team, role, ADMIN, NOW)


def became(team: UUID, role: TeamRole | None, version: int) -> TeamMembershipChanged:
    return TeamMembershipChanged(user_id=BO, team_id=team, role=role, by=ADMIN, at=NOW, version=version)


def test_a_team_is_made_once_and_its_name_has_one_form() -> None:
    made = Given(TEAMS, []).when(CreateTeam(CORE, "  Core   team ")).then([TeamCreated(team_id=CORE, name="Core team")])
    made.when(CreateTeam(CORE, "Other")).then_nothing()
    assert Given(TEAMS, []).when(CreateTeam(CORE, "a\x00b")).then_rejected(Invalid).field == "name"


def test_a_change_says_the_whole_team_and_nothing_changed_is_no_event() -> None:
    given = Given(TEAMS, [MADE])
    given.when(ChangeTeam(name=" Core ")).then_nothing()
    after = given.when(ChangeTeam(name="Web")).then([TeamChanged(team_id=CORE, name="Web", description="The core")])
    after.when(ChangeTeam(description=None)).then([TeamChanged(team_id=CORE, name="Web")])


def test_a_team_that_something_needs_stays_and_one_that_is_gone_is_gone_for_good() -> None:
    use = Use(type=UserKind.SCHEDULE, id=uuid4(), name="Nights")
    refused = Given(TEAMS, [MADE]).when(DeleteTeam(UsesView(uses=(use,), total=1))).then_rejected(InUse)
    assert str(refused) == 'it is still used by schedule "Nights"'
    after = Given(TEAMS, [MADE]).when(DeleteTeam(NOBODY)).then([GONE])
    for command in (DeleteTeam(NOBODY), ChangeTeam(name="Web")):
        after.when(command).then_rejected(TeamIsUnknown)
        Given(TEAMS, []).when(command).then_rejected(TeamIsUnknown)


def test_people_come_into_teams_get_other_roles_and_leave_once_each() -> None:
    given = Given(USERS, [registered()])
    given.when(become(CORE, None)).then_nothing()
    member = given.when(become(CORE, TeamRole.MEMBER)).then([became(CORE, TeamRole.MEMBER, 2)])
    member.when(become(CORE, TeamRole.MEMBER)).then_nothing()
    manager = member.when(become(CORE, TeamRole.MANAGER)).then([became(CORE, TeamRole.MANAGER, 3)])
    gone = manager.when(become(CORE, None)).then([became(CORE, None, 4)])
    state = gone.state()
    assert isinstance(state, Registered)
    assert (state.teams, state.version) == ({}, 4), "views of them show another version"
    Given(USERS, []).when(become(CORE, TeamRole.MEMBER)).then_rejected(NotFound)


def test_teams_are_replaced_as_a_whole_and_whoever_stays_keeps_their_role() -> None:
    given = Given(USERS, [registered(), became(CORE, TeamRole.MANAGER, 2), became(WEB, TeamRole.MEMBER, 3)])
    other = uuid4()
    command = ChangeUser(BO, ADMIN, NOW, first_name="Bob", teams=(other, CORE, other))
    changed = UserChanged(user_id=BO, first_name="Bob", last_name="Ek", timezone="UTC")
    after = given.when(command).then([changed, became(WEB, None, 5), became(other, TeamRole.MEMBER, 6)])
    state = after.state()
    assert isinstance(state, Registered)
    assert (state.version, state.teams) == (6, {CORE: TeamRole.MANAGER, other: TeamRole.MEMBER})
    given.when(ChangeUser(BO, ADMIN, NOW)).then_nothing()


def test_nobody_is_in_more_teams_than_a_token_can_name() -> None:
    teams = [uuid4() for _ in range(MOST_TEAMS)]
    full = Given(USERS, [registered(), *(became(t, TeamRole.MEMBER, n + 2) for n, t in enumerate(teams))])
    assert full.when(become(CORE, TeamRole.MEMBER)).then_rejected(TooManyTeams).field == "teamIds"
    full.when(become(teams[0], TeamRole.MANAGER)).then_types(TeamMembershipChanged)
    full.when(ChangeUser(BO, ADMIN, NOW, teams=(*teams[1:], CORE))).then_types(*[TeamMembershipChanged] * 2)


def test_tokens_from_before_a_change_of_memberships_are_refused() -> None:
    given = Given(USERS, [registered(), became(CORE, TeamRole.MEMBER, 2)])
    patch: Any = next(iter(project(event(given.facts[-1]), given.state())))
    assert (patch.values["roles_version"], patch.values["version"]) == (2, 2)
