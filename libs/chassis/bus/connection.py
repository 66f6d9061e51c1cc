"""The connection to NATS: publishing with acknowledgements that cannot be waited for in vain, and requests."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import structlog
from nats.errors import Error as NatsError
from nats.errors import NoRespondersError
from nats.js.client import JetStreamContext

from libs.chassis.bus.wire import Outgoing, Wire, read_status

_log = structlog.get_logger()

CONNECTION_OPTIONS: dict[str, Any] = {
    # nats-py gives up after 60 tries two seconds apart; a pager waits for its bus for ever and comes back at once.
    "max_reconnect_attempts": -1,
    "reconnect_time_wait": 0.1,
    "connect_timeout": 2,
    "ping_interval": 10,
    "max_outstanding_pings": 2,
}


class BusAway(Exception):
    """NATS is away, or the connection broke while something was under way."""


class WrongSequence(Exception):
    """The stream's last sequence is not the one expected: somebody else has written, or its tail was lost (10071)."""


@dataclass(slots=True)
class _Batch:
    done: asyncio.Future[None]
    missing: int
    error: Exception | None = None


@dataclass
class Bus:
    """One NATS connection, shared by a process. Make it with `Bus(wire)` and `await bus.start()`."""

    client: Wire
    js: JetStreamContext = field(init=False)
    _batches: dict[str, _Batch] = field(default_factory=dict)
    _answers: dict[bytes, asyncio.Future[bytes]] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)
    _inbox: str = ""
    _interrupted: list[Callable[[], None]] = field(default_factory=list)
    _restored: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> None:
        self.js = self.client.jetstream(timeout=2)
        self._inbox = self.client.new_inbox()
        await self.client.subscribe_direct(f"{self._inbox}.*.*", self._on_ack)
        await self.client.subscribe_direct(f"{self._inbox}.*", self._on_answer)

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    async def until_connected(self) -> None:
        """Return when there is a connection."""
        while not self.connected:
            self._restored.clear()
            await self._restored.wait()

    async def restored(self) -> None:
        """For the client's `reconnected_cb`."""
        self._restored.set()

    def on_interruption(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when the connection breaks; returns a function that stops that."""
        self._interrupted.append(callback)
        return lambda: self._interrupted.remove(callback)

    async def interrupted(self) -> None:
        """For the client's `disconnected_cb`: whatever waits for an answer will not get one on this connection."""
        for batch in list(self._batches.values()):
            _finish(batch, BusAway("the connection broke before the acknowledgement"))
        for callback in list(self._interrupted):
            callback()

    async def publish_all(self, messages: Sequence[Outgoing], *, chained: bool = False, timeout: float = 5.0) -> None:
        """Publish to JetStream in order and return when every message has been stored.

        `chained`: each names the stream's sequence that it expects before it, so the acknowledgement of the last one
        vouches for all of them; only that one is asked for, and a refusal in between is said as WrongSequence.

        Raises:
            BusAway: no answer in `timeout` seconds, or the connection broke; some may have been stored.
            WrongSequence: the stream refused an expected last sequence.
        """
        if not self.connected:
            raise BusAway("not connected")
        number = str(next(self._numbers))
        answered = messages[-1:] if chained else messages
        batch = _Batch(asyncio.get_running_loop().create_future(), len(answered))
        self._batches[number] = batch
        replies = [""] * (len(messages) - len(answered)) + [f"{self._inbox}.{number}.{i}" for i in range(len(answered))]
        try:
            await self.client.send_all(zip(messages, replies, strict=True))
            async with asyncio.timeout(timeout):
                await batch.done
        except TimeoutError as error:
            raise BusAway(f"no acknowledgement in {timeout} s") from error
        except NatsError as error:
            raise BusAway(str(error)) from error
        finally:
            self._batches.pop(number, None)

    def _on_ack(self, subject: bytes, _reply: bytes, block: bytes | None, data: bytes) -> None:
        batch = self._batches.get(subject.rsplit(b".", 2)[-2:][0].decode("ascii", "replace"))
        if batch is None:
            return
        # A PubAck is {"stream":…,"seq":…}; only a failure carries "error", so most acks are not parsed.
        if b'"seq"' in data and b'"error"' not in data:
            batch.missing -= 1
            if batch.missing == 0:
                _finish(batch, None)
        elif (refusal := _refusal(block, data)) is not None:
            _finish(batch, refusal)

    async def request(
        self, subject: str, body: bytes, *, headers: Mapping[str, str] | None = None, timeout: float = 1.0
    ) -> bytes:
        """One request, one answer.

        Raises:
            BusAway: nobody listens, or no answer in `timeout` seconds.
        """
        number = str(next(self._numbers))
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answers[number.encode()] = answer
        try:
            async with asyncio.timeout(timeout):
                reply = f"{self._inbox}.{number}"
                await self.client.publish(subject, body, reply=reply, headers=dict(headers or {}))
                return await answer
        except (NatsError, TimeoutError) as error:
            raise BusAway(f"no answer on {subject}: {type(error).__name__}") from error
        finally:
            del self._answers[number.encode()]

    def _on_answer(self, subject: bytes, _reply: bytes, block: bytes | None, data: bytes) -> None:
        answer = self._answers.get(subject.rpartition(b".")[2])
        if answer is None or answer.done():
            return
        if not data and (said := read_status(block)) is not None and said[0] == "503":
            answer.set_exception(NoRespondersError())
        else:
            answer.set_result(data)


def _refusal(block: bytes | None, data: bytes) -> Exception | None:
    """Why something was not stored; None if this is no word of the server's."""
    if not data:
        said = read_status(block)
        return BusAway("no stream listens on that subject") if said is not None and said[0] == "503" else None
    try:
        error = json.loads(data)["error"]
        code, text = error.get("err_code"), str(error.get("description", "refused"))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return WrongSequence(text) if code in (10071, 10164) else BusAway(text)


def _finish(batch: _Batch, error: Exception | None) -> None:
    if batch.done.done():
        return
    if error is None:
        batch.done.set_result(None)
    else:
        batch.done.set_exception(error)
