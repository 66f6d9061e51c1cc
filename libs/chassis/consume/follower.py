"""Following an upstream's events in order, exactly once in effect (design, rules 5, 6, 8 and 12)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.consume.apply import Applier, Item, Stopped
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.consume.owner import Owner
from libs.chassis.measure import telemetry
from libs.chassis.store.store import Position, Store
from libs.chassis.store.work import Work
from libs.contracts.envelope import Envelope, Fact, parse_event
from libs.contracts.model import Lane
from libs.contracts.subjects import Header, lane_filter, stream_of

_log = structlog.get_logger()
_BATCH = 500
_STORM = 1000
"""Messages behind from which on a patient consumer waits; it then takes as many at once."""
_PATIENCE = 15.0
"""Seconds that books may be late in a storm."""
_GLANCE = 0.05
_PLACE = re.compile(
    rb"[^\r]+\r\nNats-Msg-Id: [^/\r]+/(\d+)/(\d+)\r\nPager-Position: \d+\r\nPager-Previous: (\d+)\r\n"
    rb"ce-specversion: [^\r]+\r\nce-id: [^\r]+\r\nce-source: [^\r]+\r\nce-type: ([^\r]+)\r\n"
)
"""Of some two hundred bytes of headers an event's reader needs these four; in the order of `event_headers`."""

Handler = Callable[[Work, Sequence[Envelope[Any]]], None]


@dataclass(frozen=True)
class Consumer:
    """What a service takes from one upstream: the facts it cares for and the one call that takes them.

    `first`: a replica that must be read to its end before the events that use it (rule 12). `patient`: it keeps books
    that no page waits for, and lets the service's pressing work go first.
    """

    upstream: str
    facts: tuple[type[Fact], ...]
    handle: Handler
    first: bool = False
    patient: bool = False


