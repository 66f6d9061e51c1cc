"""The brake on guessing passwords: how many were wrong lately, by where they came from."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from libs.chassis.clock import Clock
from libs.contracts.addresses import one_address
from services.gateway.addresses import networks_of
from services.gateway.envelope import Problem

K = TypeVar("K")
V = TypeVar("V")
MOST = 5
"""Wrong passwords in a minute (technical specification, API Security)."""
WIDER = 3
"""Times as many from each network around that: a /64 has 5, its /56 15, its /48 45."""
WINDOW = timedelta(minutes=1)
_GUESSED = frozenset({"currentPassword", "code", "inviteToken", "token"})
"""Fields that hold what strangers may try."""
_PATIENCE = 5.0
"""Seconds for which an attempt waits for others from its place."""
_WAITING = 100
"""Attempts that may wait: strangers behind many addresses would keep as many connections otherwise."""
_PLACES = 10_000
"""Of each kind are remembered, the last ones: whoever has more addresses than that is held up by the hashing alone."""


@dataclass
class _Place:
    """Somewhere that passwords come from, and how many wrong ones it has in a minute."""

    most: int = MOST
    wrong: deque[datetime] = field(default_factory=deque)
    under_way: int = 0

    def retry_after(self, now: datetime) -> float:
        """Seconds until there may be another attempt; 0 for at once."""
        while self.wrong and self.wrong[0] + WINDOW <= now:
            self.wrong.popleft()
        if len(self.wrong) >= self.most:
            return (self.wrong[0] + WINDOW - now).total_seconds()
        return 1.0 if self.is_busy else 0.0

    @property
    def is_busy(self) -> bool:
        """What is not decided yet may be wrong too: a hundred guesses at once are not one."""
        return len(self.wrong) < self.most <= len(self.wrong) + self.under_way


@dataclass
class Brake:
    """`await brake.turn(address, email)`, then `with brake.attempt(address, email): <ask auth>`.

    In this process's memory, so each replica of us has its own.

    Refused attempts do not count, so the address is free again a minute after its wrong ones, however often somebody
    tries meanwhile. Nor does it matter to an account that has signed in from an address before what strangers behind
    the same one (an office, a proxy that nobody told us of) do to others: there it is counted by itself.
    """

    clock: Clock
    what: str = "passwords"
    """That are guessed, as whoever is held up is told."""
    _places: OrderedDict[tuple[str, str], _Place] = field(default_factory=OrderedDict)
    _known: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)
    """(network, account) that have signed in."""
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set, and replaced, when an attempt ends."""
    _waiting: int = 0

    def holds(self, address: str, email: str) -> bool:
        """Whether strangers would have to wait there."""
        places = self._places_of(networks_of(address), one_address(email))
        return any(place.retry_after(self.clock.now()) for place in places)

    async def turn(self, address: str, email: str) -> None:
        """Wait, for seconds at most, while others from there are looked at: a shift that signs in at once is right."""
        places = self._places_of(networks_of(address), one_address(email))
        if self._waiting >= _WAITING:
            return
        self._waiting += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                while any(place.retry_after(self.clock.now()) and place.is_busy for place in places):
                    await self._ended.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1

    @contextmanager
    def attempt(self, address: str, email: str, *, spends: bool = False) -> Iterator[bool]:
        """Around one sign-in, or change of a password: what is wrong is a Problem 401, or one of what is guessed at.

        So is what nobody waited for. Says whether this account has signed in from this address before.

        `spends`: it counts whatever comes of it.

        Raises:
            Problem: 429, before anything is done.
        """
        networks, account = networks_of(address), one_address(email)
        here = (networks[0], account)
        known = here in self._known
        places = self._places_of(networks, account)
        now = self.clock.now()
        seconds, most = max((place.retry_after(now), place.most) for place in places)
        if seconds > 0:
            reset = math.ceil(now.timestamp() + seconds)
            headers = {
                "Retry-After": str(math.ceil(seconds)),
                "X-RateLimit-Limit": str(most),
                "X-RateLimit-Remaining": "0",
                "X-RateLimit-Reset": str(reset),
            }
            raise Problem("RATE_LIMITED", f"too many wrong {self.what} from here: wait a moment", headers=headers)
        for place in places:
            place.under_way += 1
        wrong = True
        try:
            yield known
            wrong = spends
            if not spends:
                _keep(self._known, here, None)
        except Problem as problem:
            wrong = spends or problem.code == "UNAUTHENTICATED" or problem.field in _GUESSED
            raise
        finally:
            for place in places:
                place.under_way -= 1
                if wrong:
                    place.wrong.append(self.clock.now())
            self._ended.set()
            self._ended = asyncio.Event()

    def _places_of(self, networks: Sequence[str], account: str) -> list[_Place]:
        here = (networks[0], account)
        if here in self._known:
            return [self._place(here)]
        return [self._place((network, ""), width) for width, network in enumerate(networks)]

    def _place(self, key: tuple[str, str], width: int = 0) -> _Place:
        place = self._places.get(key) or _Place(MOST * WIDER**width)
        _keep(self._places, key, place)
        return place


def _keep(kept: OrderedDict[K, V], key: K, value: V) -> None:
    """As the newest; the oldest goes when there are too many."""
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _PLACES:
        kept.popitem(last=False)
