"""What the service reads from the environment."""

from __future__ import annotations

from libs.chassis.settings import SealingSettings


class Settings(SealingSettings):
    """What a service needs that shows names."""
