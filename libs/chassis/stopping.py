"""Stopping a task for sure: a cancellation may get lost inside a library."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

_AGAIN = 1.0
"""Seconds between cancellations."""


async def stoppable(run: Callable[[], Awaitable[None]]) -> None:
    """Run a task that never ends by itself; when this is cancelled, cancel it until it has ended.

    `asyncio.wait_for` of Python 3.11 drops a cancellation that comes in the same moment as what it waits for
    (https://github.com/python/cpython/issues/86296), and nats-py waits with it: a loop around it would go on for ever.
    """
    task = asyncio.ensure_future(run())
    try:
        await asyncio.wait((task,))
    finally:
        while not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=_AGAIN)
    await task
