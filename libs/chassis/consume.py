"""Following an upstream's events in order, exactly once in effect (design, rules 5, 6, 8 and 12)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from libs.chassis import telemetry
from libs.chassis.bus import Bus, BusAway
from libs.chassis.owner import Owner
from libs.chassis.parking import Parked, ParkedKind, park, parked_entities
from libs.chassis.pull import Pull
from libs.chassis.store import START, Contended, Move, Overtaken, Position, Store, is_away
from libs.chassis.work import Work
from libs.contracts.envelope import Envelope, Fact, parse_event, read_head
from libs.contracts.model import Lane
from libs.contracts.subjects import Header, lane_filter, stream_of

_log = structlog.get_logger()
_BATCH = 200
_TRIES = 3
_STOP_AFTER = 5
_PERSIST_SKIPPED = 1000

Handler = Callable[[Work, Sequence[Envelope[Any]]], None]


@dataclass(frozen=True)
class Consumer:
    """What a service takes from one upstream: the facts it cares for and the one call that takes them.

    `first`: a replica that must be read to its end before the events that use it (rule 12).
    """

    upstream: str
    facts: tuple[type[Fact], ...]
    handle: Handler
    first: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One event of the upstream, from its stream or from its owner's log."""

    position: int
    sequence: int
    type: str
    raw: bytes

    @property
    def name(self) -> str:
        return self.type.split(".")[2]


class Stopped(Exception):
    """Five different events in a row have failed: the fault is ours, and parking on would lose the stream."""


