"""The shell of auth's decisions: what is loaded, decided and written in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.store.changes import Row
from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import ProfileChange, UserChange, UserView
from libs.contracts.envelope import Envelope
from libs.contracts.model import Role, TeamRole
from libs.contracts.requests import Rejected, Unauthenticated
from services.auth import machine_sessions, team_room, web_sessions
from services.auth.credentials import Credentials, credentials_of, replace_password, still_fits
from services.auth.domain import users
from services.auth.domain.users import (
    ChangePassword,
    ChangeUser,
    DeactivateUser,
    Keep,
    LiftLockout,
    ReactivateUser,
    RegisterUser,
    ResetPassword,
    SetMembership,
    VerifyEmail,
)
from services.auth.entities import SESSIONS, USERS, lock_address, lock_user, locked_user, user
from services.auth.guesses import Guesses
from services.auth.look_ups import keep_address
from services.auth.projections import project, user_row
from services.auth.queries import (
    ADMINS,
    SESSION_LOCKED,
)
from services.auth.signed_in import end_sessions, stored
from services.auth.tables.passwords import passwords as passwords_table
from services.auth.tables.people import users as users_table
from services.auth.tables.sessions import sessions as sessions_table
from services.auth.team_room import TeamRoom
from services.auth.tokens import RefreshToken
from services.auth.views import user_view

_NO_TEAMS: Mapping[UUID, TeamRoom] = {}


class AddressTaken(Rejected):
    """This address has an account already."""


class PasswordsChange(Rejected):
    """Somebody else has just changed this password: try again."""


def register_user(work: Work, command: RegisterUser, password_hash: str, cause: Cause) -> bool:
    """False: this id is registered already, and keeps the password that it has."""
    decided = work.decide(USERS, command.user_id, command, cause)
    if decided:
        row = {"user_id": command.user_id, "hash": password_hash, "changed_at": work.now}
        work.put(Row(passwords_table, row))
        keep_address(work, command.user_id, command.email)
    return bool(decided)


def reset_password(work: Work, known: Credentials, password_hash: str, cause: Cause) -> int:
    """Give somebody another password and end all their sessions; how many these were.

    Their devices are paged as before: whoever is on call must not fall silent for it. Raises PasswordsChange.
    """
    user_id = known.user.id
    lock_user(work, user_id)
    if not still_fits(work, user_id, known.password_hash):
        raise PasswordsChange
    work.decide(USERS, user_id, ResetPassword(user_id), cause)
    replace_password(work, user_id, known.password_hash, password_hash)
    return end_sessions(work, user_id, "password reset", cause)


@dataclass(frozen=True, slots=True)
class Changed:
    """A password that its owner replaces: whose, by what, and what their session goes on with."""

    known: Credentials
    password_hash: str = field(repr=False)
    token: RefreshToken
    lifetime: timedelta
    """Of a phone's session."""


def change_password(work: Work, changed: Changed, session_id: UUID, cause: Cause) -> tuple[UserView, datetime]:
    """Their other sessions end, and this one's tokens from before; devices are paged as before.

    Who they are by now, and until when this session goes on. Raises Unauthenticated or PasswordsChange.
    """
    user_id = changed.known.user.id
    lock_user(work, user_id)
    rows = work.fetch(SESSION_LOCKED, id=session_id)
    if not rows:
        raise Unauthenticated("the session is over: sign in again")
    if not still_fits(work, user_id, changed.known.password_hash):
        raise PasswordsChange
    user = _changed(work, user_id, ChangePassword(user_id, session_id), cause)
    replace_password(work, user_id, changed.known.password_hash, changed.password_hash)
    end_sessions(work, user_id, "password changed", cause, but=session_id)
    # In a family of its own: whoever has a copy of the refresh token before is signed out as well.
    expires_at = web_sessions.goes_on_until(work.now, changed.lifetime, is_web=rows[0]["is_web"])
    work.put(Row(sessions_table, rows[0] | stored(changed.token, expires_at, work.now, None)))
    return user, expires_at


def unlock(work: Work, guesses: Guesses, user_id: UUID, cause: Cause) -> None:
    """Let somebody try their password again, from wherever they are. Raises NotFound."""
    if guesses.forgive(work, user(work, user_id).email):
        work.decide(USERS, user_id, LiftLockout(user_id), cause)


