"""One HTTP/2 connection to APNs: aioapns' protocol with the exchange of requests and answers made safe.

Replaced of aioapns 4.0 (read in its source): answers are matched by stream, not by `apns-id`;
a reset stream, an answer without body and a lost connection all end their request; streams above a GOAWAY's last id
are told apart from the others; received data is acknowledged; sent data waits for the flow-control window; nothing is
kept about a finished stream; silence is answered with PING instead of closing an idle connection after 10 s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from aioapns.connection import APNsTLSClientProtocol
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    PingAckReceived,
    RemoteSettingsChanged,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from hpack import HeaderTuple

from services.notifier.push.apns_answers import ApnsAnswer, goaway_reason
from services.notifier.push.h2_client import new_client

# From 300 in flight aioapns lost slots for good; 100 gave its best rate (measured against an APNs on loopback).
MAX_IN_FLIGHT = 100
# Apple advises years-long connections; this only bounds what h2 remembers about closed streams.
MAX_SENDS = 50_000
MAX_BODY = 65_536
TICK = 0.5
PING_AFTER = 1.0
PING_DEADLINE = 1.0


class ConnectionLost(Exception):
    """The request got no answer on this connection; the same request may be sent again on another."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class _Exchange:
    answer: asyncio.Future[ApnsAnswer]
    unsent: bytes
    status: int = 0
    apns_id: str | None = None
    retry_after: str | None = None
    body: bytearray = field(default_factory=bytearray)


