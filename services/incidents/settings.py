"""What incidents reads from the environment."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.chassis.settings import SealingSettings
from libs.contracts.incident_lists import ENGLISH, Language
from services.incidents.analytics.night import Night


class Settings(SealingSettings):
    """See `libs/chassis/settings.py`; here is what incidents reads besides."""

    alerts_floor_hours: float = Field(default=24, ge=0, le=7 * 24)
    """Younger alerts are never purged from ALERTS, however full it is: a restored database reads them again."""
    reopen_hours: float = Field(default=24, gt=0, le=10 * 365 * 24)
    """So long after it was resolved people may reopen an incident. What fires later is another one."""
    resolve_quiet_hours: float = Field(default=0, ge=0, le=365 * 24)
    """After so long an acknowledged incident of which nothing is heard is resolved; 0: never. One that nobody has
    acknowledged never is: its people are paged."""
    search_language: Language = ENGLISH
    """The language of most incidents: a word finds others of its kind, `fail` finds `failing`. What was written before
    a change is found by its words as they stand, until `pager rebuild incidents`."""
    data_folders: str = ""
    """Where PostgreSQL and NATS keep their data, if that is on this machine: folders, parted by colons."""

    night: str = "22:00-07:00"
    """When a page is one of the night, by the clock of whoever is paged: two times on quarters of an hour."""

    @field_validator("night")
    @classmethod
    def _is_a_night(cls, night: str) -> str:
        return str(Night.read(night))

    @property
    def nights(self) -> Night:
        return Night.read(self.night)

    @property
    def alerts_floor(self) -> timedelta:
        return timedelta(hours=self.alerts_floor_hours)

    @property
    def reopen_within(self) -> timedelta:
        return timedelta(hours=self.reopen_hours)

    @property
    def quiet_for(self) -> timedelta:
        return timedelta(hours=self.resolve_quiet_hours)

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(folder for folder in self.data_folders.split(os.pathsep) if folder)


class _SearchSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="PAGER_", env_ignore_empty=True, extra="ignore")

    search_language: Language = ENGLISH


def search_language() -> Language:
    """Of the environment, where nothing else of it is asked for: a rebuild writes what the service writes."""
    return _SearchSettings().search_language
