"""Sessions: a person signed in on one device, from the sign-in to its end.

A refused sign-in is a session that never began, and so is a lockout: each has a stream of its own, so that whoever
tries passwords cannot make a stream long or keep the account's owner out by version conflicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.auth import LockoutBegun, SessionEnded, SignedIn, SignInRefused
from libs.contracts.envelope import Fact
from services.auth.domain.text import check_text


@dataclass(frozen=True, slots=True)
class NotBegun:
    pass


@dataclass(frozen=True, slots=True)
class Active:
    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True)
class Over:
    """Refused, or ended."""


State = NotBegun | Active | Over


@dataclass(frozen=True, slots=True)
class SignIn:
    user_id: UUID
    session_id: UUID
    device_id: str


@dataclass(frozen=True, slots=True)
class RefuseSignIn:
    user_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class BeginLockout:
    user_id: UUID
    until: datetime


@dataclass(frozen=True, slots=True)
class EndSession:
    reason: str


Command = SignIn | RefuseSignIn | BeginLockout | EndSession


def initial() -> State:
    return NotBegun()


def evolve(state: State, fact: Fact) -> State:
    match fact:
        case SignedIn(user_id=user_id, session_id=session_id):
            return Active(user_id, session_id)
        case SignInRefused() | LockoutBegun() | SessionEnded():
            return Over()
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """Raises Invalid with the field at fault."""
    match command, state:
        case SignIn(user_id=user_id, session_id=session_id, device_id=device_id), NotBegun():
            check_text(device_id, "deviceId")
            return [SignedIn(user_id=user_id, session_id=session_id, device_id=device_id)]
        case RefuseSignIn(user_id=user_id, reason=reason), NotBegun():
            return [SignInRefused(user_id=user_id, reason=reason)]
        case BeginLockout(user_id=user_id, until=until), NotBegun():
            return [LockoutBegun(user_id=user_id, until=until)]
        case EndSession(reason=reason), Active(user_id=user_id, session_id=session_id):
            return [SessionEnded(user_id=user_id, session_id=session_id, reason=reason)]
        case _:
            return []
