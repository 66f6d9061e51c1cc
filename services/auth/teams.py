"""Teams in one transaction each: made, changed and deleted; people come into them and leave them."""

from __future__ import annotations

from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.model import TeamRole
from libs.contracts.permissions import Action
from libs.contracts.requests import Invalid, ListPage, NotFound, Rejected
from libs.contracts.teams import (
    CreateTeam,
    MemberQuery,
    MembersOf,
    MembersPage,
    MemberView,
    TeamChange,
    TeamsPage,
    TeamView,
)
from libs.contracts.uses import UsesView
from services.auth import team_room
from services.auth.api_keys import uses_of_team
from services.auth.domain import teams
from services.auth.domain.teams import ChangeTeam, DeleteTeam, TeamIsUnknown, one_name
from services.auth.domain.users import Keep, Registered, SetMembership
from services.auth.entities import USERS, lock_user
from services.auth.projections import project, team_row
from services.auth.queries import (
    MEMBER,
    MEMBER_IDS,
    MEMBERS,
    MEMBERSHIP,
    TEAM,
    TEAM_NAMED,
    TEAM_ONLY,
    USER,
    USERS_LOCKED,
)
from services.auth.queries import TEAMS as TEAMS_LISTED
from services.auth.tables.people import teams as teams_table
from services.auth.team_room import TeamIsFull
from services.auth.views import member_view, team_view

TEAMS: Decider[teams.State, teams.Command] = Decider(
    teams.initial,
    teams.evolve,
    teams.decide,
    team=lambda state: state.id if isinstance(state, teams.Team) else None,
    version=lambda state: state.version if isinstance(state, teams.Team) else 0,
)


class NameTaken(Rejected):
    """Another team has this name."""


class NotAMember(NotFound):
    """This person is not in this team."""


def check_seen(work: Work, team_id: UUID, caller: Caller) -> None:
    """Everybody sees who works with whom; a machine that is bound to a team sees that one alone.

    Raises:
        TeamIsUnknown: there is none, as far as this caller is concerned.
    """
    rights = caller.rights
    seen = rights.allow(Action.TEAMS_READ) or rights.allow(Action.TEAMS_READ, team_id)
    if not work.fetch(TEAM, id=team_id):
        raise TeamIsUnknown(field="id")
    if not seen:
        raise TeamIsUnknown(field="id").hides()


def create(work: Work, body: CreateTeam, cause: Cause) -> TeamView:
    """Raises NameTaken."""
    team_id = work.new_id()
    _check_name(work, body.name, team_id)
    (event,) = work.decide(TEAMS, team_id, teams.CreateTeam(team_id, body.name, body.description), cause)
    return team_view(team_row(event) | {"members": 0})


def change(work: Work, team_id: UUID, body: TeamChange, cause: Cause) -> TeamView:
    """What is not given stays; given as null, the description goes. Raises TeamIsUnknown or NameTaken."""
    if body.name is not None:
        _check_name(work, body.name, team_id)
    description = body.description if "description" in body.model_fields_set else Keep.KEEP
    events = work.decide(TEAMS, team_id, ChangeTeam(body.name, description), cause)
    (row,) = work.fetch(TEAM, id=team_id)
    for event in events:
        for changed in project(event, work.state(TEAMS, team_id)):
            row |= dict(changed.values) if changed.table is teams_table else {}
    return team_view(row)


def delete(work: Work, team_id: UUID, uses: UsesView, cause: Cause) -> None:
    """Everybody leaves it, and it is gone. Raises TeamIsUnknown, or InUse where something needs it."""
    team_room.held(work, (team_id,))
    keys = uses_of_team(work, team_id)
    uses = UsesView(uses=(*uses.uses, *keys.uses), total=uses.total + keys.total)
    people = [row["user_id"] for row in work.fetch(MEMBER_IDS, id=team_id)]
    work.fetch(USERS_LOCKED, ids=people)
    work.load(USERS, people)
    for person in people:
        work.decide(USERS, person, SetMembership(person, team_id, None, cause.actor, work.now), cause)
    work.decide(TEAMS, team_id, DeleteTeam(uses), cause)


def one(work: Work, team_id: UUID, caller: Caller) -> TeamView:
    """Raises TeamIsUnknown."""
    check_seen(work, team_id, caller)
    return team_view(work.fetch(TEAM, id=team_id)[0])


def listed(work: Work, asked: ListPage, caller: Caller) -> TeamsPage:
    """By name."""
    bound = None if caller.rights.allow(Action.TEAMS_READ) else caller.bound
    page = TEAMS_LISTED.page(work, asked) if bound is None else TEAM_ONLY.page(work, asked, id=bound)
    return TeamsPage(**page.told("teams", map(team_view, page.rows)))


def members(work: Work, asked: MembersOf, caller: Caller) -> MembersPage:
    """Whoever came first stands first. Raises TeamIsUnknown."""
    check_seen(work, asked.id, caller)
    page = MEMBERS.page(work, asked, id=asked.id)
    return MembersPage(**page.told("members", map(member_view, page.rows)))


def member(work: Work, asked: MemberQuery, caller: Caller) -> MemberView:
    """Raises TeamIsUnknown or NotAMember."""
    check_seen(work, asked.id, caller)
    if not (rows := work.fetch(MEMBER, id=asked.id, user_id=asked.user_id)):
        raise NotAMember(field="userId")
    return member_view(rows[0])


def set_member(work: Work, team_id: UUID, user_id: UUID, role: TeamRole, cause: Cause) -> MemberView:
    """Put somebody into a team, or give them another role in it.

    Raises:
        TeamIsUnknown.
        Invalid: there is no such person.
        TeamIsFull, TooManyTeams: one of them has no room.
    """
    team = team_room.held(work, (team_id,)).get(team_id)
    if team is None:
        raise TeamIsUnknown(field="id")
    lock_user(work, user_id)
    if not (rows := work.fetch(USER, id=user_id)):
        raise Invalid("there is no such person", field="userId")
    if team.is_full and not work.fetch(MEMBERSHIP, id=team_id, user_id=user_id):
        raise TeamIsFull
    for event in work.decide(USERS, user_id, SetMembership(user_id, team_id, role, cause.actor, work.now), cause):
        now = {"team_role": event.data.role, "since": event.data.at, "version": work.shown_version(USERS, user_id)}
        return member_view(rows[0] | now)
    return member_view(rows[0] | work.fetch(MEMBERSHIP, id=team_id, user_id=user_id)[0])


def change_member(work: Work, team_id: UUID, user_id: UUID, role: TeamRole, cause: Cause) -> MemberView:
    """Give somebody who is in a team another role in it. Raises NotAMember."""
    if not work.fetch(MEMBERSHIP, id=team_id, user_id=user_id):
        raise NotAMember(field="userId")
    return set_member(work, team_id, user_id, role, cause)


def remove_member(work: Work, team_id: UUID, user_id: UUID, cause: Cause) -> None:
    """Raises NotAMember."""
    team_room.held(work, (team_id,))
    work.fetch(USERS_LOCKED, ids=[user_id])
    state = work.state(USERS, user_id)
    if not isinstance(state, Registered) or team_id not in state.teams:
        raise NotAMember(field="userId")
    work.decide(USERS, user_id, SetMembership(user_id, team_id, None, cause.actor, work.now), cause)


def _check_name(work: Work, name: str, team_id: UUID) -> None:
    """Two may take one name at once: the second waits here and sees the first one's row. Raises NameTaken."""
    work.lock("pager/auth/team-names")
    if any(row["id"] != team_id for row in work.fetch(TEAM_NAMED, name=one_name(name))):
        raise NameTaken(field="name")
