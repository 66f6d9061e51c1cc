"""Staying signed in: refresh tokens that follow one another, and who is noticed when two use them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from libs.chassis.store.changes import Row
from libs.chassis.store.work import Work
from libs.contracts.auth import UserView
from services.auth import proofs, web_sessions
from services.auth.domain.sessions import EndSession, EndStolen, Where
from services.auth.entities import AUTH, SESSIONS
from services.auth.notices import Kind, Notices
from services.auth.pace import Pace
from services.auth.queries import SESSION_LOCKED, USER
from services.auth.signed_in import stored
from services.auth.tables.sessions import sessions
from services.auth.tokens import RefreshToken, same
from services.auth.views import user_view

_PROOF_KEPT = timedelta(hours=1)
"""A proof that was used is remembered for so long; its refresh token is used up `GRACE` after it."""
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
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Asked:
    """A refresh: the token that is shown, by whom and whence."""

    token: RefreshToken
    device_id: str
    seen_from: bytes | None
    network: str | None
    """The same for people: a coarse one."""
    where: Where = field(default_factory=Where)
    proof: str | None = field(default=None, repr=False)
    by_cookie: bool = False


def renew(
    work: Work, asked: Asked, following: RefreshToken, expires_at: datetime, pace: Pace, notices: Notices
) -> Renewed | None:
    """Replace a good refresh token by `following`; None: it was not good.

    The token before is as good for `GRACE`, and until the present one was used: it is answered as before. Any other
    used-up token, or one shown by another device, ends the session: either its thief or its owner holds it
    (technical specification, Token Security; RFC 9700, 4.14.2). So does one that two places ask for `APART` times
    in a row. So this commits, and raises, by `pace`, only where it ends nothing: TooOften. A repeat is never held up:
    when its grace is over, whoever has not heard the answer would be taken for a thief.

    A session that is bound to a device's key needs a fresh proof by it, each time. Without one nothing is given and
    nothing ends (BadProof): whoever has the token alone has got nothing by it, and its phone goes on. A phone that
    asks from two places has shown that it is the phone.
    """
    shown = asked.token
    # The lock makes the second of two refreshes with one token see that the first has used it up.
    rows = work.fetch(SESSION_LOCKED, id=shown.session_id)
    if not rows or not same(bytes(rows[0]["family_hash"]), shown.family_hash):
        return None
    session = rows[0]
    if session["is_web"] is not asked.by_cookie:
        return None  # a browser's token is in its cookie and nowhere else
    present = same(bytes(session["secret_hash"]), shown.secret_hash)
    is_good = present or _is_answered_again(session, following, work.now)
    if is_good and session["device_key"] is not None:
        shown_proof = proofs.read(asked.proof, session["device_key"], shown.text)
        proofs.spend(work, shown_proof, work.now + _PROOF_KEPT)
    if not is_good:
        reason = _REUSED
    elif session["device_id"] != asked.device_id:
        reason = _ANOTHERS
    elif session["expires_at"] <= work.now:
        reason = "idle" if session["is_web"] else "expired"
    elif not (people := work.fetch(USER, id=session["user_id"])):
        reason = "the person is gone"
    elif not people[0]["is_active"]:
        reason = "deactivated"  # begun by auth as it was before, which lets everybody in
    elif (apart := _times_apart(session, asked, first=present)) >= APART:
        reason = _APART_FOR_LONG
    else:
        if present:
            pace.check(shown.session_id, work.now)
            until = web_sessions.ends_at(session, work.now) if session["is_web"] else expires_at
            kept = stored(following, until, work.now, asked.seen_from) | {
                "apart": apart,
                "last_from": asked.network,
            }
            session |= kept
            work.put(Row(sessions, session))
        elif apart != session["apart"]:
            work.put(Row(sessions, session | {"used_from": None, "apart": apart}))
        return Renewed(user_view(people[0]), shown.session_id, present, session["expires_at"])
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
    if session["device_key"] is not None:
        return 0
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
