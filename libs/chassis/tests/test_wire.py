"""The short ways of the wire: what they read and write is what nats-py would have read and written."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from nats.aio.client import Client
from nats.errors import MaxPayloadError
from nats.protocol.command import hpub_cmd, pub_cmd

from libs.chassis.bus.pull import Received
from libs.chassis.bus.wire import Outgoing, Wire, _command, read_headers, read_status
from libs.chassis.consume.feed import _place
from libs.contracts.cloudevents import event_headers

BLOCKS = [
    b"NATS/1.0\r\nNats-Msg-Id: incidents/1/7\r\nce-type: pager.incidents.IncidentCreated.v1\r\n\r\n",
    b"NATS/1.0\r\nName:Value\r\nTab:\tvalue \r\n  Spaced :  both  \r\n\r\n",
    b"NATS/1.0\r\nno colon here\r\nbad name: left out\r\nempty:\r\n\r\n",
    "NATS/1.0\r\nce-subject: Zürich\r\n\r\n".encode(),
    b"NATS/1.0\r\nbroken: \xff\xfe\r\n\r\n",
]
WORDS = {
    b"NATS/1.0 503\r\n\r\n": ("503", ""),
    b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 4\r\n\r\n": ("100", "Idle Heartbeat"),
    b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 12\r\n\r\n": ("408", "Request Timeout"),
}


@pytest.mark.parametrize("block", BLOCKS)
async def test_headers_are_read_as_the_client_reads_them(block: bytes) -> None:
    expected = await Client()._process_headers(block)
    assert dict(read_headers(block)) == (expected or {})
    assert await Wire()._process_headers(block) == expected
    assert read_status(block) is None


@pytest.mark.parametrize("block", WORDS)
async def test_the_servers_word_is_read_as_the_client_reads_it(block: bytes) -> None:
    assert read_status(block) == WORDS[block]
    assert await Wire()._process_headers(block) == await Client()._process_headers(block)
    assert "Status" not in read_headers(block)


async def test_a_header_named_status_is_not_the_servers_word() -> None:
    block = b"NATS/1.0\r\nStatus: 503\r\nDescription: No Responders\r\nA: 1\r\n\r\n"
    assert read_status(block) is None
    assert await Wire()._process_headers(block) == {"A": "1"}, "nats-py believes these names"
    assert dict(read_headers(block)) == {"Status": "503", "Description": "No Responders", "A": "1"}


async def test_what_the_server_denies_is_counted_and_told_as_the_client_tells_it() -> None:
    told: list[str] = []

    async def tell(error: Exception) -> None:
        told.append(str(error))

    wire = Wire()
    wire._error_cb = tell
    await wire._process_err("'permissions violation for publish to \"pager.events.auth.x\"'")
    assert (wire.denied, len(told)) == (1, 1)
    assert "permissions violation" in told[0]


def test_no_headers_are_an_empty_mapping() -> None:
    assert read_headers(None) == {}


@pytest.mark.parametrize("reply", ["", "_INBOX.x.1.0"])
def test_messages_are_written_as_the_client_writes_them(reply: str) -> None:
    body = b'{"a": "\xc3\xa9\r\n"}'
    head = b"NATS/1.0\r\nA: 1\r\nB-C: zwei\r\n\r\n"
    lines = "A: 1\r\nB-C: zwei\r\n"
    assert _command(Outgoing("s.t", body, lines), reply, 1000) == hpub_cmd("s.t", reply, head, body)
    assert _command(Outgoing("s.t", body), reply, 1000) == pub_cmd("s.t", reply, body)


@pytest.mark.parametrize(
    "message",
    [Outgoing("s\r\nPUB evil 0\r\n", b""), Outgoing("s reply", b""), Outgoing("s\r", b"", "A: 1\r\n")],
)
def test_a_line_break_is_refused_rather_than_sent_as_a_command(message: Outgoing) -> None:
    with pytest.raises(ValueError, match="holds a"):
        _command(message, "", 1000)


def test_a_message_that_the_server_would_refuse_is_refused_here() -> None:
    with pytest.raises(MaxPayloadError):
        _command(Outgoing("s", b"x" * 100, "A: 1\r\n"), "", 100)


def _lines(event_id: str = "an-id", type_name: str = "pager.incidents.IncidentCreated.v1") -> str:
    return event_headers(
        "incidents", event_id, type_name, datetime(2026, 11, 25, tzinfo=UTC), epoch=1, position=7, previous=5, last=6
    )


@pytest.mark.parametrize("value", ["1\r\nPUB evil 0", "1\n", "1\r"])
def test_a_line_break_in_an_events_header_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="holds a line break"):
        _lines(event_id=value)
    with pytest.raises(ValueError, match="holds a line break"):
        _lines(type_name=value)


def test_an_events_headers_are_read_in_the_order_in_which_they_are_written(monkeypatch: pytest.MonkeyPatch) -> None:
    block = f"NATS/1.0\r\n{_lines()}\r\n".encode()
    assert len(read_headers(block)) == 9
    monkeypatch.setattr("libs.chassis.bus.pull.read_headers", None)  # the slow way
    assert _place(Received("", block, b"", 1, 0)) == (1, 7, 5, "pager.incidents.IncidentCreated.v1")


def test_an_events_headers_are_read_in_any_other_order() -> None:
    lines = _lines().splitlines(keepends=True)
    for turned in (reversed(lines), [*lines[3:], *lines[:3]], ["Extra: 1\r\n", *lines]):
        block = f"NATS/1.0\r\n{''.join(turned)}\r\n".encode()
        assert _place(Received("", block, b"", 1, 0)) == (1, 7, 5, "pager.incidents.IncidentCreated.v1")
