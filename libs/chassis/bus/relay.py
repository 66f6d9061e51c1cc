"""The relay: publishes the log to its stream, in order within each lane, urgent first (promise 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog
from eventsourcing.persistence import PersistenceError
from nats.errors import Error as NatsError

from libs.chassis.bus.agreement import Agreement, Odds, Told
from libs.chassis.bus.connection import Bus, BusAway, WrongSequence
from libs.chassis.bus.handed import Handed
from libs.chassis.bus.wire import Outgoing
from libs.chassis.clock import Clock
from libs.chassis.fault import fault_of
from libs.chassis.store.epochs import Epoch, Epochs
from libs.chassis.store.log import LoggedEvent, Run
from libs.chassis.store.store import Store, is_away
from libs.contracts.cloudevents import event_headers
from libs.contracts.codec import id_of
from libs.contracts.model import Lane
from libs.contracts.subjects import event_subject, lanes_of, stream_of

_log = structlog.get_logger()
_BATCH = 500
_BATCH_BYTES = 8 * 1024**2
"""What is read or published at once: 500 events of the largest size would be 240 MB. An event more than this much."""
_RETENTION = timedelta(days=30)
_NET = 1.0
"""Seconds between looks at the log that nobody woke us for, and between comparisons of it with what was published."""
_SOON, _LATER = 0.02, 0.5
"""Seconds between two starts after a failure: the first pause and, doubled each time, the longest."""
_REFUSED = 10.0
"""The longest where no epoch can be begun: each try reads the stream, and only a person can change the answer."""

Tell = Callable[[Odds], Awaitable[None]]
"""Page the admins about a new epoch before it begins; returns in seconds, also when that was not accepted yet."""


class AtOdds(Exception):
    """The log is not what was published of it: begin again from what both hold."""


class Refused(AtOdds):
    """The database does not begin the new epoch: somebody must, by hand."""


async def _tell_nobody(_odds: Odds) -> None:
    return


@dataclass
class Relay:
    """Runs in the active replica only; a second one is refused by the stream's expected last sequence."""

    service: str
    store: Store
    bus: Bus
    clock: Clock
    tell: Tell = _tell_nobody
    at_odds: str | None = None
    """How log and stream differ, until that is settled: what is committed meanwhile is not published."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _unread: set[Lane] = field(default_factory=set)
    """Lanes of the log that may hold something that nobody has handed over."""
    _handed: dict[Lane, Handed] = field(default_factory=dict)
    _positions: dict[Lane, int] = field(default_factory=dict)
    _told: dict[Lane, Told] = field(default_factory=dict)
    """The stream's last message of each lane, as far as it is of the log's history."""
    _anchors: dict[Lane, Told] = field(default_factory=dict)
    """The same when the log was last compared with them: one that was restored may have grown past them since."""
    _lost: dict[Lane, Told] = field(default_factory=dict)
    """What was found lost by that comparison, though what came later is in both again."""
    _sequence: int = 0
    _epoch: int = 0
    _compared: float = 0.0
    _trusting: bool = True
    """After a failure every message is asked for its own acknowledgement, so that the one at fault says why."""

    def __post_init__(self) -> None:
        self._lanes = lanes_of(self.service)
        self._agreement = Agreement(self.service, self.store, self.bus)
        self._forget()

    def hand(self, runs: Iterable[Run]) -> None:
        """These have just been committed: what follows upon the stream's end need not be read back from the log."""
        for lane, previous, events in runs:
            if not self._handed[lane].put(previous, events):
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

    def reasons(self) -> list[str]:
        """Why nothing is published although the bus is there: nothing, or one sentence."""
        return [f"publishing: {self.at_odds}"] if self.at_odds is not None else []

    async def run(self) -> None:
        """Publish for ever; whatever goes wrong, start again from what the stream holds."""
        stop_listening = self.bus.on_interruption(self.wake)
        pause = _SOON
        try:
            while True:
                await self.bus.until_connected()
                try:
                    await self._resume()
                    while True:
                        self._wake.clear()
                        while await self._publish_some():
                            pass
                        pause = _SOON
                        await self._wait()
                except Exception as error:
                    expected = BusAway | WrongSequence | AtOdds | NatsError | TimeoutError
                    if not (is_away(error) or isinstance(error, expected)):
                        raise
                    self._trusting = False
                    _log.warning("relay starts again", service=self.service, reason=str(error) or type(error).__name__)
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, _REFUSED if isinstance(error, Refused) else _LATER)
        finally:
            self.at_odds = None  # another replica's matter from now on
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
        """Find each lane's place in the stream, so that a bus which lost its tail is repaired.

        A log that was restored has lost what the stream tells: then a new epoch begins first (promise 6).
        """
        self._forget()
        epochs = await self.store.epochs()
        # The sequence is read first: what is written after this read makes our next publish fail, and we come back.
        sequence = (await self.bus.js.stream_info(stream_of(self.service))).state.last_seq
        ends = await self._agreement.ends()
        if (odds := await self._agreement.odds(epochs, ends | self._lost)) is not None:
            await self._begin_epoch(epochs, odds)
            raise AtOdds(str(odds))  # and begin again, in the new epoch or in one that another has begun
        self._epoch, self._sequence = epochs.current.number, sequence
        self._told, self._anchors, self._lost = {}, {}, {}
        for lane in self._lanes:
            self._positions[lane] = await self._lane_position(epochs, lane, ends[lane])
        self._compared = asyncio.get_running_loop().time()
        self.at_odds = None
        self.wake()

    async def _lane_position(self, epochs: Epochs, lane: Lane, end: Told | None) -> int:
        if end is None:
            # Nothing to resume from: begin with the oldest event that the stream would still hold.
            horizon = self.clock.now() - _RETENTION
            return await self.store.log_read(lambda log, cursor: log.last_position(cursor, lane, before=horizon))
        kept = epochs.keep(end.epoch, end.position)
        if kept == end.position:
            self._told[lane] = end
            return kept
        event = await self._agreement.newest(lane, kept)
        return event.position if event is not None else 0

    async def _begin_epoch(self, epochs: Epochs, odds: Odds) -> None:
        """The admins are told first: a relay that dies in between finds the same again, and tells them again.

        Raises:
            Refused: the database does not begin it.
        """
        self.at_odds = str(odds)
        await self.tell(odds)
        try:
            epoch = Epoch(odds.epoch, odds.after, self.clock.now(), self.at_odds)
            begun = await self.store.begin_epoch(epochs.current.number, epoch)
        except PersistenceError as error:
            if is_away(error):
                raise
            raise Refused(f"{odds}; no epoch could be begun: {fault_of(error)} (see `pager epoch`)") from error
        if begun:
            _log.warning("new epoch", service=self.service, epoch=odds.epoch, after=odds.after)

    async def _compare(self) -> None:
        """Once a second, whether the log still is what was published of it, and goes on in the same epoch.

        Raises:
            AtOdds: it was restored while we ran, or somebody has begun an epoch by hand.
        """
        now = asyncio.get_running_loop().time()
        if now - self._compared < _NET:
            return
        newest = dict(self._told)
        epochs, unheld = await self._agreement.unheld((*self._anchors.items(), *newest.items()))
        if epochs.current.number != self._epoch:
            raise AtOdds(f"epoch {epochs.current.number} has begun: {epochs.current.reason}")
        for lane, told in unheld:
            self._lost[lane] = min(told, self._lost.get(lane, told))
            self.at_odds = f"the log no longer holds position {told.position} as it was published"
        if self._lost:
            raise AtOdds(self.at_odds)
        self._anchors, self._compared = newest, now

    async def _publish_some(self) -> bool:
        """One batch, if there is one. Urgent first; a routine batch is small enough for an urgent page behind it."""
        await self._compare()
        for lane in self._lanes:
            handed = self._handed[lane].take(self._positions[lane], _BATCH, _BATCH_BYTES)
            if rows := handed or await self._from_log(lane):
                await self._publish(lane, rows)
                return True
        return False

    async def _from_log(self, lane: Lane) -> list[LoggedEvent]:
        """Read on where the hands have a gap: another process has appended there, or its commit comes later to us."""
        handed, after = self._handed[lane], self._positions[lane]
        if lane not in self._unread and not handed:
            return []
        self._unread.discard(lane)  # before it is read: what is committed meanwhile is handed over or adds it again
        rows = await self.store.log_read(lambda log, cursor: log.read_lane(cursor, lane, after, _BATCH, _BATCH_BYTES))
        last = rows[-1].position if rows else after
        handed.forget(last)
        if len(rows) == _BATCH or sum(len(row.raw) for row in rows) >= _BATCH_BYTES:
            self._unread.add(lane)  # there may be more
        return rows

    def _forget(self) -> None:
        self._handed = {lane: Handed() for lane in self._lanes}

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
        self._told[lane] = Told(sequence, self._epoch, previous, id_of(row.raw), row.type, row.recorded_at)
