"""Slow and odd clients of HTTP/1.1: whoever does not finish a request gets 408 and no connection."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from libs.chassis.testing.deadline import in_time
from services.gateway import patience
from services.gateway import settings as gateway_settings
from services.gateway.tests import views as v
from services.gateway.tests.stubs import World, world

pytestmark = pytest.mark.servers

HOST = b"Host: pager\r\n"
LOGIN = (
    b"POST /api/v1/auth/login HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", 0.1)
    monkeypatch.setattr(patience, "_LEFT_TO_THE_BODY", 0.1)


async def talk(pager: World, sent: AsyncIterator[bytes]) -> bytes:
    """All that the gateway says until it hangs up, while this is sent."""
    at = urlsplit(pager.gateway.url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)

    async def say() -> None:
        with suppress(ConnectionError):
            async for part in sent:
                writer.write(part)
                await writer.drain()

    async with in_time():
        saying = asyncio.create_task(say())
        heard = b""
        with suppress(ConnectionResetError):  # what is said after the gateway has hung up
            while part := await reader.read(65_536):
                heard += part
        saying.cancel()
        await asyncio.gather(saying, return_exceptions=True)
        writer.close()
    return heard


async def once(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def dripping(*parts: bytes, drop: bytes) -> AsyncIterator[bytes]:
    """And then a little at a time, for ever."""
    for part in parts:
        yield part
    while True:
        await asyncio.sleep(0.01)
        yield drop


def refused(heard: bytes, status: int) -> dict[str, str]:
    """The error of the one answer that was heard."""
    head, _, body = heard.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), heard
    assert b"connection: close" in head.lower()
    error: dict[str, str] = json.loads(body)["error"]
    return error


async def test_a_connection_on_which_nothing_comes_is_closed_without_a_word(pager: World) -> None:
    assert await talk(pager, once()) == b""


async def test_an_idle_connection_is_kept_longer_than_a_proxy_keeps_it_and_not_for_ever() -> None:
    async with world(idle_seconds=1) as pager:
        heard = await talk(pager, once(b"GET /api/health/live HTTP/1.1\r\n" + HOST + b"\r\n"))
    assert heard.startswith(b"HTTP/1.1 200 ")
    assert b"connection: close" not in heard.lower()
    assert gateway_settings.Settings.model_fields["idle_seconds"].default > 60, "nginx and AWS keep theirs for so long"


async def test_a_crowd_of_connections_does_not_idle_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "crowd", lambda: 0)
    monkeypatch.setattr(patience, "CROWDED", 0.1)
    async with world(idle_seconds=3600) as pager:
        heard = await talk(pager, once(*2 * (b"GET /api/health/live HTTP/1.1\r\n" + HOST + b"\r\n",)))
    assert heard.count(b"HTTP/1.1 200 ") == 2, "those that are asked for are answered"


@pytest.mark.parametrize("sent", [b"GET /api/health/live HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + HOST + b"X: "])
async def test_a_request_whose_head_never_ends_is_a_408(pager: World, sent: bytes) -> None:
    assert refused(await talk(pager, once(sent)), 408)["code"] == "REQUEST_TIMEOUT"


@pytest.mark.parametrize(("sent", "drop"), [(b"GET / HTTP/1.1\r\n" + HOST + b"X: ", b"x"), (b"", b"\r\n")])
async def test_a_head_that_comes_a_little_at_a_time_ends_as_well(pager: World, sent: bytes, drop: bytes) -> None:
    assert refused(await talk(pager, dripping(sent, drop=drop)), 408)["code"] == "REQUEST_TIMEOUT"


async def test_a_body_that_never_comes_is_a_408(pager: World) -> None:
    heard = await talk(pager, once(LOGIN, b'{"email": '))

    assert refused(heard, 408)["code"] == "REQUEST_TIMEOUT"
    assert b"x-request-id" in heard.lower()


async def test_a_body_that_comes_a_little_at_a_time_ends_as_well(pager: World) -> None:
    assert refused(await talk(pager, dripping(LOGIN, drop=b" ")), 408)["code"] == "REQUEST_TIMEOUT"


async def test_the_rest_of_a_body_that_nobody_waits_for_holds_no_connection(pager: World) -> None:
    unasked = b"POST /api/v1/incidents HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n"

    heard = await talk(pager, dripping(unasked, drop=b"x"))

    assert heard.startswith(b"HTTP/1.1 401 ")
    assert heard.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n", b"Host: \r\n", b"Host: a/b\r\n", b"Host: a b\r\n"])
async def test_a_request_that_names_no_host_is_a_400(pager: World, hosts: bytes) -> None:
    asked = b"GET /api/health/live HTTP/1.1\r\n" + hosts + b"Connection: close\r\n\r\n"

    assert refused(await talk(pager, once(asked)), 400)["code"] == "VALIDATION_ERROR"


async def test_http_1_0_needs_no_host(pager: World) -> None:
    heard = await talk(pager, once(b"GET /api/health/live HTTP/1.0\r\n\r\n"))

    assert heard.startswith(b"HTTP/1.1 200 ")


async def test_a_head_without_end_is_refused_before_it_fills_the_memory(pager: World) -> None:
    asked = b"GET /api/health/live HTTP/1.1\r\n" + HOST + b"X: "

    # No byte more than that: one that nobody reads any more would break the connection before the answer is heard.
    heard = await talk(pager, once(asked, b"x" * (patience.HEAD_LIMIT + 1 - len(asked))))

    assert refused(heard, 431)["message"] == "the head of the request is longer than 64 KiB"


@pytest.mark.parametrize("size", [70_000, 300_000])
async def test_a_long_body_is_not_taken_for_a_head(pager: World, size: int) -> None:
    """However it is cut into reads: in one with its head, and its end with the beginning of the next request."""
    await pager.stubs.answer("incidents.create", v.INCIDENT)
    body = json.dumps({"title": "x", "metadata": {"a": "x" * 60_000}}).encode().ljust(size)
    head = f"Content-Type: application/json\r\nContent-Length: {size}\r\nAuthorization: Bearer {pager.token()}\r\n\r\n"
    asked = b"POST /api/v1/incidents HTTP/1.1\r\n" + HOST + head.encode() + body

    heard = await talk(
        pager, once(asked * 2 + b"GET /api/health/live HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    )

    assert heard.count(b"HTTP/1.1 201 ") == 2
    assert heard.count(b"HTTP/1.1 200 ") == 1


CHUNKED = LOGIN.replace(b"Content-Length: 100", b"Transfer-Encoding: chunked")


@pytest.mark.parametrize("chunks", [(b"zz\r\n",), (b'5\r\n{"a":', b"xx\r\n"), (b"1\r\n{", b"}"), (b"-1\r\n",)])
async def test_a_chunked_body_that_is_malformed_is_a_400_in_our_envelope(
    pager: World, chunks: tuple[bytes, ...]
) -> None:
    for sent in (once(CHUNKED, *chunks), once(CHUNKED + b"".join(chunks))):
        heard = await talk(pager, sent)
        assert refused(heard, 400)["code"] == "VALIDATION_ERROR"
        assert heard.count(b"HTTP/1.1") == 1


async def test_a_malformed_request_behind_one_that_is_at_work_is_not_its_answer(pager: World) -> None:
    await pager.stubs.answer("incidents.create", v.INCIDENT)
    body = b'{"title": "x"}'
    head = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nAuthorization: Bearer {pager.token()}"
    asked = b"POST /api/v1/incidents HTTP/1.1\r\n" + HOST + head.encode() + b"\r\n\r\n" + body

    heard = await talk(pager, once(asked + CHUNKED + b"zz\r\n"))

    assert b"HTTP/1.1 400" not in heard


async def test_what_is_no_http_is_a_400_in_our_envelope(pager: World) -> None:
    assert refused(await talk(pager, once(b"HELO pager\r\n\r\n")), 400)["code"] == "VALIDATION_ERROR"
