"""Teams and who is in them: what auth publishes, takes and answers."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from pydantic import Field

from libs.contracts.envelope import Actor, Fact
from libs.contracts.model import Contract, Moment, StrictContract, TeamRole
from libs.contracts.requests import ListPage, ListView
from libs.contracts.texts import ONE_LINE

MOST_MEMBERS: Final = 200
"""Of one team, deactivated people among them: a level that pages it pages them all."""


class TeamCreated(Fact, type="pager.auth.TeamCreated.v1"):
    team_id: UUID
    name: str
    description: str | None = None


class TeamChanged(Fact, type="pager.auth.TeamChanged.v1"):
    """The whole team after the change; who is in it is told by `TeamMembershipChanged` alone."""

    team_id: UUID
    name: str
    description: str | None = None


class TeamDeleted(Fact, type="pager.auth.TeamDeleted.v1"):
    """Nobody is in it any more, which a `TeamMembershipChanged` of each has said before."""

    team_id: UUID


class TeamMembershipChanged(Fact, type="pager.auth.TeamMembershipChanged.v1"):
    """Somebody is in a team with this role from now on, or no longer.

    A fact of the person, as `RolesChanged` is: access tokens of an earlier version of them are refused from now on.
    Deactivated people stay in their teams, and are passed over.
    """

    user_id: UUID
    team_id: UUID
    role: TeamRole | None
    """None: they are in it no longer."""
    by: Actor
    at: Moment
    version: int
    """Of the person, as their views show it."""


class CreateTeam(StrictContract):
    """`POST /teams` (admin)."""

    name: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    """No other team's, however its letters are written."""
    description: str | None = Field(default=None, max_length=10_000)


class TeamChange(StrictContract):
    """`PATCH /teams/{id}` (admin): fields not given stay; a `description` of null is taken away."""

    name: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    description: str | None = Field(default=None, max_length=10_000)


class ChangeTeam(TeamChange):
    id: UUID


class MemberBody(StrictContract):
    """`POST /teams/{id}/members`: put somebody in, or give them another role."""

    user_id: UUID
    role: TeamRole = TeamRole.MEMBER


class SetMember(MemberBody):
    id: UUID
    """Of the team."""


class RoleBody(StrictContract):
    """`PATCH /teams/{id}/members/{userId}`."""

    role: TeamRole


class ChangeMember(RoleBody):
    id: UUID
    user_id: UUID


class MemberQuery(StrictContract):
    id: UUID
    """Of the team."""
    user_id: UUID


class RemoveMember(StrictContract):
    id: UUID
    """Of the team."""
    user_id: UUID


class MembersOf(ListPage):
    id: UUID
    """Of the team."""


class TeamView(Contract):
    id: UUID
    name: str
    description: str | None = None
    members: int
    """How many people are in it, deactivated ones among them."""
    version: int
    created_by: str
    created_at: Moment
    updated_at: Moment


class TeamsPage(ListView):
    """`pager.rpc.auth.teams`: a page of teams by name."""

    teams: tuple[TeamView, ...]


class MemberView(Contract):
    user_id: UUID
    first_name: str
    last_name: str
    role: TeamRole
    is_active: bool
    """False: deactivated. Whatever pages the team passes them over."""
    reachable: bool
    """Whether a page would go anywhere: they are active and have a device."""
    since: Moment
    """When they came into the team, or were given this role."""
    version: int = 1
    """Of the person: changes of their roles and teams are changes of them."""


class MembersPage(ListView):
    """`pager.rpc.auth.members`: a page of a team's people by last and first name."""

    members: tuple[MemberView, ...]


class TeamOf(Contract):
    """A team that somebody is in."""

    id: UUID
    name: str
    role: TeamRole
