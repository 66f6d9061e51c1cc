"""Seeing the sessions that one has, and ending them: one's own, and as an admin another's and a lost phone's."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from libs.chassis.requests.callers import Caller
from libs.chassis.store.work import Cause, Work
from libs.contracts.auth import EndOthers, EndSession, LeaveBrowser, LoseDevice, SessionsOf, SessionsPage, SessionView
from libs.contracts.envelope import Actor
from libs.contracts.permissions import Action
from libs.contracts.requests import NotFound, Unauthenticated
from services.auth import entities, known_devices, signed_in
from services.auth.queries import SESSION, SESSIONS_LISTED
from services.auth.tokens import RefreshToken, same
from services.auth.views import session_view

_ENDED: Final = "ended by its owner"
_ENDED_BY_ADMIN: Final = "ended by an admin"
_LOST: Final = "removed by an admin"


def whose(caller: Caller, user_id: UUID | None) -> UUID:
    """Whom a request is about: the caller, or another person if an admin asks.

    Raises:
        Forbidden: it is another person's, and the caller no admin.
    """
    if user_id is not None and user_id != caller.user_id:
        caller.require(Action.PEOPLE_ACCESS)
    return user_id or caller.user_id


def listed(work: Work, body: SessionsOf, caller: Caller) -> SessionsPage:
    """Those that go on, the oldest first. Raises Forbidden or NotFound."""
    user_id = whose(caller, body.user_id)
    entities.user(work, user_id)
    page = SESSIONS_LISTED.page(work, body, user_id=user_id, now=work.now)
    views: list[SessionView] = [session_view(row, current=caller.session_id) for row in page.rows]
    return SessionsPage(**page.told("sessions", views))


def leave_browser(work: Work, body: LeaveBrowser) -> None:
    """As logging out, for whoever holds a browser's session. Raises Unauthenticated."""
    shown = RefreshToken.parse(body.refresh_token)
    # Not locked: their row comes first, and an end that somebody else decides meanwhile is no less one.
    rows = work.fetch(SESSION, id=shown.session_id) if shown is not None else ()
    if shown is None or not rows or not rows[0]["is_web"] or rows[0]["expires_at"] <= work.now:
        raise Unauthenticated("the session is over: sign in again")
    if not (same(bytes(rows[0]["family_hash"]), shown.family_hash)):
        raise Unauthenticated("the session is over: sign in again")
    user_id = rows[0]["user_id"]
    device_id = None if body.all_devices else body.device_id
    signed_in.log_out(work, user_id, device_id, work.begin(Actor.user(user_id)))


def end_session(work: Work, body: EndSession, caller: Caller, cause: Cause) -> None:
    """Sign one session out; its device is paged as before, until it is removed.

    Raises:
        Forbidden: it is said to be another person's, and the caller is no admin.
        NotFound: that person has no such session.
    """
    user_id = whose(caller, body.user_id)
    entities.lock_user(work, user_id)
    if not signed_in.end_sessions(work, user_id, _reason(caller, user_id), cause, only=body.id):
        raise NotFound(f"there is no session {body.id}", field="id")


def end_sessions(work: Work, body: EndOthers, caller: Caller, cause: Cause) -> None:
    """Sign all sessions of a person out but the one that asks. Raises Forbidden or NotFound."""
    user_id = whose(caller, body.user_id)
    entities.locked_user(work, user_id)
    signed_in.end_sessions(work, user_id, _reason(caller, user_id), cause, but=caller.session_id)


def lose_device(work: Work, body: LoseDevice, caller: Caller, cause: Cause) -> None:
    """Sign a phone out that somebody has lost, and page it no longer.

    Raises:
        NotFound: there is no such person, or they have no such device.
    """
    entities.locked_user(work, body.user_id)
    known_devices.forget(work, body.user_id, body.device_id)
    if not signed_in.leave(work, body.user_id, body.device_id, _LOST, cause):
        raise NotFound("they have no such device", field="deviceId")


def _reason(caller: Caller, user_id: UUID) -> str:
    return _ENDED if user_id == caller.user_id else _ENDED_BY_ADMIN
