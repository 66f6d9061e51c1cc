"""Invites: who may make an account of their own, from the invitation to what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.addresses import one_address
from libs.contracts.envelope import Fact
from libs.contracts.erasure import InviteErased
from libs.contracts.invites import InviteAccepted, InviteIssued, InviteResent, InviteRevoked
from libs.contracts.model import Role
from libs.contracts.requests import NotFound, Rejected
from services.auth.domain.text import check_text


class InviteIsOver(Rejected):
    """This invite was accepted or revoked."""


@dataclass(frozen=True, slots=True)
class NotIssued:
    pass


@dataclass(frozen=True, slots=True)
class Open:
    invite_id: UUID
    email: str
    roles: tuple[Role, ...]
    team_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    user_id: UUID


@dataclass(frozen=True, slots=True)
class Revoked:
    pass


@dataclass(frozen=True, slots=True)
class Erased:
    """With whom it was for."""


State = NotIssued | Open | Accepted | Revoked | Erased


@dataclass(frozen=True, slots=True)
class IssueInvite:
    invite_id: UUID
    email: str
    roles: tuple[Role, ...]
    team_ids: tuple[UUID, ...]
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ResendInvite:
    invite_id: UUID
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class RevokeInvite:
    invite_id: UUID


@dataclass(frozen=True, slots=True)
class AcceptInvite:
    invite_id: UUID
    user_id: UUID


@dataclass(frozen=True, slots=True)
class EraseInvite:
    invite_id: UUID


Command = IssueInvite | ResendInvite | RevokeInvite | AcceptInvite | EraseInvite


def initial() -> State:
    return NotIssued()


def evolve(state: State, fact: Fact) -> State:
    match fact:
        case InviteIssued(invite_id=invite_id, email=email, roles=roles, team_ids=team_ids):
            return Open(invite_id, email, roles, team_ids)
        case InviteAccepted(user_id=user_id):
            return Accepted(user_id)
        case InviteRevoked():
            return Revoked()
        case InviteErased():
            return Erased()
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """Raises Invalid with the field at fault, NotFound, or InviteIsOver."""
    match command, state:
        case IssueInvite(), NotIssued():
            check_text(one_address(command.email), "email")
            return [
                InviteIssued(
                    invite_id=command.invite_id,
                    email=one_address(command.email),
                    roles=tuple(dict.fromkeys(command.roles)),
                    team_ids=tuple(dict.fromkeys(command.team_ids)),
                    expires_at=command.expires_at,
                )
            ]
        case IssueInvite(), _:
            return []
        case EraseInvite(), NotIssued() | Erased():
            return []
        case EraseInvite(invite_id), _:
            return [InviteErased(invite_id=invite_id)]
        case _, NotIssued() | Erased():
            raise NotFound(f"there is no invite {command.invite_id}", field="id")
        case ResendInvite(invite_id, expires_at), Open():
            return [InviteResent(invite_id=invite_id, expires_at=expires_at)]
        case RevokeInvite(invite_id), Open():
            return [InviteRevoked(invite_id=invite_id)]
        case AcceptInvite(invite_id, user_id), Open():
            return [InviteAccepted(invite_id=invite_id, user_id=user_id)]
        case RevokeInvite(), Revoked():
            return []
        case _:
            raise InviteIsOver
