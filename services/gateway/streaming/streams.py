"""All streams of this process: what they share, and their end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import structlog

from libs.chassis.bus.connection import Bus
from libs.chassis.stopping import stoppable
from libs.contracts.streaming import Close, Closing
from services.gateway.forwarding import Forwarder
from services.gateway.streaming.connection import Connection
from services.gateway.streaming.crowd import Crowd
from services.gateway.streaming.feeds import Feeds
from services.gateway.streaming.frames import Ended
from services.gateway.streaming.hub import Hub, Missed
from services.gateway.streaming.identity import Tokens
from services.gateway.streaming.measures import StreamMeasures
from services.gateway.streaming.positions import Standing
from services.gateway.streaming.states import Incidents

_log = structlog.get_logger()
_LOOK: Final = 0.5
"""Seconds in which everybody's token is looked at, a few at a time: whoever is told something waits for none of it."""
_LOOKS: Final = 20
_PATIENCE: Final = 5.0
"""Seconds for which somebody waits until there is anything to tell, in a process that has just started."""
_BEHIND: Final = 2.0
"""Seconds for which we may be behind another replica that has told a client more than we know."""
_SHORTLY: Final = 0.05
_RETURN: Final = 5.0
"""Seconds within which all come back whom a stop sends away."""
_AGAIN: Final = 1.0
"""Seconds after a fault of ours."""
_LINGER: Final = 60.0
"""Seconds for which what happens is read after the last one has left: most come back, and at once."""
_FAREWELL: Final = 3.0
"""Seconds in which they have gone."""


@dataclass
class Streams:
    """`run()` it; a `Door` opens connections, `drain` ends them all."""

    bus: Bus
    forwarder: Forwarder
    tokens: Tokens
    measures: StreamMeasures
    crowd: Crowd = field(default_factory=Crowd)
    draining: bool = False
    _open: set[Connection] = field(default_factory=set)
    _coming: int = 0
    """How many wait until there is something to tell."""
    _somebody: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.hub = Hub(Incidents(self.forwarder), self.measures.delayed)
        self.feeds = Feeds(self.bus, self.hub)

    @property
    def live(self) -> bool:
        """Whether what happens is told as it happens."""
        return self.feeds.live and not self.hub.stalled

    async def run(self) -> None:
        """For ever; nothing is read while nobody listens.

        A fault of ours ends the streams that there are, and no door beside them.
        """
        while True:
            await self._somebody.wait()
            try:
                async with asyncio.TaskGroup() as group:
                    parts = [group.create_task(stoppable(part)) for part in (self.feeds.run, self.hub.run, self._look)]
                    await self._left_alone()
                    # From here on whoever comes waits until it is read again.
                    self.feeds.rest()
                    self._somebody.clear()
                    for part in parts:
                        part.cancel()
                self.hub.pass_over()
            except Exception:  # noqa: BLE001 - as above
                _log.exception("streams failed")
                self.hub.begin_again()
                for connection in list(self._open):
                    connection.end(Ended(Close.UNAVAILABLE, "it is not known what was told: come back"))
                await asyncio.sleep(_AGAIN)

    async def _left_alone(self) -> None:
        """Return when nobody has listened for a while."""
        since = monotonic()
        while self._open or self._coming or monotonic() - since < _LINGER:
            if self._open or self._coming:
                since = monotonic()
            await asyncio.sleep(_LOOK)

    async def _look(self) -> None:
        while True:
            everybody = list(self._open)
            for part in range(_LOOKS):
                await asyncio.sleep(_LOOK / _LOOKS)
                for connection in everybody[part::_LOOKS]:
                    connection.look()

    # --- For connections ---------------------------------------------------------------------------------------------

    async def join(self, connection: Connection, after: Standing | None) -> Missed:
        """From now on it is told what happens; returns what it has missed, which comes before that.

        Raises:
            Ended: there are too many of theirs, or there is nothing to tell yet.
        """
        self._coming += 1
        self._somebody.set()
        try:
            missed = await self._join(connection, after)
            self._open.add(connection)
        finally:
            self._coming -= 1
        self.measures.connected = len(self._open)
        return missed

    async def _join(self, connection: Connection, after: Standing | None) -> Missed:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self.feeds.ready.wait()
        except TimeoutError:
            raise Ended(Close.UNAVAILABLE, "the message bus is away: try again") from None
        if after is not None and after.places and after.rights != connection.rights.name:
            self.hub.join(connection, None)
            return "other_rights"
        if after is not None:
            await self._catch_up(after)
        return self.hub.join(connection, None if after is None else after.places)

    async def _catch_up(self, after: Standing) -> None:
        for _ in range(int(_BEHIND / _SHORTLY)):
            if not self.hub.recent.is_ahead(after.places):
                break
            await asyncio.sleep(_SHORTLY)

    def leave(self, connection: Connection) -> None:
        """It has ended."""
        self.hub.audience.remove(connection)
        self._open.discard(connection)
        self.measures.connected = len(self._open)

    @contextmanager
    def may_see_otherwise(self, connection: Connection) -> Iterator[None]:
        """Around what may change what it sees: then it lists again."""
        yield
        before, rights = self.hub.audience.rights_of(connection), connection.rights
        if before is not None and before != rights:
            self.hub.audience.add(connection)
            connection.put(self.hub.reset(rights, "other_rights"))

    # --- The end -----------------------------------------------------------------------------------------------------

    async def drain(self) -> None:
        """Send everybody away, and ask them to come back one after the other."""
        self.draining = True
        for connection in list(self._open):
            connection.say(Closing(retry_after=round(random.uniform(0, _RETURN), 2)))  # noqa: S311 - spreads them
            connection.end_soon(Ended(Close.RESTARTING, "restarting: come back with your last position"))
        try:
            async with asyncio.timeout(_FAREWELL):
                while self._open:
                    await asyncio.sleep(_SHORTLY)
        except TimeoutError:
            return  # who does not read is cut off with the server
