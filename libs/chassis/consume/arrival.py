"""Waiting, outside any transaction, for what an upstream has only just written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.consume.owner import Owner
from libs.chassis.store.cursors import Position
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.model import Lane
from libs.contracts.requests import ErrorKind, Rejected

_PATIENCE = 1.0
"""Seconds that the newest events of an upstream may take to arrive here."""
_LOOK_AGAIN = 0.02

Missing = Callable[[Work], bool]


class Unreachable(Rejected):
    """This depends on something that may not be known here yet, and its owner does not answer: try again."""

    kind = ErrorKind.UNAVAILABLE


class Seen(Enum):
    """What waiting has come to."""

    THERE = "nothing is missing"
    READ = "something is missing, and all that the upstreams had written is read: it does not exist"
    STILL = (
        "something is missing, and our place stands still: the newest events have no effect here, or wait to be read"
    )
    LATE = "something is missing, and they are still being read"
    UNREAD = "something is missing, and of a lane nothing has had an effect here yet"


class _End(NamedTuple):
    """Where a lane ended when its owner was asked; `epoch_after`: after which position the present epoch began."""

    epoch: int
    epoch_after: int
    position: int

    def is_read(self, at: Position) -> bool:
        """Where nothing has been written in the present epoch, whoever had read the ones before has read it all."""
        as_written = at.epoch == self.epoch or self.position <= self.epoch_after
        return at.epoch > self.epoch or (as_written and at.position >= self.position)


@dataclass
class Arrival:
    """For the `before` of a command that names things of other services.

    Whoever waits holds neither a connection nor a thread; all who wait for one lane share one look at its cursor.
    """

    store: Store
    bus: Bus
    patience: float = _PATIENCE
    _looks: dict[tuple[str, Lane], tuple[float, asyncio.Task[Position]]] = field(default_factory=dict)

    async def of(self, missing: Missing, *upstreams: str) -> Seen:
        """Return when nothing is missing, or when what the upstreams have written by now is read, or after a second.

        What is missing then is taken not to exist: the command refuses it, unless it knows better.

        Raises:
            Unreachable: something is missing, and an upstream cannot be asked.
        """
        if not await self.store.read(missing):
            return Seen.THERE
        try:
            ends = await asyncio.gather(*(Owner(self.bus, u).position(timeout=self.patience) for u in upstreams))
        except BusAway:
            if await self.store.read(missing):
                raise Unreachable from None
            return Seen.THERE
        targets = {
            (u, lane): _End(end.epoch, end.epoch_after, p)
            for u, end in zip(upstreams, ends, strict=True)
            for lane, p in end.lanes.items()
        }
        before = [await self._look(*place) for place in targets]
        with suppress(TimeoutError):
            async with asyncio.timeout(self.patience):
                return await self._arrived(missing, targets)
        after = [await self._look(*place) for place in targets]
        begun = all(at.position or end.is_read(at) for at, end in zip(after, targets.values(), strict=True))
        if after != before:
            return Seen.LATE
        return Seen.STILL if begun else Seen.UNREAD

    async def of_everything(self, upstream: str) -> None:
        """Return when what an upstream has written by now is read, or after a second.

        For whoever wants to know of something that nothing needs it. What is written at this moment is never known.

        Raises:
            Unreachable: the upstream cannot be asked, or what it has written is still being read.
        """
        if await self.of(lambda _work: True, upstream) is Seen.LATE:
            raise Unreachable

    async def _arrived(self, missing: Missing, targets: Mapping[tuple[str, Lane], _End]) -> Seen:
        seen: list[Position] = []
        while True:
            at = [await self._look(*place) for place in targets]
            if all(end.is_read(a) for a, end in zip(at, targets.values(), strict=True)):
                return Seen.READ if await self.store.read(missing) else Seen.THERE
            # Nothing arrives without a cursor's step; and what has no effect here moves no cursor for a while.
            if at != seen and not await self.store.read(missing):
                return Seen.THERE
            seen = at
            await asyncio.sleep(_LOOK_AGAIN)

    async def _look(self, upstream: str, lane: Lane) -> Position:
        """The lane's cursor, as it stands or stood a moment ago."""
        now = asyncio.get_running_loop().time()
        since, task = self._looks.get((upstream, lane), (0.0, None))
        if task is None or (task.done() and now - since >= _LOOK_AGAIN):
            task = asyncio.create_task(self.store.position(upstream, lane))
            self._looks[upstream, lane] = (now, task)
        return await asyncio.shield(task)
