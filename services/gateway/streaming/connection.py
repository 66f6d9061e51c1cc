"""One client's stream: what waits for it, what it says, and why it ends."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NoReturn
from uuid import UUID

from libs.contracts.model import Contract
from libs.contracts.streaming import Authenticate, Close, Expiring, Heartbeat, Ping, Pong, Ready, Renewed
from services.gateway.envelope import Problem
from services.gateway.streaming.audience import Rights
from services.gateway.streaming.crowd import Place
from services.gateway.streaming.feeds import Change
from services.gateway.streaming.frames import Ended, read_frame
from services.gateway.streaming.hub import Missed
from services.gateway.streaming.identity import Identity
from services.gateway.streaming.positions import Standing, position, read_position, text_of
from services.gateway.streaming.socket import LEFT, Left, Socket
from services.gateway.streaming.states import AT_ONCE

if TYPE_CHECKING:
    from services.gateway.streaming.streams import Streams

FIRST_FRAME: Final = 5.0
"""Seconds until the first frame has to be there."""
HEARTBEAT: Final = 15.0
"""Seconds between two."""
MOST_FRAMES: Final = 1_000
MOST_BYTES: Final = 2 * 1024 * 1024
"""What may wait for a client that does not read, beside what its connection holds (64 KiB)."""
_FAREWELL: Final = 1.0
"""Seconds in which a client has to take its close."""
_FRAMES_A_SECOND, _FRAMES_AT_ONCE = 5.0, 20.0
"""What a client may send: it says who it is, and that it is there."""
_NO_POSITION: Final = Standing((), "")


@dataclass(eq=False)
class Connection:
    """`await serve()`: from the accepted socket to its end. It is a `Listener` of the hub."""

    streams: Streams
    socket: Socket
    identity: Identity
    place: Place
    after: str | None
    """As its address says it."""
    frames: int = 0
    """How many it was sent."""
    _waiting: deque[str] = field(default_factory=deque)
    _bytes: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _ended: asyncio.Future[Ended] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    _at_last: Ended | None = None
    """Why it ends when all was sent."""
    _beat_at: float | None = None
    """When it heard the last heartbeat; None: it is still told what it has missed."""
    _live: bool = True
    _allowed: float = _FRAMES_AT_ONCE
    _counted_at: float = field(default_factory=monotonic)
    _checking: asyncio.Task[None] | None = None

    # --- As a listener -----------------------------------------------------------------------------------------------

    @property
    def person(self) -> UUID | None:
        return self.identity.person

    @property
    def rights(self) -> Rights:
        return self.identity.rights

    def put(self, frame: str) -> None:
        """Have it sent after all that waits; whoever does not read goes, and is told why."""
        if self._ended.done():
            return
        self._waiting.append(frame)
        self._bytes += len(frame)
        self._news.set()
        if len(self._waiting) > MOST_FRAMES or self._bytes > MOST_BYTES:
            self._waiting.clear()
            self.end(Ended(Close.SLOW, "read faster, or come back with your last position"))

    def say(self, frame: Contract) -> None:
        self.put(frame.to_json().decode())

    def end(self, why: Ended) -> None:
        """The first reason counts."""
        if not self._ended.done():
            self._ended.set_result(why)

    def end_soon(self, why: Ended) -> None:
        """When all that waits has been sent."""
        self._at_last = why
        self._news.set()

    # --- Its life ----------------------------------------------------------------------------------------------------

    async def serve(self) -> int:
        """Returns the close's code."""
        try:
            await self._live_on()
        except Left:
            return LEFT
        except Ended as ended:
            await self.socket.close(ended.code, ended.reason, within=_FAREWELL)
            return ended.code
        finally:
            self.streams.leave(self)

    async def _live_on(self) -> NoReturn:
        """Raises Ended, Left."""
        after = await self._first()
        self.streams.crowd.know(self.place, self.identity.who)
        missed = await self.streams.join(self, after)
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._write(after, missed)),
            asyncio.create_task(self._read()),
        ]
        ends: list[asyncio.Future[Any]] = [*tasks, self._ended]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if self._ended.done():
                raise self._ended.result()
            raise next(error for task in tasks if task.done() and (error := task.exception()) is not None)
        finally:
            tasks += [self._checking] if self._checking else []
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _first(self) -> Standing | None:
        """Who it is, and where they stand; None: they begin. Raises Ended, Left."""
        try:
            async with asyncio.timeout(FIRST_FRAME):
                frame = await self._next()
        except TimeoutError:
            raise Ended(Close.UNAUTHENTICATED, "the first frame has to be authenticate, within 5 s") from None
        if not isinstance(frame, Authenticate):
            raise Ended(Close.UNAUTHENTICATED, "the first frame has to be authenticate")
        if frame.after is not None and self.after is not None and frame.after != self.after:
            raise Ended(Close.MALFORMED, "after: is given twice")
        await self.identity.show(frame.token)
        after = self.after if frame.after is None else frame.after
        return None if after is None else read_position(after) or _NO_POSITION

    # --- What it says ------------------------------------------------------------------------------------------------

    async def _read(self) -> NoReturn:
        """Raises Ended, Left."""
        while True:
            match await self._next():
                case Ping(id=name):
                    self.say(Pong(id=name))
                case Authenticate(after=None, token=token):
                    await self._renew(token)
                case _:
                    raise Ended(Close.MALFORMED, "after: belongs to the first frame")

    async def _next(self) -> Authenticate | Ping:
        """Raises Ended: it says too much, or nothing that there is; Left."""
        text = await self.socket.text()
        now = monotonic()
        self._allowed = min(_FRAMES_AT_ONCE, self._allowed + (now - self._counted_at) * _FRAMES_A_SECOND) - 1
        self._counted_at = now
        if self._allowed < 0:
            raise Ended(Close.TOO_MANY, "too many frames: wait a moment")
        return read_frame(text)

    async def _renew(self, token: str) -> None:
        """Raises Ended."""
        with self.streams.may_see_otherwise(self):
            await self.identity.show(token)
        self.say(Renewed(expires_at=self.identity.expires_at))

    # --- What it is told ---------------------------------------------------------------------------------------------

    async def _write(self, after: Standing | None, missed: Missed) -> NoReturn:
        """Raises Ended, Left."""
        hub = self.streams.hub
        goes_on = after if not isinstance(missed, str) else None
        stands = hub.position(self.rights) if goes_on is None else position(text_of(goes_on.places), self.rights.name)
        self._live = self.streams.live
        ready = Ready(
            position=stands, expires_at=self.identity.expires_at, heartbeat_seconds=HEARTBEAT, live=self._live
        )
        await self._send(ready.to_json().decode())
        if isinstance(missed, str):
            await self._send(hub.reset(self.rights, missed))
        elif goes_on is not None:
            await self._catch_up(goes_on, missed)
        self._beat_at = monotonic()
        while True:
            await self._news.wait()
            self._news.clear()
            while self._waiting:
                frame = self._waiting.popleft()
                self._bytes -= len(frame)
                await self._send(frame)
            if self._at_last is not None:
                raise self._at_last

    async def _catch_up(self, after: Standing, missed: Sequence[Change]) -> None:
        places = list(after.places)
        for first in range(0, len(missed), AT_ONCE):
            some = missed[first : first + AT_ONCE]
            try:
                frames = await self.streams.hub.missed(self, some, places)
            except Problem as problem:
                raise Ended(Close.UNAVAILABLE, problem.message) from None
            for change in some:
                places[change.lane] = change.place
            for frame in frames:
                await self._send(frame)

    async def _send(self, frame: str) -> None:
        await self.socket.say(frame)
        self.frames += 1
        self.streams.measures.sent(1)

    # --- What time brings --------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Several times a second: whether its token is still good, and whether it has to hear from us."""
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())
        if (end := self.identity.ends_soon()) is not None:
            self.say(Expiring(expires_at=end))
        live = self.streams.live
        if self._beat_at is not None and (live != self._live or monotonic() - self._beat_at >= HEARTBEAT):
            self._live, self._beat_at = live, monotonic()
            where = self.streams.hub.position(self.rights)
            self.say(Heartbeat(position=where, live=live, at=self.identity.tokens.clock.now()))

    async def _check(self) -> None:
        try:
            with self.streams.may_see_otherwise(self):
                await self.identity.check()
        except Ended as ended:
            self.end(ended)
