"""An upstream's events of one lane, in order, from any position: what its stream has lost is read from its owner.

A feed remembers nothing and needs no database: an `Applier` keeps the place of what takes effect in PostgreSQL, a
`Fold` begins from a snapshot.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import structlog

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.consume.item import Item
from libs.chassis.consume.owner import Owner
from libs.chassis.store.cursors import START, Position
from libs.contracts.model import Lane
from libs.contracts.subjects import Header, fact_filter, lane_filter, place_of_id, public_filter, stream_of

_log = structlog.get_logger()
BATCH = 500
"""Messages that are taken together."""
_NAMED, _BEFORE, _TYPED = f"{Header.MESSAGE_ID}: ".encode(), f"{Header.PREVIOUS}: ".encode(), b"ce-type: "
Pace = Callable[[Pull], Awaitable[list[Received]]]
"""How much is taken at once, and when: the next messages, at least one."""


async def at_once(pull: Pull) -> list[Received]:
    """What is there, as soon as something is."""
    return await pull.some(BATCH)


class Ahead(BusAway):
    """The owner's log ends before what is known of it: it was restored, and has not begun a new epoch yet."""


class Batch(NamedTuple):
    """Events that follow one another, and the place behind the last of them.

    Without events, `at` is of a new epoch: the owner's log goes on from there, and what came later in the old one was
    lost with it.
    """

    items: Sequence[Item]
    at: Position


