"""The Web Push door: browsers that are made on demand, and pushes as a push service and a browser would take them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import http_ece
import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jwt
from joserfc.jwk import ECKey

from cli.simulators import Simulators
from cli.simulators.answers import WEBPUSH_STATUS
from cli.simulators.behaviour import Rule
from cli.simulators.config import SimulatorSettings
from cli.simulators.subscriptions import base64url
from cli.tests.simulator_clients import Clock
from libs.chassis.testing.deadline import in_time
from libs.contracts.web_push import PushServices, Subscription

PAGE = {"title": "db down", "notificationId": "1"}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def simulators(tmp_path: Path, clock: Clock) -> AsyncIterator[Simulators]:
    async with Simulators(SimulatorSettings(tmp_path), clock) as running:
        yield running


@pytest_asyncio.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


class Sender:
    """An application server with the key that the simulators give to the notifier, or another."""

    def __init__(self, http: ClientSession, simulators: Simulators, clock: Clock) -> None:
        self.http, self.simulators, self.clock = http, simulators, clock
        self.key = ECKey.import_key(Path(simulators.environment.vapid_key_file).read_bytes())

    @property
    def public_key(self) -> str:
        point = self.key.as_dict(private=False)
        raw = b"\4" + b"".join(_bytes(str(point[name])) for name in ("x", "y"))
        return base64url(raw)

    async def subscribed(self, **body: Any) -> dict[str, Any]:
        url = f"{self.simulators.environment.url}/webpush/subscriptions"
        async with self.http.post(url, json=body) as answer:
            assert answer.status == 201, await answer.text()
            document: dict[str, Any] = await answer.json()
            return document

    def authorization(self, **claims: Any) -> str:
        origin = self.simulators.environment.url
        said = {"aud": origin, "exp": int(self.clock.now) + 3600, "sub": "mailto:a@example.org"} | claims
        return f"vapid t={jwt.encode({'alg': 'ES256', 'typ': 'JWT'}, said, self.key)}, k={self.public_key}"

    async def push(self, subscription: dict[str, Any], body: bytes | None = None, **headers: str | None) -> int:
        given = {"TTL": "60", "Content-Encoding": "aes128gcm", "Authorization": self.authorization()}
        sent = {name: value for name, value in (given | headers).items() if value is not None}
        sealed = sealed_for(subscription) if body is None else body
        async with self.http.post(subscription["endpoint"], data=sealed, headers=sent) as answer:
            return answer.status


def _bytes(text: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def sealed_for(subscription: dict[str, Any], plain: bytes = json.dumps(PAGE).encode()) -> bytes:
    keys = subscription["keys"]
    key = ec.generate_private_key(ec.SECP256R1())
    sealed: bytes = http_ece.encrypt(
        plain, private_key=key, dh=_bytes(keys["p256dh"]), auth_secret=_bytes(keys["auth"]), version="aes128gcm"
    )
    return sealed


@pytest_asyncio.fixture
async def sender(http: ClientSession, simulators: Simulators, clock: Clock) -> Sender:
    return Sender(http, simulators, clock)


async def test_a_push_is_opened_by_its_browser_and_recorded(sender: Sender, simulators: Simulators) -> None:
    subscription = await sender.subscribed(applicationServerKey=sender.public_key)
    assert await sender.push(subscription, Urgency="high", Topic="a-b_1") == 201
    async with sender.http.get(f"{simulators.environment.url}/pushes?provider=webpush") as answer:
        (record,) = await answer.json()
    assert (record["deviceToken"], record["payload"], record["status"]) == (subscription["endpoint"], PAGE, 201)
    assert record["headers"]["topic"] == "a-b_1"
    assert "eyJ" not in json.dumps(record)


async def test_what_is_given_can_be_registered_where_the_simulators_are_named(sender: Sender) -> None:
    read = Subscription.read(json.dumps(await sender.subscribed()))
    services = PushServices.parse(sender.simulators.environment.web_push_hosts)
    assert services.service_of(read) == sender.simulators.environment.url


async def test_browsers_outlive_a_restart_and_are_many(sender: Sender, tmp_path: Path, clock: Clock) -> None:
    one, other = await sender.subscribed(), await sender.subscribed()
    assert one["endpoint"] != other["endpoint"]
    assert one["keys"] != other["keys"]
    await sender.simulators.stop()
    async with Simulators(SimulatorSettings(tmp_path), clock) as again:
        assert await sender.push(one) == 201
        assert [push.status for push in again.log.read()] == [201]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"TTL": None}, 400),
        ({"TTL": "-1"}, 400),
        ({"Topic": "a" * 33}, 400),
        ({"Topic": "a b"}, 400),
        ({"Urgency": "now"}, 400),
        ({"Content-Encoding": "aesgcm"}, 400),
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer x"}, 401),
        ({"Authorization": "vapid t=x, k=x"}, 403),
    ],
)
async def test_what_a_push_service_would_not_take_is_refused(
    sender: Sender, headers: dict[str, Any], status: int
) -> None:
    assert await sender.push(await sender.subscribed(), **headers) == status


@pytest.mark.parametrize(
    "claims",
    [{"aud": "https://fcm.googleapis.com"}, {"exp": 1}, {"exp": 99_999_999_999}, {"exp": "soon"}, {"sub": "me"}],
)
async def test_a_signature_for_another_service_or_another_time_is_refused(
    sender: Sender, claims: dict[str, Any]
) -> None:
    assert await sender.push(await sender.subscribed(), Authorization=sender.authorization(**claims)) == 403


async def test_only_the_key_that_a_browser_has_subscribed_with_may_push_to_it(sender: Sender) -> None:
    subscription = await sender.subscribed(applicationServerKey=sender.public_key)
    sender.key = ECKey.generate_key("P-256")
    assert await sender.push(subscription) == 403


async def test_what_its_browser_cannot_open_is_refused(sender: Sender) -> None:
    one, other = await sender.subscribed(), await sender.subscribed()
    assert await sender.push(one, sealed_for(other)) == 400
    assert await sender.push(one, sealed_for(one, b"no json")) == 400
    assert await sender.push(one, b"") == 400
    assert await sender.push(one, b"x" * 4097) == 413


async def test_who_never_subscribed_is_not_found(sender: Sender) -> None:
    subscription = await sender.subscribed()
    for ending in ("x", "ü", ".x", ""):
        forged = {**subscription, "endpoint": subscription["endpoint"][:-1] + ending}
        if forged["endpoint"] != subscription["endpoint"]:
            assert await sender.push(forged) == 404


@pytest.mark.parametrize("reason", sorted(WEBPUSH_STATUS))
async def test_every_refusal_comes_on_demand(sender: Sender, simulators: Simulators, reason: str) -> None:
    subscription = await sender.subscribed()
    simulators.book.add(Rule("webpush", reason, device_token=subscription["endpoint"], times=1))
    assert await sender.push(subscription) == WEBPUSH_STATUS[reason]
    assert await sender.push(subscription) == 201


async def test_reset_and_hang_give_no_answer(sender: Sender, simulators: Simulators) -> None:
    subscription = await sender.subscribed()
    simulators.book.add(Rule("webpush", "reset", times=1))
    with pytest.raises(ClientError):
        await sender.push(subscription)
    simulators.book.add(Rule("webpush", "hang", times=1))
    hanging = asyncio.create_task(sender.push(subscription))
    async with in_time():
        while len(simulators.log.read()) < 2:
            await asyncio.sleep(0.005)
    assert not hanging.done()
    hanging.cancel()
    assert await sender.push(subscription) == 201


@pytest.mark.parametrize("body", [{"applicationServerKey": "x"}, {"applicationServerKey": 5}, []])
async def test_a_key_that_is_none_makes_no_browser(http: ClientSession, simulators: Simulators, body: Any) -> None:
    async with http.post(f"{simulators.environment.url}/webpush/subscriptions", json=body) as answer:
        assert (answer.status, (await answer.json())["error"].split(":")[0]) == (400, "applicationServerKey")
