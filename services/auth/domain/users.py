"""People: who may be registered, what of them changes, and who may not go.

| state | command | events out |
|---|---|---|
| unregistered | RegisterUser | UserRegistered |
| unregistered | anything else | refused: there is nobody |
| registered | RegisterUser again | nothing |
| registered | ChangeUser | UserChanged, RolesChanged, TeamMembershipChanged of each team, for what becomes another |
| registered | SetMembership | TeamMembershipChanged, where it becomes another |
| active, the only active admin | ChangeUser that takes the role, DeactivateUser | refused |
| active | DeactivateUser | UserDeactivated |
| inactive | ReactivateUser | UserReactivated |
| inactive | DeactivateUser | nothing |
| active | ReactivateUser | nothing |
| registered | ResetPassword | PasswordReset |
| registered | IssueResetLink | ResetLinkIssued |
| registered | VerifyEmail | EmailVerified, once |
| active | EraseUser | refused; after a restore as if inactive, with UserDeactivated before it |
| inactive | EraseUser | TeamMembershipChanged of each team, PersonErased |
| erased | EraseUser, RegisterUser | nothing |
| erased | anything else | refused: they were erased |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from uuid import UUID

from libs.contracts.addresses import one_address
from libs.contracts.auth import (
    EmailVerified,
    LockoutLifted,
    PasswordChanged,
    PasswordReset,
    ResetLinkIssued,
    RolesChanged,
    UserChanged,
    UserDeactivated,
    UserReactivated,
    UserRegistered,
)
from libs.contracts.envelope import Actor, Fact
from libs.contracts.erasure import PersonErased
from libs.contracts.model import Role, TeamRole
from libs.contracts.permissions import MOST_TEAMS
from libs.contracts.requests import Invalid, NotFound, Rejected
from libs.contracts.teams import TeamMembershipChanged
from libs.contracts.texts import time_zones
from services.auth.domain.text import check_text


class LastAdmin(Rejected):
    """This is the last active admin: make somebody else one first."""


class TooManyTeams(Rejected):
    """Nobody is in more than 50 teams."""


class StillActive(Rejected):
    """This person is active: deactivate them first."""


class Keep(Enum):
    """Says that a change leaves a field as it is, where None is a value."""

    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Unregistered:
    pass


@dataclass(frozen=True, slots=True)
class Profile:
    """What somebody may change of themselves."""

    first_name: str = field(repr=False)
    last_name: str = field(repr=False)
    phone: str | None = field(repr=False)
    timezone: str


@dataclass(frozen=True, slots=True)
class Registered:
    """`version` counts what views of a person show, and passwords that they choose: tokens from before end by it."""

    user_id: UUID
    profile: Profile
    roles: tuple[Role, ...]
    is_active: bool = True
    version: int = 1
    verified: bool = False
    teams: Mapping[UUID, TeamRole] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Erased:
    """Nothing is known of them but their id, which nobody else ever gets."""

    user_id: UUID


State = Unregistered | Registered | Erased


@dataclass(frozen=True, slots=True)
class RegisterUser:
    """`email` is stored in one form, however it is typed; `timezone` is a name of the IANA database."""

    user_id: UUID
    email: str
    first_name: str
    last_name: str
    roles: tuple[Role, ...]
    phone: str | None = None
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """What is None (or `KEEP`) stays as it is. `other_admins`: whether somebody else is an active admin.

    `teams`: all that they are in afterwards; in those that are new they are members.
    """

    user_id: UUID
    by: Actor
    now: datetime
    first_name: str | None = None
    last_name: str | None = None
    phone: str | Keep | None = Keep.KEEP
    timezone: str | None = None
    roles: tuple[Role, ...] | None = None
    teams: tuple[UUID, ...] | None = None
    other_admins: bool = False


@dataclass(frozen=True, slots=True)
class SetMembership:
    """What somebody is in a team from now on; None: not in it. Whether there is such a team, the caller knows."""

    user_id: UUID
    team_id: UUID
    role: TeamRole | None
    by: Actor
    now: datetime


@dataclass(frozen=True, slots=True)
class DeactivateUser:
    """`other_admins`: whether somebody else is an active admin."""

    user_id: UUID
    by: Actor
    now: datetime
    other_admins: bool = False


@dataclass(frozen=True, slots=True)
class ReactivateUser:
    user_id: UUID
    by: Actor
    now: datetime


@dataclass(frozen=True, slots=True)
class ResetPassword:
    """Another password; which one is nobody's business here."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class ChangePassword:
    """By its owner, in this session."""

    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class LiftLockout:
    user_id: UUID


