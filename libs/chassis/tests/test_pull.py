"""A stream is read whole and in order, whatever its messages call themselves, and only as much as fits (promise 8)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.chassis.bus.connection import CONNECTION_OPTIONS, Bus
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.bus.sending import has_sent
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.chassis.tests.ledger import Ledger, until

_MEBIBYTE = 1024**2
_SUBJECTS = ("pager.alerts.>",)


def _alerts(bus: Bus, start: int = 1) -> Pull:
    return Pull(bus, "ALERTS", _SUBJECTS, start)


@pytest.fixture(autouse=True)
def no_nets(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would mend a fault by itself after some seconds does not hide one here."""
    monkeypatch.setattr("libs.chassis.bus.pull._EXPIRES", 10 * DEADLINE)
    monkeypatch.setitem(CONNECTION_OPTIONS, "ping_interval", int(10 * DEADLINE))


async def _publish(ledger: Ledger, *commands: bytes, user: str = "operator") -> None:
    """Returns when all of them are in the stream; as bytes, because a client would refuse some of these."""
    client = (await ledger.bus(user)).client
    js = (await ledger.bus("operator")).client.jetstream()
    before = (await js.stream_info("ALERTS")).state.last_seq
    await client._send_command(b"".join(commands))
    await has_sent(client)

    async def look() -> int:
        return (await js.stream_info("ALERTS")).state.last_seq

    await until(look, lambda last: last == before + len(commands), "all of them in the stream")


def _plain(subject: bytes, body: bytes) -> bytes:
    return b"PUB %b %d\r\n%b\r\n" % (subject, len(body), body)


def _with_block(subject: bytes, block: bytes, body: bytes) -> bytes:
    return b"HPUB %b %d %d\r\n%b%b\r\n" % (subject, len(block), len(block) + len(body), block, body)


async def _read(pull: Pull, count: int) -> list[Received]:
    messages: list[Received] = []
    async with in_time():
        while len(messages) < count:
            messages += await pull.some()
    return messages


@pytest.mark.parametrize("status", ["100", "404", "408", "409", "503", "999"])
@pytest.mark.parametrize("inline", [False, True])
async def test_a_message_without_a_body_is_one_whatever_status_it_bears(
    ledger: Ledger, status: str, inline: bool
) -> None:
    block = f"NATS/1.0 {status} Mine\r\n\r\n" if inline else f"NATS/1.0\r\nStatus: {status}\r\n\r\n"
    await _publish(
        ledger, _with_block(b"pager.alerts.db", block.encode(), b""), _plain(b"pager.alerts.db", b"the next one")
    )
    async with _alerts(await ledger.bus()) as pull:
        first, second = await _read(pull, 2)
    assert (first.data, second.data) == (b"", b"the next one")
    assert [first.sequence, second.sequence] == [1, 2]


_SUBJECTS_OF_STRANGERS = [
    b"pager.alerts.\xff\xfe",
    b"pager.alerts.a\x0cb",
    b"pager.alerts.a\x0bb",
    b"pager.alerts.a\rb",
]


@pytest.mark.parametrize("subject", [*_SUBJECTS_OF_STRANGERS, b"pager.alerts." + b"a" * 4000])
async def test_a_message_is_taken_from_any_subject_that_the_server_takes(ledger: Ledger, subject: bytes) -> None:
    bus = await ledger.bus()
    async with _alerts(bus) as pull:
        await _publish(ledger, _plain(subject, b"1"), _plain(b"pager.alerts.db", b"2"))
        messages = await _read(pull, 2)
    assert [m.data for m in messages] == [b"1", b"2"]
    assert messages[0].subject == subject.decode("utf-8", "replace")
    assert bus.connected


async def test_any_block_of_headers_is_taken_with_its_message(ledger: Ledger) -> None:
    blocks = [b"NATS/1.0", b"XXXX", b"\xff\xfe\x00\r\n\r\n", b"NATS/1.0 \xff\xff\xff \xfe\r\n\r\n", b"\r\n\r\n"]
    bus = await ledger.bus()
    async with _alerts(bus) as pull:
        await _publish(ledger, *(_with_block(b"pager.alerts.db", block, b"body") for block in blocks))
        messages = await _read(pull, len(blocks))
    assert [m.data for m in messages] == [b"body"] * len(blocks)
    assert all(name.isprintable() or name for m in messages for name in m.headers)


