"""Reading a stream in order, without acknowledgements: a pull consumer that is always asked ahead and never lingers."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self
from uuid import uuid4

from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.wire import read_headers

_AHEAD = 1000
"""Messages asked for ahead; a new request goes out when half of them have come."""
_EXPIRES = 30.0
_HEARTBEAT = 5.0


class Received(NamedTuple):
    """A message of a stream, with its place there."""

    subject: str
    block: bytes | None
    """Its headers as they came."""
    data: bytes
    sequence: int
    stored_at: int
    """Unix nanoseconds."""

    @property
    def headers(self) -> Mapping[str, str]:
        return read_headers(self.block)


def place_of(reply: str) -> tuple[int, int, int, int]:
    """(stream sequence, delivery number, stored at in Unix ns, messages pending behind it), from a reply subject.

    `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<delivery>.<time>.<pending>`; with a domain (ADR-15 of NATS)
    two tokens stand before the stream and one more at the end. The client's own parser costs four times as much.
    """
    tokens = reply.split(".")
    first = 5 if len(tokens) == 9 else 7
    return int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 2]), int(tokens[first + 3])


@dataclass
class Pull:
    """`async with Pull(bus, "INCIDENTS", ("pager.events.incidents.urgent.>",), start=7) as pull: await pull.some()`.

    The consumer lives in the server's memory and dies with it, or 30 s after us: where we stand is in PostgreSQL.
    """

    bus: Bus
    stream: str
    subjects: Sequence[str]
    start: int
    """The stream sequence to begin with."""
    _queue: deque[Received] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _broken: str | None = None
    _asked: int = 0
    _delivered: int = 0
    _pending: int = 0
    _name: str = field(default_factory=lambda: f"pull-{uuid4().hex}")
    _inbox: str = ""
    _subscription: Subscription | None = None

    async def __aenter__(self) -> Self:
        self._stop_listening = self.bus.on_interruption(lambda: self._break("the connection broke"))
        try:
            self._inbox = self.bus.client.new_inbox()
            self._subscription = await self.bus.client.subscribe_direct(self._inbox, self._on_message)
            single = len(self.subjects) == 1
            config = ConsumerConfig(
                name=self._name,
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=max(self.start, 1),
                ack_policy=AckPolicy.NONE,
                filter_subject=self.subjects[0] if single else None,
                filter_subjects=None if single else list(self.subjects),
                mem_storage=True,
                num_replicas=1,
                inactive_threshold=_EXPIRES,
            )
            await self.bus.js.add_consumer(self.stream, config)
            await self._ask_ahead()
        except (NatsError, APIError, TimeoutError) as error:
            await self.__aexit__(None, None, None)
            raise BusAway(f"no consumer on {self.stream}: {error}") from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_listening()
        if self.bus.connected and self._subscription is not None:
            try:
                await self._subscription.unsubscribe()
                await self.bus.js.delete_consumer(self.stream, self._name)
            except (NatsError, APIError, TimeoutError):
                pass  # it dies by itself after `inactive_threshold`

    @property
    def behind(self) -> int:
        """Messages of the stream that have not been taken yet, as far as the server has told us."""
        return len(self._queue) + self._pending

    def oldest_waits(self) -> float:
        """Seconds since the oldest message that is here and not taken was stored, by the server's clock; 0 for none."""
        return time.time() - self._queue[0].stored_at / 1e9 if self._queue else 0.0

    async def arrived(self) -> None:
        """Return when a message is here.

        Raises:
            BusAway: the consumer or the connection is gone, or a message was missed: begin again from the cursor.
        """
        while not self._queue:
            if self._broken is not None:
                raise BusAway(self._broken)
            self._news.clear()
            await self._ask_ahead()
            try:
                async with asyncio.timeout(2 * _HEARTBEAT + 1):
                    await self._news.wait()
            except TimeoutError as error:
                raise BusAway(f"{self.stream}: no heartbeat") from error

    async def some(self, limit: int = 500) -> list[Received]:
        """What is there, in order, at most `limit`; waits for the first message.

        Raises:
            BusAway: as `arrived`.
        """
        await self.arrived()
        count = min(limit, len(self._queue))
        messages = [self._queue.popleft() for _ in range(count)]
        await self._ask_ahead()
        return messages

    async def _ask_ahead(self) -> None:
        if self._asked > _AHEAD // 2:
            return
        nanoseconds = 1_000_000_000
        request = {
            "batch": _AHEAD,
            "expires": int(_EXPIRES * nanoseconds),
            "idle_heartbeat": int(_HEARTBEAT * nanoseconds),
        }
        self._asked += _AHEAD
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self._name}"
        try:
            await self.bus.client.publish(subject, json.dumps(request).encode(), reply=self._inbox)
        except NatsError as error:
            raise BusAway(str(error)) from error

    def _on_message(self, subject: str, reply: str, block: bytes | None, data: bytes) -> None:
        # Only what carries no data can be a word of the server's to us.
        headers = read_headers(block) if not data else {}
        status = headers.get("Status")
        if status is None:
            self._asked -= 1
            self._delivered += 1
            # The consumer numbers its deliveries: a hole means that the server dropped something on the way to us.
            sequence, delivery, stored_at, self._pending = place_of(reply)
            if delivery != self._delivered:
                self._break("a delivery was missed")
                return
            self._queue.append(Received(subject, block, data, sequence, stored_at))
        elif status in ("404", "408"):
            self._asked = max(0, self._asked - int(headers.get("Nats-Pending-Messages") or _AHEAD))
        elif status != "100":
            self._break(f"status {status}: {headers.get('Description', '')}")
        self._news.set()

    def _break(self, reason: str) -> None:
        self._broken = reason
        self._news.set()
