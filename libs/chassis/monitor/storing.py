"""Whether NATS stores what it is given: a stream whose write failed once takes nothing more until the server restarts.

Connections, answers and what a stream says of itself stay as they were, and nobody is refused: acknowledgements just do
not come (nats-server 2.15.1; docs/adr/0038). So each service looks whether its committed events are in its stream, and
whoever owns a stream that others write writes into it, and reads that back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import structlog

from libs.chassis.bus.agreement import Agreement, Told
from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.relay import AtOdds
from libs.chassis.clock import Clock
from libs.chassis.fault import fault_of
from libs.chassis.monitor.probe import DEADLINE, Probe
from libs.chassis.monitor.sampling import unpublished_since
from libs.chassis.store.log import LoggedEvent
from libs.chassis.store.store import Store, is_away
from libs.contracts.model import Lane
from libs.contracts.subjects import lanes_of, stream_of

_log = structlog.get_logger()
EVERY = timedelta(seconds=2)
GRACE = 3.0
"""Seconds after which a trouble is said: one slow answer is none."""
LATE = timedelta(seconds=10)
"""How long a committed event may wait for its place in the stream."""
_ANY = 2**63 - 1
"""No position is greater."""


@dataclass
class Storing:
    """Looks every two seconds, in every replica: whoever is asked for the service's health must know."""

    service: str
    bus: Bus
    clock: Clock
    store: Callable[[], Store]
    published: Callable[[Lane], int | None]
    """The relay's own word for a lane of which the stream holds nothing; None where it does not run."""
    probe: Probe | None = None

    def __post_init__(self) -> None:
        self._since: dict[str, float] = {}
        self._words: dict[str, str] = {}
        self._odd: set[str] = set()
        """Lanes of which the log does not hold what the stream tells: no fault of NATS."""
        self._marks: dict[Lane, LoggedEvent] = {}
        """Events that were the newest of their lanes, and have not been seen in the stream yet."""
        self._seen: dict[Lane, Told] = {}
        """What was: a log that is restored lacks it, however far it has grown again."""

    def reasons(self) -> list[str]:
        """What is not stored, a sentence each; nothing while the bus is away, which is said elsewhere."""
        return [self._words[what] for what in self._lasting() if what not in self._odd]

    def odds(self) -> list[str]:
        """Where log and stream differ, a sentence each."""
        return [self._words[what] for what in self._lasting() if what in self._odd]

    def _lasting(self) -> list[str]:
        now = asyncio.get_running_loop().time()
        return [what for what, since in self._since.items() if now - since >= GRACE]

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.clock.wait_until(self.clock.now() + EVERY)
            await self.look()

    async def look(self) -> None:
        """Once, at everything."""
        if self.bus.connected:
            await asyncio.gather(self._probe(), *(self._lane(lane) for lane in lanes_of(self.service)))
        else:
            self._since.clear()

    async def _probe(self) -> None:
        if self.probe is None:
            return
        try:
            await self.probe.look()
        except Exception as error:  # noqa: BLE001 - whatever it is: who watches goes on, and says it
            told = str(error) if isinstance(error, BusAway) else fault_of(error)
            self._say(self.probe.stream, f"{self.probe.stream} does not store what is written: {told}")
        else:
            self._since.pop(self.probe.stream, None)

    async def _lane(self, lane: Lane) -> None:
        what = f"{stream_of(self.service)}.{lane}"
        try:
            waiting = await self._waiting(lane)
        except AtOdds as error:
            self._say(what, str(error), odd=True)
            return
        except Exception as error:  # noqa: BLE001 - whatever it is: who watches goes on, and says it
            if is_away(error):
                return  # the database: said elsewhere, and nothing is known
            self._say(what, f"{what} cannot be compared with the log: {fault_of(error)}")
            return
        if waiting > LATE:
            self._say(what, f"{what} lacks events that were committed {waiting.total_seconds():.0f} s ago")
        else:
            self._since.pop(what, None)

    async def _waiting(self, lane: Lane) -> timedelta:
        """For how long the oldest event that the stream lacks has waited; raises AtOdds."""
        store = self.store()
        agreement = Agreement(self.service, store, self.bus)
        mark = self._marks.get(lane) or await agreement.newest(lane, _ANY)
        if mark is not None and await self._is_fine(agreement, lane, mark):
            return timedelta(0)
        epochs = await store.epochs()
        # A database that is slow says nothing of the bus.
        async with asyncio.timeout(DEADLINE):
            last = await agreement.end(lane)
        if last is not None:
            if not await agreement.holds(epochs, lane, last):
                raise AtOdds(f"the log does not hold position {last.position} of {lane} as the stream tells it")
            after = epochs.keep(last.epoch, last.position)
        elif (published := self.published(lane)) is not None:
            # Nothing was written yet, or all of it is too old or was purged: then only the relay knows its place.
            after = published
        else:
            return timedelta(0)
        oldest = await store.read(lambda work: unpublished_since(work, self.service, lane, after))
        waiting = timedelta(0) if oldest is None else self.clock.now() - oldest
        if waiting <= LATE:
            self._marks.pop(lane, None)  # it was purged, or is too old to be there: a newer one may be found again
        return waiting

    async def _is_fine(self, agreement: Agreement, lane: Lane, mark: LoggedEvent) -> bool:
        """Whether nothing speaks against it that can be asked for cheaply, as far as the log's newest event shows."""
        async with asyncio.timeout(DEADLINE):
            told = await agreement.about(lane, mark)
        seen = [(lane, one) for one in (*told, self._seen.get(lane)) if one is not None]
        epochs, unheld = await agreement.unheld(seen)
        if unheld:
            return False
        if told and told[0].position >= mark.position == epochs.keep(told[0].epoch, mark.position):
            self._seen[lane] = told[-1]
            self._marks.pop(lane, None)
            return True
        self._marks[lane] = mark
        return self.clock.now() - mark.recorded_at <= LATE

    def _say(self, what: str, words: str, *, odd: bool = False) -> None:
        if what not in self._since:
            _log.warning("log and stream differ" if odd else "not stored", service=self.service, reason=words)
        (self._odd.add if odd else self._odd.discard)(what)
        self._since.setdefault(what, asyncio.get_running_loop().time())
        self._words[what] = words
