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
from libs.chassis.bus.wire import read_headers, read_status

_AHEAD = 1000
"""Messages that may be here or on their way; more are asked for when there is room for half of them."""
_AHEAD_BYTES = 32 * 1024**2
"""The same in bytes, as the server reckons them: 1,200 alerts of 1 MB had made a process of 1 GiB."""
_BATCH_BYTES = 8 * 1024**2
"""What is handed out at once; a larger message comes alone."""
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
    size: int = 0
    """Its bytes as the server reckons them."""

    @property
    def headers(self) -> Mapping[str, str]:
        return read_headers(self.block)


def place_of(reply: bytes) -> tuple[int, int, int, int]:
    """(stream sequence, delivery number, stored at in Unix ns, messages pending behind it), from a reply subject.

    `$JS.ACK.<stream>.<consumer>.<delivered>.<sequence>.<delivery>.<time>.<pending>`; with a domain (ADR-15 of NATS)
    two tokens stand before the stream and one more at the end. The client's own parser costs four times as much.

    Raises:
        ValueError, IndexError: it is none.
    """
    tokens = reply.split(b".")
    first = 5 if len(tokens) == 9 else 7
    return int(tokens[first]), int(tokens[first + 1]), int(tokens[first + 2]), int(tokens[first + 3])


@dataclass
class Pull:
    """`async with Pull(bus, "INCIDENTS", ("pager.events.incidents.urgent.>",), start=7) as pull: await pull.some()`.

    The consumer lives in the server's memory and dies with it, or 30 s after us: where we stand is in PostgreSQL. One
    request is under way at a time, so that its end is known: the server does not say which one a message answers.
    """

    bus: Bus
    stream: str
    subjects: Sequence[str]
    start: int | None
    """The stream sequence to begin with; None: the last message there is."""
    _queue: deque[Received] = field(default_factory=deque)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _broken: str | None = None
    _waiting: int = 0
    """Bytes in the queue."""
    _asked: int = 0
    """Messages that the server may still send; 0 when no request is under way."""
    _asked_bytes: int = 0
    _asked_at: int = 0
    """The delivery after which the request under way was made."""
    _alone: bool = False
    """The next message is larger than all we would ask for: it must come by itself."""
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
                deliver_policy=DeliverPolicy.LAST if self.start is None else DeliverPolicy.BY_START_SEQUENCE,
                opt_start_seq=None if self.start is None else max(self.start, 1),
                ack_policy=AckPolicy.NONE,
                filter_subject=self.subjects[0] if single else None,
                filter_subjects=None if single else list(self.subjects),
                mem_storage=True,
                num_replicas=1,
                inactive_threshold=_EXPIRES,
            )
            self._pending = (await self.bus.js.add_consumer(self.stream, config)).num_pending or 0
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

    async def newest(self) -> int:
        """The last sequence of the stream, on whatever subject, as the server knows it now.

        Raises:
            nats.errors.Error, nats.js.errors.APIError, TimeoutError: it does not answer.
        """
        return (await self.bus.js.stream_info(self.stream)).state.last_seq

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

    async def first(self) -> Received:
        """The next message, which stays here; raises BusAway as `arrived`."""
        await self.arrived()
        return self._queue[0]

    async def some(self, limit: int = 500) -> list[Received]:
        """What is there, in order, at most `limit` and 8 MiB, at least one; waits for the first message.

        Raises:
            BusAway: as `arrived`.
        """
        await self.arrived()
        if len(self._queue) <= limit and self._waiting <= _BATCH_BYTES:
            messages, self._waiting = list(self._queue), 0
            self._queue.clear()
        else:
            messages = self._part(limit)
        await self._ask_ahead()
        return messages

    def _part(self, limit: int) -> list[Received]:
        queue, messages, room = self._queue, [self._queue.popleft()], _BATCH_BYTES
        room -= messages[0].size
        while queue and len(messages) < limit and queue[0].size <= room:
            room -= queue[0].size
            messages.append(queue.popleft())
        self._waiting -= _BATCH_BYTES - room
        return messages

    async def _ask_ahead(self) -> None:
        count, size = _AHEAD - len(self._queue), _AHEAD_BYTES - self._waiting
        if self._asked > 0 or count < _AHEAD // 2 or size < _AHEAD_BYTES // 2:
            return
        nanoseconds = 1_000_000_000
        request = {
            "batch": count,
            "max_bytes": size,
            "expires": int(_EXPIRES * nanoseconds),
            "idle_heartbeat": int(_HEARTBEAT * nanoseconds),
        }
        if self._alone:
            request |= {"batch": 1, "max_bytes": 0}  # 0: of any size
        self._asked, self._asked_bytes, self._asked_at = request["batch"], request["max_bytes"], self._delivered
        self._alone = False
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self.stream}.{self._name}"
        try:
            await self.bus.client.publish(subject, json.dumps(request).encode(), reply=self._inbox)
        except NatsError as error:
            raise BusAway(str(error)) from error

    def _on_message(self, subject: bytes, reply: bytes, block: bytes | None, data: bytes) -> None:
        if not reply:
            self._on_word(block, data)
            return
        # Whatever its headers call themselves: what has a place in the stream is a message of the stream.
        try:
            sequence, delivery, stored_at, self._pending = place_of(reply)
        except (ValueError, IndexError):
            return  # not from our consumer; if it took the place of something, the next delivery's number shows that
        self._delivered += 1
        # The consumer numbers its deliveries: a hole means that the server dropped something on the way to us.
        if delivery != self._delivered:
            self._break("a delivery was missed")
            return
        size = len(subject) + len(reply) + len(block or b"") + len(data)
        self._queue.append(Received(subject.decode("utf-8", "replace"), block, data, sequence, stored_at, size))
        self._waiting += size
        self._asked_bytes -= size
        # A request that is used up to its last byte ends as well, and of that the server says nothing.
        self._asked = self._asked - 1 if self._asked_bytes > 0 else 0
        self._news.set()

    def _on_word(self, block: bytes | None, data: bytes) -> None:
        """What the server says of a request: a status line (ADR-13 of NATS) without data and without a place."""
        said = read_status(block)
        if said is None or data:
            return
        match said:
            case "404" | "408", _:
                self._asked = 0
            case "409", "Message Size Exceeds MaxBytes":
                self._alone = self._delivered == self._asked_at
                self._asked = 0
            case ("100", _) | ("409", "Batch Completed"):
                pass  # a heartbeat; and the end of a request is counted by its messages
            case status, description:
                self._break(f"status {status}: {description}")
        self._news.set()

    def _break(self, reason: str) -> None:
        self._broken = reason
        self._news.set()
