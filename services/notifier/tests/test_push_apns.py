"""The APNs client and its connections against a real HTTP/2 server on TLS: reuse, faults, recovery and load."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from uuid import UUID

import pytest

from libs.chassis.testing.deadline import in_time
from services.notifier.push import apns_connection
from services.notifier.push.apns_connection import ApnsConnection
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.tests.push_apns_server import (
    ApnsReply,
    ApnsRequest,
    ApnsServer,
    client_of,
    first,
    refusal,
    write_certificate,
)
from services.notifier.tests.push_pages import TOKEN, a_page, until


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return write_certificate(tmp_path_factory.mktemp("apns"))


@pytest.fixture
async def server(certificate: tuple[str, str]) -> AsyncIterator[ApnsServer]:
    apns = ApnsServer(certificate)
    await apns.start()
    yield apns
    await apns.stop()


async def test_many_sends_share_one_handshake_and_one_provider_token(server: ApnsServer) -> None:
    async with client_of(server) as client:
        for _ in range(20):
            assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED
        await asyncio.gather(*(client.send(TOKEN, a_page()) for _ in range(20)))
    assert server.handshakes == 1
    assert len({request.headers["authorization"] for request in server.requests}) == 1


@pytest.mark.thorough
async def test_a_thousand_sends_at_once_are_all_answered(server: ApnsServer) -> None:
    pages = [a_page(notification_id=UUID(int=number)) for number in range(1000)]
    async with client_of(server, connections=2) as client:
        outcomes = await asyncio.gather(*(client.send(TOKEN, page) for page in pages))
    assert [outcome.vendor_id for outcome in outcomes] == [str(page.notification_id) for page in pages]
    assert server.handshakes == 2


async def test_one_allowed_stream_serves_everybody_in_turn(certificate: tuple[str, str]) -> None:
    async with AsyncExitStack() as stack:
        server = ApnsServer(certificate, streams=1)
        await server.start()
        stack.push_async_callback(server.stop)
        client = await stack.enter_async_context(client_of(server))
        outcomes = await asyncio.gather(*(client.send(TOKEN, a_page()) for _ in range(50)))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}


@pytest.mark.thorough
async def test_bodies_wait_for_a_small_flow_control_window(certificate: tuple[str, str]) -> None:
    async with AsyncExitStack() as stack:
        server = ApnsServer(certificate, window=100)
        await server.start()
        stack.push_async_callback(server.stop)
        client = await stack.enter_async_context(client_of(server))
        outcomes = await asyncio.gather(*(client.send(TOKEN, a_page(body="x" * 3000)) for _ in range(150)))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert all(len(request.payload["aps"]["alert"]["body"]) == 3000 for request in server.requests)


@pytest.mark.thorough
async def test_thousands_of_refusals_do_not_fill_the_window(server: ApnsServer) -> None:
    server.answer = lambda request: refusal(410, "Unregistered", timestamp=1_760_000_000_000, padding="x" * 200)
    async with client_of(server) as client:
        for _ in range(10):
            outcomes = await asyncio.gather(*(client.send(TOKEN, a_page()) for _ in range(100)))
            assert {outcome.reason for outcome in outcomes} == {"Unregistered"}
    assert server.handshakes == 1


@pytest.mark.parametrize("shorter", ["of the client", "of the page"])
async def test_no_answer_is_a_timeout_of_the_shorter_limit_and_the_next_page_is_sent(
    server: ApnsServer, shorter: str
) -> None:
    limits = {"of the client": (0.05, math.inf), "of the page": (math.inf, 0.05)}[shorter]
    server.answer = lambda request: ApnsReply(None)
    async with client_of(server, timeout=limits[0]) as client, in_time():
        assert await client.send(TOKEN, a_page(), limits[1]) == Outcome(Verdict.TRANSIENT, "timeout")
        server.answer = lambda request: ApnsReply()
        while (await client.send(TOKEN, a_page())).verdict is not Verdict.ACCEPTED:
            pass  # the client's own limit is short here


@pytest.mark.thorough
async def test_timeouts_lose_no_stream(certificate: tuple[str, str]) -> None:
    async with AsyncExitStack() as stack:
        server = ApnsServer(certificate, streams=10)
        await server.start()
        stack.push_async_callback(server.stop)
        client = await stack.enter_async_context(client_of(server))
        await client.send(TOKEN, a_page())  # connected
        server.answer = lambda request: ApnsReply(None)
        for _ in range(3):
            lost = await asyncio.gather(*(client.send(TOKEN, a_page(), 0.1) for _ in range(30)))
            assert {outcome.reason for outcome in lost} == {"timeout"}
        server.answer = lambda request: ApnsReply()
        async with in_time():
            kept = await asyncio.gather(*(client.send(TOKEN, a_page()) for _ in range(100)))
    assert {outcome.verdict for outcome in kept} == {Verdict.ACCEPTED}
    assert server.handshakes == 1


async def test_nobody_listening_is_transient_at_once(server: ApnsServer) -> None:
    await server.stop()
    async with client_of(server) as client, in_time():
        assert await client.send(TOKEN, a_page()) == Outcome(Verdict.TRANSIENT, "connection refused")


async def test_an_unknown_authority_is_refused(server: ApnsServer) -> None:
    async with client_of(server, ca_file=None) as client:
        outcome = await client.send(TOKEN, a_page())
    assert outcome.verdict is Verdict.TRANSIENT
    assert outcome.reason.startswith("certificate refused")
    assert server.requests == []


async def test_sends_recover_when_the_server_restarts(server: ApnsServer) -> None:
    async with client_of(server) as client:
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED
        await server.stop()
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.TRANSIENT
        await server.start()
        async with in_time():
            while (await client.send(TOKEN, a_page())).verdict is not Verdict.ACCEPTED:
                await asyncio.sleep(0.01)


async def test_a_lost_idle_connection_is_replaced_before_the_next_page(server: ApnsServer) -> None:
    async with client_of(server) as client:
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED
        server.peers[0].transport.abort()
        await until(lambda: server.handshakes == 2)
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED


async def test_a_connection_lost_under_a_page_sends_it_again(server: ApnsServer) -> None:
    def cut_first(request: ApnsRequest) -> ApnsReply:
        if len(server.requests) == 1:
            request.connection.transport.abort()
            return ApnsReply(None)
        return ApnsReply()

    server.answer = cut_first
    async with client_of(server) as client:
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED
    assert len({request.headers["apns-id"] for request in server.requests}) == 1


async def test_a_reset_stream_is_sent_again_once_and_then_transient(server: ApnsServer) -> None:
    def reset(request: ApnsRequest) -> ApnsReply:
        request.connection.h2.reset_stream(request.stream_id, 2)
        return ApnsReply(None)

    server.answer = reset
    async with client_of(server) as client:
        assert await client.send(TOKEN, a_page()) == Outcome(Verdict.TRANSIENT, "stream reset")
    assert len(server.requests) == 2


async def test_a_goaway_answers_what_was_taken_and_repeats_the_rest(server: ApnsServer) -> None:
    def leave_after_first(request: ApnsRequest) -> ApnsReply:
        if request.connection is server.requests[0].connection and len(server.requests) == 3:
            held = server.requests[0]
            # By hand, since h2 would refuse to answer on a connection that it has closed.
            request.connection.transport.write(
                bytes.fromhex("000008070000000000") + held.stream_id.to_bytes(4, "big") + bytes(4)
            )
            request.connection.reply(held, ApnsReply())
            return ApnsReply(None)
        return ApnsReply(None) if len(server.requests) < 3 else ApnsReply()

    server.answer = leave_after_first
    async with client_of(server) as client:
        pages = [a_page(notification_id=UUID(int=number)) for number in range(3)]
        outcomes = await asyncio.gather(*(client.send(TOKEN, page) for page in pages))
    assert [outcome.verdict for outcome in outcomes] == [Verdict.ACCEPTED] * 3
    sent = [request.headers["apns-id"] for request in server.requests]
    assert sent.count(str(pages[0].notification_id)) == 1
    assert len(sent) == 5


@pytest.mark.thorough
async def test_idle_connections_are_kept_alive(server: ApnsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApnsConnection, "KEEPALIVE", 0.02)
    async with client_of(server) as client:
        await client.send(TOKEN, a_page())
        server.frozen = True  # the peer is gone without a word
        monkeypatch.setattr(apns_connection, "PING_DEADLINE", 0.1)
        await until(lambda: server.handshakes == 2)
        server.frozen = False
        async with in_time():
            while (await client.send(TOKEN, a_page())).verdict is not Verdict.ACCEPTED:
                await asyncio.sleep(0.01)


async def test_a_vendor_that_is_gone_is_known_before_a_page_finds_out_and_forgotten_when_it_is_back(
    server: ApnsServer,
) -> None:
    async with client_of(server) as client:
        await client.send(TOKEN, a_page())
        assert client.trouble is None
        await server.stop()
        await until(lambda: client.trouble == "cannot be reached: connection refused")
        await server.start()
        await until(lambda: client.trouble is None)
    assert len(server.requests) == 1


async def test_a_worn_connection_is_replaced_without_losing_a_page(
    server: ApnsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apns_connection, "MAX_SENDS", 50)
    async with client_of(server) as client:
        outcomes = await asyncio.gather(*(client.send(TOKEN, a_page()) for _ in range(300)))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.ACCEPTED}
    assert server.handshakes >= 6


async def test_a_cancelled_send_is_cancelled_and_frees_its_stream(server: ApnsServer) -> None:
    server.answer = first(1, ApnsReply(None))
    async with client_of(server) as client:
        sending = asyncio.create_task(client.send(TOKEN, a_page()))
        await until(lambda: len(server.requests) == 1)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED


async def test_closing_ends_the_sends_in_flight(server: ApnsServer) -> None:
    server.answer = lambda request: ApnsReply(None)
    async with client_of(server) as client:
        sending = [asyncio.create_task(client.send(TOKEN, a_page())) for _ in range(5)]
        await until(lambda: len(server.requests) == 5)
    outcomes = await asyncio.gather(*sending)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.TRANSIENT}
