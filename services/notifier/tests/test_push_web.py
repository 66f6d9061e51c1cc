"""The Web Push client against a real HTTP server: sealing, signing, faults, and whose addresses it never asks."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from cryptography.hazmat.primitives.asymmetric import ec

from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.contracts.web_push import BROWSERS, PushServices
from services.notifier.push.message import WEB_LIMIT
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.push.web import MOST_READ, OTHER_KEYS, WebPushClient
from services.notifier.push.web_addresses import is_public
from services.notifier.tests.push_pages import NOW, MovableClock, a_page, pem
from services.notifier.tests.push_web_server import Browser, PushService, claims_of

KEY = pem(ec.generate_private_key(ec.SECP256R1()))
SUBJECT = "mailto:ops@example.com"
NO_SERVICE = Outcome(Verdict.RETIRE, "NoPushService")


@pytest.fixture
async def server() -> AsyncIterator[PushService]:
    service = PushService()
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def browser() -> Browser:
    return Browser()


@asynccontextmanager
async def client_of(server: PushService, **changes: Any) -> AsyncIterator[WebPushClient]:
    values: dict[str, Any] = {
        "key": KEY,
        "subject": SUBJECT,
        "services": PushServices.parse(server.url),
        "clock": MovableClock(),
        "timeout": 2 * DEADLINE,
    }
    client = WebPushClient(**(values | changes))
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def answered(status: int, body: str = "", **headers: str) -> Callable[[int], Awaitable[web.StreamResponse]]:
    async def answer(_: int) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=headers)

    return answer


async def test_a_page_is_sealed_for_its_browser_alone(server: PushService, browser: Browser) -> None:
    async with client_of(server) as client:
        outcome = await client.send(browser.subscription(f"{server.url}/push/1"), a_page())
    assert outcome == Outcome(Verdict.ACCEPTED, "accepted", 201, "1")
    ((headers, body),) = server.requests
    assert headers["content-encoding"] == "aes128gcm"
    assert (headers["ttl"], headers["urgency"]) == ("1800", "high")
    assert headers["topic"] == a_page().incident_id.hex
    assert len(headers["topic"]) <= 32
    assert browser.opened(body) == {
        "incidentId": str(a_page().incident_id),
        "notificationId": str(a_page().notification_id),
        "priority": "critical",
        "kind": "page",
        "title": "db down",
        "body": "primary does not answer",
        "url": "https://pager.example/incidents/2",
        "level": "1",
        "expiresAt": a_page().expires_at.isoformat(),
    }
    assert b"db down" not in body


async def test_it_is_signed_for_its_service_and_for_some_hours(server: PushService, browser: Browser) -> None:
    clock = MovableClock()
    async with client_of(server, clock=clock) as client:
        for hours in (0, 0.5, 1):
            clock.move(hours=hours)
            await client.send(browser.subscription(f"{server.url}/push/1"), a_page())
        shown = [claims_of(headers["authorization"]) for headers, _ in server.requests]
        assert {key for key, _ in shown} == {client.public_key}
    expected = {"aud": server.url, "sub": SUBJECT, "exp": int(NOW.timestamp()) + 12 * 3600}
    assert [claims for _, claims in shown[:2]] == [expected, expected]
    assert shown[2][1] == expected | {"exp": int(NOW.timestamp()) + 12 * 3600 + 5400}


async def test_a_quiet_page_and_one_whose_time_is_over(server: PushService, browser: Browser) -> None:
    async with client_of(server) as client:
        await client.send(browser.subscription(f"{server.url}/push/1"), a_page(kind="resolved", expires_at=NOW))
    ((headers, _),) = server.requests
    assert (headers["ttl"], headers["urgency"]) == ("0", "normal")


@pytest.mark.parametrize("text", ["x", "ü", "🔥", '"', "\x00"])
async def test_the_longest_page_fits_into_what_every_service_takes(
    server: PushService, browser: Browser, text: str
) -> None:
    async with client_of(server) as client:
        await client.send(browser.subscription(f"{server.url}/push/1"), a_page(title=text * 9000, body=text * 9000))
    ((_, body),) = server.requests
    assert len(body) <= 4096
    opened = browser.opened(body)
    assert opened["notificationId"] == str(a_page().notification_id)
    assert len(json.dumps(opened, ensure_ascii=False, separators=(",", ":")).encode()) > WEB_LIMIT // 2


@pytest.mark.parametrize(
    ("status", "body", "headers", "expected"),
    [
        (202, "", {}, Outcome(Verdict.ACCEPTED, "accepted", 202)),
        (410, "", {}, Outcome(Verdict.RETIRE, "HTTP 410", 410)),
        (404, "", {}, Outcome(Verdict.RETIRE, "HTTP 404", 404)),
        (410, '{"reason": "Unregistered"}', {}, Outcome(Verdict.RETIRE, "Unregistered", 410)),
        (400, '{"reason": "VapidPkHashMismatch"}', {}, Outcome(Verdict.RETIRE, "VapidPkHashMismatch", 400)),
        (400, "<p>what?</p>", {}, Outcome(Verdict.OURS, "HTTP 400", 400)),
        (403, '{"reason": "BadJwtToken"}', {}, Outcome(Verdict.CREDENTIALS, "BadJwtToken", 403)),
        (401, '{"code": 401, "error": "Unauthorized"}', {}, Outcome(Verdict.CREDENTIALS, "Unauthorized", 401)),
        (429, "", {"Retry-After": "7"}, Outcome(Verdict.THROTTLE, "HTTP 429", 429, None, 7.0)),
        (429, "", {"Retry-After": "999999"}, Outcome(Verdict.THROTTLE, "HTTP 429", 429, None, 60.0)),
        (
            503,
            "",
            {"Retry-After": "Mon, 19 Oct 2026 09:00:05 GMT"},
            Outcome(Verdict.TRANSIENT, "HTTP 503", 503, None, 5.0),
        ),
        (500, "[" * 4000, {}, Outcome(Verdict.TRANSIENT, "HTTP 500", 500)),
        (307, "", {"Location": "http://127.0.0.1:1/"}, Outcome(Verdict.OURS, "HTTP 307", 307)),
        (413, "", {}, Outcome(Verdict.OURS, "HTTP 413", 413)),
    ],
)
async def test_every_answer_has_one_meaning(
    server: PushService, browser: Browser, status: int, body: str, headers: dict[str, str], expected: Outcome
) -> None:
    server.answer = answered(status, body, **headers)
    async with client_of(server) as client:
        assert await client.send(browser.subscription(f"{server.url}/push/1"), a_page()) == expected
    assert len(server.requests) == (2 if status == 413 else 1), "a redirect is followed nowhere"


async def test_whose_signature_is_refused_where_ours_is_taken_was_subscribed_with_another_key(
    server: PushService, browser: Browser
) -> None:
    clock = MovableClock()
    async with client_of(server, clock=clock) as client:
        token = browser.subscription(f"{server.url}/push/1")
        await client.send(token, a_page())
        server.answer = answered(403)
        assert (await client.send(token, a_page())).verdict is Verdict.RETIRE
        clock.move(hours=25)
        assert (await client.send(token, a_page())).verdict is Verdict.CREDENTIALS


async def test_a_service_that_refuses_everybodys_signature_refuses_us(server: PushService) -> None:
    tokens = [Browser().subscription(f"{server.url}/push/{number}") for number in range(OTHER_KEYS + 2)]
    async with client_of(server) as client:
        for _ in range(2):
            server.answer = server.accept
            await client.send(tokens[0], a_page())
            server.answer = answered(403)
            again = [(await client.send(tokens[1], a_page())).verdict for _ in range(OTHER_KEYS + 1)]
            assert again == [Verdict.RETIRE] * len(again), "one browser, however often"
            others = [(await client.send(token, a_page())).verdict for token in tokens[2:] + tokens[:2]]
            assert others == [Verdict.RETIRE] * (OTHER_KEYS - 1) + [Verdict.CREDENTIALS] * 3, others


async def test_a_page_that_is_refused_as_too_large_goes_shortened(server: PushService, browser: Browser) -> None:
    async def first_too_large(number: int) -> web.StreamResponse:
        return web.Response(status=413 if number == 1 else 201)

    server.answer = first_too_large
    async with client_of(server) as client:
        outcome = await client.send(browser.subscription(f"{server.url}/push/1"), a_page(body="x" * 3000))
    assert (outcome.verdict, outcome.reason) == (Verdict.ACCEPTED, "minimal after HTTP 413")
    opened = browser.opened(server.requests[1][1])
    assert (opened["title"], opened["body"], opened["notificationId"]) == ("db down", "", str(a_page().notification_id))


async def test_a_service_that_hangs_costs_the_deadline_and_no_more(server: PushService, browser: Browser) -> None:
    async def hang(_: int) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    server.answer = hang
    async with client_of(server, timeout=0.1) as client, in_time():
        assert await client.send(browser.subscription(f"{server.url}/push/1"), a_page()) == Outcome(
            Verdict.TRANSIENT, "timeout"
        )


async def test_a_connection_that_breaks_under_a_page_is_tried_once_more(server: PushService, browser: Browser) -> None:
    broken = itertools.count(1)

    async def reset(number: int) -> web.StreamResponse:
        if next(broken) == 1:
            server.request.transport.abort()
        return await server.accept(number)

    server.answer = reset
    async with client_of(server) as client:
        outcome = await client.send(browser.subscription(f"{server.url}/push/1"), a_page())
    assert outcome.verdict is Verdict.ACCEPTED
    topics = [headers["topic"] for headers, _ in server.requests]
    assert topics == [a_page().incident_id.hex] * 2, "of two that wait one is shown"


async def test_a_service_that_is_away_is_everybodys(server: PushService, browser: Browser) -> None:
    token = browser.subscription(f"{server.url}/push/1")
    await server.stop()
    async with client_of(server) as client:
        outcome = await client.send(token, a_page())
    assert (outcome, outcome.everybodys) == (Outcome(Verdict.TRANSIENT, "connection refused"), True)


async def test_an_answer_without_end_is_not_read_to_its_end(server: PushService, browser: Browser) -> None:
    async def endless(_: int) -> web.StreamResponse:
        response = web.StreamResponse(status=500)
        await response.prepare(server.request)
        while True:
            await response.write(b"x" * MOST_READ)

    server.answer = endless
    async with client_of(server) as client, in_time():
        outcome = await client.send(browser.subscription(f"{server.url}/push/1"), a_page())
    assert outcome == Outcome(Verdict.TRANSIENT, "HTTP 500", 500)


@pytest.mark.thorough
@pytest.mark.parametrize("breaks", [False, True])
async def test_a_page_that_was_taken_is_not_sent_again_for_want_of_words(
    server: PushService, browser: Browser, breaks: bool
) -> None:
    async def silent(_: int) -> web.StreamResponse:
        response = web.StreamResponse(status=201)
        await response.prepare(server.request)
        if breaks:
            server.request.transport.close()
        await asyncio.Event().wait()
        raise AssertionError

    server.answer = silent
    async with client_of(server) as client, in_time():
        outcome = await client.send(browser.subscription(f"{server.url}/push/1"), a_page(), limit=4.0)
    assert outcome == Outcome(Verdict.ACCEPTED, "accepted", 201)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "token",
    ["", "fcm-token", "{}", json.dumps({"endpoint": "https://127.0.0.1/x", "keys": {}})],
)
async def test_what_is_no_subscription_asks_nobody(server: PushService, token: str) -> None:
    async with client_of(server) as client:
        assert await client.send(token, a_page()) == NO_SERVICE
        assert client.service_of(token) == ""


async def test_a_host_that_is_named_no_more_is_not_asked(server: PushService, browser: Browser) -> None:
    async with client_of(server, services=BROWSERS) as client:
        assert await client.send(browser.subscription(f"{server.url}/push/1"), a_page()) == NO_SERVICE
    assert not server.requests


class Rebound(AbstractResolver):
    """A name that stands for whatever its owner says, this time."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0)
            for one in self.addresses
        ]

    async def close(self) -> None: ...


