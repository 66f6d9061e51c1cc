"""What auth counts of who was not let in, and of what looks like theft: alerts are made of it (`deploy/prometheus`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from prometheus_client import Counter

from libs.chassis.measure.meters import meters
from libs.chassis.store.work import Decided
from libs.contracts.audit import RefreshTokenReused, SignedInFromNewCountry
from libs.contracts.auth import LockoutBegun
from libs.contracts.envelope import Fact


@cache
def measures() -> Measures:
    """The one set in this process."""
    return Measures()


class Measures:
    def __init__(self) -> None:
        metrics = meters("auth")
        self._refused = metrics.counter("pager_sign_ins_refused", "Sign-ins that were refused.", "reason")
        for reason in ("wrong password", "wrong code", "deactivated", "locked out"):
            self._refused.labels(reason)  # a series that begins with its first refusal would not be seen to grow
        self._counts: dict[type[Fact], Counter] = {
            LockoutBegun: metrics.counter("pager_lockouts", "Accounts that were locked where they were guessed at."),
            RefreshTokenReused: metrics.counter("pager_refresh_tokens_reused", "Sessions that were ended as stolen."),
            SignedInFromNewCountry: metrics.counter(
                "pager_sign_ins_from_new_countries", "Sign-ins from where somebody has not been."
            ),
        }

    def refused(self, reason: str) -> None:
        """A sign-in was not let in; `reason` is one of a few words of ours."""
        self._refused.labels(reason).inc()

    def observe(self, decided: Sequence[Decided]) -> None:
        """What was committed."""
        for event, _ in decided:
            if (counter := self._counts.get(type(event.data))) is not None:
                counter.inc()
