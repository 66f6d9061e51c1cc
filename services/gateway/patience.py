"""HTTP/1.1 that waits for nobody for ever: a request that does not come whole in time ends with its connection.

uvicorn bounds neither how long the head of a request takes nor how long it is, and lets the rest of a body that nobody
waits for come for as long as it likes. Bodies that are waited for are `body.py`'s.
"""

from __future__ import annotations

import asyncio
import resource

import structlog
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from services.gateway.envelope import Problem, failure
from services.gateway.streaming.protocol import PATHS

_log = structlog.get_logger()

PATIENCE = 30.0
"""Seconds in which the head of a request has to come, and then its body."""
_STREAMS = frozenset(path.encode() for path in PATHS)
_LEFT_TO_THE_BODY = 5.0
"""Seconds beyond, in which whoever waits for a body says that it did not come."""
CROWDED = 5
"""Seconds that a connection may be idle in a crowd, whatever `PAGER_IDLE_SECONDS` says."""
HEAD_LIMIT = 64 * 1024
"""Bytes of a request's head, about."""


def crowd() -> int:
    """Connections, streams among them, beyond which no idle one is kept for long: half of what may be open."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2


class PatientProtocol(HttpToolsProtocol):
    """A connection, which has at most one timer: from the first byte of a request to its last."""

    _timer: asyncio.TimerHandle | None = None
    _in_head = True
    _head = 0
    """Bytes of it so far, where it has not ended."""
    _ended = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(PATIENCE)

    def data_received(self, data: bytes) -> None:
        if self._timer is None:
            self._wait(PATIENCE)  # line ends before a request are no request yet
        self._ended = not self._in_head
        super().data_received(data)
        # Of bytes among which a head or a request ended, none is counted: they are one read at most.
        self._head = self._head + len(data) if self._in_head and not self._ended else 0
        if self._head > HEAD_LIMIT:
            self._refuse(Problem("HEADERS_TOO_LARGE", "the head of the request is longer than 64 KiB"))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._timer is None:
            self._wait(PATIENCE)

    def on_headers_complete(self) -> None:
        self._in_head, self._ended = False, True
        self._wait(PATIENCE + _LEFT_TO_THE_BODY)
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        idle = self.config.timeout_keep_alive
        self.timeout_keep_alive = min(idle, CROWDED) if len(self.connections) > crowd() else idle
        super().on_response_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head, self._head = True, 0
        self._stop_waiting()

    def _should_upgrade(self) -> bool:
        to_a_stream = self.url.partition(b"?")[0] in _STREAMS and self.parser.get_method() == b"GET"
        return to_a_stream and super()._should_upgrade()

    def handle_websocket_upgrade(self) -> None:
        self._stop_waiting()  # from here on it is another protocol's
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem("VALIDATION_ERROR", msg))

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._in_head and self._head == 0:
            self.transport.close()  # it was opened ahead: a 408 would be taken for the answer to what comes now
            return
        _log.info("request did not come in time", ip=self.client[0] if self.client else None)
        if self._in_head:
            self._refuse(Problem("REQUEST_TIMEOUT", "the request did not come in time"))
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            self._wait(PATIENCE)  # somebody is at work on it

    def _refuse(self, problem: Problem) -> None:
        """Say why, as far as nobody else is talking, and hang up."""
        if self.transport.is_closing():
            return
        answered = self.cycle is None or self.cycle.response_complete
        unanswered = not answered and not self._in_head and not self.pipeline and not self.cycle.response_started
        if unanswered:  # whoever is at work on it hears that nobody listens, and says nothing
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if unanswered or (answered and self._in_head):
            answer = failure(problem)
            lines = [b"%s: %s\r\n" % header for header in (*answer.raw_headers, (b"connection", b"close"))]
            self.transport.write(b"".join((STATUS_LINE[problem.status_code], *lines, b"\r\n", bytes(answer.body))))
        self.transport.close()
