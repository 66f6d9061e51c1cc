"""The brake on guessing passwords: how many were wrong lately, by where they came from."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address
from typing import TypeVar

from libs.chassis.clock import Clock
from services.gateway.envelope import Problem

K = TypeVar("K")
V = TypeVar("V")
MOST = 5
"""Wrong passwords in a minute (technical specification, API Security)."""
WINDOW = timedelta(minutes=1)
_PLACES = 10_000
"""Of each kind are remembered, the last ones: whoever has more addresses than that is held up by the hashing alone."""


def network_of(address: str) -> str:
    """Whose address it is: an IPv4 address is one household's or company's, of IPv6 they are given a /64 or more."""
    try:
        known = ip_address(address.strip("[]").partition("%")[0])
    except ValueError:
        return "unknown"  # a proxy that we trust has written something else there
    if not isinstance(known, IPv6Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return f"{IPv6Address(int(known) >> 64 << 64)}/64"


@dataclass
class _Place:
    """Somewhere that passwords come from."""

    wrong: deque[datetime] = field(default_factory=deque)
    under_way: int = 0

    def retry_after(self, now: datetime) -> float:
        """Seconds until there may be another attempt; 0 for at once."""
        while self.wrong and self.wrong[0] + WINDOW <= now:
            self.wrong.popleft()
        if len(self.wrong) >= MOST:
            return (self.wrong[0] + WINDOW - now).total_seconds()
        # What is not decided yet may be wrong too: a hundred guesses at once are not one.
        return 1.0 if len(self.wrong) + self.under_way >= MOST else 0.0


@dataclass
class Brake:
    """`with brake.attempt(address, email): <ask auth>`; in this process's memory, so each replica of us has its own.

    Refused attempts do not count, so the address is free again a minute after its wrong ones, however often somebody
    tries meanwhile. Nor does it matter to an account that has signed in from an address before what strangers behind
    the same one (an office, a proxy that nobody told us of) do to others: there it is counted by itself.
    """

    clock: Clock
    _places: OrderedDict[tuple[str, str], _Place] = field(default_factory=OrderedDict)
    _known: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)
    """(network, account) that have signed in."""

    @contextmanager
    def attempt(self, address: str, email: str) -> Iterator[None]:
        """Around one sign-in: a Problem 401 that leaves it was a wrong password, and so is what nobody waited for.

        Raises:
            Problem: 429, before anything is done.
        """
        network, account = network_of(address), email.strip().casefold()
        place = self._place(network, account)
        if (seconds := place.retry_after(self.clock.now())) > 0:
            headers = {"Retry-After": str(math.ceil(seconds))}
            raise Problem("RATE_LIMITED", "too many wrong passwords from here: wait a moment", headers=headers)
        place.under_way += 1
        wrong = True
        try:
            yield
            wrong = False
            _keep(self._known, (network, account), None)
        except Problem as problem:
            wrong = problem.code == "UNAUTHENTICATED"
            raise
        finally:
            place.under_way -= 1
            if wrong:
                place.wrong.append(self.clock.now())

    def _place(self, network: str, account: str) -> _Place:
        key = (network, account if (network, account) in self._known else "")
        place = self._places.get(key) or _Place()
        _keep(self._places, key, place)
        return place


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """As the newest; the oldest goes when there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _PLACES:
        kept.popitem(last=False)
