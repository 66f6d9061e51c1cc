"""The warm connections to APNs: who gets the next free stream, and when a lost connection is dialled again."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import structlog
from aioapns.connection import APNsBaseClientProtocol, APNsBaseConnectionPool
from hpack import HeaderTuple

from services.notifier.push.apns_answers import ApnsAnswer
from services.notifier.push.apns_connection import ApnsConnection, ConnectionLost

DIAL_TIMEOUT = 3.0
# On demand at most every 50 ms, so that a dead vendor is not dialled once a page; alone with growing pauses.
DIAL_SPACING = 0.05
DIAL_PAUSE_MAX = 5.0
RETIRE_SPACING = 1.0

log = structlog.get_logger(__name__)


class ConnectFailed(Exception):
    """No connection to APNs can be had now; the message is the reason, without addresses."""


class ApnsPool(APNsBaseConnectionPool):
    """Keeps `size` connections to one endpoint open from `start` to `close`; make it inside the running loop."""

    def __init__(self, *, host: str, port: int, topic: str, size: int, ssl_context: ssl.SSLContext) -> None:
        super().__init__(topic=topic, max_connections=size)
        self.loop = asyncio.get_running_loop()
        self.ssl_context = ssl_context

        class Endpoint(ApnsConnection):
            """aioapns takes the endpoint from its protocol's class, so each pool has a class of its own."""

            APNS_SERVER = host
            APNS_PORT = port

        self._topic = topic
        self._endpoint = self.protocol_class = Endpoint
        self.connections: list[ApnsConnection] = []  # type: ignore[assignment]  # ours only
        self._dials: set[asyncio.Task[None]] = set()
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._failures = 0
        self._failed_at = -DIAL_PAUSE_MAX
        self._failure = "not connected"
        self._retired_at = -RETIRE_SPACING
        self._redial: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to open all connections; returns at once and never fails: sends wait for the first that is ready."""
        self._dial_missing()

    @property
    def trouble(self) -> str | None:
        """Why there is no connection; None while there is one, or the first is still being dialled."""
        return self._failure if self._failures and not self._usable() else None

    async def aclose(self) -> None:
        """Close everything; requests in flight and waiting ones fail."""
        self._closed = True
        if self._redial is not None:
            self._redial.cancel()
        for task in list(self._dials):
            task.cancel()
        await asyncio.gather(*self._dials, return_exceptions=True)
        self.close()
        self._refuse_waiters("closed")
        # The transports tell that they are gone in the next turns of the loop.
        for _ in range(100):
            if not self.connections:
                return
            await asyncio.sleep(0)

    async def exchange(self, headers: Sequence[HeaderTuple], body: bytes) -> tuple[ApnsConnection, ApnsAnswer]:
        """Send on the least loaded connection, waiting in order for a free stream. Bound it with a time-out.

        Raises ConnectFailed (nothing was sent) or ConnectionLost (it may have been).
        """
        connection = await self.acquire()
        answer = await connection.exchange(headers, body)
        self._failures = 0
        return connection, answer

    async def acquire(self) -> ApnsConnection:
        """A connection with a free stream; use it before the next await."""
        again = False
        while True:
            if again or not self._waiters:
                best = max(self.connections, key=_free, default=None)
                if best is not None and best.free > 0:
                    return best
            await self._wait(first=again)
            again = True

    def retire(self, connection: ApnsConnection) -> None:
        """Replace a connection that APNs is unhappy with; one a second at most, also in a storm of 503."""
        now = self.loop.time()
        if now - self._retired_at >= RETIRE_SPACING and not connection.retired:
            self._retired_at = now
            connection.retire()
            self._dial_missing()

    def discard_connection(self, connection: APNsBaseClientProtocol) -> None:
        """A connection is gone: dial again at once if it had worked, later if not."""
        if isinstance(connection, ApnsConnection) and connection in self.connections:
            self.connections.remove(connection)
            if not connection.answered:
                self._failures += 1
            self._dial_later()

    async def create_connection(self) -> ApnsConnection:
        """Connect, and wait for the peer's SETTINGS as the proof that it speaks HTTP/2."""
        factory: Callable[[], ApnsConnection] = partial(
            self._endpoint, self._topic, self.loop, self.discard_connection, on_change=self._on_change
        )
        _, connection = await self.loop.create_connection(
            factory, self._endpoint.APNS_SERVER, self._endpoint.APNS_PORT, ssl=self.ssl_context
        )
        try:
            await connection.ready
        except asyncio.CancelledError:
            connection.close()
            raise
        return connection

    async def _wait(self, *, first: bool) -> None:
        self._dial_on_demand()
        waiter: asyncio.Future[None] = self.loop.create_future()
        if first:
            self._waiters.appendleft(waiter)
        else:
            self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            else:
                self._wake()  # the free stream that it was woken for is another's now
            raise

    def _on_change(self) -> None:
        """A stream is free, or a connection has taken its last request: then its successor is dialled at once."""
        if self._usable() < self.max_connections and not self._dials:
            self._dial_later()
        self._wake()

    def _wake(self) -> None:
        free = sum(connection.free for connection in self.connections)
        while self._waiters and free > 0:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                free -= 1

    def _refuse_waiters(self, reason: str) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(ConnectFailed(reason))

    def _usable(self) -> int:
        return sum(1 for connection in self.connections if not connection.retired)

    def _dial_on_demand(self) -> None:
        if self._closed:
            raise ConnectFailed("closed")
        if self._usable() or self._dials:
            return
        if self.loop.time() - self._failed_at < DIAL_SPACING:
            raise ConnectFailed(self._failure)
        self._dial_missing()

    def _dial_missing(self) -> None:
        if self._redial is not None:
            self._redial.cancel()
            self._redial = None
        for _ in range(self.max_connections - self._usable() - len(self._dials)):
            if self._closed:
                return
            task = self.loop.create_task(self._dial())
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    def _dial_later(self) -> None:
        if self._closed:
            return
        if self._failures == 0:
            self._dial_missing()
        elif self._redial is None:
            pause = min(0.1 * 2 ** min(self._failures, 10), DIAL_PAUSE_MAX)
            self._redial = self.loop.call_later(pause, self._dial_missing)

    async def _dial(self) -> None:
        try:
            async with asyncio.timeout(DIAL_TIMEOUT):
                connection = await self.create_connection()
        except (OSError, ConnectionLost) as error:
            self._dial_failed(error)
            return
        if not connection.is_open:
            self._dial_failed(ConnectionLost("connection closed"))
            return
        self.connections.append(connection)
        self._wake()

    def _dial_failed(self, error: Exception) -> None:
        self._failures += 1
        self._failed_at = self.loop.time()
        self._failure = _connect_reason(error)
        # Powers of two: an outage of hours must not fill the log.
        if self._failures.bit_count() == 1:
            log.warning("apns.connect_failed", reason=self._failure, failures=self._failures)
        if not self._usable():
            self._refuse_waiters(self._failure)
        self._dial_later()


def _free(connection: ApnsConnection) -> int:
    return connection.free


def _connect_reason(error: Exception) -> str:
    """A short reason without addresses, the same on every platform."""
    match error:
        case ConnectionLost():
            return error.reason
        case TimeoutError():
            return "connect timeout"
        case ConnectionRefusedError():
            return "connection refused"
        case ssl.SSLCertVerificationError():
            return f"certificate refused ({error.verify_code})"
        case ssl.SSLError():
            return f"TLS failed: {error.reason}"
        case _:
            return f"connect failed: {type(error).__name__}"