@dataclass(frozen=True, slots=True)
class VerifyEmail:
    user_id: UUID


@dataclass(frozen=True, slots=True)
class IssueResetLink:
    """Which one is nobody's business here."""

    user_id: UUID


@dataclass(frozen=True, slots=True)
class EraseUser:
    """`again`: they were erased before, and a restore has brought them back as they were then."""

    user_id: UUID
    by: Actor
    now: datetime
    again: bool = False


Command = (
    RegisterUser
    | ChangeUser
    | SetMembership
    | DeactivateUser
    | ReactivateUser
    | ResetPassword
    | ChangePassword
    | LiftLockout
    | VerifyEmail
    | IssueResetLink
    | EraseUser
)


def initial() -> State:
    return Unregistered()


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case Erased(), _:
            return state
        case _, UserRegistered():
            profile = Profile(fact.first_name, fact.last_name, fact.phone, fact.timezone)
            return Registered(fact.user_id, profile, fact.roles)
        case Registered(), UserChanged():
            profile = Profile(fact.first_name, fact.last_name, fact.phone, fact.timezone)
            return replace(state, profile=profile, version=state.version + 1)
        case Registered(), RolesChanged():
            return replace(state, roles=fact.roles, version=fact.version)
        case Registered(), TeamMembershipChanged(team_id=team_id, role=role):
            return replace(state, teams=_with(state.teams, team_id, role), version=fact.version)
        case Registered(), UserDeactivated() | UserReactivated():
            return replace(state, is_active=isinstance(fact, UserReactivated), version=state.version + 1)
        case Registered(), PasswordChanged(version=int(version)):
            return replace(state, version=version)
        case Registered(), EmailVerified():
            return replace(state, verified=True, version=state.version + 1)
        case Registered(user_id=user_id), PersonErased():
            return Erased(user_id)
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """The table at the top.

    Raises:
        Invalid: with the field at fault.
        NotFound: there is nobody of this id, or not any more.
        StillActive: they are to be deactivated before they are erased.
        LastAdmin: nobody could change anything any more.
        TooManyTeams: they would be in too many.
    """
    match command, state:
        case RegisterUser(), Unregistered():
            return [_registered(command)]
        case RegisterUser(), Registered() | Erased():
            return []
        case _, Unregistered():
            raise NotFound(f"there is no user {command.user_id}", field="id")
        case EraseUser(), Erased():
            return []
        case _, Erased():
            raise NotFound("this person was erased", field="id")
        case EraseUser(), Registered():
            return _erased(command, state)
        case ChangeUser(), Registered():
            return _change(command, state)
        case SetMembership(), Registered():
            teams = _with(state.teams, command.team_id, command.role)
            return _memberships(state, teams, command.by, command.now, state.version)
        case DeactivateUser(), Registered(is_active=True):
            if Role.ADMIN in state.roles and not command.other_admins:
                raise LastAdmin
            return [UserDeactivated(user_id=state.user_id, by=command.by, at=command.now)]
        case ReactivateUser(), Registered(is_active=False):
            return [UserReactivated(user_id=state.user_id, by=command.by, at=command.now)]
        case ResetPassword(user_id), Registered():
            return [PasswordReset(user_id=user_id)]
        case ChangePassword(user_id, session_id), Registered():
            return [PasswordChanged(user_id=user_id, session_id=session_id, version=state.version + 1)]
        case LiftLockout(user_id), Registered():
            return [LockoutLifted(user_id=user_id)]
        case IssueResetLink(user_id), Registered():
            return [ResetLinkIssued(user_id=user_id)]
        case VerifyEmail(user_id), Registered(verified=False):
            return [EmailVerified(user_id=user_id)]
        case _:
            return []