async def test_a_host_that_somebody_made_up_is_nobody_elses(
    server: PushService, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.notifier.push.web.PublicResolver", lambda inner, _exempt: inner)
    made_up, own = "https://x.y.notify.windows.com/w", "https://fcm.googleapis.com/w"
    async with client_of(server, services=PushServices.parse(server.url), resolver=Rebound("127.0.0.1")) as client:
        await client.send(browser.subscription(f"{server.url}/push/1"), a_page())
        assert list(client._hosts) == ["127.0.0.1"]
        client._hosts["z.notify.windows.com"] = None  # it has taken a page
        outcomes = [
            await client.send(browser.subscription(one), a_page())
            for one in (made_up, own, "https://z.notify.windows.com/w")
        ]
    assert [(one.verdict, one.everybodys) for one in outcomes] == [
        (Verdict.TRANSIENT, False),
        (Verdict.TRANSIENT, True),
        (Verdict.TRANSIENT, True),
    ]


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("169.254.169.254",), ("142.250.1.1", "10.0.0.1")])
async def test_a_name_that_stands_for_an_address_of_ours_is_not_connected_to(
    server: PushService, browser: Browser, addresses: tuple[str, ...]
) -> None:
    names = Rebound(*addresses)
    async with client_of(server, services=PushServices.parse(".example.com"), resolver=names) as client:
        outcome = await client.send(browser.subscription("https://rebound.example.com/push/1"), a_page())
    assert outcome == Outcome(Verdict.TRANSIENT, "its host has no public address")
    assert not outcome.everybodys, "whoever owns the name holds back nobody else's pages"
    assert names.asked == ["rebound.example.com"]
    assert not server.requests


