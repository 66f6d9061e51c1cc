"""Maintenance at the door: people's changes wait, and whatever pages somebody goes on (docs/adr/0071)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from libs.chassis.clock import Clock
from libs.contracts.doors import DoorsView
from libs.contracts.maintenance import MaintenanceView
from services.gateway.envelope import Problem
from services.gateway.route import ANSWERS, REPORTS

NEVER_STOPS: Final = frozenset(
    {
        *ANSWERS,
        *REPORTS,
        *("createIncident", "escalateIncident", "addResponders", "reassignIncident", "reopenIncident"),
        "registerDevice",
        *("endSessionOf", "endSessionsOf", "removeDeviceOf", "removeDevice", "deactivateUser", "partIdentities"),
        *("revokeApiKey", "removeApiKeySecret", "revokeIntegrationKey", "revokeInvite"),
        *("unlockUser", "reactivateUser", "makeResetLink"),
        *("setMaintenance", "endMaintenance"),
    }
)
"""Operations that page somebody, say that somebody is at it, or let a page arrive; those that shut somebody out at
once (docs/runbooks/security-incident.md) or let them in again; and what apps tell of themselves, which changes nothing.
Signing in and out (`/auth`) is none of what stops either."""
_LONGEST: Final = 300
"""Seconds after which whoever is refused may ask again at the latest."""
_DEFAULT: Final = 60


@dataclass
class Maintenance:
    """`check(operation)` before a person's change. Before auth has said anything nothing is refused."""

    clock: Clock
    by_environment: bool = False
    heard: MaintenanceView = field(default_factory=MaintenanceView)

    def hear(self, said: DoorsView) -> None:
        self.heard = said.maintenance

    @property
    def now(self) -> MaintenanceView:
        """What holds."""
        if self.by_environment:
            return MaintenanceView(enabled=True, by_environment=True)
        until = self.heard.until
        return MaintenanceView() if until is not None and until <= self.clock.now() else self.heard

    def check(self, operation: str | None) -> None:
        """Raises Problem (503)."""
        now = self.now
        if not now.enabled or operation in NEVER_STOPS:
            return
        left = _DEFAULT if now.until is None else (now.until - self.clock.now()).total_seconds()
        headers = {"Retry-After": str(max(1, min(_LONGEST, math.ceil(left))))}
        message = now.message or "maintenance: nothing can be changed now; pages go out as ever"
        raise Problem("MAINTENANCE", message, headers=headers)
