"""Which sessions have ended while access tokens of theirs are still good: followed on the bus by all who check them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from pydantic import ValidationError

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.clock import Clock
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.requests.callers import LEEWAY, LONGEST, Caller, Unsure
from libs.contracts.auth import SessionEnded
from libs.contracts.codec import CODEC, UnknownEvent
from libs.contracts.requests import Unauthenticated
from libs.contracts.subjects import SESSIONS, stream_of

_log = structlog.get_logger()
_STREAM = stream_of("auth")
_PATIENCE = 1.0
"""Seconds that a caller waits for the list: a process that has just started has it in a moment."""
_LOADED_WITHIN = 10.0
"""Seconds between two batches of it; the last of them may have been deleted from the stream meanwhile."""
_HELD = timedelta(minutes=15)
"""For so long a list that nothing is added to is good enough for what needs a role."""


@dataclass
class EndedSessions:
    """Followed in memory: `run()` it in every process that checks tokens.

    It reads the `SessionEnded` of the stream AUTH from its beginning, the younger of which matter, and then each as it
    comes. There is no place to keep: what was added stays right, and reading again adds the rest.
    """

    service: str
    bus: Bus
    clock: Clock
    caught_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when all is read that the stream held when it began."""
    _forget: dict[UUID, datetime] = field(default_factory=dict)
    """Sessions that ended, and when no token of theirs can be good any more."""
    _lost_at: datetime | None = None
    """Since when nothing is heard; None while it reads."""

    async def run(self) -> None:
        """Read and follow for ever."""
        await follow_for_ever(self.bus, self._follow, self.service, "sessions that ended")

    async def check(self, caller: Caller) -> Caller:
        """As `callers.Sessions` says."""
        if not self.caught_up.is_set():
            try:
                async with asyncio.timeout(_PATIENCE):
                    await self.caught_up.wait()
            except TimeoutError:
                raise Unsure from None
        if caller.session_id in self._forget:
            raise Unauthenticated("the session is over: sign in again")
        if self._lost_at is not None and self.clock.now() - self._lost_at >= _HELD:
            return replace(caller, certain=False)
        return caller

    async def _follow(self) -> None:
        try:
            async with Pull(self.bus, _STREAM, (SESSIONS,), start=1) as pull:
                while pull.behind:
                    async with asyncio.timeout(_LOADED_WITHIN):
                        self._take(await pull.some())
                self._lost_at = None
                self.caught_up.set()
                while True:
                    self._take(await pull.some())
        finally:
            # While it is read again the list is as old as when it was lost.
            self._lost_at = self._lost_at or self.clock.now()

    def _take(self, messages: Iterable[Received]) -> None:
        now = self.clock.now()
        for message in messages:
            try:
                event = CODEC.decode(SessionEnded.type, message.data)
            except (UnknownEvent, ValidationError) as error:
                # Only auth can write there. What one build cannot read must not close the doors of all people.
                _log.error("a session's end cannot be read", service=self.service, error=type(error).__name__)
                continue
            if (forget := event.time + LONGEST + LEEWAY) > now:
                self._forget[event.data.session_id] = forget
        self._let_go(now)

    def _let_go(self, now: datetime) -> None:
        """They come in the order of their ends, or nearly: the oldest stands first."""
        while self._forget and self._forget[oldest := next(iter(self._forget))] <= now:
            del self._forget[oldest]
