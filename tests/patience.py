"""Nobody is given up in tests because the machine stood still: what our processes wait for is waited for longer.

A virtual machine may stop for seconds, and whatever was under way then comes too late for limits that are of seconds.
The same goes for a decision that has a tenth of a processor, and is compiled for the first time.
They are moved for good: a patch that ends with a world would undo, or be undone by, what a test patches across its end.
Whoever tests a limit sets it for itself.
"""

from __future__ import annotations

import importlib
from typing import Any, Final

from libs.chassis.testing.deadline import DEADLINE

LONG: Final = DEADLINE / 2
"""Seconds: longer than a machine stands still, shorter than whoever waits for what comes of it."""
_LIMITS: Final = {
    "libs.chassis.consume.fetched_keys": ("_ANSWER",),
    "libs.chassis.requests.sessions": ("_PATIENCE",),
    "libs.chassis.store.commit": ("IDLE_IN_TRANSACTION",),
    "libs.chassis.store.log": ("IDLE_IN_TRANSACTION",),
    "services.auth.passwords": ("PATIENCE",),
    "services.auth.team_uses": ("_PATIENCE",),
    "services.gateway.access": ("COMMAND_TIMEOUT",),
    "services.gateway.brake": ("_PATIENCE",),
    "services.gateway.forwarding": ("COMMAND_TIMEOUT", "QUERY_TIMEOUT"),
    "services.gateway.places": ("PATIENCE",),
    "services.gateway.streaming.connection": ("FIRST_FRAME",),
    "services.gateway.streaming.streams": ("_PATIENCE",),
}


def be_patient() -> None:
    """For all services that run in this process from now on."""
    for name, limits in _LIMITS.items():
        module: Any = importlib.import_module(name)
        for limit in limits:
            assert getattr(module, limit) > 0, f"{name}.{limit}"  # it is still there
            setattr(module, limit, LONG)
