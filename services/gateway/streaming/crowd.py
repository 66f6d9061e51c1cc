"""How many streams there may be: of one person, of one network that has not said who it is, and in all."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import UUID

from libs.contracts.streaming import Close
from services.gateway.envelope import Problem
from services.gateway.streaming.frames import Ended

K = TypeVar("K")
MOST: Final = 5_000
"""Streams of this replica; each holds some 30 KiB."""
OF_ONE: Final = 20
"""Of one person or API key: some browsers' tabs, a phone, a wall."""
STRANGERS: Final = 1_000
"""Who have not said yet who they are."""
OF_ONE_NETWORK: Final = 100
"""Of these: an office's clients that all come back at once say who they are within a moment."""


@dataclass(eq=False)
class Place:
    """Of one stream, from its handshake to its end."""

    network: str
    who: UUID | None = None
    """The person or the API key, once that is known."""


@dataclass
class Crowd:
    """In this process's memory, so each replica of us has its own."""

    _places: set[Place] = field(default_factory=set)
    _networks: Counter[str] = field(default_factory=Counter)
    _people: Counter[UUID] = field(default_factory=Counter)

    def enter(self, network: str) -> Place:
        """A place for a stranger. Raises Problem 503 or 429: there are too many."""
        if len(self._places) >= MOST or self._networks.total() >= STRANGERS:
            raise Problem("UNAVAILABLE", "too many streams are open: try again", headers={"Retry-After": "5"})
        if self._networks[network] >= OF_ONE_NETWORK:
            message = "too many streams from here have not said whose they are"
            raise Problem("RATE_LIMITED", message, headers={"Retry-After": "5"})
        place = Place(network)
        self._places.add(place)
        self._networks[network] += 1
        return place

    def know(self, place: Place, who: UUID) -> None:
        """It is this one's. Raises Ended: they have enough."""
        if self._people[who] >= OF_ONE:
            raise Ended(Close.TOO_MANY, f"one person has at most {OF_ONE} streams: close another one")
        _less(self._networks, place.network)
        place.who = who
        self._people[who] += 1

    def leave(self, place: Place) -> None:
        self._places.discard(place)
        if place.who is None:
            _less(self._networks, place.network)
        else:
            _less(self._people, place.who)


def _less(counts: Counter[K], name: K) -> None:
    counts[name] -= 1
    if counts[name] <= 0:
        del counts[name]
