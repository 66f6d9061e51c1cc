"""Teams and who is in them."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path
from starlette.responses import Response

from libs.contracts.requests import ById, Nothing
from libs.contracts.teams import (
    ChangeMember,
    ChangeTeam,
    CreateTeam,
    MemberBody,
    MemberQuery,
    MembersOf,
    MemberView,
    RemoveMember,
    RoleBody,
    SetMember,
    TeamChange,
    TeamView,
)
from services.gateway.envelope import item, success
from services.gateway.forwarding import complete
from services.gateway.listing import Paging, page
from services.gateway.responses import answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/teams", tags=["teams"], route_class=PagerRoute, dependencies=[SIGNED_IN])

TeamId = Annotated[UUID, Path(alias="id")]
MemberId = Annotated[UUID, Path(alias="userId")]

_TEAM = one("team", TeamView, "Team")
_MEMBER = one("member", MemberView, "Member")
_NAME_TAKEN = "another team has this name"
_NO_ROOM = "the team has 200 people, or the person is in 50 teams"


@router.post(
    "",
    operation_id="createTeam",
    summary="Create a team (admin)",
    status_code=201,
    responses=documented(_TEAM, 201, conflict=_NAME_TAKEN),
)
async def create_team(body: CreateTeam, ask: Asking) -> Response:
    return item("team", await ask.command("auth", "create_team", body), 201)


@router.get(
    "", operation_id="listTeams", summary="List teams", responses=documented(several("teams", TeamView, "Teams"))
)
async def list_teams(paging: Paging, ask: Asking) -> Response:
    return page("teams", await ask.query("auth", "teams", paging), paging)


@router.get("/{id}", operation_id="getTeam", summary="One team", responses=documented(_TEAM))
async def get_team(team_id: TeamId, ask: Asking) -> Response:
    return item("team", await ask.query("auth", "team", ById(id=team_id)))


@router.patch(
    "/{id}",
    operation_id="changeTeam",
    summary="Change a team (admin)",
    responses=documented(_TEAM, conflict=_NAME_TAKEN),
)
async def change_team(team_id: TeamId, body: TeamChange, ask: Asking) -> Response:
    return item("team", await ask.command("auth", "change_team", complete(ChangeTeam, body, id=team_id)))


@router.delete(
    "/{id}",
    operation_id="deleteTeam",
    summary="Delete a team (admin)",
    description="Everybody leaves it. 503 while somebody who may need it does not answer.",
    responses=documented(
        answer("TeamDeleted", Nothing),
        conflict="policies that page it, or schedules, policies, integrations or open incidents of its own "
        "(`details.usedBy`)",
    ),
)
async def delete_team(team_id: TeamId, ask: Asking) -> Response:
    await ask.command("auth", "delete_team", ById(id=team_id))
    return success({})


@router.get(
    "/{id}/members",
    operation_id="listMembers",
    summary="Who is in a team",
    responses=documented(several("members", MemberView, "Members")),
)
async def list_members(team_id: TeamId, paging: Paging, ask: Asking) -> Response:
    return page("members", await ask.query("auth", "members", complete(MembersOf, paging, id=team_id)), paging)


@router.post(
    "/{id}/members",
    operation_id="setMember",
    summary="Put somebody into a team (its managers, admins)",
    description="Or give whoever is in it another role. They refresh their access token: the ones from before are "
    "refused.",
    status_code=201,
    responses=documented(_MEMBER, 201, conflict=_NO_ROOM),
)
async def set_member(team_id: TeamId, body: MemberBody, ask: Asking) -> Response:
    return item("member", await ask.command("auth", "set_member", complete(SetMember, body, id=team_id)), 201)


@router.get("/{id}/members/{userId}", operation_id="getMember", summary="One member", responses=documented(_MEMBER))
async def get_member(team_id: TeamId, user_id: MemberId, ask: Asking) -> Response:
    return item("member", await ask.query("auth", "member", MemberQuery(id=team_id, user_id=user_id)))


@router.patch(
    "/{id}/members/{userId}",
    operation_id="changeMember",
    summary="Give a member another role (the team's managers, admins)",
    responses=documented(_MEMBER),
)
async def change_member(team_id: TeamId, user_id: MemberId, body: RoleBody, ask: Asking) -> Response:
    request = complete(ChangeMember, body, id=team_id, user_id=user_id)
    return item("member", await ask.command("auth", "change_member", request))


@router.delete(
    "/{id}/members/{userId}",
    operation_id="removeMember",
    summary="Take somebody out of a team (its managers, admins)",
    description="Whoever is paged as one of the team is passed over at once.",
    responses=documented(answer("MemberRemoved", Nothing)),
)
async def remove_member(team_id: TeamId, user_id: MemberId, ask: Asking) -> Response:
    await ask.command("auth", "remove_member", RemoveMember(id=team_id, user_id=user_id))
    return success({})
