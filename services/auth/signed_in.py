"""Sessions and the devices that people are paged on, in one transaction each: begun, registered, ended."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.requests.callers import LEEWAY, Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.store.changes import Row
from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import DeviceView, HeldDevice, Platform, UserView
from libs.contracts.requests import Rejected, Unauthenticated
from services.auth import device_credentials
from services.auth.credentials import still_fits
from services.auth.domain import devices
from services.auth.domain.devices import RegisterDevice, RemoveDevice, device_entity, one_spelling
from services.auth.domain.sessions import BeginLockout, EndSession, RefuseSignIn, RevokeToken, SignIn, Where
from services.auth.entities import AUTH, DEVICES, SESSIONS, lock_user, locked_user
from services.auth.look_ups import keep_token, token_hash
from services.auth.proofs import Jwk
from services.auth.queries import (
    DEVICES_OF,
    DEVICES_OF_TOKEN,
    SESSION_OF,
    SESSIONS_OF_LOCKED,
)
from services.auth.tables.sessions import revoked_tokens
from services.auth.tables.sessions import sessions as sessions_table
from services.auth.tokens import RefreshToken
from services.auth.views import held_view, user_view

MOST_DEVICES = 5
"""Of one person (technical specification, Technical Limitations)."""


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
