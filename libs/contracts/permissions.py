"""Who may do what: one table of actions. Every operation that people or machines ask for names its action here.

What belongs to a team is its members' affair; what belongs to none is the whole organisation's. What somebody may not
see is "not found" to them; what they see and may not do is forbidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from libs.contracts.model import Role, TeamRole

MOST_TEAMS: Final = 50
"""Of one person: an access token names them all, and has to fit into a request's header."""


class Action(StrEnum):
    """`<what>.<verb>`; also the scopes of API keys."""

    ME = "me"
    PEOPLE_READ = "people.read"
    PEOPLE_CONTACT = "people.contact"
    PEOPLE_WRITE = "people.write"
    PEOPLE_ACCESS = "people.access"
    TEAMS_READ = "teams.read"
    TEAMS_MEMBERS = "teams.members"
    TEAMS_WRITE = "teams.write"
    INCIDENTS_LIST = "incidents.list"
    INCIDENTS_READ = "incidents.read"
    INCIDENTS_CREATE = "incidents.create"
    INCIDENTS_ACKNOWLEDGE = "incidents.acknowledge"
    INCIDENTS_WRITE = "incidents.write"
    NOTIFICATIONS_READ = "notifications.read"
    NOTIFICATIONS_RECEIPT = "notifications.receipt"
    INTEGRATIONS_READ = "integrations.read"
    INTEGRATIONS_WRITE = "integrations.write"
    POLICIES_READ = "policies.read"
    POLICIES_WRITE = "policies.write"
    SCHEDULES_READ = "schedules.read"
    SCHEDULES_COVER = "schedules.cover"
    SCHEDULES_WRITE = "schedules.write"
    KEYS_READ = "keys.read"
    KEYS_WRITE = "keys.write"
    AUDIT_READ = "audit.read"
    ANALYTICS_READ = "analytics.read"
    ANALYTICS_PEOPLE = "analytics.people"
    MAINTENANCE = "maintenance.write"
    FEATURES = "features.write"


class Need(StrEnum):
    """What an action takes: globally for what is the organisation's, in the team for what is a team's."""

    OWN = "own"
    """To be signed in: it is about the caller and nobody else."""
    MEMBER = "member"
    """Everybody for what is the organisation's; members for what is their team's."""
    MANAGER = "manager"
    """Leads for what is the organisation's; managers for their team's (a lead is none by that)."""
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Permission:
    """`machines`: whether an API key may have it as a scope. `of_teams`: whether some of what it is done to is a
    team's; whoever is bound to a team does nothing else."""

    need: Need
    what: str
    machines: bool = True
    of_teams: bool = True