async def test_large_messages_wait_at_the_server_and_are_handed_out_few_at_a_time(ledger: Ledger) -> None:
    body = b"x" * 1_000_000
    await _publish(ledger, *(_plain(b"pager.alerts.db", b"%02d" % n + body) for n in range(40)))
    async with _alerts(await ledger.bus()) as pull:
        await pull.arrived()

        async def waiting() -> int:
            return sum(len(m.data) for m in pull._queue)

        await until(waiting, lambda size: size > 31_000_000, "as many as may wait here")
        messages: list[Received] = []
        while len(messages) < 40:
            assert await waiting() <= 32 * _MEBIBYTE
            some = await pull.some()
            assert sum(len(m.data) for m in some) <= 8 * _MEBIBYTE
            messages += some
    assert [m.data[:2] for m in messages] == [b"%02d" % n for n in range(40)]


async def test_a_message_larger_than_all_that_may_wait_comes_alone(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.bus.pull._AHEAD_BYTES", 300_000, raising=False)
    monkeypatch.setattr("libs.chassis.bus.pull._BATCH_BYTES", 100_000, raising=False)
    sizes = [10, 200_000, 400_000, 10, 290_000, 290_000, 500_000, 500_000, 10]
    await _publish(ledger, *(_plain(b"pager.alerts.db", b"x" * size) for size in sizes))
    found: list[int] = []
    async with _alerts(await ledger.bus()) as pull, in_time():
        while len(found) < len(sizes):
            some = [len(m.data) for m in await pull.some()]
            assert len(some) == 1 or sum(some) <= 100_000
            found += some
    assert found == sizes


async def test_a_request_that_is_used_up_to_its_last_byte_is_followed_by_another(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, body = "pager.alerts.zürich".encode(), b"x" * 1000
    await _publish(ledger, *(_plain(subject, body) for _ in range(3)))
    pull = _alerts(await ledger.bus())
    # The moment of nineteen digits; the other numbers have one each.
    reply = f"$JS.ACK.ALERTS.{pull._name}.1.1.1.{10**18}.2"
    monkeypatch.setattr("libs.chassis.bus.pull._AHEAD_BYTES", 2 * (len(subject) + len(reply) + len(body)))
    async with pull, in_time():
        await pull.arrived()

        async def here() -> int:
            return len(pull._queue)

        await until(here, lambda count: count == 2, "both that fit")
        assert pull._asked == 0
        assert len(await pull.some()) == 2
        assert len(await pull.some()) == 1


async def test_what_a_slow_reader_has_not_taken_is_bounded(ledger: Ledger) -> None:
    await _publish(ledger, *(_plain(b"pager.alerts.db", b"{}") for _ in range(4000)))
    async with _alerts(await ledger.bus()) as pull:

        async def asked() -> int:
            return pull._asked

        sequences: list[int] = []
        while len(sequences) < 4000:
            await pull.arrived()
            await until(asked, lambda count: count <= 0 or len(pull._queue) > 1000 or not pull._pending, "the rest")
            assert len(pull._queue) <= 1000
            sequences += [m.sequence for m in await pull.some(500)]
    assert sequences == list(range(1, 4001))


async def test_a_connection_whose_reading_ended_comes_back_at_once(ledger: Ledger) -> None:
    bus = await ledger.bus()
    parse, failed = bus.client._ps.parse, asyncio.Event()

    async def fails_once(data: bytes = b"") -> None:
        if not failed.is_set():
            failed.set()
            raise RuntimeError("of a kind that nobody has thought of")
        await parse(data)

    parser: Any = bus.client._ps
    parser.parse = fails_once
    await bus.client.publish("pager.events.incidents.urgent.X.1", b"", reply=bus.client.new_inbox())
    await failed.wait()

    async def reconnects() -> int:
        return bus.client.stats["reconnects"]

    await until(reconnects, lambda count: count == 1, "another connection")
    await bus.until_connected()
    assert await bus.js.stream_info("INCIDENTS")
