"""Maintenance: people change nothing for a while, and pages go out as ever. What auth publishes, takes and answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from uuid import UUID, uuid5

from pydantic import Field

from libs.contracts.defaults import PAGER
from libs.contracts.envelope import Actor, Fact
from libs.contracts.model import Contract, Moment, SentMoment, StrictContract
from libs.contracts.texts import ONE_LINE

MAINTENANCE_ID: Final = uuid5(PAGER, "maintenance")
LONGEST: Final = timedelta(days=30)


class MaintenanceChanged(Fact, type="pager.auth.MaintenanceChanged.v1"):
    """It is on, until that moment if there is one, or off."""

    maintenance_id: UUID
    enabled: bool
    message: str | None = None
    until: Moment | None = None


class SetMaintenance(StrictContract):
    """`POST /admin/maintenance` (admin)."""

    enabled: bool = True
    message: str | None = Field(default=None, max_length=500, pattern=ONE_LINE)
    """What people are told."""
    until: SentMoment | None = None
    """It ends then by itself: within 30 days."""


class MaintenanceView(Contract):
    """Whether it is on, and what is known of it then. `byEnvironment`: `ENABLE_MAINTENANCE_MODE` says so, and nobody
    can end it here."""

    enabled: bool = False
    message: str | None = None
    until: Moment | None = None
    changed_by: Actor | None = None
    changed_at: Moment | None = None
    by_environment: bool = False
