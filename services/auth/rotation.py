"""The ages of the keys that sign access tokens: which of them signs, which verify, and when the next one is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.chassis.requests.callers import LEEWAY, LONGEST
from libs.contracts.auth import KeyReason

EVERY = timedelta(days=30)
"""How long a key signs (technical specification, Secrets Management)."""
LEAD = timedelta(minutes=15)
"""A key is published for so long before it signs: verifiers have it by then, and caches keep the keys 5 minutes."""
HEARD = timedelta(minutes=1)
"""Within so long every replica knows which keys there are."""
RETIRES = HEARD + LONGEST + LEEWAY
"""So long a key verifies after its successor has begun: until the last token that it has signed is over."""


@dataclass(frozen=True, slots=True)
class Age:
    """It signs from `not_before` until its successor does, and verifies until `not_after` (None: not known yet)."""

    kid: str
    made_at: datetime
    not_before: datetime
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rotation:
    """Every key as it is afterwards; `kid` is the one that signs from `not_before`."""

    kid: str
    not_before: datetime
    ages: tuple[Age, ...]


def verifying(ages: Sequence[Age], now: datetime) -> list[Age]:
    return [age for age in ages if age.not_after is None or now < age.not_after]


def signing(ages: Sequence[Age], now: datetime) -> Age | None:
    """The one that began last; where none has (a clock was set back) the first that will. None: there is no key."""
    good = verifying(ages, now)
    begun = [age for age in good if age.not_before <= now]
    if begun:
        return max(begun, key=_order)
    return min(good, key=_order, default=None)


def coming(ages: Sequence[Age], now: datetime) -> list[Age]:
    """Those that will sign after the present one, the next one first."""
    present = signing(ages, now)
    return sorted((age for age in verifying(ages, now) if present and _order(age) > _order(present)), key=_order)


def due_at(ages: Sequence[Age], now: datetime) -> datetime:
    """When a successor is to be made."""
    present, after = signing(ages, now), coming(ages, now)
    if present is None or present.not_before > now + LEAD:
        return now  # the clock was wrong then or is now: neither may keep a key for years
    newest = after[0] if after and after[0].not_before <= now + LEAD else present
    return newest.not_before + EVERY - LEAD


def rotation(ages: Sequence[Age], fresh: str, now: datetime, reason: KeyReason) -> Rotation | None:
    """What becomes of the keys when `fresh` is there; None: nothing, for one is on its way already, or none is due.

    One that a wrong clock has put into the far future is taken in place of `fresh`. A compromised key is over at once.
    """
    after = coming(ages, now)
    if reason is not KeyReason.COMPROMISED and after and after[0].not_before <= now + LEAD:
        return None
    if reason is KeyReason.AGE and now < due_at(ages, now):
        return None
    at_once = reason in (KeyReason.COMPROMISED, KeyReason.FIRST)
    kid = after[0].kid if after and reason is not KeyReason.COMPROMISED else fresh
    begins = now if at_once else now + LEAD
    ends = begins if at_once else begins + RETIRES
    known = {age.kid: age.made_at for age in ages}
    others = [_until(age, ends) for age in ages if age.kid != kid]
    return Rotation(kid, begins, (*others, Age(kid, known.get(kid, now), begins)))


def _until(age: Age, end: datetime) -> Age:
    not_after = end if age.not_after is None else min(age.not_after, end)
    return Age(age.kid, age.made_at, age.not_before, not_after)


def _order(age: Age) -> tuple[datetime, datetime, str]:
    return age.not_before, age.made_at, age.kid
