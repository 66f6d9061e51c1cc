"""The server half of HTTP/2 (RFC 9113) as far as APNs uses it: small requests, answers in one frame.

Written on the frame layout itself because the `h2` library needs about 450 µs for such a request, where this
takes 130 to 250 µs with TLS: benchmarks run on the same cores. Its tests use `h2` and `aioapns` as clients.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import cast

from cli.simulators.frames import (
    ACK,
    END_HEADERS,
    END_STREAM,
    HEAD,
    MAX_FRAME,
    MAX_WINDOW,
    PRIORITY,
    SETTING,
    Code,
    ConnectionFault,
    Kind,
    frame,
    unpadded,
)
from cli.simulators.header_blocks import BadHeaderBlock, HeaderDecoder, encode
from cli.simulators.messages import Headers, Request
from cli.simulators.tcp import reset

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
MAX_HEADER_BLOCK = 32_768
MAX_BODY = 65_536
STREAM_WINDOW = 1 << 20
CONNECTION_WINDOW = 1 << 30
_UNLIMITED_STREAMS = 1000


class Stream:
    """One request on its way in and the responder for it."""

    __slots__ = ("body", "connection", "headers", "id", "window")

    def __init__(self, connection: "Http2Connection", stream_id: int, headers: Headers, window: int) -> None:
        self.connection = connection
        self.id = stream_id
        self.headers = headers
        self.body = b""
        self.window = window

    def answer(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send the response; a body waits for the client's flow-control windows."""
        self.connection.respond(self, status, headers, body)

    def reset(self) -> None:
        """Break the whole connection with a TCP reset."""
        reset(self.connection.transport)

    def refuse(self) -> None:
        """End only this stream: RST_STREAM, REFUSED_STREAM."""
        self.connection.end_stream(self.id, Code.REFUSED_STREAM)

    def go_away(self, debug: bytes) -> None:
        """GOAWAY that tells the client that this stream was not handled, then close the connection."""
        self.connection.go_away(Code.NO_ERROR, self.id - 2, debug)

    def authenticated(self) -> None:
        """The first good provider token lifts the limit of one stream, as APNs does."""
        self.connection.lift_stream_limit()


