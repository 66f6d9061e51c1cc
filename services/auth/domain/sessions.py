"""Sessions: a person signed in on one device, from the sign-in to its end.

A refused sign-in is a session that never began, and so is a lockout: each has a stream of its own, so that whoever
tries passwords cannot make a stream long or keep the account's owner out by version conflicts. Nobody signs in to a
machine's session, which is what the tokens of an API key are of: all that happens to it is its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.audit import RefreshTokenReused
from libs.contracts.auth import LockoutBegun, SessionEnded, SignedIn, SignInRefused
from libs.contracts.envelope import Fact
from libs.contracts.revocations import TokenRevoked
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
class Where:
    """Where somebody is, as the gateway says: for the audit, which alone keeps it."""

    address: str | None = None
    agent: str | None = None

    @property
    def fields(self) -> dict[str, str | None]:
        return {"ip_address": self.address, "user_agent": self.agent}


@dataclass(frozen=True, slots=True)
class SignIn:
    user_id: UUID
    session_id: UUID
    device_id: str
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class RefuseSignIn:
    user_id: UUID
    reason: str
    times: int = 1
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class BeginLockout:
    user_id: UUID
    until: datetime
    where: Where = Where()


@dataclass(frozen=True, slots=True)
class EndSession:
    reason: str


@dataclass(frozen=True, slots=True)
class EndStolen:
    """Two use its refresh token, or somebody who should not have it."""

    reason: str
    device_id: str
    where: Where


@dataclass(frozen=True, slots=True)
class EndMachineSession:
    """`user_id`: who has made its key."""

    user_id: UUID
    session_id: UUID
    reason: str


@dataclass(frozen=True, slots=True)
class RevokeToken:
    user_id: UUID
    token_id: UUID


Command = SignIn | RefuseSignIn | BeginLockout | EndSession | EndStolen | EndMachineSession | RevokeToken


def initial() -> State:
    return NotBegun()


def evolve(state: State, fact: Fact) -> State:
    match fact:
        case SignedIn(user_id=user_id, session_id=session_id):
            return Active(user_id, session_id)
        case SignInRefused() | LockoutBegun() | SessionEnded() | TokenRevoked():
            return Over()
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """Raises Invalid with the field at fault."""
    match command, state:
        case SignIn(user_id, session_id, device_id, where), NotBegun():
            check_text(device_id, "deviceId")
            return [SignedIn(user_id=user_id, session_id=session_id, device_id=device_id, **where.fields)]
        case RefuseSignIn(user_id, reason, times, where), NotBegun():
            return [SignInRefused(user_id=user_id, reason=reason, times=times, **where.fields)]
        case BeginLockout(user_id, until, where), NotBegun():
            return [LockoutBegun(user_id=user_id, until=until, **where.fields)]
        case RevokeToken(user_id, token_id), NotBegun():
            return [TokenRevoked(user_id=user_id, token_id=token_id)]
        case EndStolen(reason, device_id, where), Active(user_id, session_id):
            of = {"user_id": user_id, "session_id": session_id, "reason": reason}
            return [RefreshTokenReused(device_id=device_id, **of, **where.fields), SessionEnded(**of)]
        case EndMachineSession(user_id=user_id, session_id=session_id, reason=reason), NotBegun():
            return [SessionEnded(user_id=user_id, session_id=session_id, reason=reason)]
        case EndSession(reason=reason), Active(user_id=user_id, session_id=session_id):
            return [SessionEnded(user_id=user_id, session_id=session_id, reason=reason)]
        case _:
            return []
