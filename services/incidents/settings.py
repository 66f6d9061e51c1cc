"""What incidents reads from the environment."""

from __future__ import annotations

import os
from datetime import timedelta

from pydantic import Field

from libs.chassis.settings import SealingSettings


class Settings(SealingSettings):
    """See `libs/chassis/settings.py`; here is what incidents reads besides."""

    alerts_floor_hours: float = Field(default=24, ge=0, le=7 * 24)
    """Younger alerts are never purged from ALERTS, however full it is: a restored database reads them again."""
    data_folders: str = ""
    """Where PostgreSQL and NATS keep their data, if that is on this machine: folders, parted by colons."""

    @property
    def alerts_floor(self) -> timedelta:
        return timedelta(hours=self.alerts_floor_hours)

    @property
    def folders(self) -> tuple[str, ...]:
        return tuple(folder for folder in self.data_folders.split(os.pathsep) if folder)
