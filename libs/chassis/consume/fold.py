"""A replica in memory: all that an owner knew at one moment, and what has happened since, folded by a pure function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, TypeVar

import structlog

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.consume.feed import Feed
from libs.chassis.consume.forever import BeginAgain, follow_for_ever
from libs.chassis.consume.item import Item
from libs.chassis.consume.owner import Owner, Refused
from libs.chassis.fault import fault_of
from libs.chassis.stopping import together
from libs.chassis.store.cursors import START, Position
from libs.contracts.codec import CODEC, Codec
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.model import Lane
from libs.contracts.subjects import lanes_of, sees_all

S = TypeVar("S")
_log = structlog.get_logger()
_REFUSED_AGAIN = 5.0
"""Seconds until an owner that has refused its snapshot is asked again: to make one is work."""


class NotLoaded(Exception):
    """Nothing has been heard of the owner yet: what is here says nothing of what there is."""


@dataclass(eq=False)
class FoldedLane:
    """One lane of a fold, for whoever watches it."""

    fold: Fold[Any]
    lane: Lane
    feed: Feed
    at: Position = START

    @property
    def upstream(self) -> str:
        return self.fold.upstream

    @property
    def caught_up(self) -> asyncio.Event:
        return self.fold.caught_up

    @property
    def stopped(self) -> str | None:
        return self.fold.stopped

    @property
    def lag(self) -> int:
        return self.feed.behind(self.at)


@dataclass
class Fold(Generic[S]):
    """`Fold("gateway", bus, "auth", "revocations", load, evolve, facts)`; `run()` it in every process that reads it.

    `load(rows)` makes a new state of a whole snapshot, which the owner has taken in one transaction together with the
    ends of its lanes; `evolve(state, event)` is the state after one of `facts`, and may be the same object. Lanes are
    read side by side, so that it must not matter in which order events of different ones come. Both run on the event
    loop: neither may wait.

    Whatever it cannot go on from (a new epoch, an event that it cannot read or fails on) makes it load a new snapshot.
    The state before that stays in force until the new one is there: what is served is old, never half.
    """

    service: str
    bus: Bus
    upstream: str
    name: str
    """Of the snapshot: `pager.rpc.<upstream>.snapshot.<name>`."""
    load: Callable[[Sequence[Any]], S]
    evolve: Callable[[S, Envelope[Any]], S]
    facts: tuple[type[Fact], ...]
    codec: Codec = CODEC
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there is a state."""
    stopped: str | None = None
    """Why there is no newer state to be had: the owner refuses its snapshot, or `load` does."""
    _state: S | None = None

    def __post_init__(self) -> None:
        self._owner = Owner(self.bus, self.upstream)
        self._names = tuple(fact.type.rpartition(".")[0] + "." for fact in self.facts)
        lanes = lanes_of(self.upstream)
        private = sees_all(self.upstream, (fact.type for fact in self.facts))
        self.lanes = [FoldedLane(self, lane, Feed(self.bus, self.upstream, lane, private=private)) for lane in lanes]
        """One `Reader` a lane."""

    @property
    def ready(self) -> bool:
        """Whether there is a state."""
        return self.caught_up.is_set()

    @property
    def state(self) -> S:
        """As of the newest event that has come.

        Raises:
            NotLoaded: it is not ready.
        """
        if not self.ready:
            raise NotLoaded(f"{self.name} of {self.upstream}")
        return self._state  # type: ignore[return-value]  # set before it is ready

    @property
    def lag(self) -> int:
        """Messages of all lanes that are not in the state yet, as far as is known."""
        return sum(lane.lag for lane in self.lanes)

    async def run(self) -> None:
        """Load and follow for ever."""
        await follow_for_ever(self.bus, self._follow, self.service, f"{self.upstream} {self.name}")

    async def _follow(self) -> None:
        for lane, at in (await self._load()).items():
            lane.at = at
        self.stopped = None
        self.caught_up.set()
        try:
            await together(*(partial(self._read, lane) for lane in self.lanes))
        except ExceptionGroup as broken:
            # They begin again together: a snapshot is of all lanes.
            raise broken.exceptions[0] from None

    async def _load(self) -> Mapping[FoldedLane, Position]:
        """A new state; returns where each lane goes on from it."""
        try:
            snapshot = await self._owner.snapshot(self.name)
            places = {lane: Position(snapshot.epoch, snapshot.lanes[lane.lane]) for lane in self.lanes}
            self._state = self.load(snapshot.data)
            return places
        except BusAway as error:
            if not isinstance(error, Refused):
                self.stopped = None
                raise
            reason = str(error)
        except Exception as error:  # noqa: BLE001 - whatever it is: who is watched says it, and tries again
            _log.exception("snapshot not understood", service=self.service, upstream=self.upstream, name=self.name)
            reason = f"snapshot {self.name} of {self.upstream}: {fault_of(error)}"
        self.stopped = reason
        await asyncio.sleep(_REFUSED_AGAIN)
        raise BeginAgain(reason)

    async def _read(self, lane: FoldedLane) -> None:
        async with aclosing(lane.feed.after(lane.at)) as batches:
            async for items, at in batches:
                if at.epoch != lane.at.epoch:
                    raise BeginAgain(f"epoch {at.epoch}: what is known here may have been lost there")
                self._take(items)
                lane.at = at

    def _take(self, items: Iterable[Item]) -> None:
        for item in items:
            if item.type.startswith(self._names):
                try:
                    self._state = self.evolve(self.state, item.event(self.codec))
                except Exception as error:
                    # The owner could handle it: its next snapshot says what came of it.
                    _log.exception("event not folded", service=self.service, upstream=self.upstream, type=item.type)
                    raise BeginAgain(f"{item.type} at {item.at.position}: {fault_of(error)}") from error
