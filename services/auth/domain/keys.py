"""The keys that sign access tokens, as far as events tell of them: which of them signs from when, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.contracts.auth import KeyReason, SigningKeyRotated
from libs.contracts.envelope import Fact


@dataclass(frozen=True, slots=True)
class Signing:
    """`kid` signs, or will from its moment on; None: there has been no key yet."""

    kid: str | None = None


@dataclass(frozen=True, slots=True)
class RotateKey:
    """`kid` takes over. Which keys there are, and whether one is due, is in auth's tables (`auth/rotation.py`)."""

    kid: str
    not_before: datetime
    reason: KeyReason


def initial() -> Signing:
    return Signing()


def evolve(state: Signing, fact: Fact) -> Signing:
    match fact:
        case SigningKeyRotated(kid=kid):
            return Signing(kid)
        case _:
            return state


def decide(command: RotateKey, state: Signing) -> Sequence[Fact]:
    if state.kid == command.kid:
        return []
    return [SigningKeyRotated(kid=command.kid, not_before=command.not_before, reason=command.reason)]
