"""The pushes that arrived, in a ring of bounded length and size that readers can wait on.

A record is kept as one flat tuple of atoms: the garbage collector stops tracking those, so half a million of
them do not cost pauses. JSON is made only when somebody reads.
"""

import asyncio
import json
from collections import defaultdict
from datetime import UTC, datetime
from typing import NamedTuple

from cli.simulators.answers import ProviderName
from cli.simulators.messages import Headers

_Record = tuple[ProviderName, str, bytes, bytes, int, float]
_GONE: _Record = ("apns", "", b"", b"", 0, 0.0)
_OVERHEAD = 300  # bytes of a record besides its texts, roughly


class Push(NamedTuple):
    """One push as received: `headers` are `name:value` lines, `payload` is JSON text, times are Unix seconds.

    `status` is the HTTP status that was answered (with a delay: will be), 0 for none: hang, reset, goaway,
    rst_stream.
    """

    id: int
    provider: ProviderName
    device_token: str
    headers: bytes
    payload: bytes
    status: int
    received_at: float

    def to_json(self) -> bytes:
        """The record in the form that `GET /pushes` documents."""
        headers = dict(line.partition(":")[::2] for line in self.headers.decode("utf-8", "replace").split("\n"))
        at = datetime.fromtimestamp(self.received_at, UTC).isoformat(timespec="microseconds")
        return b'{"id":%d,"provider":"%s","deviceToken":%s,"headers":%s,"payload":%s,"status":%d,"receivedAt":"%s"}' % (
            self.id,
            self.provider.encode(),
            json.dumps(self.device_token).encode(),
            json.dumps(headers).encode(),
            self.payload,
            self.status,
            at.replace("+00:00", "Z").encode(),
        )


class PushLog:
    """Append and read pushes; the oldest go when `capacity` records or `max_bytes` are reached."""

    def __init__(self, capacity: int = 500_000, max_bytes: int = 1 << 30) -> None:
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._slots: list[_Record] = []
        self._bytes = 0
        self._waiters: defaultdict[str | None, set[asyncio.Future[None]]] = defaultdict(set)
        self.oldest_id = 1
        self.newest_id = 0

    def append(
        self,
        provider: ProviderName,
        device_token: str,
        headers: Headers,
        payload: bytes,
        status: int,
        at: float,
    ) -> int:
        """Keep one push and wake who waits for it; returns its id. Credentials are not kept."""
        lines = b"\n".join(
            name + b":" + (value if name != b"authorization" else b"[not recorded]")
            for name, value in headers
            if not name.startswith(b":")
        )
        self.newest_id += 1
        record = (provider, device_token, lines, payload, status, at)
        if len(self._slots) < self._capacity:
            self._slots.append(record)
        else:
            if self.newest_id - self.oldest_id >= self._capacity:
                self._drop_oldest()
            self._slots[(self.newest_id - 1) % self._capacity] = record
        self._bytes += len(lines) + len(payload) + _OVERHEAD
        while self._bytes > self._max_bytes and self.oldest_id < self.newest_id:
            self._drop_oldest()
        if self._waiters:
            self._wake(device_token)
        return self.newest_id

    def _drop_oldest(self) -> None:
        slot = (self.oldest_id - 1) % self._capacity
        record = self._slots[slot]
        self._bytes -= len(record[2]) + len(record[3]) + _OVERHEAD
        self._slots[slot] = _GONE
        self.oldest_id += 1

    def _wake(self, device_token: str) -> None:
        for key in (None, device_token):
            for waiter in self._waiters.pop(key, ()):
                if not waiter.done():
                    waiter.set_result(None)

    def read(
        self, after: int = 0, limit: int = 1000, provider: str | None = None, device_token: str | None = None
    ) -> list[Push]:
        """Up to `limit` pushes with an id above `after`, oldest first."""
        found: list[Push] = []
        for push_id in range(max(after + 1, self.oldest_id), self.newest_id + 1):
            record = self._slots[(push_id - 1) % self._capacity]
            if (device_token is None or record[1] == device_token) and provider in (None, record[0]):
                found.append(Push(push_id, *record))
                if len(found) >= limit:
                    break
        return found

    async def wait(
        self,
        seconds: float,
        after: int = 0,
        limit: int = 1000,
        provider: str | None = None,
        device_token: str | None = None,
    ) -> list[Push]:
        """Like `read`, but waits up to `seconds` until there is something to return."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            found = self.read(after, limit, provider, device_token)
            left = deadline - loop.time()
            if found or left <= 0:
                return found
            after = max(after, self.newest_id)
            waiter: asyncio.Future[None] = loop.create_future()
            self._waiters[device_token].add(waiter)
            try:
                await asyncio.wait_for(waiter, left)
            except TimeoutError:
                return []
            finally:
                self._forget(device_token, waiter)

    def _forget(self, device_token: str | None, waiter: asyncio.Future[None]) -> None:
        if device_token in self._waiters:
            self._waiters[device_token].discard(waiter)
            if not self._waiters[device_token]:
                del self._waiters[device_token]
