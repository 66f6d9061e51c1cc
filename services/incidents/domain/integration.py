"""Integrations: where alerts come from, and under which keys.

| state | command | events out |
|---|---|---|
| none | CreateIntegration | IntegrationCreated, and IntegrationKeyAdded where it begins with a key |
| none, deleted | any other | refused: there is no such integration |
| integration | CreateIntegration again | nothing |
| integration | ChangeIntegration to what it is | nothing |
| integration | ChangeIntegration | IntegrationChanged |
| with two live keys | AddKey | refused: revoke one first |
| integration | AddKey | IntegrationKeyAdded |
| integration | RevokeKey | IntegrationKeyRevoked |
| with open incidents | DeleteIntegration | refused: they came by it |
| integration | DeleteIntegration | IntegrationDeleted |
| "Default", "Pager" | a policy, a team, DeleteIntegration | refused: Pager needs them as they are |
| "Pager" | AddKey | refused: nobody else may send its alarms |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple
from uuid import UUID

from libs.contracts.defaults import DEFAULT_INTEGRATION_ID, OWN_INTEGRATION_ID
from libs.contracts.envelope import Fact
from libs.contracts.integrations import (
    IntegrationChanged,
    IntegrationCreated,
    IntegrationDeleted,
    IntegrationKeyAdded,
    IntegrationKeyRevoked,
    IntegrationKind,
)
from libs.contracts.requests import NotFound, Rejected
from libs.contracts.uses import InUse, Use

MOST_KEYS = 2
"""Live at once: the one that senders have, and the one that they are given next."""
_FIXED = (DEFAULT_INTEGRATION_ID, OWN_INTEGRATION_ID)


class NoSuchIntegration(NotFound):
    """There is no such integration."""


class NoSuchKey(NotFound):
    """There is no such key."""


class Needed(Rejected):
    """Pager itself needs this integration as it is."""


class TwoKeysAlready(Rejected):
    """Two keys are live already: revoke one of them first."""


class Keep(Enum):
    """Says that a change leaves a field as it is, where None is a value."""

    KEEP = "keep"


class NewKey(NamedTuple):
    id: UUID
    hint: str


@dataclass(frozen=True, slots=True)
class Integration:
    """`id` is None before there is one."""

    id: UUID | None = None
    name: str = ""
    kind: IntegrationKind = IntegrationKind.GENERIC
    policy_id: UUID | None = None
    team_id: UUID | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class CreateIntegration:
    integration_id: UUID
    name: str
    kind: IntegrationKind
    policy_id: UUID | None = None
    team_id: UUID | None = None
    key: NewKey | None = None


@dataclass(frozen=True, slots=True)
class ChangeIntegration:
    """What is None (or `KEEP`) stays as it is."""

    name: str | None = None
    policy_id: UUID | Keep | None = Keep.KEEP
    team_id: UUID | Keep | None = Keep.KEEP


@dataclass(frozen=True, slots=True)
class AddKey:
    """`live`: how many keys it has; the rows know, also of those that an older release has made."""

    key: NewKey
    live: int


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """One that is live."""

    key_id: UUID


@dataclass(frozen=True, slots=True)
class DeleteIntegration:
    """`uses`: the first of the open incidents that came by it, `total` of them all."""

    uses: Sequence[Use] = ()
    total: int = 0


Command = CreateIntegration | ChangeIntegration | AddKey | RevokeKey | DeleteIntegration


def initial() -> Integration:
    return Integration()


def evolve(state: Integration, fact: Fact) -> Integration:
    match fact:
        case IntegrationCreated() | IntegrationChanged():
            return Integration(fact.integration_id, fact.name, fact.kind, fact.policy_id, fact.team_id)
        case IntegrationDeleted():
            return replace(state, deleted=True)
    return state


def decide(command: Command, state: Integration) -> Sequence[Fact]:
    """The table at the top.

    Raises:
        NoSuchIntegration, Needed, TwoKeysAlready, InUse.
    """
    if isinstance(command, CreateIntegration):
        return _created(command) if state.id is None else []
    if state.id is None or state.deleted:
        raise NoSuchIntegration
    match command:
        case ChangeIntegration():
            return _changed(command, state, state.id)
        case AddKey() if state.id == OWN_INTEGRATION_ID:
            raise Needed("nobody but Pager sends its alarms: this integration has no key")
        case AddKey(live=live) if live >= MOST_KEYS:
            raise TwoKeysAlready
        case AddKey(key=key):
            return [_key_added(state.id, key)]
        case RevokeKey(key_id):
            return [IntegrationKeyRevoked(integration_id=state.id, key_id=key_id)]
        case DeleteIntegration() if state.id in _FIXED:
            raise Needed(f'Pager itself needs the integration "{state.name}": it cannot be deleted')
        case DeleteIntegration(uses, total) if total:
            raise InUse(uses, total)
        case DeleteIntegration():
            return [IntegrationDeleted(integration_id=state.id)]
    return []


def _created(command: CreateIntegration) -> list[Fact]:
    created = IntegrationCreated(
        integration_id=command.integration_id,
        name=command.name,
        kind=command.kind,
        policy_id=command.policy_id,
        team_id=command.team_id,
    )
    return [created, *([] if command.key is None else [_key_added(command.integration_id, command.key)])]


def _changed(command: ChangeIntegration, state: Integration, integration_id: UUID) -> list[Fact]:
    name = state.name if command.name is None else command.name
    policy_id = state.policy_id if isinstance(command.policy_id, Keep) else command.policy_id
    team_id = state.team_id if isinstance(command.team_id, Keep) else command.team_id
    if (name, policy_id, team_id) == (state.name, state.policy_id, state.team_id):
        return []
    if policy_id != state.policy_id and integration_id in _FIXED:
        # Alerts without a key, and our own alarms, must not depend on anything that can be misconfigured.
        raise Needed(
            f'Pager itself needs the integration "{state.name}": change the policy that it runs', field="policyId"
        )
    if team_id != state.team_id and integration_id in _FIXED:
        raise Needed(f'Pager itself needs the integration "{state.name}" for the whole organisation', field="teamId")
    changed = IntegrationChanged(
        integration_id=integration_id, name=name, kind=state.kind, policy_id=policy_id, team_id=team_id
    )
    return [changed]


def _key_added(integration_id: UUID, key: NewKey) -> IntegrationKeyAdded:
    return IntegrationKeyAdded(integration_id=integration_id, key_id=key.id, hint=key.hint)
