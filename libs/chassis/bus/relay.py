"""The relay: publishes the log to its stream, in order within each lane, urgent first (promise 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from libs.chassis.bus.connection import Bus, BusAway, WrongSequence
from libs.chassis.bus.wire import Outgoing
from libs.chassis.clock import Clock
from libs.chassis.store.log import LoggedEvent, Run
from libs.chassis.store.store import Store, is_away
from libs.contracts.cloudevents import event_headers
from libs.contracts.codec import id_of
from libs.contracts.model import Lane
from libs.contracts.subjects import Header, event_subject, lane_filter, lanes_of, message_id, stream_of

_log = structlog.get_logger()
_BATCH = 500
_BATCH_BYTES = 8 * 1024**2
"""What is read or published at once: 500 events of the largest size would be 240 MB. An event more than this much."""
_HANDED = 2000
"""Events of a lane that may wait here to be published; what comes beyond them is read from the log."""
_HANDED_BYTES = 32 * 1024**2
_RETENTION = timedelta(days=30)
_NET = 1.0
"""Seconds between looks at the log that nobody woke us for."""


class _Waiting(NamedTuple):
    """Events that were committed here, and their bytes."""

    events: Sequence[LoggedEvent]
    size: int

    def fits(self, count: int, size: int) -> bool:
        return len(self.events) <= count and self.size <= size

    def split(self, count: int, size: int) -> tuple[_Waiting, _Waiting]:
        """(so many from the front, until they are this much; the rest)."""
        taken = number = 0
        while number < min(count, len(self.events)) and taken < size:
            taken += len(self.events[number].raw)
            number += 1
        return _Waiting(self.events[:number], taken), _Waiting(self.events[number:], self.size - taken)


@dataclass
class Relay:
    """Runs in the active replica only; a second one is refused by the stream's expected last sequence."""

    service: str
    store: Store
    bus: Bus
    clock: Clock
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _unread: set[Lane] = field(default_factory=set)
    """Lanes of the log that may hold something that nobody has handed over."""
    _handed: dict[Lane, dict[int, _Waiting]] = field(default_factory=dict)
    """Runs of events that were committed here, by the position that each follows."""
    _positions: dict[Lane, int] = field(default_factory=dict)
    _sequence: int = 0
    _epoch: int = 0
    _trusting: bool = True
    """After a failure every message is asked for its own acknowledgement, so that the one at fault says why."""

    def __post_init__(self) -> None:
        self._lanes = lanes_of(self.service)
        self._forget()

    def hand(self, runs: Iterable[Run]) -> None:
        """These have just been committed: what follows upon the stream's end need not be read back from the log."""
        for lane, previous, events in runs:
            handed, size = self._handed[lane], sum(len(e.raw) for e in events)
            room = _HANDED_BYTES - sum(run.size for run in handed.values())
            if size <= room and sum(len(run.events) for run in handed.values()) < _HANDED:
                handed[previous] = _Waiting(events, size)
            else:
                self._unread.add(lane)
            self._wake.set()

    def wake(self) -> None:
        """There may be something new in the log."""
        self._unread.update(self._lanes)
        self._wake.set()

    @property
    def published(self) -> Mapping[Lane, int]:
        """The last position that is in the stream, by lane; empty before the stream was read."""
        return self._positions

    async def run(self) -> None:
        """Publish for ever; whatever goes wrong, start again from what the stream holds."""
        stop_listening = self.bus.on_interruption(self.wake)
        pause = 0.02
        try:
            while True:
                await self.bus.until_connected()
                try:
                    await self._resume()
                    while True:
                        self._wake.clear()
                        while await self._publish_some():
                            pass
                        pause = 0.02
                        await self._wait()
                except Exception as error:
                    if not (is_away(error) or isinstance(error, BusAway | WrongSequence | NatsError | TimeoutError)):
                        raise
                    self._trusting = False
                    _log.warning("relay starts again", service=self.service, reason=str(error) or type(error).__name__)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 0.5)
        finally:
            stop_listening()

    async def _wait(self) -> None:
        if not self.bus.connected:
            raise BusAway("disconnected")
        try:
            async with asyncio.timeout(_NET):
                await self._wake.wait()
        except TimeoutError:
            self.wake()
        if not self.bus.connected:
            raise BusAway("disconnected")

    async def _resume(self) -> None:
        """Find each lane's place in the stream, so that a bus which lost its tail is repaired."""
        self._forget()
        stream = stream_of(self.service)
        self._epoch, epoch_after = await self.store.epoch()
        # The sequence is read first: what is written after this read makes our next publish fail, and we come back.
        self._sequence = (await self.bus.js.stream_info(stream)).state.last_seq
        for lane in self._lanes:
            self._positions[lane] = await self._lane_position(stream, lane, epoch_after)
        self.wake()

    async def _lane_position(self, stream: str, lane: Lane, epoch_after: int) -> int:
        try:
            last = await self.bus.js.get_last_msg(stream, lane_filter(self.service, lane))
        except NotFoundError:
            # Nothing to resume from: begin with the oldest event that the stream would still hold.
            horizon = self.clock.now() - _RETENTION
            return await self.store.log_read(lambda log, cursor: log.last_position(cursor, lane, before=horizon))
        except APIError as error:
            raise BusAway(str(error)) from error
        headers = last.headers or {}
        position = int(headers[Header.POSITION])
        same_epoch = headers[Header.MESSAGE_ID] == message_id(self.service, self._epoch, position)
        return position if same_epoch else epoch_after

    async def _publish_some(self) -> bool:
        """One batch, if there is one. Urgent first; a routine batch is small enough for an urgent page behind it."""
        for lane in self._lanes:
            if rows := self._from_hand(lane) or await self._from_log(lane):
                await self._publish(lane, rows)
                return True
        return False

    def _from_hand(self, lane: Lane) -> list[LoggedEvent]:
        handed, after = self._handed[lane], self._positions[lane]
        rows: list[LoggedEvent] = []
        size = 0
        while len(rows) < _BATCH and size < _BATCH_BYTES and (run := handed.pop(after, None)):
            if not run.fits(_BATCH - len(rows), _BATCH_BYTES - size):
                run, rest = run.split(_BATCH - len(rows), _BATCH_BYTES - size)
                if rest.events:
                    handed[run.events[-1].position] = rest
            rows += run.events
            size += run.size
            after = run.events[-1].position
        return rows

    async def _from_log(self, lane: Lane) -> list[LoggedEvent]:
        """Read on where the hands have a gap: another process has appended there, or its commit comes later to us."""
        handed, after = self._handed[lane], self._positions[lane]
        if lane not in self._unread and not handed:
            return []
        self._unread.discard(lane)  # before it is read: what is committed meanwhile is handed over or adds it again
        rows = await self.store.log_read(lambda log, cursor: log.read_lane(cursor, lane, after, _BATCH, _BATCH_BYTES))
        last = rows[-1].position if rows else after
        self._handed[lane] = {previous: run for previous, run in handed.items() if previous >= last}
        if len(rows) == _BATCH or sum(len(row.raw) for row in rows) >= _BATCH_BYTES:
            self._unread.add(lane)  # there may be more
        return rows

    def _forget(self) -> None:
        self._handed = {lane: {} for lane in self._lanes}

    async def _publish(self, lane: Lane, rows: Sequence[LoggedEvent]) -> None:
        previous, sequence, messages = self._positions[lane], self._sequence, []
        for row in rows:
            lines = event_headers(
                self.service,
                id_of(row.raw),
                row.type,
                row.recorded_at,
                epoch=self._epoch,
                position=row.position,
                previous=previous,
                last=sequence,
            )
            messages.append(Outgoing(event_subject(row.type, lane, row.entity), row.raw, lines))
            previous, sequence = row.position, sequence + 1
        await self.bus.publish_all(messages, chained=self._trusting)
        self._trusting = True
        self._positions[lane], self._sequence = previous, sequence
