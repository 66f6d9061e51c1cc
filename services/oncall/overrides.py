"""What an override may be."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from libs.contracts.oncall import Override
from libs.contracts.requests import Invalid, NotFound, Rejected

LONGEST = timedelta(days=90)
"""Whoever is on call for longer is a matter of the layers, which leads see and change."""
FARTHEST = timedelta(days=366)
"""From now to its beginning: next year's holidays can be planned."""
MOST = 200
"""To come or running, in one schedule: they are all shown with it."""


class NoSuchOverride(NotFound):
    """There is no such override."""


class TooManyOverrides(Rejected):
    """There are 200 overrides to come already: cancel one, or change the layers."""


def check_override(override: Override, others: Iterable[Override], now: datetime) -> None:
    """Refuse one that cannot be added to `others`.

    Raises:
        Invalid: with the field at fault and what was expected.
        TooManyOverrides: of the others too many have not ended.
    """
    if override.end_time <= override.start_time:
        raise Invalid("expected a moment after startTime", field="endTime")
    if override.end_time <= now:
        raise Invalid("expected a moment in the future: what has happened cannot be changed", field="endTime")
    if override.end_time - override.start_time > LONGEST:
        raise Invalid(f"expected at most {LONGEST.days} days after startTime", field="endTime")
    if override.start_time > now + FARTHEST:
        raise Invalid(f"expected a moment in the next {FARTHEST.days} days", field="startTime")
    if override.replaces == override.user_id:
        raise Invalid("expected another person than userId", field="replaces")
    if sum(other.end_time > now for other in others) >= MOST:
        raise TooManyOverrides