@dataclass
class Follower:
    """One consumer on one lane, in the active replica."""

    service: str
    consumer: Consumer
    lane: Lane
    store: Store
    bus: Bus
    on_park: Callable[[], None] = lambda: None
    pressing: Callable[[], bool] = lambda: False
    """Whether something waits that a patient consumer lets go first."""
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: str | None = None
    """Why consumption has stopped; readiness fails."""
    _target: int = 0
    _pull: Pull | None = None
    _incarnation: str = ""
    _progress: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        upstream = self.consumer.upstream
        self._owner = Owner(self.bus, upstream)
        self._stream = stream_of(upstream)
        self._names = frozenset(f.type.split(".")[2] for f in self.consumer.facts)
        self._applier = Applier(self.service, upstream, self.lane, self.store, self.take, self.on_park)

    @property
    def at(self) -> Position:
        """What of the lane has taken effect here."""
        return self._applier.at

    async def run(self) -> None:
        """Follow for ever; whatever goes wrong, begin again from the cursor in PostgreSQL."""
        try:
            what = f"{self.consumer.upstream}.{self.lane}"
            await follow_for_ever(self.bus, self._follow, self.service, what)
        except Stopped as error:
            self.stopped = str(error)
            _log.error("consumption stopped", service=self.service, upstream=self.consumer.upstream, reason=str(error))

    async def read_to_end(self) -> None:
        """Return when everything that is in the owner's log now has taken effect; if it is away, in the stream.

        Raises:
            BusAway: neither's end can be read.
        """
        end = await self._end()
        while end[1] > 0 and (self.at.epoch, self.at.position) < end:
            self._progress.clear()
            await self._progress.wait()

    async def _end(self) -> tuple[int, int]:
        """(epoch, position); the log's end, because what is committed may not be in the stream yet."""
        try:
            view = await self._owner.position(timeout=0.5)
            return view.epoch, view.lanes.get(self.lane, 0)
        except BusAway:
            _log.debug("its owner is away, its stream must do", upstream=self.consumer.upstream)
        try:
            last = await self.bus.js.get_last_msg(self._stream, lane_filter(self.consumer.upstream, self.lane))
        except NotFoundError:
            return 0, 0
        except (NatsError, APIError, TimeoutError) as error:
            raise BusAway(str(error)) from error
        return _position(last.headers)

    @property
    def lag(self) -> int:
        """Messages of the lane that have not taken effect here yet; 0 when caught up."""
        return self._pull.behind if self._pull is not None else max(0, self._target - self.at.position)

    async def _follow(self) -> None:
        upstream = self.consumer.upstream
        await self._applier.begin()
        start, certain = await self._start()
        async with Pull(self.bus, self._stream, (lane_filter(upstream, self.lane),), start) as pull:
            self._pull = pull
            if not certain:
                await self._read_owner(until=None)
            await self._find_target()
            while True:
                if self.at.position >= self._target:
                    self.caught_up.set()
                await self._take(await self._some(pull))

    async def _some(self, pull: Pull) -> list[Received]:
        """In an alert storm pages go first: a patient consumer then reads late and much, which costs less, too."""
        if not self.consumer.patient:
            return await pull.some(_BATCH)
        # Only something that is here grows old: a consumer that broke still tells of what the server had, for ever.
        await pull.arrived()
        while (self.pressing() or pull.behind > _STORM) and pull.oldest_waits() < _PATIENCE:
            await asyncio.sleep(_GLANCE)
        return await pull.some(_STORM)

    async def _start(self) -> tuple[int, bool]:
        """The stream sequence to begin with, and whether the stream surely holds all that follows the cursor."""
        info = await self.bus.js.stream_info(self._stream)
        self._incarnation = str(info.created)
        at, last = self.at, info.state.last_seq
        if at.incarnation == self._incarnation and 0 < at.sequence <= last:
            try:
                message = await self.bus.js.get_msg(self._stream, at.sequence)
            except NotFoundError:
                return last + 1, False
            if _position(message.headers) == (at.epoch, at.position):
                return at.sequence + 1, True
        return (1 if at.position == 0 else last + 1), False

    async def _find_target(self) -> None:
        """Where the lane ends now. A replica that never read anything waits for its owner: it knows nobody yet."""
        while True:
            try:
                self._target = (await self._owner.position()).lanes.get(self.lane, 0)
                return
            except BusAway:
                if self.at.position > 0 or not self.consumer.first:
                    self._target = 0
                    return
                await asyncio.sleep(0.2)

    async def _take(self, messages: Sequence[Received]) -> None:
        items: list[Item] = []
        at = self.at
        for message in messages:
            epoch, position, previous, type_name = _place(message)
            if epoch != at.epoch:
                await self._apply(items)
                items, at = [], await self._change_epoch(epoch)
            if epoch < at.epoch or position <= at.position:
                continue
            if previous > at.position:
                await self._apply(items)
                items = []
                await self._read_owner(until=previous)
                at = self.at
                if position <= at.position:
                    continue
            at = Position(epoch, position, message.sequence, self._incarnation)
            items.append(Item(at, type_name, message.data))
        await self._apply(items)

    async def _change_epoch(self, epoch: int) -> Position:
        """Go on from where the owner's new epoch began; effects of positions that were lost there stay."""
        if epoch < self.at.epoch:
            return self.at
        if self.at.epoch == 0:
            self._applier.at = Position(epoch, 0, 0, self._incarnation)
        else:
            page = await self._owner.events(epoch, self.lane, self.at.position)
            _log.warning("new epoch", service=self.service, upstream=self.consumer.upstream, epoch=page.epoch)
            self._applier.at = Position(page.epoch, min(self.at.position, page.epoch_after), 0, self._incarnation)
        return self.at

    async def _read_owner(self, until: int | None) -> None:
        """Read from the owner's log what the stream does not hold: up to a position, or to its end."""
        while until is None or self.at.position < until:
            page = await self._owner.events(max(self.at.epoch, 1), self.lane, self.at.position)
            if page.epoch != max(self.at.epoch, 1):
                await self._change_epoch(page.epoch)
                continue
            places = [Position(page.epoch, e.position, 0, self._incarnation) for e in page.events]
            items = [Item(at, e.type, e.raw.encode()) for at, e in zip(places, page.events, strict=True)]
            if not items:
                if until is not None:
                    raise BusAway(f"{self.consumer.upstream} has no event after {self.at.position}")
                return
            await self._apply(items)

    async def _apply(self, items: Sequence[Item]) -> None:
        if items:
            await self._applier.apply([i for i in items if i.name in self._names], items[-1].at)
            self._progress.set()

    def take(self, work: Work, items: Iterable[Item]) -> None:
        """The handler on a batch, each event in a span of its trace."""
        events = [parse_event(i.type, i.raw) for i in items]
        if events:
            with telemetry.consuming(self.service, events) as traced:
                self.consumer.handle(work, traced)


def _place(message: Received) -> tuple[int, int, int, str]:
    """(epoch, position, previous position, type) of an event of ours."""
    found = _PLACE.match(message.block or b"")
    if found is None:  # whoever wrote it wrote its headers in another order
        headers = message.headers
        return *_position(headers), int(headers[Header.PREVIOUS]), headers["ce-type"]
    epoch, position, previous, type_name = found.groups()
    return int(epoch), int(position), int(previous), type_name.decode()


def _position(headers: Any) -> tuple[int, int]:
    """(epoch, position) from `Nats-Msg-Id: <service>/<epoch>/<position>`."""
    _, epoch, position = (headers or {}).get(Header.MESSAGE_ID, "/0/0").split("/")
    return int(epoch), int(position)
