"""What escalation reads from the environment: what every service reads."""

from __future__ import annotations

from libs.chassis.settings import SealingSettings


class Settings(SealingSettings):
    """Policies are data, so there is nothing to set but the connections."""
