"""The shell of auth's decisions: what is loaded, decided and written in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import LEEWAY, Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.store.changes import Row
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.addresses import one_address
from libs.contracts.audit import Origin
from libs.contracts.auth import DeviceView, HeldDevice, Platform, ProfileChange, UserChange, UserView
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Role, TeamRole
from libs.contracts.requests import NotFound, Rejected, Unauthenticated
from services.auth import device_credentials, machine_sessions, team_room, web_sessions
from services.auth.credentials import Credentials, credentials_of, replace_password, still_fits
from services.auth.domain import devices, sessions, users
from services.auth.domain.devices import RegisterDevice, RemoveDevice, device_entity, one_spelling
from services.auth.domain.sessions import BeginLockout, EndSession, RefuseSignIn, RevokeToken, SignIn, Where
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
from services.auth.guesses import Guesses
from services.auth.look_ups import keep_address, keep_token, token_hash
from services.auth.projections import project, user_row
from services.auth.proofs import Jwk
from services.auth.queries import (
    ADMINS,
    DEVICES_OF,
    DEVICES_OF_TOKEN,
    ERASED,
    SESSION_LOCKED,
    SESSION_OF,
    SESSIONS_OF_LOCKED,
    USER,
    USER_LOCKED,
)
from services.auth.tables.passwords import passwords as passwords_table
from services.auth.tables.people import users as users_table
from services.auth.tables.sessions import revoked_tokens
from services.auth.tables.sessions import sessions as sessions_table
from services.auth.team_room import TeamRoom
from services.auth.tokens import RefreshToken
from services.auth.views import held_view, user_view

USERS: Decider[users.State, users.Command] = Decider(
    users.initial,
    users.evolve,
    users.decide,
    version=lambda state: state.version if isinstance(state, users.Registered) else 0,
)
DEVICES: Decider[devices.State, devices.Command] = Decider(devices.initial, devices.evolve, devices.decide)
SESSIONS: Decider[sessions.State, sessions.Command] = Decider(sessions.initial, sessions.evolve, sessions.decide)

AUTH = Actor.service("auth")
_NO_TEAMS: Mapping[UUID, TeamRoom] = {}
MOST_DEVICES = 5
"""Of one person (technical specification, Technical Limitations)."""


class AddressTaken(Rejected):
    """This address has an account already."""


class PasswordsChange(Rejected):
    """Somebody else has just changed this password: try again."""


class Deactivated(Rejected):
    """This person is deactivated."""


class TooManyDevices(Rejected):
    """There are five devices already: name one of them that this one replaces."""

    def __init__(self, held: Iterable[HeldDevice]) -> None:
        devices = [device.model_dump(mode="json", by_alias=True) for device in held]
        super().__init__(field="replace", details={"devices": devices})


def roles_version(work: Work, caller: Caller) -> int | None:
    """The version of a person that got their present roles; None: they are not signed in with this."""
    rows = work.fetch(SESSION_OF, id=caller.session_id, user_id=caller.user_id, token_id=caller.token_id)
    return rows[0]["roles_version"] if rows else None


def user(work: Work, user_id: UUID) -> UserView:
    """Raises NotFound."""
    rows = work.fetch(USER, id=user_id)
    if not rows:
        raise _nobody(work, user_id)
    return user_view(rows[0])


def _nobody(work: Work, user_id: UUID) -> NotFound:
    was_there = bool(work.fetch(ERASED, ids=[user_id]))
    return NotFound("this person was erased" if was_there else f"there is no user {user_id}", field="id")


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


def end_sessions(
    work: Work, user_id: UUID, reason: str, cause: Cause, *, but: UUID | None = None, only: UUID | None = None
) -> int:
    """All of a person whose row is locked, but one or only one of them; how many these were.

    Their devices' credentials end as well: somebody has decided this, where a session that expires leaves them.
    """
    rows = work.fetch(SESSIONS_OF_LOCKED, user_id=user_id)
    ended = [row["id"] for row in rows if row["id"] != but and only in (None, row["id"])]
    on = {row["id"]: row["device_id"] for row in rows}
    if only is None or only in on:
        device_credentials.end(work, user_id, only=on.get(only) if only else None, but=on.get(but) if but else None)
    _end(work, ended, reason, cause)
    return len(ended)


def _end(work: Work, ended: Sequence[UUID], reason: str, cause: Cause) -> None:
    work.load(SESSIONS, ended)
    for session in ended:
        work.decide(SESSIONS, session, EndSession(reason), cause)


def revoke_token(work: Work, caller: Caller, cause: Cause) -> None:
    """The access token with which this is asked opens nothing any more; its session goes on."""
    if caller.token_id is not None:
        forget_at = caller.expires_at + LEEWAY
        work.put(Row(revoked_tokens, {"token_id": caller.token_id, "forget_at": forget_at}))
        work.decide(SESSIONS, caller.token_id, RevokeToken(caller.user_id, caller.token_id), cause)


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


def lock_user(work: Work, user_id: UUID) -> None:
    """Sign-ins and changes of passwords that are under way are either seen from here on or come after."""
    work.fetch(USER_LOCKED, id=user_id)


def locked_user(work: Work, user_id: UUID) -> dict[str, Any]:
    """As `lock_user`; the row of somebody who must be there, as they are from then on. Raises NotFound."""
    lock_user(work, user_id)
    if not (rows := work.fetch(USER, id=user_id)):
        raise _nobody(work, user_id)
    return rows[0]


def lock_address(work: Work, email: str) -> None:
    """Two may register or invite one address at once: the second waits here and sees the first one's row."""
    work.lock(f"pager/auth/address/{one_address(email)}")


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


