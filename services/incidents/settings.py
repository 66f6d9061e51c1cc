"""What incidents reads from the environment: nothing beyond what every service reads."""

from __future__ import annotations

from libs.chassis.settings import ServiceSettings


class Settings(ServiceSettings):
    """See `libs/chassis/settings.py`."""
