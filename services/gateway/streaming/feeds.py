"""Which incidents have changed, as the streams INCIDENTS and ESCALATION tell it, in order and once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import structlog
from pydantic import ValidationError

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.stopping import together
from libs.contracts.model import Contract, Lane
from libs.contracts.subjects import Header, fact_filter, lanes_of, place_of_id, public_filter, stream_of
from services.gateway.streaming.positions import NOWHERE, Place

_log = structlog.get_logger()
RECALL: Final = 5_000
"""Messages of a stream that are read again at the start, so that whoever was connected before goes on; where reading
rested for more of them, only these are read."""
_FIRST_LEVEL: Final = "pager.escalation.EscalationDue.v1"
"""Whom an incident pages, and until when. Further levels and the end are events of the incident itself, too."""
_OTHERS: Final = "Integration"
"""What INCIDENTS tells beside of its incidents begins so."""


class FeedLane(NamedTuple):
    """One lane of one stream; `subject`: what of it is read."""

    service: str
    lane: Lane
    subject: str
    whole: bool
    """Whether it is all of the lane, so that its chain can be checked."""


LANES: Final = (
    *(FeedLane("incidents", lane, public_filter("incidents", lane), True) for lane in lanes_of("incidents")),
    *(FeedLane("escalation", lane, fact_filter(_FIRST_LEVEL, lane), False) for lane in lanes_of("escalation")),
)


class _Subject(Contract):
    incident_id: UUID


class _Told(Contract):
    """Of an event, whose it is."""

    data: _Subject


class Change(NamedTuple):
    """An event that may have changed what an incident shows."""

    lane: int
    """Its index in `LANES`."""
    place: Place
    type: str
    """`IncidentCreated`."""
    incident_id: UUID | None
    """None: it is of none."""
    stored_at: float
    """Unix seconds, when the bus had it."""


class Taker(Protocol):
    """What becomes of changes. Everything is called on the event loop and may not wait."""

    def begin(self, lane: int, after: Place) -> None:
        """What is taken of a lane from here on is all that came after this place."""
        ...

    def take(self, changes: Sequence[Change], *, past: bool) -> None:
        """Changes of one lane, in order; `past`: they were there when reading began."""
        ...

    def lose(self, lane: int, after: Place) -> None:
        """The same, and something before it was missed, or its epoch is over."""
        ...


@dataclass
class Feeds:
    """`run()` it. Where a stream does not hold what should follow, that is said (`lose`) and not looked for: whoever
    listens lists again. So the gateway needs no way into the logs."""

    bus: Bus
    taker: Taker
    recall: int = RECALL
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when every lane has been read to the end that it had at the start, or when it was gone on with."""
    _known: list[Place] = field(default_factory=lambda: [NOWHERE] * len(LANES))
    _begun: set[int] = field(default_factory=set)
    _sequences: dict[int, tuple[str, int]] = field(default_factory=dict)
    """By lane: the stream's incarnation, and the last message that was read of it."""
    _reading: set[int] = field(default_factory=set)
    _unread: set[int] = field(default_factory=lambda: set(range(len(LANES))))

    @property
    def live(self) -> bool:
        """Whether all lanes are being read as they grow."""
        return self.bus.connected and len(self._reading) == len(LANES)

    async def run(self) -> None:
        """For ever."""

        def follow(index: int, lane: FeedLane) -> Callable[[], Awaitable[None]]:
            what = f"{lane.service} {lane.lane} for streams"
            return partial(follow_for_ever, self.bus, partial(self._follow, index, lane), "gateway", what)

        await together(*(follow(index, lane) for index, lane in enumerate(LANES)))

    def rest(self) -> None:
        """`run` is about to be cancelled. What comes until it is called again was there when reading went on."""
        # What has not ended yet keeps the old ones: it makes nobody think that there is something to tell.
        self.ready, self._unread = asyncio.Event(), set(range(len(LANES)))

    async def _follow(self, index: int, lane: FeedLane) -> None:
        stream, ready, unread = stream_of(lane.service), self.ready, self._unread
        info = await self.bus.js.stream_info(stream)
        incarnation, last = str(info.created), info.state.last_seq
        before, sequence = self._sequences.get(index, ("", 0))
        recalled = max(1, last - self.recall + 1)
        if before == incarnation and sequence <= last:
            start = sequence + 1
            if index in unread and start < recalled:  # it has rested for too long
                start = recalled
                self._begun.discard(index)
        else:  # it is read for the first time, was made anew, or has lost its tail, which comes again
            start = recalled if before in ("", incarnation) else 1
        try:
            async with Pull(self.bus, stream, (lane.subject,), start) as pull:
                if index not in self._begun:
                    await self._begin(index, lane, pull)
                while pull.behind:
                    self._take(index, lane, incarnation, await pull.some(), past=index in unread)
                self._reading.add(index)
                unread.discard(index)
                if not unread:
                    ready.set()
                while True:
                    self._take(index, lane, incarnation, await pull.some(), past=False)
        finally:
            self._reading.discard(index)

    async def _begin(self, index: int, lane: FeedLane, pull: Pull) -> None:
        """Say after which place everything will be known: what stood before the first message that is read."""
        if pull.behind:
            first = _read(await pull.first())
            place = NOWHERE if first is None else Place(first.place.epoch, first.previous)
        else:
            place = NOWHERE
            async with Pull(self.bus, stream_of(lane.service), (lane.subject,), None) as newest:
                last = _read(await newest.first()) if newest.behind else None
                place = NOWHERE if last is None else last.place
        self._known[index] = place
        self.taker.begin(index, place)
        self._begun.add(index)

    def _take(self, index: int, lane: FeedLane, incarnation: str, messages: Sequence[Received], *, past: bool) -> None:
        changes: list[Change] = []
        for message in messages:
            event = _read(message)
            if event is None:
                _log.error("streams cannot read an event", of=lane.service, sequence=message.sequence)
                continue
            (place, previous, name), known = event, self._known[index]
            if place <= known:
                continue
            missed = lane.whole and previous > known.position
            if known.epoch > 0 and (missed or place.epoch > known.epoch):
                _log.warning("streams begin again", of=lane.service, lane=str(lane.lane), at=place, after=known)
                self.taker.take(changes, past=past)
                self.taker.lose(index, Place(place.epoch, previous))
                changes = []
            self._known[index] = place
            changes.append(Change(index, place, name, _incident_of(name, message), message.stored_at / 1e9))
        self.taker.take(changes, past=past)
        self._sequences[index] = (incarnation, messages[-1].sequence)


class _Event(NamedTuple):
    """What an event's headers say of it."""

    place: Place
    previous: int
    name: str


def _read(message: Received) -> _Event | None:
    """None: it is no event of ours, though only a service can write there; what is odd stops no stream."""
    headers = message.headers
    try:
        place = Place(*place_of_id(headers[Header.MESSAGE_ID]))
        return _Event(place, int(headers[Header.PREVIOUS]), headers["ce-type"].split(".")[2])
    except (KeyError, ValueError, IndexError):
        return None


def _incident_of(name: str, message: Received) -> UUID | None:
    if name.startswith(_OTHERS):
        return None
    try:
        return _Told.model_validate_json(message.data).data.incident_id
    except ValidationError:
        return None  # of a later release: it is about something else
