"""Between the socket and a handler nothing that a stranger can send does harm (promise 8): nats-py's client without a
server, fed with what a server would write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple, Self

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from nats.aio.msg import Msg

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull
from libs.chassis.bus.wire import Outgoing, Wire
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.chassis.testing.examples import examples
from tests.logs import plain_logs


class _Unconnected(Wire):
    """What it would write goes nowhere."""

    async def _send_command(self, cmd: bytes, priority: bool = False) -> None:
        pass

    async def _flush_pending(self, force_flush: bool = False) -> Any:
        pass

    @property
    def is_connected(self) -> bool:
        return True


class _Sent(NamedTuple):
    subject: bytes
    block: bytes | None
    body: bytes


@dataclass
class _Reader:
    """A connection with one subscription of each kind that there is."""

    client: _Unconnected = field(default_factory=_Unconnected)
    heard: list[Msg] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def __aenter__(self) -> Self:
        async def hear(message: Msg) -> None:
            self.heard.append(message)
            self.news.set()

        self.bus = Bus(self.client)
        await self.bus.start()
        self.pull = Pull(self.bus, "ALERTS", ("pager.alerts.>",), 1)
        self.stream = (await self.client.subscribe_direct("_INBOX.pull", self.pull._on_message))._id
        self.plain = (await self.client.subscribe("pager.rpc.incidents.get", cb=hear))._id
        await self.client._init_request_sub()
        self.kinds = sorted(self.client._subs)
        return self

    async def read(self, data: bytes, cuts: Sequence[int] = ()) -> None:
        """As it comes from the socket: in pieces."""
        places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for begin, end in pairwise(places):
            await self.client._ps.parse(data[begin:end])

    async def hear(self, body: bytes) -> None:
        """A good request comes after all this."""
        self.news.clear()
        self.heard.clear()
        await self.read(_framed(self.plain, _Sent(b"pager.rpc.incidents.get", None, body), b"_INBOX.x.1"))
        async with in_time():
            while body not in [message.data for message in self.heard]:
                await self.news.wait()
                self.news.clear()

    async def __aexit__(self, *error: object) -> None:
        for subscription in self.client._subs.values():
            subscription._stop_processing()
        await asyncio.sleep(0)


def _framed(sid: int, sent: _Sent, reply: bytes = b"") -> bytes:
    """As nats-server writes it."""
    subject, block, body = sent
    words = [b"HMSG" if block else b"MSG", subject, b"%d" % sid, *([reply] if reply else [])]
    sizes = [b"%d" % len(block)] if block else []
    return (
        b" ".join([*words, *sizes, b"%d" % (len(block or b"") + len(body))]) + b"\r\n" + (block or b"") + body + b"\r\n"
    )


def _word(data: bytes) -> bytes:
    """A space, a tab and a line feed end a subject at the server, so none of them comes from it."""
    return bytes(byte for byte in data if byte not in b" \t\n") or b"x"


_WORDS = st.binary(max_size=30).map(_word) | st.just(b"pager.alerts.\xff\xfe") | st.just(b"pager.alerts.a\x0b\x0c\rb")
_LINES = st.lists(
    st.sampled_from([b"Status: 503", b"Description: x", b"Nats-Pending-Messages: x", b"no colon", b"\xff: \xfe", b": "])
    | st.binary(max_size=20),
    max_size=4,
).map(lambda lines: b"\r\n".join([*lines, b"", b""]))
_STATUSES = st.sampled_from(
    [b"", b" ", b" 100", b" 404 No Messages", b" 408 \xff", b" 409 Message Size Exceeds MaxBytes", b" 503", b" 5\xff3"]
)
_BLOCKS = (
    st.none()
    | st.binary(min_size=1, max_size=40)
    | st.tuples(_STATUSES, _LINES).map(lambda parts: b"NATS/1.0" + parts[0] + b"\r\n" + parts[1])
    | st.sampled_from([b"NATS/1.0", b"NATS/1.0 ", b"NATS/1.0\r\n", b"\r\n\r\n"])
)
_BODIES = (
    st.just(b"") | st.binary(max_size=40) | st.sampled_from([b'{"error": 1}', b'{"error": {}}', b'"seq"', b"[" * 9999])
)
_MESSAGES = st.builds(_Sent, _WORDS, _BLOCKS, _BODIES)
_REPLIES = (
    st.just(b"")
    | _WORDS
    | st.sampled_from([b"$JS.ACK.A.c.1.x.1.2.0", b"$JS.ACK", b"$JS.ACK." + b"9" * 5000, b"$JS.ACK.1.2.3.4.5.6.\xff"])
)
_CUTS = st.lists(st.integers(min_value=0, max_value=10_000), max_size=4)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    plain_logs()


@given(st.lists(_MESSAGES, min_size=1, max_size=5), _CUTS)
@example([_Sent(b"pager.alerts.db", b"NATS/1.0\r\nStatus: 503\r\n\r\n", b"")], [])
@example([_Sent(b"pager.alerts.\xff\xfe", None, b"{}")], [])
@example([_Sent(b"pager.alerts.a\x0cb", None, b"{}")], [])
@settings(max_examples=examples(300))
async def test_whatever_is_in_a_stream_is_read_whole_and_in_order(messages: list[_Sent], cuts: list[int]) -> None:
    async with _Reader() as reader:
        framed = [
            _framed(reader.stream, sent, b"$JS.ACK.ALERTS.c.1.%d.%d.1700000000000000000.0" % (number, number))
            for number, sent in enumerate([*messages, _Sent(b"pager.alerts.db", None, b"the next one")], start=1)
        ]
        await reader.read(b"".join(framed), cuts)
        assert reader.pull._broken is None
        assert [m.data for m in reader.pull._queue] == [*(sent.body for sent in messages), b"the next one"]
        assert [m.sequence for m in reader.pull._queue] == list(range(1, len(messages) + 2))
        assert all(m.subject.encode() and dict(m.headers) is not None for m in reader.pull._queue)
        assert reader.client.failures == 0


@given(st.lists(st.tuples(st.integers(min_value=0, max_value=9), _MESSAGES, _REPLIES), max_size=6), _CUTS)
@example([(2, _Sent(b"pager.rpc.incidents.get\xff", None, b"{}"), b"")], [])
@example([(1, _Sent(b"_INBOX.pull", None, b"not from a stream"), b"")], [])
@example([(2, _Sent(b"pager.rpc.incidents.get", b"NATS/1.0", b"{}"), b"")], [])
@settings(max_examples=examples(300))
async def test_nothing_that_comes_ends_the_reading(messages: list[tuple[int, _Sent, bytes]], cuts: list[int]) -> None:
    async with _Reader() as reader:
        data = [_framed(reader.kinds[n % len(reader.kinds)], sent, reply) for n, sent, reply in messages]
        await reader.read(b"".join(data), cuts)
        await reader.hear(b"the next one")
        assert reader.client.failures == 0


async def test_a_handler_that_fails_keeps_nobody_from_the_next_message() -> None:
    async with _Reader() as reader:

        def fails(_subject: bytes, _reply: bytes, _block: bytes | None, _data: bytes) -> None:
            raise RuntimeError("a fault of ours")

        failing = (await reader.client.subscribe_direct("_INBOX.y", fails))._id
        await reader.read(_framed(failing, _Sent(b"_INBOX.y", None, b"")) * 3)
        await reader.hear(b"the next one")
        assert reader.client.failures == 3


@pytest.mark.parametrize(
    "junk",
    [
        _Sent(b"", b"NATS/1.0\r\nStatus: 503\r\n\r\n", b""),
        _Sent(b"", None, b""),
        _Sent(b"", None, b"not JSON, but with an \"error\""),
        _Sent(b"", None, b'{"error": "no object"}'),
    ],
)  # fmt: skip
async def test_only_the_servers_word_says_whether_a_message_was_stored(junk: _Sent) -> None:
    async with _Reader() as reader:
        acknowledgements = reader.kinds[0]
        publishing = asyncio.create_task(reader.bus.publish_all([Outgoing("pager.events.x", b"{}")]))
        while not reader.bus._batches:
            await asyncio.sleep(0)
        subject = f"{reader.bus._inbox}.0.0".encode()
        await reader.read(_framed(acknowledgements, junk._replace(subject=subject)))
        await asyncio.sleep(0)
        assert not publishing.done()
        await reader.read(_framed(acknowledgements, _Sent(subject, None, b'{"stream":"INCIDENTS","seq":1}')))
        await asyncio.wait_for(publishing, DEADLINE)


async def test_what_a_message_is_read_from_may_come_in_any_pieces() -> None:
    async with _Reader() as reader:
        sent = _Sent(b"pager.alerts.z\xc3\xbcrich", b"NATS/1.0\r\nA: 1\r\n\r\n", b"0\r\n1")
        data = b"PING\r\n+OK\r\n" + _framed(reader.stream, sent, b"$JS.ACK.ALERTS.c.1.1.1.1700000000000000000.0")
        for place in range(len(data) + 1):
            reader.pull._queue.clear()
            reader.pull._delivered = 0
            await reader.read(data, [place])
            (message,) = reader.pull._queue
            assert (message.subject, message.block, message.data) == ("pager.alerts.zürich", sent.block, sent.body)
