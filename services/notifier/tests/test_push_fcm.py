"""The FCM client against a real HTTP server: tokens, reuse, faults, recovery and load."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from google.auth import jwt

from libs.chassis.testing.deadline import DEADLINE, in_time
from services.notifier.push import fcm
from services.notifier.push.fcm import FcmClient
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.tests.push_fcm_server import FcmServer, write_service_account
from services.notifier.tests.push_pages import MovableClock, a_page, until


@pytest.fixture
async def server() -> AsyncIterator[FcmServer]:
    fcm = FcmServer()
    await fcm.start()
    yield fcm
    await fcm.stop()


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_service_account(tmp_path_factory.mktemp("fcm"), "https://oauth2.example/token")


@asynccontextmanager
async def client_of(server: FcmServer, account: str, **changes: Any) -> AsyncIterator[FcmClient]:
    values: dict[str, Any] = {
        "credentials_file": account,
        "url": server.url,
        "token_url": f"{server.url}/token",
        "clock": MovableClock(),
        "timeout": 2 * DEADLINE,
    }
    client = FcmClient(**(values | changes))
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def error(status: int, word: str, **headers: str) -> web.Response:
    return web.json_response({"error": {"code": status, "status": word}}, status=status, headers=headers)


def first(count: int, response: Callable[[], web.Response]) -> Callable[[str], Awaitable[web.StreamResponse]]:
    """Answer `response` to the first `count` requests, then accept."""
    seen = itertools.count(1)

    async def answer(bearer: str) -> web.StreamResponse:
        return response() if next(seen) <= count else web.json_response({"name": "projects/pager-test/messages/1"})

    return answer


async def hang(*_: str) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def test_a_page_arrives_as_fcm_wants_it(server: FcmServer, account: str) -> None:
    async with client_of(server, account) as client:
        outcome = await client.send("a-token", a_page())
    assert outcome == Outcome(Verdict.ACCEPTED, "accepted", 200, "projects/pager-test/messages/1")
    assert server.bearers == ["Bearer token-1"]
    message = server.messages[0]["message"]
    assert message["token"] == "a-token"
    assert message["android"]["ttl"] == "1800s"
    claims: dict[str, Any] = jwt.decode(server.assertions[0], verify=False)  # type: ignore[no-untyped-call]
    assert claims["scope"] == "https://www.googleapis.com/auth/firebase.messaging"
    assert claims["aud"] == f"{server.url}/token"


@pytest.mark.thorough
async def test_a_thousand_sends_at_once_share_one_token(server: FcmServer, account: str) -> None:
    pages = [a_page(notification_id=UUID(int=number)) for number in range(1000)]
    async with client_of(server, account) as client:
        outcomes = await asyncio.gather(*(client.send("t", page) for page in pages))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert len({message["message"]["data"]["notificationId"] for message in server.messages}) == 1000
    assert len(server.assertions) == 1


async def test_many_sends_share_one_connection(server: FcmServer, account: str) -> None:
    async with client_of(server, account) as client:
        for _ in range(20):
            assert (await client.send("t", a_page())).verdict is Verdict.ACCEPTED
    assert len(server.sockets) <= 2, "its own, or that of the look at whether anybody is there"


async def test_a_vendor_that_is_gone_is_known_before_a_page_finds_out_and_forgotten_when_it_is_back(
    server: FcmServer, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcm, "LOOK_EVERY", 0.01)
    async with client_of(server, account) as client:
        await client.send("t", a_page())
        assert client.trouble is None
        await server.stop()
        await until(lambda: client.trouble == "cannot be reached: connection refused")
        await server.start()
        await until(lambda: client.trouble is None)
    assert len(server.messages) == 1


async def test_a_vendor_that_refuses_our_credentials_is_in_trouble_and_its_words_are_not_told(
    server: FcmServer, account: str
) -> None:
    async def refuse() -> web.StreamResponse:
        return web.json_response({"error": "invalid_grant of pager@pager-test"}, status=400)

    server.token_answer = refuse
    async with client_of(server, account) as client:
        await until(lambda: client.trouble == "refuses our credentials")


async def test_the_token_is_renewed_before_it_expires_without_making_a_page_wait(
    server: FcmServer, account: str
) -> None:
    clock = MovableClock()
    async with client_of(server, account, clock=clock) as client:
        await client.send("t", a_page())
        clock.move(minutes=54)
        await client.send("t", a_page())
        assert len(server.assertions) == 1
        clock.move(minutes=2)
        await client.send("t", a_page())
        assert server.bearers[-1] == "Bearer token-1"
        await until(lambda: len(server.assertions) == 2)
        async with in_time():
            while server.bearers[-1] != "Bearer token-2":
                await client.send("t", a_page())


async def test_a_dead_token_endpoint_does_not_stop_pages_while_the_token_lives(server: FcmServer, account: str) -> None:
    clock = MovableClock()
    async with client_of(server, account, clock=clock) as client:
        await client.send("t", a_page())
        server.token_answer = hang
        clock.move(minutes=58)
        assert (await client.send("t", a_page())).verdict is Verdict.ACCEPTED


async def test_a_refused_token_is_refreshed_once_and_the_page_repeated(server: FcmServer, account: str) -> None:
    server.answer = first(1, lambda: error(401, "UNAUTHENTICATED"))
    async with client_of(server, account) as client:
        assert (await client.send("t", a_page())).verdict is Verdict.ACCEPTED
    assert server.bearers == ["Bearer token-1", "Bearer token-2"]


async def test_a_token_that_stays_refused_is_a_credential_fault(server: FcmServer, account: str) -> None:
    server.answer = first(1000, lambda: error(401, "UNAUTHENTICATED"))
    async with client_of(server, account) as client:
        outcome = await client.send("t", a_page())
    assert (outcome.verdict, outcome.reason) == (Verdict.CREDENTIALS, "UNAUTHENTICATED")
    assert len(server.messages) == 2


async def test_refused_credentials_are_told_in_googles_word(server: FcmServer, account: str) -> None:
    async def refuse() -> web.StreamResponse:
        return web.json_response({"error": "invalid_grant", "error_description": "account gone"}, status=400)

    server.token_answer = refuse
    async with client_of(server, account) as client:
        assert await client.send("t", a_page()) == Outcome(Verdict.CREDENTIALS, "OAuth: invalid_grant")


async def test_an_unreadable_token_answer_is_transient(server: FcmServer, account: str) -> None:
    async def garbage() -> web.StreamResponse:
        return web.Response(body=b"\xff<html>")

    server.token_answer = garbage
    async with client_of(server, account) as client:
        assert await client.send("t", a_page()) == Outcome(Verdict.TRANSIENT, "OAuth: HTTP 200")


@pytest.mark.parametrize("door", ["answer", "token_answer"])
async def test_no_answer_is_a_timeout_of_the_shorter_limit(server: FcmServer, account: str, door: str) -> None:
    setattr(server, door, hang)
    async with client_of(server, account, timeout=0.05) as client, in_time():
        assert await client.send("t", a_page()) == Outcome(Verdict.TRANSIENT, "timeout")
    async with client_of(server, account) as client, in_time():
        assert await client.send("t", a_page(), 0.05) == Outcome(Verdict.TRANSIENT, "timeout")


async def test_nobody_listening_is_transient_at_once(server: FcmServer, account: str) -> None:
    async with client_of(server, account) as client:
        await client.send("t", a_page())
        await server.stop()
        assert await client.send("t", a_page()) == Outcome(Verdict.TRANSIENT, "connection refused")


async def test_sends_recover_when_the_server_restarts(server: FcmServer, account: str) -> None:
    async with client_of(server, account) as client:
        await client.send("t", a_page())
        await server.stop()
        assert (await client.send("t", a_page())).verdict is Verdict.TRANSIENT
        await server.start()
        assert (await client.send("t", a_page())).verdict is Verdict.ACCEPTED


async def test_a_connection_lost_under_a_page_sends_it_again(server: FcmServer, account: str) -> None:
    async def cut_first(bearer: str) -> web.StreamResponse:
        if len(server.messages) == 1:
            for transport in server.sockets:
                transport.abort()
        return web.json_response({"name": "projects/pager-test/messages/2"})

    server.answer = cut_first
    async with client_of(server, account) as client:
        assert (await client.send("t", a_page())).verdict is Verdict.ACCEPTED
    assert len({message["message"]["data"]["notificationId"] for message in server.messages}) == 1


async def test_retry_after_is_told_to_the_caller_and_not_slept(server: FcmServer, account: str) -> None:
    server.answer = first(1, lambda: error(503, "UNAVAILABLE", **{"Retry-After": "Mon, 19 Oct 2026 09:00:20 GMT"}))
    async with client_of(server, account) as client:
        outcome = await client.send("t", a_page())
    assert (outcome.verdict, outcome.reason, outcome.retry_after) == (Verdict.TRANSIENT, "UNAVAILABLE", 20.0)


@pytest.mark.parametrize("door", ["answer", "token_answer"])
async def test_an_answer_without_end_is_not_read_to_its_end(server: FcmServer, account: str, door: str) -> None:
    sent = 0

    async def flood(*_: str) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(server.request)
        with contextlib.suppress(ConnectionError):
            while sent < 50_000_000:
                await response.write(b" " * 65_536)
                sent += 65_536
        return response

    setattr(server, door, flood)
    async with client_of(server, account) as client:
        assert (await client.send("t", a_page())).verdict is Verdict.TRANSIENT
    assert sent < 20_000_000


async def test_an_answer_in_pieces_is_read_whole(server: FcmServer, account: str) -> None:
    async def slowly(_bearer: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(server.request)
        for piece in (b'{"name": ', b'"projects/p/messages/1"}'):
            await response.write(piece)
            await asyncio.sleep(0.01)
        return response

    server.answer = slowly
    async with client_of(server, account) as client:
        assert (await client.send("t", a_page())).vendor_id == "projects/p/messages/1"


@pytest.mark.parametrize("seconds", [1e300, -5, 0, float("nan"), 10**400])
async def test_a_life_that_cannot_be_is_not_believed(server: FcmServer, account: str, seconds: float) -> None:
    async def grant() -> web.StreamResponse:
        return web.Response(text='{"access_token": "t", "expires_in": ' + json.dumps(seconds) + "}")

    server.token_answer = grant
    async with client_of(server, account) as client:
        for _ in range(3):
            assert (await client.send("t", a_page())).verdict is Verdict.ACCEPTED
    assert len(server.assertions) <= 3


async def test_a_redirect_is_not_followed_with_our_token(server: FcmServer, account: str) -> None:
    server.answer = first(1, lambda: web.Response(status=307, headers={"Location": "http://elsewhere.example/"}))
    async with client_of(server, account) as client:
        assert (await client.send("t", a_page())).verdict is Verdict.TRANSIENT


async def test_a_cancelled_send_is_cancelled_and_leaves_the_token_to_others(server: FcmServer, account: str) -> None:
    go = asyncio.Event()

    async def slow() -> web.StreamResponse:
        await go.wait()
        return web.json_response({"access_token": "late", "expires_in": 3600})

    server.token_answer = slow
    async with client_of(server, account) as client:
        one, other = (asyncio.create_task(client.send("t", a_page())) for _ in range(2))
        await until(lambda: len(server.assertions) == 1)
        one.cancel()
        go.set()
        assert (await other).verdict is Verdict.ACCEPTED
        with pytest.raises(asyncio.CancelledError):
            await one


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"private_key": "-----SECRET-----"}'])
def test_a_file_that_is_no_service_account_is_refused_without_being_shown(tmp_path: Path, text: str) -> None:
    file = tmp_path / "account.json"
    file.write_text(text)
    for path, says in ((file, r"^is not the JSON of a service account"), (tmp_path / "none", r"^No such file")):
        with pytest.raises(ValueError, match=says) as refused:
            FcmClient(credentials_file=str(path), url="https://x", token_url=None, clock=MovableClock())
        assert "SECRET" not in str(refused.value)
