"""The kinds of entities of auth, and the locks by which their writers wait for each other."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from libs.chassis.requests.peers import Peer
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.addresses import one_address
from libs.contracts.audit import Origin
from libs.contracts.auth import UserView
from libs.contracts.envelope import Actor
from libs.contracts.requests import NotFound
from services.auth.domain import devices, sessions, users
from services.auth.queries import (
    ERASED,
    USER,
    USER_LOCKED,
)
from services.auth.views import user_view

USERS: Decider[users.State, users.Command] = Decider(
    users.initial,
    users.evolve,
    users.decide,
    version=lambda state: state.version if isinstance(state, users.Registered) else 0,
)
DEVICES: Decider[devices.State, devices.Command] = Decider(devices.initial, devices.evolve, devices.decide)
SESSIONS: Decider[sessions.State, sessions.Command] = Decider(sessions.initial, sessions.evolve, sessions.decide)

AUTH = Actor.service("auth")


def user(work: Work, user_id: UUID) -> UserView:
    """Raises NotFound."""
    rows = work.fetch(USER, id=user_id)
    if not rows:
        raise _nobody(work, user_id)
    return user_view(rows[0])


def _nobody(work: Work, user_id: UUID) -> NotFound:
    was_there = bool(work.fetch(ERASED, ids=[user_id]))
    return NotFound("this person was erased" if was_there else f"there is no user {user_id}", field="id")


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


def begun_by(work: Work, user_id: UUID, peer: Peer) -> Cause:
    """The beginning of what somebody does who shows no access token, and is who they say by a password or a link."""
    return work.begin(Actor.user(user_id), origin=Origin(user_id, peer.address, peer.agent))