async def test_a_host_that_an_operator_names_may_be_of_their_own_network(server: PushService, browser: Browser) -> None:
    own = f"http://push.internal:{server.port}"
    async with client_of(server, services=PushServices.parse(own), resolver=Rebound("127.0.0.1")) as client:
        assert (await client.send(browser.subscription(f"{own}/push/1"), a_page())).verdict is Verdict.ACCEPTED


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("142.250.185.138", True),
        ("2a00:1450:4001:82f::200a", True),
        ("127.0.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - nothing is bound
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:142.250.185.138", True),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::8efa:b98a", True),
        ("2002:7f00:1::", False),
        ("ff02::1", False),
        ("fec0::1", False),
        ("::7f00:1", False),
        ("::ffff:0:7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("2a00:1450::5efe:7f00:1", False),
        ("2a00:1450::200:5efe:a01:203", False),
        ("2a00:1450::5efe:8efa:b98a", True),
        ("3fff::1", False),
        ("5f00::1", False),
        ("4000::1", False),
        ("192.0.0.192", False),
        ("192.88.99.1", False),
        ("168.63.129.16", False),
        ("::ffff:168.63.129.16", False),
        ("64:ff9b::a83f:8110", False),
        ("not an address", False),
    ],
)
def test_which_addresses_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize("key", ["", "no key", pem(ec.generate_private_key(ec.SECP384R1()))])
def test_a_key_that_is_none_is_refused_without_a_word_of_it(key: str) -> None:
    with pytest.raises(ValueError, match="is not an unencrypted P-256") as caught:
        WebPushClient(key=key, subject=SUBJECT, services=BROWSERS, clock=MovableClock())
    assert not key or key not in str(caught.value)
