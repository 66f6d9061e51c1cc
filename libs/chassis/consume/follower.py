"""Following an upstream: a feed of its events, taken into effect in PostgreSQL in order and exactly once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.consume.apply import Applier, Stopped
from libs.chassis.consume.feed import BATCH, Ahead, Feed, at_once
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.consume.item import Item
from libs.chassis.consume.parking import Parked
from libs.chassis.measure import telemetry
from libs.chassis.store.cursors import Position
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.codec import CODEC
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.model import Lane
from libs.contracts.subjects import has_private, sees_all

_log = structlog.get_logger()
_STORM = 1000
"""Messages behind from which on a patient consumer waits; it then takes as many at once."""
_PATIENCE = 30.0
"""Seconds that books may be late in a storm that goes on."""
_GLANCE = 0.05
_LOOK = 1.0
"""Seconds between two looks at whether a storm still grows."""
_FEW = 500
"""Messages: a stream that has grown by no more since the last look leaves time for books."""

Handler = Callable[[Work, Sequence[Envelope[Any]]], None]


@dataclass(frozen=True)
class Consumer:
    """What a service takes from one upstream: the facts it cares for and the one call that takes them.

    `first`: a replica that must be read to its end before the events that use it, so that a cold start never pages the
    wrong people. `patient`: it keeps books that no page waits for, and lets the service's pressing work go first.
    `sparse`: these facts are few among many others, and to be woken by each of those would cost more than they are
    worth; of what the stream loses while it is read, it learns at the next start only.
    """

    upstream: str
    facts: tuple[type[Fact], ...]
    handle: Handler
    first: bool = False
    patient: bool = False
    sparse: bool = False

    def __post_init__(self) -> None:
        if self.first and self.sparse:
            raise ValueError("a reader that must reach its owner's end needs every event on the way")
        if self.sparse and has_private(self.upstream):
            raise ValueError("a reader of several facts is bound by nothing: it might read what is private")


@dataclass
class Follower:
    """One consumer on one lane, in the active replica."""

    service: str
    consumer: Consumer
    lane: Lane
    store: Store
    bus: Bus
    on_park: Callable[[], None] = lambda: None
    is_pressed: Callable[[], bool] = lambda: False
    """Whether something waits that a patient consumer lets go first."""
    stopped: str | None = None
    _progress: asyncio.Event = field(default_factory=asyncio.Event)
    _in_storm: bool = False
    """Whether more waits than it takes at once, and more is coming; only a patient consumer looks."""
    _looked_at: float = float("-inf")
    _newest: int = 0

    def __post_init__(self) -> None:
        consumer, pace = self.consumer, self._patiently if self.consumer.patient else at_once
        self._wanted = _Wanted(consumer.facts)
        only = tuple(fact.type for fact in consumer.facts) if consumer.sparse else ()
        private = sees_all(consumer.upstream, (fact.type for fact in consumer.facts))
        self._feed = Feed(self.bus, consumer.upstream, self.lane, pace, consumer.first, private, only)
        self._applier = Applier(self.service, consumer.upstream, self.lane, self.store, self.take, self.on_park)

    @property
    def upstream(self) -> str:
        return self.consumer.upstream

    @property
    def first(self) -> bool:
        return self.consumer.first

    @property
    def at(self) -> Position:
        """What of the lane has taken effect here."""
        return self._applier.at

    @property
    def caught_up(self) -> asyncio.Event:
        return self._feed.caught_up

    @property
    def lag(self) -> int:
        """Messages of the lane that have not taken effect here yet; 0 when caught up."""
        return self._feed.behind(self.at)

    @property
    def pressing(self) -> bool:
        # What still grows are pages that are decided or sent: nobody's books are written beside them.
        if self.consumer.patient:
            return self._in_storm and monotonic() - self._looked_at < 2 * _LOOK
        return self.lag > BATCH

    async def run(self) -> None:
        """Follow for ever; whatever goes wrong, begin again from the cursor in PostgreSQL."""
        self.stopped = None
        try:
            await follow_for_ever(self.bus, self._follow, self.service, f"{self.upstream}.{self.lane}")
        except Stopped as error:
            self.stopped = str(error)
            _log.error("consumption stopped", service=self.service, upstream=self.upstream, reason=str(error))

    async def read_to_end(self) -> None:
        """Return when everything that is in the owner's log now has taken effect; if it is away, in the stream.

        Raises:
            BusAway: neither's end can be read.
        """
        epoch, position = await self._feed.end()
        while position > 0 and not self._has_reached(epoch, position):
            self._progress.clear()
            await self._progress.wait()

    def _has_reached(self, epoch: int | None, position: int) -> bool:
        at = self.at
        return at.position >= position if epoch is None else (at.epoch, at.position) >= (epoch, position)

    def replay(self, work: Work, parked: Parked) -> None:
        self.take(work, [Item(Position(0, parked.position), parked.type, parked.raw)])

    def take(self, work: Work, items: Iterable[Item]) -> None:
        """The handler on a batch, each event in a span of its trace."""
        # Without keys: what others say of persons stays in its box, and what reads a row opens it.
        events = [item.event(CODEC) for item in items]
        if events:
            with telemetry.consuming(self.service, events) as traced:
                self.consumer.handle(work, traced)

    async def _follow(self) -> None:
        place, wanted = await self._applier.begin(), self._wanted
        try:
            async with aclosing(self._feed.after(place)) as batches:
                async for items, at in batches:
                    self.stopped = None
                    await self._applier.apply([item for item in items if wanted[item.type]], at)
                    self._progress.set()
        except Ahead as error:
            self.stopped = str(error)  # until its owner has begun a new epoch
            raise

    async def _patiently(self, pull: Pull) -> list[Received]:
        """In an alert storm pages go first: a patient consumer then reads late and much, which costs less, too."""
        # Only something that is here grows old: a consumer that broke still tells of what the server had, for ever.
        await pull.arrived()
        while (await self._is_in_storm(pull) or self.is_pressed()) and pull.oldest_waits() < _PATIENCE:
            await asyncio.sleep(_GLANCE)
        return await pull.some(_STORM)

    async def _is_in_storm(self, pull: Pull) -> bool:
        """What waits is told by what has come, and nothing comes while we hold back: so the server is asked."""
        if pull.behind <= _STORM:
            self._in_storm = False
        elif (now := monotonic()) - self._looked_at >= _LOOK:
            before, self._newest, self._looked_at = self._newest, await pull.newest(), now
            self._in_storm = self._newest - before > _FEW
        return self._in_storm


class _Wanted(dict[str, bool]):
    """By type, whether it is one of these facts, in any version: one that this build cannot read is parked, not missed.

    Types are as few as there are in the code, and a look into a dictionary is what an event's filter may cost.
    """

    def __init__(self, facts: Iterable[type[Fact]]) -> None:
        super().__init__()
        self._names = frozenset(_name(fact.type) for fact in facts)

    def __missing__(self, type_name: str) -> bool:
        wanted = self[type_name] = _name(type_name) in self._names
        return wanted


def _name(type_name: str) -> str:
    """`pager.incidents.IncidentCreated` of `pager.incidents.IncidentCreated.v1`."""
    return type_name.rpartition(".")[0]
