"""Auth's operations about teams, and who may call them."""

from __future__ import annotations

from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, ListPage
from libs.contracts.teams import (
    ChangeMember,
    ChangeTeam,
    CreateTeam,
    MemberQuery,
    MembersOf,
    MembersPage,
    MemberView,
    RemoveMember,
    SetMember,
    TeamsPage,
    TeamView,
)
from libs.contracts.uses import UsesView
from services.auth import entities, teams
from services.auth.team_uses import TeamUses


def add_team_operations(requests: Requests, uses: TeamUses) -> None:
    """Teams are made by admins; who is in one is its managers' affair as well."""
    _teams(requests, uses)
    _members(requests)


def _teams(requests: Requests, uses: TeamUses) -> None:
    @requests.handle("create_team", CreateTeam, action=Action.TEAMS_WRITE)
    def create_team(work: Work, body: CreateTeam, caller: Caller) -> TeamView:
        caller.require(Action.TEAMS_WRITE)
        return teams.create(work, body, caller.cause(work))

    @requests.query("teams", ListPage, action=Action.TEAMS_READ)
    def listed(work: Work, body: ListPage, caller: Caller) -> TeamsPage:
        return teams.listed(work, body, caller)

    @requests.query("team", ById, action=Action.TEAMS_READ)
    def team(work: Work, body: ById, caller: Caller) -> TeamView:
        return teams.one(work, body.id, caller)

    @requests.handle("change_team", ChangeTeam, action=Action.TEAMS_WRITE, versioned=teams.TEAMS)
    def change_team(work: Work, body: ChangeTeam, caller: Caller) -> TeamView:
        caller.require(Action.TEAMS_WRITE, body.id)
        return teams.change(work, body.id, body, caller.cause(work))

    async def asked(body: ById, caller: Caller) -> UsesView:
        caller.require(Action.TEAMS_WRITE, body.id)
        return await uses.of(body.id)

    @requests.handle("delete_team", ById, action=Action.TEAMS_WRITE, before=asked, versioned=teams.TEAMS)
    def delete_team(work: Work, body: ById, caller: Caller, used: UsesView) -> None:
        teams.delete(work, body.id, used, caller.cause(work))


def _members(requests: Requests) -> None:
    @requests.query("members", MembersOf, action=Action.TEAMS_READ)
    def members(work: Work, body: MembersOf, caller: Caller) -> MembersPage:
        return teams.members(work, body, caller)

    @requests.query("member", MemberQuery, action=Action.TEAMS_READ)
    def member(work: Work, body: MemberQuery, caller: Caller) -> MemberView:
        return teams.member(work, body, caller)

    @requests.handle("set_member", SetMember, action=Action.TEAMS_MEMBERS, turn=_of_team)
    def set_member(work: Work, body: SetMember, caller: Caller) -> MemberView:
        _check(work, body.id, caller)
        return teams.set_member(work, body.id, body.user_id, body.role, caller.cause(work))

    @requests.handle(
        "change_member",
        ChangeMember,
        action=Action.TEAMS_MEMBERS,
        turn=_of_team,
        versioned=entities.USERS,
        entity=_of_member,
    )
    def change_member(work: Work, body: ChangeMember, caller: Caller) -> MemberView:
        _check(work, body.id, caller)
        return teams.change_member(work, body.id, body.user_id, body.role, caller.cause(work))

    @requests.handle(
        "remove_member",
        RemoveMember,
        action=Action.TEAMS_MEMBERS,
        turn=_of_team,
        versioned=entities.USERS,
        entity=_of_member,
    )
    def remove_member(work: Work, body: RemoveMember, caller: Caller) -> None:
        _check(work, body.id, caller)
        teams.remove_member(work, body.id, body.user_id, caller.cause(work))


def _check(work: Work, team_id: UUID, caller: Caller) -> None:
    """Raises TeamIsUnknown, Forbidden, Unsure."""
    teams.check_seen(work, team_id, caller)
    caller.require(Action.TEAMS_MEMBERS, team_id)


def _of_team(body: SetMember | ChangeMember | RemoveMember, _caller: Caller) -> UUID:
    return body.id


def _of_member(body: ChangeMember | RemoveMember, _caller: Caller) -> UUID:
    return body.user_id
