"""What the service reads from the environment."""

from __future__ import annotations

from libs.chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """Nothing beyond what every service needs."""
