"""What can be asked of a schedule; what comes of it says the table in `domain.py`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from uuid import UUID

from libs.contracts.oncall import Layer, Override
from libs.contracts.uses import Use


class Keep(Enum):
    """Says that a change leaves a field as it is, where None is a value."""

    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class CreateSchedule:
    schedule_id: UUID
    name: str
    description: str | None
    timezone: str
    is_active: bool
    layers: tuple[Layer, ...]
    created_by: str
    now: datetime
    team_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class ChangeSchedule:
    """What is None (or `KEEP`) stays as it is."""

    now: datetime
    name: str | None = None
    description: str | Keep | None = Keep.KEEP
    timezone: str | None = None
    is_active: bool | None = None
    layers: tuple[Layer, ...] | None = None
    team_id: UUID | Keep | None = Keep.KEEP


@dataclass(frozen=True, slots=True)
class AddOverride:
    override: Override
    now: datetime


@dataclass(frozen=True, slots=True)
class CancelOverride:
    """From now on it does not apply; what has happened stays."""

    override_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class PlanShifts:
    """Plan what the horizon has come to include."""

    now: datetime


@dataclass(frozen=True, slots=True)
class DeleteSchedule:
    """`uses`: the first of the policies that page it, `total` of them all."""

    uses: Sequence[Use] = ()
    total: int = 0


Command = CreateSchedule | ChangeSchedule | DeleteSchedule | AddOverride | CancelOverride | PlanShifts