class Http2Connection(asyncio.Protocol):
    """One client connection, listed in `connections` while open; `handler` gets each request and its Stream.

    `first_streams` is announced until the first good token; a client that opens more is served all the same.
    """

    def __init__(
        self, handler: Callable[[Request, Stream], None], connections: set[asyncio.Transport], first_streams: int
    ) -> None:
        self.transport: asyncio.Transport | None = None
        self._handler = handler
        self._connections = connections
        self._limit = first_streams
        self._buffer = b""
        self._preface_seen = False
        self._decoder = HeaderDecoder()
        self._open: dict[int, Stream] = {}
        self._last_id = 0
        self._block: tuple[int, int, bytes] | None = None
        self._send_window = 65_535
        self._stream_window = 65_535
        self._uncredited = 0
        self._waiting: dict[int, tuple[Stream, bytes]] = {}
        self._out: list[bytes] = []
        self._reading = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Announce our settings: few streams at first, windows that no request fills."""
        # A cast: uvloop's TLS transport is not a subclass of asyncio.Transport.
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self.transport)
        settings = SETTING.pack(3, self._limit) + SETTING.pack(4, STREAM_WINDOW)
        self._write(frame(Kind.SETTINGS, 0, 0, settings))
        self._write(frame(Kind.WINDOW_UPDATE, 0, 0, struct.pack(">L", CONNECTION_WINDOW - 65_535)))

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more can be sent; streams still held by a door become inert."""
        if self.transport is not None:
            self._connections.discard(self.transport)
        self.transport = None
        self._open.clear()
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Handle every complete frame, then send all that came of it with one write."""
        self._buffer = self._buffer + data if self._buffer else data
        self._reading = True
        try:
            self._read_frames()
        except BadHeaderBlock as fault:
            self.go_away(Code.COMPRESSION_ERROR, self._last_id, str(fault).encode())
        except ConnectionFault as fault:
            self.go_away(fault.code, self._last_id, str(fault).encode())
        finally:
            self._reading = False
            self._flush()

    def _write(self, data: bytes) -> None:
        self._out.append(data)
        if not self._reading:
            self._flush()

    def _flush(self) -> None:
        out, self._out = self._out, []
        if out and self.transport is not None and not self.transport.is_closing():
            self.transport.write(b"".join(out))

    # --- reading -----------------------------------------------------------------------------------------
    def _read_frames(self) -> None:
        buffer, at = self._buffer, 0
        if not self._preface_seen:
            if not PREFACE.startswith(buffer[: len(PREFACE)]):
                raise ConnectionFault(Code.PROTOCOL_ERROR, "no HTTP/2 preface")
            if len(buffer) < len(PREFACE):
                return
            self._preface_seen, at = True, len(PREFACE)
        end = len(buffer)
        while end - at >= 9:
            high, low, kind, flags, stream_id = HEAD.unpack_from(buffer, at)
            length = high << 16 | low
            if length > MAX_FRAME:
                raise ConnectionFault(Code.FRAME_SIZE_ERROR, "frame over 16384 bytes")
            if end - at - 9 < length:
                break
            at += 9 + length
            self._on_frame(kind, flags, stream_id & MAX_WINDOW, buffer[at - length : at])
            if self.transport is None or self.transport.is_closing():
                break
        self._buffer = buffer[at:]

    def _on_frame(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is not None and kind != Kind.CONTINUATION:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "a header block was not finished")
        match kind:
            case Kind.DATA:
                self._on_data(flags, stream_id, payload)
            case Kind.HEADERS:
                self._on_headers(flags, stream_id, payload)
            case Kind.CONTINUATION:
                self._on_continuation(flags, stream_id, payload)
            case Kind.WINDOW_UPDATE:
                self._on_window_update(stream_id, payload)
            case Kind.SETTINGS:
                self._on_settings(flags, payload)
            case Kind.PING if not flags & ACK:
                self._write(frame(Kind.PING, ACK, 0, payload))
            case Kind.RST_STREAM:
                self._open.pop(stream_id, None)
                self._waiting.pop(stream_id, None)
            case Kind.PUSH_PROMISE:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "a client cannot push")

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        payload = unpadded(flags, payload)
        if flags & PRIORITY:
            payload = payload[5:]
        if flags & END_HEADERS:
            self._on_block(flags, stream_id, payload)
        else:
            self._block = (stream_id, flags, payload)

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        if self._block is None or self._block[0] != stream_id:
            raise ConnectionFault(Code.PROTOCOL_ERROR, "CONTINUATION without HEADERS")
        _, first_flags, begun = self._block
        block = begun + payload
        if len(block) > MAX_HEADER_BLOCK:
            raise ConnectionFault(Code.ENHANCE_YOUR_CALM, "header block too large")
        self._block = None if flags & END_HEADERS else (stream_id, first_flags, block)
        if self._block is None:
            self._on_block(first_flags, stream_id, block)

    def _on_block(self, flags: int, stream_id: int, block: bytes) -> None:
        headers = self._decoder.decode(block)
        stream = self._open.get(stream_id)
        if stream is None:
            if stream_id % 2 == 0 or stream_id <= self._last_id:
                raise ConnectionFault(Code.PROTOCOL_ERROR, "bad stream id")
            self._last_id = stream_id
            stream = self._open[stream_id] = Stream(self, stream_id, headers, self._stream_window)
        if flags & END_STREAM:
            self._dispatch(stream)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        self._uncredited += len(payload)
        if self._uncredited > CONNECTION_WINDOW >> 1:
            self._write(frame(Kind.WINDOW_UPDATE, 0, 0, struct.pack(">L", self._uncredited)))
            self._uncredited = 0
        stream = self._open.get(stream_id)
        if stream is None:
            return
        data = unpadded(flags, payload)
        stream.body = stream.body + data if stream.body else data
        if len(stream.body) > MAX_BODY:
            self.end_stream(stream_id, Code.ENHANCE_YOUR_CALM)
        elif flags & END_STREAM:
            self._dispatch(stream)

    def _on_settings(self, flags: int, payload: bytes) -> None:
        if flags & ACK:
            return
        if len(payload) % 6:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "SETTINGS length")
        for identifier, value in SETTING.iter_unpack(payload):
            if identifier == 4:
                if value > MAX_WINDOW:
                    raise ConnectionFault(Code.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE")
                change, self._stream_window = value - self._stream_window, value
                for stream in [*self._open.values(), *(held for held, _ in self._waiting.values())]:
                    stream.window += change
        self._write(frame(Kind.SETTINGS, ACK, 0))
        self._retry_waiting()

    def _on_window_update(self, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(Code.FRAME_SIZE_ERROR, "WINDOW_UPDATE length")
        increment = int.from_bytes(payload, "big") & MAX_WINDOW
        if stream_id == 0:
            self._send_window += increment
        elif stream_id in self._open:
            self._open[stream_id].window += increment
        elif stream_id in self._waiting:
            self._waiting[stream_id][0].window += increment
        self._retry_waiting()

    def _dispatch(self, stream: Stream) -> None:
        pseudo = dict(stream.headers[:4])
        method = pseudo.get(b":method", b"").decode("ascii", "replace")
        target = pseudo.get(b":path", b"").decode("ascii", "replace")
        del self._open[stream.id]
        self._handler(Request(method, target, stream.headers, stream.body), stream)

    # --- answering ---------------------------------------------------------------------------------------
    def respond(self, stream: Stream, status: int, headers: Headers, body: bytes) -> None:
        """Send HEADERS, and DATA as soon as both windows (RFC 9113 5.2) allow it."""
        block = encode(status, headers)
        self._write(frame(Kind.HEADERS, END_HEADERS | (0 if body else END_STREAM), stream.id, block))
        if body:
            self._send_body(stream, body)

    def _send_body(self, stream: Stream, body: bytes) -> None:
        if len(body) > min(self._send_window, stream.window):
            self._waiting[stream.id] = (stream, body)
            return
        self._send_window -= len(body)
        self._write(frame(Kind.DATA, END_STREAM, stream.id, body))

    def _retry_waiting(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for stream, body in waiting.values():
            self._send_body(stream, body)

    def end_stream(self, stream_id: int, code: Code) -> None:
        """RST_STREAM."""
        self._open.pop(stream_id, None)
        self._write(frame(Kind.RST_STREAM, 0, stream_id, struct.pack(">L", code)))

    def go_away(self, code: Code, last_id: int, debug: bytes) -> None:
        """GOAWAY with `debug` as its data, then close after the bytes are out."""
        self._write(frame(Kind.GOAWAY, 0, 0, struct.pack(">LL", max(last_id, 0), code) + debug))
        self._flush()
        if self.transport is not None:
            self.transport.close()

    def lift_stream_limit(self) -> None:
        """Allow the usual number of concurrent streams."""
        if self._limit < _UNLIMITED_STREAMS:
            self._limit = _UNLIMITED_STREAMS
            self._write(frame(Kind.SETTINGS, 0, 0, SETTING.pack(3, self._limit)))