def verify_email(work: Work, user: UserView, cause: Cause) -> UserView:
    """Their address is theirs from now on."""
    events = work.decide(USERS, user.id, VerifyEmail(user.id), cause)
    if not events:
        return user
    changed = {"version": work.shown_version(USERS, user.id), "updated_at": events[-1].time}
    return user.model_copy(update={"email_verified": True} | changed)


def register_person(
    work: Work, command: RegisterUser, password_hash: str, cause: Cause, teams: Mapping[UUID, TeamRoom] = _NO_TEAMS
) -> UserView:
    """Register somebody under an id of their own, as a member of these teams; raises AddressTaken."""
    lock_address(work, command.email)
    if credentials_of(work, command.email) is not None:
        raise AddressTaken(field="email")
    register_user(work, command, password_hash, cause)
    row, events = user_row(work.decided[-1].event), []
    for team_id in teams:
        joined = SetMembership(command.user_id, team_id, TeamRole.MEMBER, cause.actor, work.now)
        events += work.decide(USERS, command.user_id, joined, cause)
    return _shown(work, row, events, teams)


def change_user(work: Work, user_id: UUID, body: ProfileChange, cause: Cause) -> UserView:
    """What is not given stays; given as null, the phone goes.

    Raises:
        NotFound, Invalid, NoSuchTeam.
        LastAdmin: nobody else could give the role back.
        TeamIsFull, TooManyTeams: there is no room.
    """
    roles, team_ids = (body.roles, body.team_ids) if isinstance(body, UserChange) else (None, None)
    teams = team_room.held(work, team_ids or ())
    team_room.check_known(teams, team_ids or ())
    command = ChangeUser(
        user_id=user_id,
        by=cause.actor,
        now=work.now,
        first_name=body.first_name,
        last_name=body.last_name,
        phone=body.phone if "phone" in body.model_fields_set else Keep.KEEP,
        timezone=body.timezone,
        roles=roles,
        teams=team_ids,
        other_admins=roles is None or Role.ADMIN in roles or _are_other_admins(work, user_id),
    )
    row = locked_user(work, user_id)
    team_room.check_room(teams, team_ids or (), [UUID(team["id"]) for team in row["teams"]])
    return _shown(work, row, work.decide(USERS, user_id, command, cause), teams)


def deactivate(work: Work, user_id: UUID, cause: Cause) -> UserView:
    """End all sessions of a person, who cannot begin another one, and those of their API keys, which are refused.
    Their devices stay, and are not paged.

    Raises:
        NotFound.
        LastAdmin: nobody else could reactivate anybody.
    """
    others = _are_other_admins(work, user_id)
    user = _changed(work, user_id, DeactivateUser(user_id, cause.actor, work.now, others), cause)
    end_sessions(work, user_id, "deactivated", cause)
    machine_sessions.end_of_owner(work, SESSIONS, user_id, "deactivated", cause)
    return user


def reactivate(work: Work, user_id: UUID, cause: Cause) -> UserView:
    """Raises NotFound."""
    return _changed(work, user_id, ReactivateUser(user_id, cause.actor, work.now), cause)


def _are_other_admins(work: Work, user_id: UUID) -> bool:
    """Whether somebody else is an active admin, and stays one until this transaction has ended.

    Whoever may take an admin away waits here for whoever else does: two admins who deactivate each other at once are
    two transactions, and the second one sees what the first has left.
    """
    work.lock("pager/auth/admins")
    return any(row["id"] != user_id for row in work.fetch(ADMINS))


def _changed(work: Work, user_id: UUID, command: users.Command, cause: Cause) -> UserView:
    row = locked_user(work, user_id)
    return _shown(work, row, work.decide(USERS, user_id, command, cause))


def _shown(
    work: Work, row: dict[str, Any], events: Iterable[Envelope[Any]], teams: Mapping[UUID, TeamRoom] = _NO_TEAMS
) -> UserView:
    """A person after these events, of whom `row` was read before; `teams`: those that they may have come into."""
    state = work.state(USERS, row["id"])
    assert isinstance(state, users.Registered)  # noqa: S101 - it has a row
    for event in events:
        for change in project(event, state):
            row = row | (dict(change.values) if change.table is users_table else {})
    names = {UUID(team["id"]): team["name"] for team in row.get("teams", ())}
    names |= {team_id: team.name for team_id, team in teams.items()}
    return user_view(row | {"teams": team_room.shown(state.teams, names)})
