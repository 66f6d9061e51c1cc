"""Where people are at work in a browser: auth is told, so that their sessions go on, and others end."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from libs.chassis.clock import Clock
from libs.contracts.web_sessions import Presence, Present

_log = structlog.get_logger()
APART: Final = timedelta(minutes=1)
"""Between two times that auth is told of one session, and of all that were not told at once."""
_MOST: Final = 10_000
"""Sessions that are remembered, the last ones."""
_BATCH: Final = 1000
_OLDEST: Final = 3600.0
"""Seconds: whoever has not asked since is not at work."""

Tell = Callable[[Present], Awaitable[object]]


@dataclass
class _Session:
    asked_at: datetime
    tried_at: datetime | None = None
    """When a request was last told of by itself."""
    told: datetime | None = None
    """Which of their requests auth has heard of last."""


@dataclass
class Presences:
    """`asked` for each request of a person; `run` it.

    The first request in a minute is told at once, and the last one a minute later at most, so a session ends when it
    should to the second. It is told how long ago that was: where auth was away it hears of it when it is back, before
    anybody could have got another token.
    """

    tell: Tell
    clock: Clock
    _sessions: OrderedDict[UUID, _Session] = field(default_factory=OrderedDict)
    _telling: set[asyncio.Task[None]] = field(default_factory=set)

    def asked(self, session_id: UUID) -> None:
        """Somebody has asked for something in this browser's session."""
        now = self.clock.now()
        session = self._sessions.setdefault(session_id, _Session(now))
        session.asked_at = now
        self._sessions.move_to_end(session_id)
        if len(self._sessions) > _MOST:
            self._sessions.popitem(last=False)
        # Not as often as they ask while auth does not hear: it would be told by all at once when it is back.
        if session.tried_at is None or not timedelta(0) <= now - session.tried_at < APART:
            session.tried_at = now
            task = asyncio.create_task(self._tell([session_id]))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def run(self) -> None:
        """For ever: tell what was not told, and forget who has gone."""
        while True:
            await self.clock.wait_until(self.clock.now() + APART)
            await self.catch_up()

    async def catch_up(self) -> None:
        now = self.clock.now()
        for session_id, session in list(self._sessions.items()):
            if (now - session.asked_at).total_seconds() > _OLDEST:
                del self._sessions[session_id]
        late = self.untold
        for first in range(0, len(late), _BATCH):
            await self._tell(late[first : first + _BATCH])

    @property
    def untold(self) -> list[UUID]:
        """Sessions of which auth has not heard the last."""
        return [name for name, session in self._sessions.items() if session.told != session.asked_at]

    async def _tell(self, names: list[UUID]) -> None:
        now = self.clock.now()
        meant = {name: self._sessions[name].asked_at for name in names if name in self._sessions}
        ages = {name: min(_OLDEST, max(0.0, (now - at).total_seconds())) for name, at in meant.items()}
        told = Present(sessions=tuple(Presence(session_id=name, seconds_ago=age) for name, age in ages.items()))
        try:
            await self.tell(told)
        except Exception as error:  # noqa: BLE001 - whoever asks is answered all the same; it is told again
            _log.info("auth has not heard who is at work", sessions=len(meant), reason=str(error))
            return
        for name, at in meant.items():
            if name in self._sessions:
                self._sessions[name].told = at