@dataclass(frozen=True, slots=True)
class Begun:
    """What is kept of a session beside its events."""

    token: RefreshToken
    device_name: str
    platform: Platform | None
    expires_at: datetime
    seen_from: bytes | None
    network: str | None
    """Whence it is begun: a coarse one."""
    fits: str | None = field(repr=False)
    """The hash that the password was found to fit; None: they signed in at the identity provider."""
    replace: str | None = None
    """Which device goes for it, by its own id or its session's."""
    device_key: Jwk | None = None
    """To which it is bound, for ever."""
    is_web: bool = False


def begin_session(work: Work, command: SignIn, begun: Begun, cause: Cause) -> UserView:
    """Sign a person in on a device, which ends the session that this device had, and those that have expired.

    Raises:
        NotFound: the person is gone meanwhile.
        Unauthenticated: they have another password meanwhile.
        Deactivated: they are.
        TooManyDevices: there is no room for another one.
    """
    # Held to the end of the transaction: two sign-ins of one person see each other's sessions.
    row = locked_user(work, command.user_id)
    if not row["is_active"]:
        raise Deactivated
    if begun.fits is not None and not still_fits(work, command.user_id, begun.fits):
        raise Unauthenticated("the password was changed a moment ago")
    _make_room(work, command.user_id, command.device_id, begun.replace, cause)
    earlier = work.fetch(SESSIONS_OF_LOCKED, user_id=command.user_id)
    work.load(SESSIONS, [command.session_id, *(held["id"] for held in earlier)])
    for held in earlier:
        if held["device_id"] == command.device_id:
            work.decide(SESSIONS, held["id"], EndSession("signed in again on this device"), cause)
        elif held["expires_at"] <= work.now:
            work.decide(SESSIONS, held["id"], EndSession("expired"), cause)
    work.decide(SESSIONS, command.session_id, command, cause)
    session = {
        "id": command.session_id,
        "user_id": command.user_id,
        "device_id": command.device_id,
        "device_name": begun.device_name,
        "platform": begun.platform,
        "began_at": work.now,
        "began_from": begun.network,
        "last_from": begun.network,
        "device_key": None if begun.device_key is None else dict(begun.device_key),
        "is_web": begun.is_web,
    }
    work.put(Row(sessions_table, session | stored(begun.token, begun.expires_at, work.now, begun.seen_from)))
    return user_view(row)


def begun_by(work: Work, user_id: UUID, peer: Peer) -> Cause:
    """The beginning of what somebody does who shows no access token, and is who they say by a password or a link."""
    return work.begin(Actor.user(user_id), origin=Origin(user_id, peer.address, peer.agent))


def refuse_sign_in(work: Work, attempt: UUID, user_id: UUID, reason: str, times: int, peer: Peer) -> None:
    """Somebody tried to sign in as this person; nobody knows who, so the actor is auth itself."""
    command = RefuseSignIn(user_id, reason, times, Where(peer.address, peer.agent))
    work.decide(SESSIONS, attempt, command, work.begin(AUTH))


def begin_lockout(work: Work, lockout: UUID, user_id: UUID, until: datetime, peer: Peer) -> None:
    """From one place nobody tries passwords of this account any more for a while."""
    command = BeginLockout(user_id, until, Where(peer.address, peer.agent))
    work.decide(SESSIONS, lockout, command, work.begin(AUTH))