@dataclass
class Feed:
    """`async with aclosing(feed.after(place)) as batches: async for batch in batches: …`

    Whoever asks for the next batch has taken the one before. One iteration at a time; it may be broken off and begun
    again from any place.
    """

    bus: Bus
    upstream: str
    lane: Lane
    pace: Pace = at_once
    must_know_end: bool = False
    """Whether a reader at position 0 waits until its owner has said where the lane ends: it would know nobody yet."""
    private: bool = True
    """Whether private facts are read, too. Their places in the chain are then gaps that the owner explains."""
    only: tuple[str, ...] = ()
    """Types of events that the stream shall send alone; none: all. What the stream lost is then only seen when the feed
    begins, and read from its owner: a chain cannot be checked of which most links stay away."""
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once all that was in the owner's log when it began has been taken."""
    _at: Position = START
    """Behind what was handed out last."""
    _target: int = 0
    _limit: tuple[int, int, int] = (0, 0, 0)
    """(sequence, epoch, position): up to there in the stream no event of that epoch can have a later position."""
    _pull: Pull | None = None
    _incarnation: str = ""
    _last: int = 0
    """The stream's last sequence when the feed began."""

    def __post_init__(self) -> None:
        self._owner = Owner(self.bus, self.upstream, self.private)
        self._stream = stream_of(self.upstream)
        self._subject = (lane_filter if self.private else public_filter)(self.upstream, self.lane)

    async def after(self, place: Position) -> AsyncGenerator[Batch, None]:
        """Everything that follows `place`, for ever. `Position(epoch, position)` of a log's end will do for a place.

        Raises:
            BusAway: the bus, or the owner where the stream has a gap, is away; begin again from what was taken.
            Ahead: the owner has lost what was taken, or what the stream tells; begin again, it will begin a new epoch.
            nats.errors.Error, nats.js.errors.APIError, TimeoutError: the same.
        """
        self._at = place
        async with Pull(self.bus, self._stream, self._subjects(), await self._start()) as pull:
            self._pull = pull
            # Where it does not, what the stream held when it began says nothing: its owner tells all of that.
            certain = await self._goes_on(pull)
            passed = self._last if self._is_known() and not certain else 0
            if not certain:
                while (batch := await self._known_from_owner()) is not None:
                    yield batch
            if await self._look_at_owner():
                while (batch := await self._from_owner()) is not None:
                    yield batch
            messages: Sequence[Received] = ()
            while True:
                if not messages:
                    if self._at.position >= self._target:
                        self.caught_up.set()
                    elif not self.private and not pull.behind:
                        # The end of its owner's log may be something that the stream does not tell us.
                        while (batch := await self._known_from_owner()) is not None:
                            yield batch
                        self._target = 0
                        continue
                    messages = await self.pace(pull)
                    if messages[0].sequence <= passed:
                        messages = [message for message in messages if message.sequence > passed]
                        continue
                items, messages = self._in_order(messages)
                if items:
                    yield Batch(items, items[-1].at)
                if messages:
                    yield await self._bridge(messages[0])

    def behind(self, at: Position) -> int:
        """Messages of the lane that were not handed out yet; before the stream is read, positions after `at`."""
        return self._pull.behind if self._pull is not None else max(0, self._target - at.position)

    async def end(self) -> tuple[int | None, int]:
        """(epoch, position) of the log's end, because what is committed may not be in the stream yet.

        None: the position is the same in every epoch.

        Where its owner is away, of the stream's.

        Raises:
            BusAway: neither can be read.
        """
        try:
            view = await self._owner.position(timeout=0.5)
            position = view.lanes.get(self.lane, 0)
            # Nobody hears of a new epoch before its first event: until then the end is one that all epochs share.
            return (view.epoch if position > view.epoch_after else None), position
        except BusAway:
            _log.debug("its owner is away, its stream must do", upstream=self.upstream)
        async with Pull(self.bus, self._stream, self._subjects(), None) as pull:
            return _position((await pull.first()).headers) if pull.behind else (0, 0)

    def _subjects(self) -> tuple[str, ...]:
        return tuple(fact_filter(name, self.lane) for name in self.only) or (self._subject,)

    async def _start(self) -> int:
        """The stream sequence to begin with: that of our place, to see whether it still is that."""
        info = await self.bus.js.stream_info(self._stream)
        self._incarnation = str(info.created)
        self._last = info.state.last_seq
        if self._is_known():
            return self._at.sequence
        return 1 if self._at.position == 0 else self._last + 1

    def _is_known(self) -> bool:
        """Whether our place has one in the stream as it is now."""
        return self._at.incarnation == self._incarnation and 0 < self._at.sequence <= self._last

    async def _goes_on(self, pull: Pull) -> bool:
        """Whether the stream surely holds all that follows our place: it holds that, too.

        The consumer tells it, which is bound to what we may read; a message by its number would be any of the stream.
        """
        if not (self._is_known() and pull.behind):
            return False
        at, first = self._at, await pull.first()
        return first.sequence == at.sequence and _position(first.headers) == (at.epoch, at.position)

    async def _look_at_owner(self) -> bool:
        """Learn where the lane ends now; whether another epoch has begun, so that nothing more of ours may be taken.

        Raises:
            Ahead: it ends before our place in the same epoch.
        """
        while True:
            try:
                view = await self._owner.position()
                break
            except BusAway:
                if self._at.position > 0 or self.only or not self.must_know_end:
                    self._target, self._limit = 0, (0, 0, 0)
                    return False
                await asyncio.sleep(0.2)
        end = view.lanes.get(self.lane, 0)
        self._target, self._limit = 0 if self.only else end, (self._last, view.epoch, end)
        self._check_limit(self._at.epoch, self._at.position)
        return self._at.epoch not in (0, view.epoch)

    def _check_limit(self, epoch: int, position: int) -> None:
        _, owned, end = self._limit
        if epoch == owned and position > end:
            self.caught_up.set()  # there is no more to read: nobody shall wait for it
            raise Ahead(
                f"the log of {self.upstream} ends at {end}, before {position} that it published: see `pager epoch`"
            )

    def _in_order(self, messages: Sequence[Received]) -> tuple[list[Item], Sequence[Received]]:
        """(what follows, the rest from the first message on that shows a gap or a later epoch)."""
        items: list[Item] = []
        rest, incarnation = messages[:0], self._incarnation
        known_epoch, known, *_ = self._at
        for number, message in enumerate(messages):
            epoch, position, previous, type_name = _place(message)
            if not known_epoch:
                known_epoch = epoch
            if epoch < known_epoch or (epoch == known_epoch and position <= known):
                continue
            if epoch > known_epoch or (previous > known and not self.only):
                rest = messages[number:]
                break
            if message.sequence <= self._limit[0]:
                self._check_limit(epoch, position)
            known = position
            items.append(Item(Position(epoch, position, message.sequence, incarnation), type_name, message.data))
        self._at = items[-1].at if items else self._at._replace(epoch=known_epoch)
        return items, rest

    async def _bridge(self, message: Received) -> Batch:
        """One step from where we are to a message that does not follow: some of the gap, or the new epoch."""
        batch = await self._known_from_owner()
        if batch is None:
            epoch, position, *_ = _place(message)
            raise BusAway(f"{self.upstream} has no event after {self._at.position}, before {epoch}/{position}")
        return batch

    async def _known_from_owner(self) -> Batch | None:
        """As `_from_owner`; where it is away, what is known by now must do, and nobody waits for the rest."""
        try:
            return await self._from_owner()
        except BusAway:
            if self._at.position:
                self.caught_up.set()
            raise

    async def _from_owner(self) -> Batch | None:
        """The next stretch of the owner's log, or its new epoch; None at its end."""
        epoch = max(self._at.epoch, 1)
        page = await self._owner.events(epoch, self.lane, self._at.position)
        if page.epoch != epoch:
            return self._change_epoch(page.epoch, page.epoch_after)
        places = [Position(page.epoch, e.position, 0, self._incarnation) for e in page.events]
        if not places:
            return None
        # Of what we are not to read only the place is told.
        items = [Item(at, e.type, e.raw.encode()) for at, e in zip(places, page.events, strict=True) if e.raw]
        self._at = places[-1]
        return Batch(items, self._at)

    def _change_epoch(self, epoch: int, after: int) -> Batch:
        """Go on from where the owner's new epoch began; what had come later in the old one has come all the same."""
        if epoch < self._at.epoch:
            raise BusAway(f"{self.upstream} is back in epoch {epoch}: it was restored, or is not the active one")
        if self._at.epoch > 0:
            _log.warning("new epoch", upstream=self.upstream, lane=str(self.lane), epoch=epoch)
        position = min(self._at.position, after) if self._at.epoch > 0 else 0
        self._at = Position(epoch, position, 0, self._incarnation)
        return Batch((), self._at)


def _place(message: Received) -> tuple[int, int, int, str]:
    """(epoch, position, previous position, type) of an event of ours.

    Of some two hundred bytes of headers these four are needed; they are where `event_headers` writes them.
    """
    lines = (message.block or b"").split(b"\r\n", 8)
    try:
        _, named, _, before, _, _, _, typed, _ = lines
        if not (named.startswith(_NAMED) and before.startswith(_BEFORE) and typed.startswith(_TYPED)):
            raise ValueError("in another order")
        _, epoch, position = named.split(b"/")
        return int(epoch), int(position), int(before[len(_BEFORE) :]), typed[len(_TYPED) :].decode()
    except ValueError:  # whoever wrote it wrote its headers in another order
        headers = message.headers
        return *_position(headers), int(headers[Header.PREVIOUS]), headers["ce-type"]


def _position(headers: Any) -> tuple[int, int]:
    return place_of_id((headers or {}).get(Header.MESSAGE_ID, "/0/0"))
