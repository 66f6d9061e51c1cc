"""Tokens that a vendor refuses for a reason which may as well be our own misconfiguration."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.chassis.store.work import Cause
from services.notifier.domain.token import RetireToken

CERTAIN = frozenset({"Unregistered", "ExpiredToken", "UNREGISTERED"})
"""The vendor speaks of one token. In all other words (BadDeviceToken, SENDER_ID_MISMATCH …) it would also refuse every
token of ours if the environment, topic or project were wrong."""
MASS = 20
WINDOW = timedelta(minutes=1)

Suspect = tuple[RetireToken, Cause]


@dataclass
class Suspects:
    """Waits a minute before it believes that a token is dead; more than `MASS` in that time, and it believes none.

    In memory only: a restart forgets the suspects, and the next page to such a token makes it one again.
    """

    _waiting: dict[tuple[str, str], tuple[datetime, Suspect]] = field(default_factory=dict)
    _mass_until: datetime | None = None

    def note(self, suspect: Suspect, now: datetime) -> bool:
        """Remember a refusal. True when it begins a mass of them: tell the operator."""
        if self._mass_until is not None and now < self._mass_until:
            self._mass_until = now + WINDOW
            return False
        dead = suspect[0]
        self._waiting.setdefault((str(dead.user_id), dead.device_id), (now, suspect))
        if len(self._waiting) <= MASS:
            return False
        self._waiting.clear()
        self._mass_until = now + WINDOW
        return True

    def settled(self, now: datetime) -> list[Suspect]:
        """Those whose minute has passed without a mass; they are to be retired now."""
        ripe = [key for key, (noted_at, _) in self._waiting.items() if now - noted_at >= WINDOW]
        return [self._waiting.pop(key)[1] for key in ripe]
