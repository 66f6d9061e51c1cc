"""WebSockets as uvicorn and `websockets` speak them, and what they bound too late or not at all."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

PATHS: Final = ("/api/v1/stream", "/api/stream")
"""Where a request may become a WebSocket; everywhere else the wish is ignored (RFC 9110, section 7.8)."""
PING: Final = 20.0
"""Seconds between two pings of ours, and until one has to be answered."""
_A_SECOND, _AT_ONCE = 5.0, 60.0
"""Pings, pongs and parts of messages that a client may send: each ping is answered at once, and parts without bytes
would be kept for ever."""
_GONE: Final = 5.0
"""Seconds after its end in which a client has to hang up; whoever does not read would be written to for ever."""
_TOO_MUCH: Final = 1008


class BoundedProtocol(WebSocketsSansIOProtocol):
    """A connection that became a WebSocket."""

    _left = _AT_ONCE
    _counted_at = 0.0
    _aborting: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._aborting is not None:
            self._aborting.cancel()
        super().connection_lost(exc)

    def handle_ping(self) -> None:
        if self._may():
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        if self._may():
            super().handle_pong(event)

    def handle_cont(self, event: Frame) -> None:
        if self._may():
            super().handle_cont(event)

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._abort_soon()

    async def send(self, message: ASGISendEvent) -> None:
        """Whoever is late to hear that we have hung up is told that nobody is there, as after a lost connection."""
        await self.writable.wait()
        if self.close_sent and self.initial_response is None:
            raise ClientDisconnected
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            # Refused, and answered: uvicorn takes it for a handshake that was forgotten, and logs an error each time.
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        await super().run_asgi()
        self._abort_soon()

    def _may(self) -> bool:
        """Whether it has not sent too many of what nobody waits for."""
        now = monotonic()
        self._left = min(_AT_ONCE, self._left + (now - self._counted_at) * _A_SECOND) - 1
        self._counted_at = now
        if self._left >= 0:
            return True
        if not self.close_sent:
            self.conn.fail(_TOO_MUCH, "too many control frames")
            self.handle_parser_exception()
        return False

    def _abort_soon(self) -> None:
        if self._aborting is None and not self.disconnected:
            self._aborting = self.loop.call_later(_GONE, self.transport.abort)
