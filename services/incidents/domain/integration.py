"""Integrations: where alerts come from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.incidents import IntegrationCreated, IntegrationKind


@dataclass(frozen=True, slots=True)
class Integration:
    created: IntegrationCreated | None = None


@dataclass(frozen=True, slots=True)
class CreateIntegration:
    integration_id: UUID
    name: str
    kind: IntegrationKind
    policy_id: UUID | None = None
    team_id: UUID | None = None


def initial() -> Integration:
    return Integration()


def evolve(state: Integration, fact: Fact) -> Integration:
    return Integration(fact) if isinstance(fact, IntegrationCreated) else state


def decide(command: CreateIntegration, state: Integration) -> Sequence[Fact]:
    if state.created is not None:
        return []
    return [
        IntegrationCreated(
            integration_id=command.integration_id,
            name=command.name,
            kind=command.kind,
            policy_id=command.policy_id,
            team_id=command.team_id,
        )
    ]