PERMISSIONS: Final[Mapping[Action, Permission]] = {
    Action.ME: Permission(
        Need.OWN, "one's own profile, password, second factor, sessions and devices", machines=False, of_teams=False
    ),
    Action.PEOPLE_READ: Permission(Need.MEMBER, "people by name, address and role", of_teams=False),
    Action.PEOPLE_CONTACT: Permission(Need.MANAGER, "people's telephone numbers", of_teams=False),
    Action.PEOPLE_WRITE: Permission(
        Need.ADMIN,
        "register, invite, change, deactivate and erase people; no API key gives the roles lead and admin",
        of_teams=False,
    ),
    Action.PEOPLE_ACCESS: Permission(
        Need.ADMIN,
        "people's sessions, lost phones, lockouts, reset links and second factors",
        machines=False,
        of_teams=False,
    ),
    Action.TEAMS_READ: Permission(Need.MEMBER, "teams and who is in them"),
    Action.TEAMS_MEMBERS: Permission(Need.MANAGER, "put people into a team and take them out"),
    Action.TEAMS_WRITE: Permission(Need.ADMIN, "make, change and delete teams", of_teams=False),
    Action.INCIDENTS_LIST: Permission(Need.MEMBER, "list incidents"),
    Action.INCIDENTS_READ: Permission(Need.MEMBER, "an incident, its alerts, its timeline and who was paged, and why"),
    Action.INCIDENTS_CREATE: Permission(Need.MEMBER, "open an incident"),
    Action.INCIDENTS_ACKNOWLEDGE: Permission(Need.MEMBER, "acknowledge an incident"),
    Action.INCIDENTS_WRITE: Permission(Need.MEMBER, "resolve, close and edit an incident"),
    Action.NOTIFICATIONS_READ: Permission(Need.MEMBER, "who was told of an incident, and when"),
    Action.NOTIFICATIONS_RECEIPT: Permission(Need.MEMBER, "say that a page has arrived"),
    Action.INTEGRATIONS_READ: Permission(Need.MEMBER, "integrations"),
    Action.INTEGRATIONS_WRITE: Permission(Need.MANAGER, "make, change and delete integrations and their routing keys"),
    Action.POLICIES_READ: Permission(Need.MEMBER, "escalation policies"),
    Action.POLICIES_WRITE: Permission(Need.MANAGER, "make, change and delete escalation policies"),
    Action.SCHEDULES_READ: Permission(Need.MEMBER, "schedules, shifts and who is on call"),
    Action.SCHEDULES_COVER: Permission(Need.MEMBER, "take over shifts of a schedule that one is in"),
    Action.SCHEDULES_WRITE: Permission(Need.MANAGER, "make, change and delete schedules, and anybody's overrides"),
    Action.KEYS_READ: Permission(Need.MANAGER, "API keys, without their secrets", machines=False),
    Action.KEYS_WRITE: Permission(Need.MANAGER, "make, change and revoke API keys", machines=False),
    Action.AUDIT_READ: Permission(Need.ADMIN, "who did what, from where", of_teams=False),
    Action.ANALYTICS_READ: Permission(
        Need.MEMBER, "how soon incidents were answered and resolved, and what is noisy; of people oneself"
    ),
    Action.ANALYTICS_PEOPLE: Permission(
        Need.MANAGER, "how often others were paged and answered, for the same incidents"
    ),
    Action.MAINTENANCE: Permission(Need.ADMIN, "begin and end maintenance, and see whether it is on", of_teams=False),
    Action.FEATURES: Permission(Need.ADMIN, "say for whom features are on, and see it", of_teams=False),
}


@dataclass(frozen=True, slots=True)
class Rights:
    """What somebody may do: their roles, globally and in teams.

    `scopes`: a machine or a phone with less than its person's rights may do only these; None: all that follows from the
    roles. `bound`: it acts on what belongs to this team and on nothing else.
    """

    roles: frozenset[Role] = frozenset()
    teams: Mapping[UUID, TeamRole] = field(default_factory=dict)
    scopes: frozenset[str] | None = None
    bound: UUID | None = None

    def allow(self, action: Action, team: UUID | None = None) -> bool:
        """Whether they may do this to something of `team`; None: to something of the whole organisation."""
        need = PERMISSIONS[action].need
        if self.scopes is not None and action not in self.scopes:
            return False
        if need is Need.OWN:
            return True
        if self.bound is not None and team != self.bound:
            return False
        if Role.ADMIN in self.roles:
            return True
        if need is Need.ADMIN:
            return False
        if team is None:
            return need is Need.MEMBER or Role.LEAD in self.roles
        role = self.teams.get(team)
        return role is TeamRole.MANAGER or (need is Need.MEMBER and role is TeamRole.MEMBER)

    def allow_somewhere(self, action: Action) -> bool:
        """Whether there may be anything that they may do this to; what exactly, `allow` says."""
        if not PERMISSIONS[action].of_teams:
            return self.allow(action)
        return self.allow(action) or any(self.allow(action, team) for team in (*self.teams, self.bound) if team)


@dataclass(frozen=True, slots=True)
class Sight:
    """What of many things somebody sees with an action: everything, or what is the organisation's and some teams'."""

    everything: bool
    organisation: bool
    teams: frozenset[UUID]


def sight(rights: Rights, action: Action) -> Sight:
    """For lists: what `Rights.allow` says of each, in a form that a query can ask for."""
    if rights.bound is None and Role.ADMIN in rights.roles and rights.allow(action):
        return Sight(everything=True, organisation=True, teams=frozenset())
    teams = {*rights.teams, *((rights.bound,) if rights.bound else ())}
    seen = frozenset(team for team in teams if rights.allow(action, team))
    return Sight(everything=False, organisation=rights.allow(action), teams=seen)
