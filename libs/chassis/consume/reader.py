"""The contract of whoever reads a lane of an upstream: what health, metrics, readiness and a replay need of it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from libs.chassis.consume.parking import Parked
from libs.chassis.store.cursors import Position
from libs.chassis.store.work import Work
from libs.contracts.model import Lane


class Reader(Protocol):
    """One lane of one upstream, wherever its effects are: how far it is, and whether it goes on."""

    @property
    def upstream(self) -> str:
        """The service that is followed, or `ALERTS`."""
        ...

    @property
    def lane(self) -> Lane: ...

    @property
    def at(self) -> Position:
        """What of the lane has taken effect here."""
        ...

    @property
    def caught_up(self) -> asyncio.Event:
        """Set once all that there was when it began has taken effect."""
        ...

    @property
    def stopped(self) -> str | None:
        """Why it goes no further, until somebody cures that; None while it reads, or waits for what is away."""
        ...

    @property
    def lag(self) -> int:
        """Messages of the lane that have not taken effect here yet, as far as is known."""
        ...


class StoredReader(Reader, Protocol):
    """A reader whose effects and place are in PostgreSQL, so that it runs in the active replica alone.

    What it fails on it parks in the transaction that moves its cursor over it, and tells whoever pages the admins.
    """

    @property
    def first(self) -> bool:
        """Whether it must have caught up before the others begin: what they page by is read here."""
        ...

    @property
    def pressing(self) -> bool:
        """Whether more waits for it than it takes at once, and pages hang on that: books can wait meanwhile."""
        ...

    async def run(self) -> None:
        """Read for ever; whatever goes wrong in the surroundings, begin again from the cursor."""
        ...

    def replay(self, work: Work, parked: Parked) -> None:
        """Handle one of its parked inputs again, in a transaction that also removes it; raises what it fails with."""
        ...


def place_of(reader: Reader) -> str:
    """`incidents.urgent`, as health and readiness name it."""
    return f"{reader.upstream.lower()}.{reader.lane}"
