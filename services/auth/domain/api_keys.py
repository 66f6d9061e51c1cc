"""API keys: what a machine may do, until when, and by which secrets it is known.

| state | command | events out |
|---|---|---|
| none | CreateKey | ApiKeyCreated, ApiKeySecretAdded |
| live | ChangeKey | ApiKeyChanged where anything becomes another; refused where it would be given more |
| live, one secret | AddSecret | ApiKeySecretAdded |
| live, two secrets | AddSecret | refused |
| live, two secrets | RemoveSecret | ApiKeySecretRemoved |
| live, one secret | RemoveSecret | refused: that is what revoking is for |
| live, of a person and a team | TakeOver | ApiKeyTakenOver |
| live, of its team | TakeOver | nothing |
| live, of no team | TakeOver | refused |
| live | RevokeKey | ApiKeyRevoked |
| expired | anything but RevokeKey | refused: it is over, as its machine has been told |
| none, revoked | anything else | refused: there is no such key |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from libs.contracts.api_keys import (
    MOST_SECRETS,
    ApiKeyChanged,
    ApiKeyCreated,
    ApiKeyRevoked,
    ApiKeySecretAdded,
    ApiKeySecretRemoved,
    ApiKeyTakenOver,
)
from libs.contracts.envelope import Fact
from libs.contracts.requests import Invalid, NotFound, Rejected
from services.auth.domain.users import Keep


class NoSuchKey(NotFound):
    """There is no such API key."""


class NoSuchSecret(NotFound):
    """This API key has no such secret."""


class KeyHasExpired(Rejected):
    """This API key has expired, and stays so: make another one."""


class TwoSecretsAlready(Rejected):
    """Two secrets of this API key are live: remove one first."""


class LastSecret(Rejected):
    """This is the only secret of this API key: add another one first, or revoke the key."""


class OfNoTeam(Rejected):
    """This API key belongs to no team that could take it over: make another one."""


@dataclass(frozen=True, slots=True)
class NoKey:
    """None yet, or none any more."""


@dataclass(frozen=True, slots=True)
class Live:
    key_id: UUID
    name: str
    scopes: tuple[str, ...]
    team_id: UUID | None
    owner: UUID | None
    """None: it is its team's."""
    made_by: UUID
    expires_at: datetime | None
    secrets: tuple[UUID, ...] = ()

    def is_over(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


State = NoKey | Live


@dataclass(frozen=True, slots=True)
class NewSecret:
    """Which one it is, is nobody's business here."""

    secret_id: UUID
    prefix: str


@dataclass(frozen=True, slots=True)
class CreateKey:
    key_id: UUID
    name: str
    scopes: tuple[str, ...]
    team_id: UUID | None
    made_by: UUID
    expires_at: datetime | None
    secret: NewSecret
    now: datetime


@dataclass(frozen=True, slots=True)
class ChangeKey:
    """What is None (or `KEEP`) stays as it is."""

    now: datetime
    name: str | None = None
    scopes: tuple[str, ...] | None = None
    expires_at: datetime | Keep | None = Keep.KEEP


@dataclass(frozen=True, slots=True)
class AddSecret:
    secret: NewSecret
    now: datetime


@dataclass(frozen=True, slots=True)
class RemoveSecret:
    secret_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class TakeOver:
    now: datetime


@dataclass(frozen=True, slots=True)
class RevokeKey:
    pass


Command = CreateKey | ChangeKey | AddSecret | RemoveSecret | TakeOver | RevokeKey


def initial() -> State:
    return NoKey()


def evolve(state: State, fact: Fact) -> State:
    match state, fact:
        case _, ApiKeyCreated():
            return Live(fact.key_id, fact.name, fact.scopes, fact.team_id, fact.made_by, fact.made_by, fact.expires_at)
        case Live(), ApiKeyChanged():
            return replace(state, name=fact.name, scopes=fact.scopes, expires_at=fact.expires_at)
        case Live(), ApiKeySecretAdded():
            return replace(state, secrets=(*state.secrets, fact.secret_id))
        case Live(), ApiKeySecretRemoved():
            return replace(state, secrets=tuple(one for one in state.secrets if one != fact.secret_id))
        case Live(), ApiKeyTakenOver():
            return replace(state, owner=None)
        case _, ApiKeyRevoked():
            return NoKey()
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    """The table at the top.

    Raises:
        Invalid: with the field at fault.
        NoSuchKey, NoSuchSecret, KeyHasExpired, TwoSecretsAlready, LastSecret, OfNoTeam.
    """
    match command, state:
        case CreateKey(), NoKey():
            return _created(command)
        case _, NoKey():
            raise NoSuchKey(field="id")
        case RevokeKey(), Live():
            return [ApiKeyRevoked(key_id=state.key_id)]
        case CreateKey(), Live():
            return []
        case _, Live() if state.is_over(command.now):
            raise KeyHasExpired
        case ChangeKey(), Live():
            return _changed(command, state)
        case AddSecret(secret), Live():
            if len(state.secrets) >= MOST_SECRETS:
                raise TwoSecretsAlready
            return [_added(state.key_id, secret)]
        case RemoveSecret(secret_id), Live():
            if secret_id not in state.secrets:
                raise NoSuchSecret(field="secretId")
            if len(state.secrets) == 1:
                raise LastSecret
            return [ApiKeySecretRemoved(key_id=state.key_id, secret_id=secret_id)]
        case TakeOver(), Live(team_id=None):
            raise OfNoTeam
        case TakeOver(), Live(owner=UUID(), team_id=UUID() as team_id):
            return [ApiKeyTakenOver(key_id=state.key_id, team_id=team_id)]
        case _:
            return []


def _created(command: CreateKey) -> list[Fact]:
    _check_end(command.expires_at, command.now)
    created = ApiKeyCreated(
        key_id=command.key_id,
        name=command.name,
        scopes=command.scopes,
        team_id=command.team_id,
        made_by=command.made_by,
        expires_at=command.expires_at,
    )
    return [created, _added(command.key_id, command.secret)]


def _added(key_id: UUID, secret: NewSecret) -> ApiKeySecretAdded:
    return ApiKeySecretAdded(key_id=key_id, secret_id=secret.secret_id, prefix=secret.prefix)


def _changed(command: ChangeKey, state: Live) -> list[Fact]:
    scopes = state.scopes if command.scopes is None else command.scopes
    for number, scope in enumerate(scopes):
        if scope not in state.scopes:
            raise Invalid(f"{scope} is more than it has: make another API key for that", field=f"scopes.{number}")
    expires_at = state.expires_at if isinstance(command.expires_at, Keep) else command.expires_at
    if expires_at != state.expires_at:
        _check_end(expires_at, command.now)
    changed = ApiKeyChanged(
        key_id=state.key_id,
        name=state.name if command.name is None else command.name,
        scopes=state.scopes if set(scopes) == set(state.scopes) else scopes,
        expires_at=expires_at,
    )
    return [] if evolve(state, changed) == state else [changed]


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        raise Invalid("must be in the future", field="expiresAt")
