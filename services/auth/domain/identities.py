"""Identities: accounts of an identity provider, each of which is one person's at a time.

| state | command | events out |
|---|---|---|
| free | LinkIdentity | IdentityLinked |
| linked | LinkIdentity to the same person | nothing |
| linked | LinkIdentity to another one, who is found since the first is gone | IdentityLinked |
| linked | UnlinkIdentity | IdentityUnlinked |
| free | UnlinkIdentity | nothing |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.oidc import IdentityLinked, IdentityUnlinked, LinkedBy


@dataclass(frozen=True, slots=True)
class Free:
    pass


@dataclass(frozen=True, slots=True)
class Linked:
    user_id: UUID
    identity_id: UUID


State = Free | Linked


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    user_id: UUID
    identity_id: UUID
    issuer: str
    by: LinkedBy


@dataclass(frozen=True, slots=True)
class UnlinkIdentity:
    pass


Command = LinkIdentity | UnlinkIdentity


def initial() -> State:
    return Free()


def evolve(state: State, fact: Fact) -> State:
    match fact:
        case IdentityLinked(user_id=user_id, identity_id=identity_id):
            return Linked(user_id, identity_id)
        case IdentityUnlinked():
            return Free()
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    match command, state:
        case LinkIdentity(user_id=user_id), Linked(user_id=same) if user_id == same:
            return []
        case LinkIdentity(user_id, identity_id, issuer, by), _:
            return [IdentityLinked(user_id=user_id, identity_id=identity_id, issuer=issuer, by=by)]
        case UnlinkIdentity(), Linked(user_id, identity_id):
            return [IdentityUnlinked(user_id=user_id, identity_id=identity_id)]
        case _:
            return []
