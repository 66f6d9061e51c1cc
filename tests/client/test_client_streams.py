"""The stream: taken up where it was, with a token that is good, until it cannot go on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from libs.chassis.testing.deadline import in_time
from pager_client import AsyncPager, Forbidden, NotAnswered, Pager, Unauthenticated
from tests.client.gateway import said, tokens

READY = {"type": "ready", "position": "p0", "expiresAt": None, "heartbeatSeconds": 15, "live": True}
NOTHING: dict[str, Any] = {"proxy": None}
Script = Callable[[ServerConnection, dict[str, Any]], Awaitable[None]]


@dataclass
class Stream:
    """`scripts`: what each connection in turn does with its first frame."""

    url: str
    said: list[dict[str, Any]] = field(default_factory=list)

    def pager(self, **options: Any) -> AsyncPager:
        pager = AsyncPager(self.url, **({"api_key": "pgr_key"} | options))

        async def sleep(seconds: float) -> None:
            assert seconds <= 30

        pager._sleep = sleep
        return pager


@asynccontextmanager
async def _stream(*scripts: Script, refusal: Response | None = None) -> AsyncIterator[Stream]:
    left, stream = list(scripts), Stream("")

    async def speak(socket: ServerConnection) -> None:
        first = json.loads(await socket.recv())
        stream.said.append(first)
        await left.pop(0)(socket, first)

    def refuse(_: ServerConnection, __: Request) -> Response | None:
        return refusal

    async with serve(speak, "127.0.0.1", 0, process_request=refuse) as server, in_time():
        stream.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield stream


def _tells(*frames: dict[str, Any], code: int = 1000, reason: str = "") -> Script:
    async def tell(socket: ServerConnection, _: dict[str, Any]) -> None:
        for frame in frames:
            await socket.send(json.dumps(frame))
        await socket.close(code, reason)

    return tell


def _told(position: str) -> dict[str, Any]:
    return {"type": "IncidentAcknowledged", "position": position, "incident": {"id": position}}


async def _some(pager: AsyncPager, many: int, after: str | None = None) -> list[Any]:
    found: list[Any] = []
    async with aclosing(pager.stream(after, **NOTHING)) as frames:
        async for frame in frames:
            found.append(frame)
            if len(found) == many:
                break
    return found


async def test_a_line_that_ends_goes_on_where_it_was() -> None:
    closing_ = {"type": "closing", "retryAfter": 0.25}
    async with _stream(_tells(READY, _told("p1"), closing_, code=1012), _tells(READY, _told("p2"))) as stream:
        found = await _some(stream.pager(), 5, after="before")
    once = ["ready", "IncidentAcknowledged"]
    assert [one["type"] for one in found] == [*once, "interrupted", *once]
    assert found[2]["retryAfter"] == 0.25
    assert [one.get("after") for one in stream.said] == ["before", "p1"]
    assert {one["token"] for one in stream.said} == {"pgr_key"}


@pytest.mark.parametrize(
    ("code", "kind"), [(4401, Unauthenticated), (4403, Forbidden), (4400, Exception), (4503, Exception)]
)
async def test_an_end_before_it_began_is_told(code: int, kind: type[Exception]) -> None:
    async with _stream(_tells(code=code, reason="so it is")) as stream:
        with pytest.raises(kind, match="so it is"):
            await _some(stream.pager(), 1)


async def test_a_right_that_is_taken_away_ends_it_for_good() -> None:
    async with _stream(_tells(READY, code=4403, reason="no more")) as stream:
        with pytest.raises(Forbidden, match="no more"):
            await _some(stream.pager(), 2)


async def test_where_nobody_listens_is_said() -> None:
    with pytest.raises(NotAnswered):
        await _some(AsyncPager("http://127.0.0.1:1", api_key="pgr_key", timeout=5), 1)


async def test_a_refused_handshake_says_why() -> None:
    body = json.dumps({"success": False, "error": {"code": "FORBIDDEN", "message": "not for you"}}).encode()
    headers = Headers({"Content-Type": "application/json", "Content-Length": str(len(body))})
    answer = Response(403, "Forbidden", headers, body)
    async with _stream(refusal=answer) as stream:
        with pytest.raises(Forbidden, match="not for you"):
            await _some(stream.pager(), 1)


async def test_a_redirect_gets_no_token() -> None:
    async with _stream(_tells(READY)) as elsewhere:
        target = f"ws{elsewhere.url.removeprefix('http')}/api/v1/stream"
        answer = Response(307, "Temporary Redirect", Headers({"Location": target, "Content-Length": "0"}))
        async with _stream(refusal=answer) as stream:
            with pytest.raises(NotAnswered):
                await _some(stream.pager(), 1)
            with pytest.raises(NotAnswered):
                await asyncio.to_thread(next, Pager(stream.url, api_key="pgr_key").stream(**NOTHING))
        assert elsewhere.said == []


async def test_what_is_no_frame_is_not_taken_for_one() -> None:
    async def rubbish(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send("[" * 100_000)

    async with _stream(rubbish) as stream:
        with pytest.raises(NotAnswered, match="no frame"):
            await _some(stream.pager(), 1)


async def test_a_token_is_renewed_before_it_ends_and_when_it_has() -> None:
    shown: list[str] = []

    async def expires(socket: ServerConnection, _: dict[str, Any]) -> None:
        await socket.send(json.dumps(READY))
        await socket.send(json.dumps({"type": "expiring", "expiresAt": "2026-11-30T00:00:00Z"}))
        shown.append(json.loads(await socket.recv())["token"])
        await socket.close(4401, "revoked")

    renewals = iter(("a2", "a3"))

    def answer(request: httpx.Request) -> httpx.Response:
        signs_in = request.url.path.endswith("login")
        return said(tokens("a1" if signs_in else next(renewals), "r"))

    async with _stream(expires, _tells(READY, _told("p1"))) as stream:
        pager = stream.pager(api_key=None, http=httpx.AsyncClient(transport=httpx.MockTransport(answer)))
        await pager.sign_in("ana@example.org", "secret")
        found = await _some(pager, 3)
    assert [one["type"] for one in found] == ["ready", "ready", "IncidentAcknowledged"]
    assert ([one["token"] for one in stream.said], shown) == (["a1", "a3"], ["a2"])


async def test_a_token_that_is_refused_again_and_again_is_not_renewed_for_ever() -> None:
    async with _stream(_tells(code=4401, reason="no"), _tells(code=4401, reason="no")) as stream:
        http = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: said(tokens("a", "r"))))
        pager = stream.pager(api_key=None, http=http)
        await pager.sign_in("ana@example.org", "secret")
        with pytest.raises(Unauthenticated):
            await _some(pager, 1)
    assert len(stream.said) == 2


async def test_programs_that_wait_have_the_same() -> None:
    async with _stream(_tells(READY, _told("p1"), code=1012), _tells(READY, _told("p2"))) as stream:

        def listen() -> list[Any]:
            with Pager(stream.url, api_key="pgr_key") as pager:
                pager._sleep = lambda _: None
                with closing(pager.stream(**NOTHING)) as frames:
                    return list(islice(frames, 5))

        found = await asyncio.to_thread(listen)
    assert [one.get("position") for one in found] == ["p0", "p1", None, "p0", "p2"]
