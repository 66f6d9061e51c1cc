"""Stopping for sure: a cancellation may get lost inside a library, and what is closed may never say that it is."""

from __future__ import annotations

import asyncio
import faulthandler
import sys
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

_log = structlog.get_logger()
_AGAIN = 1.0
"""Seconds between cancellations."""
WITHIN = 12.0
"""Seconds for a whole stop: most supervisors give fifteen (deploy/), and five are a command's that is under way."""
_LAST = 2.0
"""Seconds after them in which a process must have ended: what it still waits for then is nobody's any more."""
_SLOW = 3.0
"""Seconds after which a step says where it is: `pager up` kills after five."""
_TOLD = 30
"""Tasks whose places are told: a log line has a size."""


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


async def together(*runs: Callable[[], Awaitable[None]]) -> None:
    """Run several for ever; what one of them raises ends the others.

    Each is stoppable by itself: a group that is left cancels its tasks once, and hears no second cancellation.

    Raises:
        ExceptionGroup: what they raised.
    """
    async with asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(stoppable(run))


@dataclass
class Stop:
    """A stop in steps, which ends: what fails or hangs is logged with the place at which it hangs, and the next comes.

    Each step may take half of what is left of `within` seconds, so that there is always some for the next one.
    """

    service: str
    within: float = WITHIN
    hung: list[str] = field(default_factory=list)
    """What has not ended."""

    def __post_init__(self) -> None:
        self._until = asyncio.get_running_loop().time() + self.within

    async def step(self, what: str, ending: Callable[[], Awaitable[object]]) -> None:
        """Call it, and wait for it. One that hangs is cancelled once more and left behind."""
        task = asyncio.ensure_future(ending())
        if await self._wait(what, (task,)):
            task.cancel()
        elif not task.cancelled() and (error := task.exception()) is not None:
            _log.error("not stopped in order", service=self.service, step=what, exc_info=error)

    async def tasks(self, what: str, tasks: Collection[asyncio.Task[Any]]) -> None:
        """Cancel them, and wait for them; how they ended is no matter."""
        for task in tasks:
            task.cancel()
        await self._wait(what, tasks)
        for task in tasks:
            if task.done() and not task.cancelled():
                task.exception()  # it has been seen: asyncio has nothing to complain of

    async def _wait(self, what: str, tasks: Collection[asyncio.Future[Any]]) -> bool:
        """Whether some of them hang."""
        if not tasks:
            return False
        left = max((self._until - asyncio.get_running_loop().time()) / 2, 0.1)
        _, hanging = await asyncio.wait(tasks, timeout=min(left, _SLOW))
        if hanging and left > _SLOW:
            _log.warning("stops slowly", service=self.service, step=what, hanging=len(hanging), tasks=_told(hanging))
            _, hanging = await asyncio.wait(hanging, timeout=left - _SLOW)
        if hanging:
            self.hung.append(what)
            _log.error("does not stop", service=self.service, step=what, hanging=len(hanging), tasks=_told(hanging))
        return bool(hanging)


def end_soon(within: float = WITHIN + _LAST) -> None:
    """After so many seconds the process ends, with status 1, and says where each of its threads was.

    For whoever is about to stop: the interpreter waits for threads for ever, and asyncio for tasks.
    """
    if sys.stderr is not None:  # else there is nobody to tell, and faulthandler would refuse
        faulthandler.dump_traceback_later(within, exit=True)


def _told(hanging: set[asyncio.Future[Any]]) -> Sequence[str]:
    """Where they wait, and all others: what they wait for is one of those."""
    tasks = [*hanging, *(asyncio.all_tasks() - hanging - {asyncio.current_task()})]
    return tuple(f"{_name(task)}: {' < '.join(places_of(task))}" for task in tasks[:_TOLD])


def _name(task: asyncio.Future[Any]) -> str:
    return task.get_name() if isinstance(task, asyncio.Task) else type(task).__name__


def places_of(task: asyncio.Future[Any]) -> Sequence[str]:
    """Where a task waits, its innermost place first: `Task.get_stack` shows the outermost one alone."""
    places: list[str] = []
    at: Any = task.get_coro() if isinstance(task, asyncio.Task) else None
    while at is not None:
        frame = getattr(at, "cr_frame", None) or getattr(at, "gi_frame", None) or getattr(at, "ag_frame", None)
        if frame is not None:
            code = frame.f_code
            places.append(f"{code.co_qualname} ({Path(code.co_filename).name}:{frame.f_lineno})")
        elif not hasattr(at, "cr_frame"):
            places.append(type(at).__name__)
        at = getattr(at, "cr_await", None) or getattr(at, "gi_yieldfrom", None) or getattr(at, "ag_await", None)
    return places[::-1]