class ApnsConnection(APNsTLSClientProtocol):
    """A connection of `ApnsPool`, which alone opens it, gives it work and is told of every change by `on_change`."""

    KEEPALIVE = 15.0
    """Seconds of idleness before a PING: so soon is it known that the vendor is away, before a page finds out. It is
    also far below the 350 s after which common NAT gateways forget a connection."""

    def __init__(self, *args: Any, on_change: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = new_client()
        self.ready: asyncio.Future[None] = self.loop.create_future()
        self.retired = False
        self.answered = False
        self._on_change = on_change
        self._exchanges: dict[int, _Exchange] = {}
        # Apple allows one stream until the first valid provider token, and says so in its SETTINGS.
        self._capacity = 1
        self._sends = 0
        self._lost: str | None = None
        self._flushing = False
        self._read_at = self.loop.time()
        self._pinged_at: float | None = None
        self._ticker: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can still be answered on it."""
        return self._lost is None

    @property
    def free(self) -> int:
        """How many requests it would take now."""
        if self.retired or self._lost is not None or not self.ready.done():
            return 0
        return max(0, self._capacity - len(self._exchanges))

    async def exchange(self, headers: Sequence[HeaderTuple], body: bytes) -> ApnsAnswer:
        """Send one request and return its answer. Call only with `free` > 0; bound it with a time-out.

        Raises ConnectionLost when no answer can come any more. A cancelled exchange resets its stream.
        """
        stream_id = self.conn.get_next_available_stream_id()
        self.conn.send_headers(stream_id, headers)
        exchange = _Exchange(self.loop.create_future(), body)
        self._exchanges[stream_id] = exchange
        self._sends += 1
        if self._sends >= MAX_SENDS:
            self.retire()
        self._send_body(stream_id, exchange)
        self._flush_soon()
        try:
            return await exchange.answer
        finally:
            if self._exchanges.pop(stream_id, None) is not None:
                self._reset(stream_id)
            self._changed()

    def retire(self) -> None:
        """Take no new request; close when the last answer has come."""
        self.retired = True
        self._changed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open HTTP/2 and start to watch for silence."""
        super().connection_made(transport)
        self._ticker = self.loop.call_later(TICK, self._tick)

    def refresh_inactivity_timer(self) -> None:
        """Idle connections stay open: a page must not wait for a TLS handshake."""

    def data_received(self, data: bytes) -> None:
        """Take what APNs sent; whatever cannot be understood ends the connection and its requests."""
        # A GOAWAY makes h2 forget what it has not handed out: headers lost there would corrupt the compression.
        self._write()
        self._read_at = self.loop.time()
        try:
            for event in self.conn.receive_data(data):
                self._handle(event)
        except ProtocolError:
            self._fail("protocol error")
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:
        """End every request that still waits."""
        self._fail(self._lost or (f"connection lost: {type(exc).__name__}" if exc else "connection closed"))
        if self.on_connection_lost is not None:
            self.on_connection_lost(self)

    def close(self) -> None:
        """Close now; requests in flight raise ConnectionLost."""
        self._leave("connection closed")

    def _handle(self, event: object) -> None:
        match event:
            case ResponseReceived():
                self._on_response(event)
            case DataReceived():
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                exchange = self._exchanges.get(event.stream_id)
                if exchange is not None and len(exchange.body) < MAX_BODY:
                    exchange.body += event.data
            case StreamEnded():
                self._on_ended(event.stream_id)
            case StreamReset():
                self._lose(event.stream_id, "stream reset")
            case RemoteSettingsChanged():
                self._on_settings()
            case WindowUpdated():
                for stream_id, exchange in list(self._exchanges.items()):
                    self._send_body(stream_id, exchange)
            case PingAckReceived():
                self._pinged_at = None
            case ConnectionTerminated():
                self._on_goaway(event)
            case _:
                pass

    def _on_response(self, event: ResponseReceived) -> None:
        exchange = self._exchanges.get(event.stream_id)
        if exchange is None:
            return
        for name, value in event.headers:
            if name == b":status":
                exchange.status = int(value)
            elif name == b"apns-id":
                exchange.apns_id = value.decode("ascii", "replace")
            elif name == b"retry-after":
                exchange.retry_after = value.decode("ascii", "replace")

    def _on_ended(self, stream_id: int) -> None:
        exchange = self._exchanges.pop(stream_id, None)
        if exchange is None:
            return
        if exchange.unsent:
            # It answered before it had read our body (a 413 does): nobody waits for the rest.
            self._reset(stream_id)
        self.answered = True
        if not exchange.answer.done():
            answer = ApnsAnswer(exchange.status, exchange.apns_id, exchange.retry_after, bytes(exchange.body))
            exchange.answer.set_result(answer)

    def _on_settings(self) -> None:
        self._capacity = min(MAX_IN_FLIGHT, self.conn.remote_settings.max_concurrent_streams)
        if not self.ready.done():
            self.ready.set_result(None)
        for stream_id, exchange in list(self._exchanges.items()):
            self._send_body(stream_id, exchange)
        self._changed()

    def _on_goaway(self, event: ConnectionTerminated) -> None:
        reason = goaway_reason(event.additional_data)
        for stream_id in [known for known in self._exchanges if known > (event.last_stream_id or 0)]:
            self._lose(stream_id, reason)
        if event.error_code != ErrorCodes.NO_ERROR:
            self._fail(reason)
        self.retire()

    def _send_body(self, stream_id: int, exchange: _Exchange) -> None:
        """As much of the body as the peer's windows allow; the rest goes when they open."""
        if not exchange.unsent:
            return
        room = min(self.conn.local_flow_control_window(stream_id), self.conn.max_outbound_frame_size)
        if room <= 0:
            return
        part, exchange.unsent = exchange.unsent[:room], exchange.unsent[room:]
        self.conn.send_data(stream_id, part, end_stream=not exchange.unsent)
        if exchange.unsent and room == self.conn.max_outbound_frame_size:
            self._send_body(stream_id, exchange)

    def _reset(self, stream_id: int) -> None:
        if self._lost is None:
            try:
                self.conn.reset_stream(stream_id, ErrorCodes.CANCEL)
            except ProtocolError:
                return  # already closed by the peer
            self._flush_soon()

    def _lose(self, stream_id: int, reason: str) -> None:
        exchange = self._exchanges.pop(stream_id, None)
        if exchange is not None and not exchange.answer.done():
            exchange.answer.set_exception(ConnectionLost(reason))

    def _fail(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
            if self._ticker is not None:
                self._ticker.cancel()
            if self.transport is not None:
                # abort, not close: a dead peer would keep a polite close waiting for ever.
                self.transport.abort()
        if not self.ready.done():
            self.ready.set_exception(ConnectionLost(reason))
        for stream_id in list(self._exchanges):
            self._lose(stream_id, reason)

    def _tick(self) -> None:
        """Find a dead peer within some 2 s while requests wait, and keep an idle connection alive."""
        now = self.loop.time()
        if self._pinged_at is not None and now - self._pinged_at >= PING_DEADLINE:
            if self._read_at <= self._pinged_at:
                self._fail("no answer to PING")
                return
            self._pinged_at = None
        patience = PING_AFTER if self._exchanges else self.KEEPALIVE
        if self._pinged_at is None and self.ready.done() and now - self._read_at >= patience:
            self.conn.ping(b"pager-ok")
            self._pinged_at = now
            self._write()
        self._ticker = self.loop.call_later(min(TICK, self.KEEPALIVE), self._tick)

    def _flush_soon(self) -> None:
        """One TLS record and one system call for all requests of this turn of the loop."""
        if not self._flushing:
            self._flushing = True
            self.loop.call_soon(self._write)

    def _write(self) -> None:
        self._flushing = False
        data = self.conn.data_to_send()
        if data and self._lost is None and self.transport is not None:
            self.transport.write(data)

    def _changed(self) -> None:
        if self.retired and not self._exchanges and self._lost is None:
            self._leave("retired")
        self._on_change()

    def _leave(self, reason: str) -> None:
        """Say goodbye (RFC 9113 section 6.8), then fail what is left."""
        if self._lost is None and self.transport is not None:
            self.conn.close_connection()
            self._write()
        self._fail(reason)