@dataclass
class Follower:
    """One consumer on one lane, in the active replica."""

    service: str
    consumer: Consumer
    lane: Lane
    store: Store
    bus: Bus
    on_park: Callable[[], None] = lambda: None
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    stopped: str | None = None
    """Why consumption has stopped; readiness fails."""
    _stored: Position = START
    _at: Position = START
    _target: int = 0
    _skipped: int = 0
    _failures: int = 0
    _waiting: frozenset[str] = frozenset()
    _incarnation: str = ""
    _progress: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._owner = Owner(self.bus, self.consumer.upstream)
        self._stream = stream_of(self.consumer.upstream)
        self._names = frozenset(f.type.split(".")[2] for f in self.consumer.facts)

    async def run(self) -> None:
        """Follow for ever; whatever goes wrong, begin again from the cursor in PostgreSQL."""
        pause = 0.05
        while True:
            try:
                await self._follow()
            except Stopped as error:
                self.stopped = str(error)
                _log.error(
                    "consumption stopped", service=self.service, upstream=self.consumer.upstream, reason=str(error)
                )
                return
            except (BusAway, NatsError, APIError, TimeoutError, Overtaken, Contended) as error:
                reason = f"{type(error).__name__}: {error}"
            except Exception as error:
                if not is_away(error):
                    raise
                reason = f"{type(error).__name__}: {error}"
            _log.warning("following again", service=self.service, upstream=self.consumer.upstream, reason=reason)
            await asyncio.sleep(pause)
            pause = 0.05 if self.bus.connected else min(pause * 2, 1.0)

    async def read_to_end(self) -> None:
        """Return when everything that the stream holds now has taken effect.

        Raises:
            BusAway: the stream's end cannot be read.
        """
        try:
            last = await self.bus.js.get_last_msg(self._stream, lane_filter(self.consumer.upstream, self.lane))
        except NotFoundError:
            return
        except (NatsError, APIError, TimeoutError) as error:
            raise BusAway(str(error)) from error
        end = _position(last.headers)
        while (self._at.epoch, self._at.position) < end:
            self._progress.clear()
            await self._progress.wait()

    @property
    def lag(self) -> int:
        """Positions behind where the upstream's lane ended when we last asked; 0 when caught up."""
        return max(0, self._target - self._at.position)

    async def _follow(self) -> None:
        upstream = self.consumer.upstream
        self._stored = self._at = await self.store.position(upstream, self.lane)
        self._skipped = 0
        self._waiting = await self.store.read(lambda w: parked_entities(w, self.service, upstream))
        start, certain = await self._start()
        async with Pull(self.bus, self._stream, (lane_filter(upstream, self.lane),), start) as pull:
            if not certain:
                await self._read_owner(until=None)
            await self._find_target()
            while True:
                if self._at.position >= self._target:
                    self.caught_up.set()
                await self._take(await pull.some(_BATCH))

    async def _start(self) -> tuple[int, bool]:
        """The stream sequence to begin with, and whether the stream surely holds all that follows the cursor."""
        info = await self.bus.js.stream_info(self._stream)
        self._incarnation = str(info.created)
        at, last = self._at, info.state.last_seq
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
                if self._at.position > 0 or not self.consumer.first:
                    self._target = 0
                    return
                await asyncio.sleep(0.2)

    async def _take(self, messages: Sequence[Msg]) -> None:
        items: list[Item] = []
        at = self._at
        for message in messages:
            headers = message.headers or {}
            epoch, position = _position(headers)
            if epoch != at.epoch:
                await self._apply(items, at.epoch)
                items, at = [], await self._change_epoch(epoch)
            if epoch < at.epoch or position <= at.position:
                continue
            if int(headers[Header.PREVIOUS]) > at.position:
                await self._apply(items, at.epoch)
                items = []
                await self._read_owner(until=int(headers[Header.PREVIOUS]))
                at = self._at
                if position <= at.position:
                    continue
            sequence = message.metadata.sequence.stream
            items.append(Item(position, sequence, headers["ce-type"], message.data))
            at = Position(epoch, position, sequence, self._incarnation)
        await self._apply(items, at.epoch)

    async def _change_epoch(self, epoch: int) -> Position:
        """Go on from where the owner's new epoch began; effects of positions that were lost there stay."""
        if epoch < self._at.epoch:
            return self._at
        if self._at.epoch == 0:
            self._at = Position(epoch, 0, 0, self._incarnation)
        else:
            page = await self._owner.events(epoch, self.lane, self._at.position)
            _log.warning("new epoch", service=self.service, upstream=self.consumer.upstream, epoch=page.epoch)
            self._at = Position(page.epoch, min(self._at.position, page.epoch_after), 0, self._incarnation)
        return self._at

    async def _read_owner(self, until: int | None) -> None:
        """Read from the owner's log what the stream does not hold: up to a position, or to its end."""
        while until is None or self._at.position < until:
            page = await self._owner.events(max(self._at.epoch, 1), self.lane, self._at.position)
            if page.epoch != max(self._at.epoch, 1):
                await self._change_epoch(page.epoch)
                continue
            items = [Item(e.position, 0, e.type, e.raw.encode()) for e in page.events]
            if not items:
                if until is not None:
                    raise BusAway(f"{self.consumer.upstream} has no event after {self._at.position}")
                return
            await self._apply(items, page.epoch)

    async def _apply(self, items: Sequence[Item], epoch: int) -> None:
        if not items:
            return
        last = items[-1]
        new = Position(epoch, last.position, last.sequence, self._incarnation)
        wanted = [i for i in items if i.name in self._names]
        if wanted:
            await self._handle(wanted, new)
        else:
            # Nothing here for us: remember it with the next effect rather than paying a commit for it.
            self._skipped += len(items)
            if self._skipped >= _PERSIST_SKIPPED:
                await self._commit((), new)
        self._at = new
        self._progress.set()

    async def _handle(self, items: Sequence[Item], new: Position) -> None:
        # `decide` is deterministic: only a batch that fails for its content is taken apart.
        if not self._waiting:
            try:
                await self._commit(items, new)
                self._failures = 0
                return
            except Exception as error:
                if _passes(error):
                    raise
                _log.warning("batch failed", service=self.service, upstream=self.consumer.upstream, exc_info=True)
        for item in items:
            last = item is items[-1]
            await self._one(item, new if last else Position(new.epoch, item.position, item.sequence, self._incarnation))

    async def _one(self, item: Item, new: Position) -> None:
        entity = str(read_head(item.raw).entity)
        if entity in self._waiting:
            await self._park(item, entity, ParkedKind.WAITING, "an earlier event of this entity is parked", new)
            return
        for attempt in range(_TRIES):
            try:
                await self._commit((item,), new)
                self._failures = 0
                return
            except Exception as error:
                if _passes(error):
                    raise
                reason = f"{type(error).__name__}: {error}"
                await asyncio.sleep(0.05 * 4**attempt)
        self._failures += 1
        if self._failures >= _STOP_AFTER:
            raise Stopped(f"{_STOP_AFTER} different events in a row failed; the last: {reason}")
        _log.error("event parked", service=self.service, upstream=self.consumer.upstream, type=item.type, reason=reason)
        await self._park(item, entity, ParkedKind.FAILURE, reason, new)

    async def _park(self, item: Item, entity: str, kind: ParkedKind, reason: str, new: Position) -> None:
        parked = Parked(
            kind, self.consumer.upstream, self.lane, item.position, entity, item.type, reason, item.raw, headers={}
        )
        await self.store.transact(lambda w: park(w, self.service, parked), self._step(new))
        self._moved(new)
        self._waiting |= {entity}
        self.on_park()

    async def _commit(self, items: Sequence[Item], new: Position) -> None:
        await self.store.transact(lambda work: self.take(work, items), self._step(new))
        self._moved(new)

    def take(self, work: Work, items: Iterable[Item]) -> None:
        """The handler on a batch, each event in a span of its trace."""
        events = [parse_event(i.type, i.raw) for i in items]
        if events:
            with telemetry.consuming(self.service, events) as traced:
                self.consumer.handle(work, traced)

    def _step(self, new: Position) -> Move:
        return Move(self.consumer.upstream, self.lane, self._stored, new)

    def _moved(self, new: Position) -> None:
        self._stored = self._at = new
        self._skipped = 0


def _position(headers: Any) -> tuple[int, int]:
    """(epoch, position) from `Nats-Msg-Id: <service>/<epoch>/<position>`."""
    _, epoch, position = (headers or {}).get(Header.MESSAGE_ID, "/0/0").split("/")
    return int(epoch), int(position)


def _passes(error: Exception) -> bool:
    """Failures of the surroundings: they say nothing about the input, so nothing is parked for them."""
    return is_away(error) or isinstance(error, Overtaken | Contended)
