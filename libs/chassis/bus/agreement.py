"""Whether a stream and its log tell the same history, and up to where: a restored log has lost what a stream tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from nats.js.errors import APIError, NotFoundError
from psycopg import Cursor

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.store.epochs import Epochs, read_epochs
from libs.chassis.store.log import EventLog, LoggedEvent
from libs.chassis.store.store import Store
from libs.contracts.codec import id_of
from libs.contracts.model import Lane
from libs.contracts.subjects import Header, event_subject, lane_filter, lanes_of, place_of_id, stream_of

_COUNTED = 500
"""Events of a lane that are looked at one by one, to say what was lost; of more it is said that there are more."""


class Told(NamedTuple):
    """A message of ours: its place in the stream, and the event that it says stands at its place in the log."""

    sequence: int
    epoch: int
    position: int
    id: str
    type: str
    time: datetime


@dataclass(frozen=True)
class Odds:
    """Stream and log differ: the log goes on after position `after`, in an epoch that neither of them has seen."""

    epoch: int
    after: int
    lost: Mapping[Lane, Counter[str]] = field(default_factory=dict)
    """What only the stream holds: types of events and how many, as far as they were counted."""
    uncounted: bool = False
    """Whether there are more of them."""
    since: datetime | None = None
    """When the first of them happened."""

    def __str__(self) -> str:
        counts = [f"{lane}: {_listed(types)}" for lane, types in self.lost.items() if types]
        if not counts:
            return f"the log was restored to before its stream's epoch; both agree up to position {self.after}"
        many = sum(types.total() for types in self.lost.values())
        least, since = "at least " if self.uncounted else "", self.since.isoformat() if self.since else ""
        return (
            f"log and stream agree up to position {self.after}; {least}{many} later events are only in the stream,"
            f" the first of {since} ({'; '.join(counts)})"
        )


def _holds(log: EventLog, cursor: Cursor[Any], epochs: Epochs, lane: Lane, told: Told) -> bool:
    if epochs.keep(told.epoch, told.position) < told.position:
        return True
    event = log.newest(cursor, lane, told.position)
    return event is not None and event.position == told.position and id_of(event.raw) == told.id


def _listed(types: Counter[str]) -> str:
    """`3 IncidentCreated, 1 AlertsGrouped`"""
    return ", ".join(f"{n} {name.split('.')[-2]}" for name, n in types.most_common())


@dataclass(frozen=True)
class Agreement:
    """Of one service's log with its stream. It is the same one where every event of the stream is in the log.

    A restore cuts a log, so that the events of a lane agree up to one and none after it does: that one is found by
    bisection, in some thirty looks however long the stream is. What the log's own epochs say was lost earlier tells
    nothing: it counts as agreed up to where its epoch ended.
    """

    service: str
    store: Store
    bus: Bus

    async def ends(self) -> dict[Lane, Told | None]:
        """The stream's last message of each lane."""
        return {lane: await self.end(lane) for lane in lanes_of(self.service)}

    async def end(self, lane: Lane) -> Told | None:
        """The stream's last message of a lane; raises BusAway."""
        return await self._get(subject=lane_filter(self.service, lane))

    async def holds(self, epochs: Epochs, lane: Lane, told: Told) -> bool:
        """Whether the log says the same of that position, as far as its epochs let it."""
        return await self.store.log_read(lambda log, cursor: _holds(log, cursor, epochs, lane, told))

    async def unheld(self, published: Iterable[tuple[Lane, Told]]) -> tuple[Epochs, list[tuple[Lane, Told]]]:
        """(the log's epochs, what it does not hold of this): one question, as it is asked every second."""

        def read(log: EventLog, cursor: Cursor[Any]) -> tuple[Epochs, list[tuple[Lane, Told]]]:
            epochs = read_epochs(cursor.connection, self.service)
            return epochs, [(n, told) for n, told in set(published) if not _holds(log, cursor, epochs, n, told)]

        return await self.store.log_read(read)

    async def about(self, lane: Lane, event: LoggedEvent) -> list[Told]:
        """The stream's last message on a logged event's subject and the one after it in the lane, if there are any.

        It costs little, however large the stream is, so it may be asked often. For a lane's `end` the server walks
        through all subjects of that lane, one an entity: with a million of them a good part of a second, in which it
        stores nothing of that stream (nats-server 2.15.1).

        Raises:
            BusAway: the stream cannot be read.
        """
        there = await self._get(subject=event_subject(event.type, lane, event.entity))
        later = await self._next(lane, there.sequence + 1) if there is not None else None
        return [told for told in (there, later) if told is not None]

    async def newest(self, lane: Lane, upto: int) -> LoggedEvent | None:
        """The log's newest event of a lane at or before a position."""
        return await self.store.log_read(lambda log, cursor: log.newest(cursor, lane, upto))

    async def odds(self, epochs: Epochs, ends: Mapping[Lane, Told | None]) -> Odds | None:
        """What to begin where they differ; None: they do not.

        `ends`: the last message of each lane, or an earlier one that is known to be lost.

        Raises:
            BusAway: the stream cannot be read.
        """
        current = epochs.current.number
        present = {lane: end for lane, end in ends.items() if end is not None}
        odd = {lane: end for lane, end in present.items() if not await self.holds(epochs, lane, end)}
        newest = max((end.epoch for end in present.values()), default=0)
        if not odd and newest <= current:
            return None
        agreed = [epochs.keep(end.epoch, end.position) for lane, end in present.items() if lane not in odd]
        lost: dict[Lane, Told] = {}
        for lane, end in odd.items():
            told, lost[lane] = await self._boundary(epochs, lane, end)
            agreed += [epochs.keep(told.epoch, told.position)] if told is not None else []
        after = max(agreed) if agreed else await self._before(min(told.time for told in lost.values()))
        # Whatever else was done to the log: what stands where the stream tells of something else is read again.
        after = min((after, *(told.position - 1 for told in lost.values())))
        counts, more = {}, False
        for lane, first in lost.items():
            counts[lane], unfinished = await self._count(epochs, lane, first)
            more = more or unfinished
        since = min((told.time for told in lost.values()), default=None)
        return Odds(max(current, newest) + 1, after, counts, more, since)

    async def _boundary(self, epochs: Epochs, lane: Lane, last: Told) -> tuple[Told | None, Told]:
        """(the last message of a lane on which both agree, the first on which they differ); `last` is one of those."""
        agreed, lost = None, last
        low, high = 1, last.sequence
        while low < high:
            middle = (low + high) // 2
            told = await self._next(lane, middle)
            if told is None or told.sequence >= high:
                high = middle
            elif await self.holds(epochs, lane, told):
                agreed, low = told, told.sequence + 1
            else:
                lost, high = told, middle
        return agreed, lost

    async def _before(self, moment: datetime) -> int:
        """Nothing is in both any more: what the log has kept is older than the first event that it lost."""
        lanes = lanes_of(self.service)
        return max(
            await self.store.log_read(
                lambda log, cursor: [log.last_position(cursor, lane, before=moment) for lane in lanes]
            )
        )

    async def _count(self, epochs: Epochs, lane: Lane, first: Told) -> tuple[Counter[str], bool]:
        """What the stream tells of from there on, by type, and whether there is more than was counted."""
        found: Counter[str] = Counter()
        told: Told | None = first
        for _ in range(_COUNTED):
            if told is None:
                return found, False
            if not await self.holds(epochs, lane, told):
                found[told.type] += 1
            told = await self._next(lane, told.sequence + 1)
        return found, told is not None

    async def _next(self, lane: Lane, sequence: int) -> Told | None:
        """The first message of a lane at or after a place in the stream."""
        return await self._get(seq=sequence, subject=lane_filter(self.service, lane), next=True)

    async def _get(self, **query: Any) -> Told | None:
        try:
            message = await self.bus.js.get_msg(stream_of(self.service), **query)
        except NotFoundError:
            return None
        except APIError as error:
            raise BusAway(str(error)) from error
        headers = message.headers or {}
        try:
            epoch, position = place_of_id(headers[Header.MESSAGE_ID])
            moment = datetime.fromisoformat(headers["ce-time"])
            return Told(message.seq or 0, epoch, position, headers["ce-id"], headers["ce-type"], moment)
        except (LookupError, ValueError) as error:
            raise BusAway(f"message {message.seq} is none of ours: somebody else writes this stream") from error
