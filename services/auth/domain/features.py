"""Feature flags: for whom one is on.

| state | command | events out |
|---|---|---|
| whichever | SetFeature, RollOut to what it is | nothing |
| whichever | SetFeature | FeatureChanged |
| whichever | RollOut | FeatureChanged: on, for that share and those whom it names already |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.features import FeatureChanged, feature_entity


@dataclass(frozen=True, slots=True)
class Flag:
    """On for everybody, until somebody has said something else."""

    enabled: bool = True
    percentage: int | None = None
    user_ids: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class SetFeature:
    flag: str
    enabled: bool
    percentage: int | None
    user_ids: tuple[UUID, ...]


@dataclass(frozen=True, slots=True)
class RollOut:
    flag: str
    percentage: int


Command = SetFeature | RollOut


def initial() -> Flag:
    return Flag()


def evolve(state: Flag, fact: Fact) -> Flag:
    match fact:
        case FeatureChanged():
            return Flag(fact.enabled, fact.percentage, fact.user_ids)
        case _:
            return state


def decide(command: Command, state: Flag) -> Sequence[Fact]:
    wanted = _wanted(command, state)
    if wanted == state:
        return []
    return [
        FeatureChanged(
            feature_id=feature_entity(command.flag),
            flag=command.flag,
            enabled=wanted.enabled,
            percentage=wanted.percentage,
            user_ids=wanted.user_ids,
        )
    ]


def _wanted(command: Command, state: Flag) -> Flag:
    match command:
        case SetFeature(enabled=enabled, percentage=percentage, user_ids=people):
            return Flag(enabled, percentage, tuple(sorted(set(people))))
        case RollOut(percentage=percentage):
            return replace(state, enabled=True, percentage=percentage)
