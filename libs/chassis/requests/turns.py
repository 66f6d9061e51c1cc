"""Commands on one thing take turns; commands on others pass by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from libs.contracts.requests import ErrorKind, Rejected

WAITING = 256
"""Commands that may wait for one turn: half of the places that their operation has (`server.py`)."""


class Crowded(Rejected):
    """Too many change this at the same time; come back in a moment."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(eq=False)
class _Queue:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: int = 0


class Turns:
    """Whoever waits for a turn waits on the event loop, without a thread or a session, in the order of arrival.

    It saves commands of one process from deciding in vain, and others from their crowd. That two decisions never both
    stand is the append's matter: consumers, timers and other replicas take no turns.
    """

    def __init__(self) -> None:
        self._queues: WeakValueDictionary[Hashable, _Queue] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: Hashable | None) -> AsyncIterator[None]:
        """`async with turns.of(key):` alone among those with an equal key; None: at once.

        Raises:
            Crowded: so many wait for it that others of their operation would soon find no place.
        """
        if key is None:
            yield
            return
        queue = self._queues.setdefault(key, _Queue())
        if queue.waiting >= WAITING:
            raise Crowded
        queue.waiting += 1
        try:
            await queue.lock.acquire()
        finally:
            queue.waiting -= 1
        try:
            yield
        finally:
            queue.lock.release()
