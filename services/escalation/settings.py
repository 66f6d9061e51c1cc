"""What escalation reads from the environment: what every service reads."""

from __future__ import annotations

from libs.chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Policies are data, so there is nothing to set but the connections."""
