"""Places: how much of one person may be under way, so that nobody's crowd takes what the others need."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID
from weakref import WeakValueDictionary

from services.gateway.envelope import Problem

MOST = 32
"""Requests of one person at a time: a phone and a browser together stay far below, and an operation has 512 places in
a service (`libs/chassis/requests/server.py`), where each may wait for a turn or for what others have just made."""
URGENT = 8
"""More, for what says that somebody is at it, or that it is over: never refused for what else one asks for."""
WAITING = 256
"""Requests of one person that may wait for a place of a kind: a script that opens 200 at once gets its answers."""
PATIENCE = 5.0
"""Seconds for which one waits."""

Gone = Callable[[], Awaitable[bool]]
"""Whether the caller has hung up."""


@dataclass(eq=False)
class _Crowd:
    """The requests of one person and kind."""

    places: asyncio.Semaphore
    waiting: int = 0


class Places:
    """In this process's memory, so each replica of us has its own; nothing is kept of whoever asks for nothing."""

    def __init__(self) -> None:
        self._crowds: WeakValueDictionary[tuple[UUID, bool], _Crowd] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, person: UUID, gone: Gone, *, urgent: bool) -> AsyncIterator[None]:
        """`async with places.of(…):` while a service may be at work for them, also when they hang up meanwhile.

        Places are had in the order of arrival. Whoever has hung up while waiting gets none.

        Raises:
            Problem: 429, before anything is done.
        """
        most = URGENT if urgent else MOST
        crowd = self._crowds.setdefault((person, urgent), _Crowd(asyncio.Semaphore(most)))
        waits = crowd.places.locked()
        if waits and crowd.waiting >= WAITING:
            raise _too_many()
        crowd.waiting += 1
        try:
            async with asyncio.timeout(PATIENCE):
                await crowd.places.acquire()
        except TimeoutError:
            raise _too_many() from None
        finally:
            crowd.waiting -= 1
        try:
            if waits and await gone():
                raise _too_many()
            yield
        finally:
            crowd.places.release()


def _too_many() -> Problem:
    message = "too many of your requests are under way: wait for their answers"
    return Problem("RATE_LIMITED", message, headers={"Retry-After": "1"})