def _registered(command: RegisterUser) -> UserRegistered:
    check_text(one_address(command.email), "email")
    profile = Profile(command.first_name, command.last_name, command.phone, command.timezone)
    _check(profile, command.roles)
    return UserRegistered(
        user_id=command.user_id,
        email=one_address(command.email),
        first_name=profile.first_name,
        last_name=profile.last_name,
        phone=profile.phone,
        timezone=profile.timezone,
        roles=tuple(dict.fromkeys(command.roles)),
    )


def _change(command: ChangeUser, state: Registered) -> list[Fact]:
    before = state.profile
    profile = Profile(
        first_name=before.first_name if command.first_name is None else command.first_name,
        last_name=before.last_name if command.last_name is None else command.last_name,
        phone=before.phone if isinstance(command.phone, Keep) else command.phone,
        timezone=before.timezone if command.timezone is None else command.timezone,
    )
    roles = state.roles if command.roles is None else tuple(dict.fromkeys(command.roles))
    _check(profile, roles)
    facts: list[Fact] = []
    if profile != before:
        facts.append(
            UserChanged(
                user_id=state.user_id,
                first_name=profile.first_name,
                last_name=profile.last_name,
                phone=profile.phone,
                timezone=profile.timezone,
            )
        )
    if set(roles) != set(state.roles):
        loses_admin = Role.ADMIN in state.roles and Role.ADMIN not in roles
        if state.is_active and loses_admin and not command.other_admins:
            raise LastAdmin(field="roles")
        version = state.version + len(facts) + 1
        facts.append(RolesChanged(user_id=state.user_id, roles=roles, by=command.by, at=command.now, version=version))
    if command.teams is not None:
        teams = {team: state.teams.get(team, TeamRole.MEMBER) for team in command.teams}
        facts += _memberships(state, teams, command.by, command.now, state.version + len(facts))
    return facts


def _with(teams: Mapping[UUID, TeamRole], team_id: UUID, role: TeamRole | None) -> Mapping[UUID, TeamRole]:
    others = {team: held for team, held in teams.items() if team != team_id}
    return others if role is None else others | {team_id: role}


def _memberships(
    state: Registered, teams: Mapping[UUID, TeamRole], by: Actor, now: datetime, version: int
) -> list[Fact]:
    """What makes of the teams that they are in `teams`; `version`: theirs before it. They leave before they join."""
    if len(teams) > max(MOST_TEAMS, len(state.teams)):
        raise TooManyTeams(field="teamIds")
    left: dict[UUID, TeamRole | None] = {team: None for team in state.teams if team not in teams}
    joined = {team: role for team, role in teams.items() if state.teams.get(team) is not role}
    return [
        TeamMembershipChanged(user_id=state.user_id, team_id=team, role=role, by=by, at=now, version=version + number)
        for number, (team, role) in enumerate((left | joined).items(), 1)
    ]


def _erased(command: EraseUser, state: Registered) -> list[Fact]:
    if state.is_active and not command.again:
        raise StillActive
    facts = _memberships(state, {}, command.by, command.now, state.version)
    if state.is_active:
        facts.append(UserDeactivated(user_id=state.user_id, by=command.by, at=command.now))
    return [*facts, PersonErased(user_id=state.user_id, by=command.by, at=command.now)]


def _check(profile: Profile, roles: Sequence[Role]) -> None:
    check_text(profile.first_name, "firstName")
    check_text(profile.last_name, "lastName")
    check_text(profile.phone or "", "phone")
    if not roles:
        raise Invalid("at least one role is needed", field="roles")
    if profile.timezone not in time_zones():
        raise Invalid("must be a time zone of the IANA database, such as Europe/Berlin", field="timezone")
