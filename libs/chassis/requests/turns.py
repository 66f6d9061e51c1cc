"""Commands on one thing take turns; commands on others pass by."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager, nullcontext
from weakref import WeakValueDictionary


class Turns:
    """Whoever waits for a turn waits on the event loop, without a thread or a session, in the order of arrival.

    It saves commands of one process from deciding in vain, and others from their crowd. That two decisions never both
    stand is the append's matter: consumers, timers and other replicas take no turns.
    """

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: Hashable | None) -> AbstractAsyncContextManager[None]:
        """`async with turns.of(key):` alone among those with an equal key; None: at once."""
        return nullcontext() if key is None else self._locks.setdefault(key, asyncio.Lock())
