"""Second factors: who is asked for more than a password, and how many wrong codes are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from libs.contracts.auth import RecoveryCodeUsed, SecondFactorDisabled, SecondFactorEnabled
from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Fact

HOURLY: Final = 10
"""Wrong codes of one person that are looked at, from wherever they come: a code is guessed three times in a million."""
_HOUR: Final = timedelta(hours=1)
_APART: Final = timedelta(minutes=1)
"""How far the clocks of two replicas may be apart, as in `lockout.py`."""


@dataclass(frozen=True, slots=True)
class Off:
    pass


@dataclass(frozen=True, slots=True)
class On:
    user_id: UUID


State = Off | On


@dataclass(frozen=True, slots=True)
class Enable:
    user_id: UUID


@dataclass(frozen=True, slots=True)
class Disable:
    reason: str


@dataclass(frozen=True, slots=True)
class UseRecoveryCode:
    """`left`: how many there are after it."""

    left: int


Command = Enable | Disable | UseRecoveryCode


def second_factor_entity(user_id: UUID) -> UUID:
    """The entity of one person's second factor."""
    return uuid5(PAGER, f"second-factor/{user_id}")


def second_factor_name(user_id: UUID) -> str:
    """What its secret is sealed with, so that rows cannot be swapped."""
    return f"second-factor/{user_id}"


def initial() -> State:
    return Off()


def evolve(state: State, fact: Fact) -> State:
    match fact:
        case SecondFactorEnabled(user_id=user_id):
            return On(user_id)
        case SecondFactorDisabled():
            return Off()
        case _:
            return state


def decide(command: Command, state: State) -> Sequence[Fact]:
    match command, state:
        case Enable(user_id=user_id), Off():
            return [SecondFactorEnabled(user_id=user_id)]
        case Disable(reason=reason), On(user_id=user_id):
            return [SecondFactorDisabled(user_id=user_id, reason=reason)]
        case UseRecoveryCode(left=left), On(user_id=user_id):
            return [RecoveryCodeUsed(user_id=user_id, left=left)]
        case _:
            return []


def still_wrong(wrong: int, wrong_at: datetime | None, now: datetime) -> int:
    """How many wrong codes count: one is forgotten every six minutes, and all that a clock counted which was ahead."""
    if wrong_at is None or wrong_at > now + _APART:
        return 0  # else none was looked at until that moment comes
    return max(0, wrong - max(0, int((now - wrong_at) * HOURLY / _HOUR)))


def next_look(wrong: int, wrong_at: datetime | None, now: datetime) -> timedelta:
    """For how long no code is looked at, a few minutes at most; none: there may be another one."""
    if still_wrong(wrong, wrong_at, now) < HOURLY or wrong_at is None:
        return timedelta(0)
    each = _HOUR / HOURLY
    return min(each, max(timedelta(seconds=1), wrong_at + each * (wrong - HOURLY + 1) - now))
