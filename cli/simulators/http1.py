"""HTTP/1.1 with keep-alive on httptools: what the FCM, OAuth and control doors stand on."""

import asyncio
from collections import deque
from functools import lru_cache
from http import HTTPStatus
from typing import cast

import httptools

from cli.simulators.messages import Handler, Headers, Request
from cli.simulators.tcp import reset

MAX_BODY = 1 << 20
MAX_QUEUED = 64
MAX_HEADERS = 100


@lru_cache(maxsize=64)
def _status_line(status: int) -> bytes:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()


class Http1Connection(asyncio.Protocol):
    """One client connection, listed in `connections` while open; pipelined requests are handled in order."""

    def __init__(self, handler: Handler, connections: set[asyncio.Transport]) -> None:
        self.transport: asyncio.Transport | None = None
        self._handler = handler
        self._connections = connections
        self._parser = httptools.HttpRequestParser(self)
        self._queue: deque[tuple[Request, bool]] = deque()
        self._busy = False
        self._keep_alive = True
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._size = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport."""
        # A cast: uvloop's TLS transport is not a subclass of asyncio.Transport.
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self.transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Late answers of doors go nowhere from here on."""
        if self.transport is not None:
            self._connections.discard(self.transport)
        self.transport = None
        self._queue.clear()

    def data_received(self, data: bytes) -> None:
        """Feed the parser; what it cannot read is answered with 400, as RFC 9112 asks."""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.transport is not None and not self.transport.is_closing():
                self._refuse(HTTPStatus.BAD_REQUEST)

    # --- callbacks of httptools --------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        """A new request starts."""
        self._target, self._headers, self._body, self._size = b"", [], [], 0

    def on_url(self, url: bytes) -> None:
        """A part of the request target."""
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if len(self._headers) < MAX_HEADERS:
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """`Expect: 100-continue` gets its go-ahead."""
        if (b"expect", b"100-continue") in self._headers and self.transport is not None:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        """A part of the body; over the limit the connection ends with 413."""
        self._size += len(body)
        if self._size <= MAX_BODY:
            self._body.append(body)
        elif self.transport is not None and not self.transport.is_closing():
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)

    def on_message_complete(self) -> None:
        """The request is whole: handle it now or after those before it."""
        method = self._parser.get_method().decode("ascii")
        target = self._target.decode("utf-8", "replace")
        request = Request(method, target, self._headers, b"".join(self._body))
        self._queue.append((request, self._parser.should_keep_alive()))
        if len(self._queue) > MAX_QUEUED and self.transport is not None:
            self.transport.pause_reading()
        self._next()

    def _next(self) -> None:
        if self._queue and not self._busy and self.transport is not None:
            request, self._keep_alive = self._queue.popleft()
            self._busy = True
            if len(self._queue) == MAX_QUEUED:
                self.transport.resume_reading()
            self._handler(request, self)

    # --- responder ---------------------------------------------------------------------------------------
    def answer(self, status: int, headers: Headers, body: bytes = b"") -> None:
        """Send the response to the request being handled, then take the next one."""
        transport = self.transport
        if transport is None or transport.is_closing():
            return
        lines = [_status_line(status), *(b"%s: %s\r\n" % header for header in headers)]
        lines.append(b"content-length: %d\r\n" % len(body))
        lines.append(b"\r\n" if self._keep_alive else b"connection: close\r\n\r\n")
        transport.write(b"".join((*lines, body)))
        if not self._keep_alive:
            transport.close()
        elif self._busy:
            self._busy = False
            if self._queue:
                # Not called directly: a long pipeline would nest one frame per request.
                asyncio.get_running_loop().call_soon(self._next)

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        reset(self.transport)

    def _refuse(self, status: HTTPStatus) -> None:
        self._keep_alive = False
        self._queue.clear()
        self.answer(status, [(b"content-type", b"text/plain")], status.phrase.encode())
