"""What the APNs client does about Apple's answers: renew, repeat, shorten, report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.notifier.push.apns import ApnsClient
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.tests.push_apns_server import (
    KEY,
    ApnsReply,
    ApnsServer,
    client_of,
    first,
    refusal,
    write_certificate,
)
from services.notifier.tests.push_pages import TOKEN, MovableClock, a_page


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    return write_certificate(tmp_path_factory.mktemp("apns"))


@pytest.fixture
async def server(certificate: tuple[str, str]) -> AsyncIterator[ApnsServer]:
    apns = ApnsServer(certificate)
    await apns.start()
    yield apns
    await apns.stop()


async def test_a_page_arrives_as_apns_wants_it(server: ApnsServer) -> None:
    async with client_of(server) as client:
        outcome = await client.send(TOKEN, a_page())
    assert outcome == Outcome(Verdict.ACCEPTED, "accepted", 200, "11111111-1111-5111-8111-111111111111")
    request = server.requests[0]
    assert request.headers[":path"] == f"/3/device/{TOKEN}"
    assert request.headers[":authority"] == f"127.0.0.1:{server.port}"
    assert request.headers["authorization"].startswith("bearer ey")
    assert request.headers["apns-collapse-id"] == "22222222-2222-5222-8222-222222222222"
    assert request.payload["aps"]["alert"]["title"] == "db down"


async def test_shutdown_gets_a_new_connection(server: ApnsServer) -> None:
    server.answer = first(1, refusal(503, "Shutdown"))
    async with client_of(server) as client:
        assert (await client.send(TOKEN, a_page())).reason == "Shutdown"
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED
    assert server.handshakes == 2


async def test_an_expired_provider_token_is_renewed_once_and_the_page_repeated(server: ApnsServer) -> None:
    server.answer = first(1, refusal(403, "ExpiredProviderToken"))
    clock = MovableClock()
    async with client_of(server, clock=clock) as client:
        clock.move(seconds=1)
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED
    tokens = [request.headers["authorization"] for request in server.requests]
    assert len(tokens) == 2
    assert tokens[0] != tokens[1]


async def test_a_provider_token_that_stays_refused_is_a_credential_fault(server: ApnsServer) -> None:
    server.answer = lambda request: refusal(403, "ExpiredProviderToken")
    clock = MovableClock()
    async with client_of(server, clock=clock) as client:
        clock.move(seconds=1)
        outcomes = await asyncio.gather(*(client.send(TOKEN, a_page()) for _ in range(30)))
    assert {(outcome.verdict, outcome.reason) for outcome in outcomes} == {
        (Verdict.CREDENTIALS, "ExpiredProviderToken")
    }
    assert len({request.headers["authorization"] for request in server.requests}) == 2


async def test_too_many_token_updates_goes_back_to_the_old_token(server: ApnsServer) -> None:
    replies = iter([refusal(403, "ExpiredProviderToken"), ApnsReply(), refusal(429, "TooManyProviderTokenUpdates")])
    server.answer = lambda request: next(replies, ApnsReply())
    clock = MovableClock()
    async with client_of(server, clock=clock) as client:
        clock.move(seconds=1)
        await client.send(TOKEN, a_page())
        assert (await client.send(TOKEN, a_page())).verdict is Verdict.ACCEPTED
    tokens = [request.headers["authorization"] for request in server.requests]
    assert tokens[3] == tokens[0]


async def test_a_malformed_page_wakes_the_phone_with_a_minimal_one(server: ApnsServer) -> None:
    server.answer = first(1, refusal(413, "PayloadTooLarge"))
    async with client_of(server) as client:
        outcome = await client.send(TOKEN, a_page())
    assert (outcome.verdict, outcome.reason) == (Verdict.ACCEPTED, "minimal after PayloadTooLarge")
    assert set(server.requests[1].payload) == {"aps", "incidentId", "notificationId"}
    assert "apns-collapse-id" not in server.requests[1].headers


async def test_a_page_refused_twice_reports_the_first_refusal(server: ApnsServer) -> None:
    replies = iter([refusal(400, "BadCollapseId"), refusal(400, "BadTopic")])
    server.answer = lambda request: next(replies)
    async with client_of(server) as client:
        assert await client.send(TOKEN, a_page()) == Outcome(
            Verdict.OURS, "BadCollapseId", 400, "11111111-1111-5111-8111-111111111111"
        )


@pytest.mark.parametrize("token", ["", "../../etc", "zz", "ab ", "ab\n", "é" * 64, "ab" * 600])
async def test_a_token_that_cannot_be_one_is_never_sent(server: ApnsServer, token: str) -> None:
    async with client_of(server) as client:
        assert await client.send(token, a_page()) == Outcome(Verdict.RETIRE, "BadDeviceToken")
    assert server.requests == []


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "api.push.apple.com", ""])
def test_a_url_that_can_never_work_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="the APNs URL"):
        ApnsClient(key=KEY, key_id="k", team_id="t", topic="x", url=url, ca_file=None, clock=MovableClock())
