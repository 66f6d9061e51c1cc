"""Maintenance: whether it is on, for whom to read, and until when.

| state | command | events out |
|---|---|---|
| whichever | SetMaintenance to what it is | nothing |
| whichever | SetMaintenance on, until a moment that is past or too far away | refused |
| whichever | SetMaintenance | MaintenanceChanged |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from libs.contracts.envelope import Fact
from libs.contracts.maintenance import LONGEST, MAINTENANCE_ID, MaintenanceChanged
from libs.contracts.requests import Invalid


@dataclass(frozen=True, slots=True)
class Maintenance:
    enabled: bool = False
    message: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class SetMaintenance:
    enabled: bool
    message: str | None
    until: datetime | None
    now: datetime


def initial() -> Maintenance:
    return Maintenance()


def evolve(state: Maintenance, fact: Fact) -> Maintenance:
    match fact:
        case MaintenanceChanged():
            return Maintenance(fact.enabled, fact.message, fact.until)
        case _:
            return state


def decide(command: SetMaintenance, state: Maintenance) -> Sequence[Fact]:
    """Raises Invalid."""
    wanted = Maintenance(True, command.message, command.until) if command.enabled else Maintenance()
    if wanted.until is not None and not command.now < wanted.until <= command.now + LONGEST:
        raise Invalid(f"must be within the next {LONGEST.days} days", field="until")
    if wanted == state:
        return []
    return [
        MaintenanceChanged(
            maintenance_id=MAINTENANCE_ID, enabled=wanted.enabled, message=wanted.message, until=wanted.until
        )
    ]
