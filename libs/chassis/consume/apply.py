"""Inputs of one lane taken into effect in order: in batches, one by one when a batch fails, parked when one does."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import structlog

from libs.chassis.consume.item import Item, Unreadable, stands_alone
from libs.chassis.consume.parking import NothingBefore, Parked, ParkedKind, park, park_behind, parked_entities
from libs.chassis.fault import fault_in
from libs.chassis.measure.meters import meters
from libs.chassis.store.cursors import START, Move, Overtaken, Position
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work
from libs.contracts.model import Lane

_log = structlog.get_logger()
_PAUSES = (0.0, 0.05, 0.2)
"""Seconds before each try of one input alone."""
_PERSIST_SKIPPED = 50
"""Batches of nothing for us after which the cursor is stored all the same."""

Take = Callable[[Work, Sequence[Item]], None]


class Stopped(Exception):
    """Several different inputs in a row have failed: the fault is ours, and parking on would lose the stream."""


@dataclass
class Applier:
    """The cursor of one lane and what moves it. `stop_after`: failures in a row; None: park for ever (ALERTS)."""

    service: str
    upstream: str
    lane: Lane
    store: Store
    take: Take
    on_park: Callable[[], None] = lambda: None
    stop_after: int | None = 5
    remember: Take = lambda _work, _items: None
    """What else is written of inputs in the transaction that moves the cursor over them, parked ones included."""
    at: Position = START
    """What has taken effect or was skipped; the stored cursor may be behind by what was skipped."""
    _stored: Position = START
    _skipped: int = 0
    _failures: int = 0
    _waiting: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self._measured = meters(self.service).batches(self.upstream, self.lane)

    async def begin(self) -> Position:
        """Read the cursor: at the start, and again whenever something went wrong."""
        self._stored = self.at = await self.store.position(self.upstream, self.lane)
        self._skipped = 0
        self._waiting = await self.store.read(lambda work: parked_entities(work, self.service, self.upstream))
        return self.at

    async def apply(self, items: Sequence[Item], new: Position) -> None:
        """Take all items into effect and move the cursor to `new`, which is at or after the last of them.

        Raises:
            Overtaken: another replica consumes.
            Stopped: `stop_after` different inputs in a row failed.
        """
        if not items:
            await self._skip(new)
        elif self._any_waits(items) or not await self._apply_together(items, new):
            for item in items:
                await self._apply_one(item)
            if self.at != new:
                await self._skip(new)

    def _any_waits(self, items: Sequence[Item]) -> bool:
        return bool(self._waiting) and any(self._waits(item) for item in items)

    def _waits(self, item: Item) -> bool:
        return not stands_alone(item.type) and item.entity in self._waiting

    async def _skip(self, new: Position) -> None:
        """Nothing here for us: remember it with the next effect rather than paying a commit for it."""
        self._skipped += 1
        self.at = new
        if self._skipped >= _PERSIST_SKIPPED:
            await self._commit((), new)

    async def _apply_together(self, items: Sequence[Item], new: Position) -> bool:
        try:
            await self._commit(items, new)
        except Exception as error:
            if _passes(error):
                raise
            _log.warning("batch failed", service=self.service, upstream=self.upstream, exc_info=True)
            return False
        return True

    async def _apply_one(self, item: Item) -> None:
        if self._waits(item):
            try:
                await self._park(item, ParkedKind.WAITING, "an earlier event of this entity is parked")
                return
            except NothingBefore:
                self._waiting -= {item.entity}
        reason = await self._try(item)
        if reason is None:
            return
        self._failures += 1
        if self.stop_after is not None and self._failures >= self.stop_after:
            _log.error("not parked", service=self.service, position=item.at.position, reason=reason)
            raise Stopped(f"{self._failures} different events in a row failed; the last: {fault_in(reason)}")
        _log.error("parked", service=self.service, upstream=self.upstream, position=item.at.position, reason=reason)
        await self._park(item, ParkedKind.FAILURE, reason)

    async def _try(self, item: Item) -> str | None:
        """Take it into effect alone; why that fails, if it fails every time."""
        return await try_alone(lambda: self._commit((item,), item.at))

    async def _park(self, item: Item, kind: ParkedKind, reason: str) -> None:
        # What is no event of ours has no type: its subject says what it is, and a replay needs it.
        named = item.type or item.subject
        parked = Parked(
            kind, self.upstream, self.lane, item.at.position, item.entity, named, reason, item.raw, item.headers
        )
        set_aside = park_behind if kind is ParkedKind.WAITING else park

        def write(work: Work) -> None:
            set_aside(work, self.service, parked)
            self.remember(work, (item,))

        await self.store.transact(write, self._move(item.at))
        self._moved(item.at)
        self._waiting |= {item.entity}
        self.on_park()

    async def _commit(self, items: Sequence[Item], new: Position) -> None:
        began = perf_counter()

        def write(work: Work) -> None:
            if items:
                self.take(work, items)
                self.remember(work, items)

        await self.store.transact(write, self._move(new))
        self._moved(new)
        if items:
            self._failures = 0
            self._measured(len(items), began)

    def _move(self, new: Position) -> Move:
        return Move(self.upstream, self.lane, self._stored, new)

    def _moved(self, new: Position) -> None:
        self._stored = self.at = new
        self._skipped = 0


async def try_alone(attempt: Callable[[], Awaitable[None]]) -> str | None:
    """Why something fails each time that it is tried by itself; None: it has taken effect.

    Failures of the surroundings are raised: nothing is set aside for them.
    """
    reason = ""
    for pause in _PAUSES:
        if pause:
            await asyncio.sleep(pause)
        try:
            await attempt()
            return None
        except Unreadable as error:
            return f"{type(error).__name__}: {error}"
        except Exception as error:
            if _passes(error):
                raise
            reason = f"{type(error).__name__}: {error}"
    return reason


def _passes(error: Exception) -> bool:
    return passes(error) or isinstance(error, Overtaken)
