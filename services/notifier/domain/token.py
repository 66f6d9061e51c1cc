"""A device's push token: retired when its vendor says that it is dead, good again once it is registered anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.notifier import PushTokenRetired


@dataclass(frozen=True, slots=True)
class RetireToken:
    """The vendor refused the token that was registered at `registered_at`; it is dead since `dead_at`."""

    user_id: UUID
    device_id: str
    registered_at: datetime
    dead_at: datetime
    reason: str


State = datetime | None
"""Tokens registered before this moment are dead."""


def initial() -> State:
    return None


def evolve(state: State, fact: Fact) -> State:
    return fact.at if isinstance(fact, PushTokenRetired) else state


def decide(command: RetireToken, state: State) -> Sequence[Fact]:
    # APNs answers 410 late on purpose (Apple's developer forums, 745902): a token registered since then is another,
    # living one.
    if command.registered_at >= command.dead_at:
        return []
    if state is not None and command.registered_at < state:
        return []
    return [
        PushTokenRetired(
            user_id=command.user_id, device_id=command.device_id, reason=command.reason, at=command.dead_at
        )
    ]