def stored(token: RefreshToken, expires_at: datetime, now: datetime, seen_from: bytes | None) -> dict[str, Any]:
    """What is kept of a session's present token."""
    hashes = {"family_hash": token.family_hash, "secret_hash": token.secret_hash}
    return {**hashes, "expires_at": expires_at, "used_at": now, "used_from": seen_from, "apart": 0}


def log_out(work: Work, user_id: UUID, device_id: str | None, cause: Cause) -> None:
    """End the sessions of one device, or of all when `device_id` is None, and page them no longer.

    Logout also invalidates the device's push token (technical specification, `POST /auth/logout`): whoever
    signs in on that phone next must not be shown this person's pages.
    """
    lock_user(work, user_id)
    leave(work, user_id, device_id, "signed out", cause)


def leave(work: Work, user_id: UUID, device_id: str | None, reason: str, cause: Cause) -> bool:
    """End what a person whose row is locked has on a device, or on all; whether there was anything."""
    ended = _on_device(work.fetch(SESSIONS_OF_LOCKED, user_id=user_id), device_id)
    removed = _on_device(work.fetch(DEVICES_OF, user_id=user_id), device_id)
    trusted = device_credentials.end(work, user_id, only=device_id)
    _end(work, ended, reason, cause)
    work.load(DEVICES, removed)
    for device in removed:
        work.decide(DEVICES, device, RemoveDevice(reason), cause)
    return bool(ended or removed or trusted)


def _on_device(rows: Iterable[dict[str, Any]], device_id: str | None) -> list[UUID]:
    return [row["id"] for row in rows if device_id is None or row["device_id"] == device_id]


def _make_room(work: Work, user_id: UUID, device_id: str, replace: str | None, cause: Cause) -> None:
    """Let the device go that is named, if it is one of theirs; their row is locked. Raises TooManyDevices."""
    held = held_devices(work, user_id)
    others = [device for device in held if device.device_id != device_id]
    named = [d for d in others if replace is not None and replace in (d.device_id, str(d.session_id))]
    if named:
        leave(work, user_id, named[0].device_id, "replaced by another device", cause)
    elif len(others) == len(held) >= MOST_DEVICES:
        raise TooManyDevices(held)


def held_devices(work: Work, user_id: UUID) -> list[HeldDevice]:
    """All that this person is signed in on or paged on."""
    paged = {row["device_id"]: row for row in work.fetch(DEVICES_OF, user_id=user_id)}
    rows = work.fetch(SESSIONS_OF_LOCKED, user_id=user_id)
    signed_in = {row["device_id"]: row for row in rows if row["expires_at"] > work.now}
    return [held_view(device, signed_in.get(device), paged.get(device)) for device in {**paged, **signed_in}]


def add_device(work: Work, command: RegisterDevice, replace: str | None, cause: Cause) -> DeviceView:
    """Register a device for somebody who is signed in; raises TooManyDevices."""
    lock_user(work, command.user_id)
    _make_room(work, command.user_id, command.device_id, replace, cause)
    return register_device(work, command, cause)


def register_device(work: Work, command: RegisterDevice, cause: Cause) -> DeviceView:
    """A device to page, in place of whichever had its push token: a phone changed hands, or its app was reinstalled."""
    entity = device_entity(command.user_id, command.device_id)
    hashed = token_hash(work, one_spelling(command.platform, command.push_token))
    # Two accounts may register one token at once: the second waits here and sees the first one's row.
    work.lock(f"pager/auth/push-token/{hashed.hex()}")
    others = [row for row in work.fetch(DEVICES_OF_TOKEN, hash=hashed) if row["id"] != entity]
    work.load(DEVICES, [entity, *(row["id"] for row in others)])
    for row in others:
        moved = "token moved to another " + ("device" if row["user_id"] == command.user_id else "account")
        work.decide(DEVICES, row["id"], RemoveDevice(moved), cause)
    work.decide(DEVICES, entity, command, cause)
    keep_token(work, entity, hashed)
    held = work.state(DEVICES, entity)
    assert isinstance(held, devices.Held)  # noqa: S101 - just registered; narrows for the type checker
    return DeviceView(
        device_id=held.device_id, device_name=held.name, platform=held.platform, registered_at=held.registered_at
    )


def remove_device(work: Work, user_id: UUID, device_id: str, cause: Cause) -> None:
    """Page this device no longer; its session goes on until logout."""
    work.decide(DEVICES, device_entity(user_id, device_id), RemoveDevice("removed by its owner"), cause)
