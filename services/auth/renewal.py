"""Staying signed in: refresh tokens that follow one another, and who is noticed when two use them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from libs.chassis.store.changes import Row
from libs.chassis.store.work import Work
from libs.contracts.auth import UserView
from services.auth.application import AUTH, SESSIONS, stored
from services.auth.domain.sessions import EndSession, EndStolen, Where
from services.auth.notices import Kind, Notices
from services.auth.pace import Pace
from services.auth.projections import sessions
from services.auth.queries import SESSION_LOCKED, USER
from services.auth.tokens import RefreshToken, same
from services.auth.views import user_view

GRACE = timedelta(seconds=10)
"""For so long a used refresh token is answered as it was at first: its phone may ask from several places at once, or
may not have heard the answer."""
APART = 10
"""Refreshes in a row, two and a half hours of them, that were asked for from two places each: a phone at the edge of
its network may do so for a while. Whoever holds a stolen token and keeps step with its phone does for ever."""

_REUSED: Final = "refresh token reused"
_ANOTHERS: Final = "refresh token shown by another device"
_APART_FOR_LONG: Final = "refresh tokens shown in two places"
_STOLEN: Final = (_REUSED, _ANOTHERS, _APART_FOR_LONG)


@dataclass(frozen=True, slots=True)
class Renewed:
    """A session whose refresh token was good."""

    user: UserView
    session_id: UUID
    first: bool
    """Nobody had shown its token before."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A refresh: the token that is shown, by whom and whence."""

    token: RefreshToken
    device_id: str
    seen_from: bytes | None
    network: str | None
    """The same for people: a coarse one."""
    where: Where = field(default_factory=Where)


def renew(
    work: Work, asked: Asked, following: RefreshToken, expires_at: datetime, pace: Pace, notices: Notices
) -> Renewed | None:
    """Replace a good refresh token by `following`; None: it was not good.

    The token before is as good for `GRACE`, and until the present one was used: it is answered as before. Any other
    used-up token, or one shown by another device, ends the session: either its thief or its owner holds it
    (technical specification, Token Security; RFC 9700, 4.14.2). So does one that two places ask for `APART` times
    in a row. So this commits, and raises, by `pace`, only where it ends nothing: TooOften. A repeat is never held up:
    when its grace is over, whoever has not heard the answer would be taken for a thief.
    """
    shown = asked.token
    # The lock makes the second of two refreshes with one token see that the first has used it up.
    rows = work.fetch(SESSION_LOCKED, id=shown.session_id)
    if not rows or not same(bytes(rows[0]["family_hash"]), shown.family_hash):
        return None
    session = rows[0]
    present = same(bytes(session["secret_hash"]), shown.secret_hash)
    if not present and not _is_answered_again(session, following, work.now):
        reason = _REUSED
    elif session["device_id"] != asked.device_id:
        reason = _ANOTHERS
    elif session["expires_at"] <= work.now:
        reason = "expired"
    elif not (people := work.fetch(USER, id=session["user_id"])):
        reason = "the person is gone"
    elif not people[0]["is_active"]:
        reason = "deactivated"  # begun by auth as it was before, which lets everybody in
    elif (apart := _times_apart(session, asked, first=present)) >= APART:
        reason = _APART_FOR_LONG
    else:
        if present:
            pace.check(shown.session_id, work.now)
            kept = stored(following, expires_at, work.now, asked.seen_from) | {
                "apart": apart,
                "last_from": asked.network,
            }
            work.put(Row(sessions, session | kept))
        elif apart != session["apart"]:
            work.put(Row(sessions, session | {"used_from": None, "apart": apart}))
        return Renewed(user_view(people[0]), shown.session_id, first=present)
    stolen = reason in _STOLEN
    command = EndStolen(reason, asked.device_id, asked.where) if stolen else EndSession(reason)
    if work.decide(SESSIONS, shown.session_id, command, work.begin(AUTH)) and stolen:
        notices.of(work, Kind.REUSED, session["user_id"])
    return None


def _is_answered_again(session: dict[str, Any], following: RefreshToken, now: datetime) -> bool:
    """Whether the one that follows the shown token is the present one, which nobody has used, and was given lately."""
    used_at: datetime | None = session["used_at"]
    is_present = same(bytes(session["secret_hash"]), following.secret_hash)
    return is_present and used_at is not None and now < used_at + GRACE


def _times_apart(session: dict[str, Any], asked: Asked, *, first: bool) -> int:
    """How many refreshes in a row two places have asked for, with this one; `first`: nobody has shown its token yet."""
    if first:
        # One that a single place has asked for ends the row.
        return int(session["apart"]) if session["used_from"] is None else 0
    is_apart = (
        session["used_from"] is not None
        and asked.seen_from is not None
        and bytes(session["used_from"])[:1] == asked.seen_from[:1]  # else one phone may have both versions of IP
        and not same(bytes(session["used_from"]), asked.seen_from)
    )
    return int(session["apart"]) + is_apart
