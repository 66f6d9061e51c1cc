"""The APNs simulator answers real HTTP/2 clients as Apple documents it."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsTLSClientProtocol
from joserfc.jwk import ECKey

from cli.simulators import Simulators, SimulatorSettings
from cli.simulators.answers import APNS_STATUS
from cli.simulators.behaviour import Rule
from cli.tests.simulator_clients import DEVICE, PAGE, Apns, Clock, apns_client, provider_token
from libs.chassis.testing.deadline import DEADLINE

pytestmark = pytest.mark.asyncio


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("simulators")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest_asyncio.fixture
async def simulators(home: Path, clock: Clock) -> AsyncIterator[Simulators]:
    async with Simulators(SimulatorSettings(home, max_token_updates=3, seed=1), clock) as started:
        yield started


@pytest_asyncio.fixture
async def apns(simulators: Simulators, clock: Clock) -> AsyncIterator[Apns]:
    async with apns_client(simulators.environment) as client:
        yield Apns(client, simulators.environment, clock)


async def test_a_good_push_is_accepted_recorded_and_its_id_echoed(apns: Apns, simulators: Simulators) -> None:
    answer = await apns.push(apns_id="11111111-2222-3333-4444-555555555555")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["apns-id"] == "11111111-2222-3333-4444-555555555555"
    [push] = simulators.log.read()
    record = json.loads(push.to_json())
    assert (record["provider"], record["deviceToken"], record["status"]) == ("apns", DEVICE, 200)
    assert record["payload"] == PAGE
    assert record["headers"]["apns-collapse-id"] == "incident-1"
    assert "bearer" not in json.dumps(record["headers"])


async def test_an_id_is_made_when_the_push_has_none(apns: Apns) -> None:
    assert len((await apns.push(apns_id=None)).headers["apns-id"]) == 36


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"method": "GET"}, "MethodNotAllowed"),
        ({"path": "/2/device/ab"}, "BadPath"),
        ({"path": "/3/device/"}, "MissingDeviceToken"),
        ({"device": "not-hex"}, "BadDeviceToken"),
        ({"authorization": None}, "MissingProviderToken"),
        ({"authorization": "bearer rubbish"}, "InvalidProviderToken"),
        ({"apns_topic": None}, "MissingTopic"),
        ({"apns_topic": "org.example.other"}, "DeviceTokenNotForTopic"),
        ({"apns_topic": "com.stranger.app"}, "TopicDisallowed"),
        ({"apns_topic": "spaces are bad"}, "BadTopic"),
        ({"apns_push_type": "shout"}, "InvalidPushType"),
        ({"apns_priority": "7"}, "BadPriority"),
        ({"apns_push_type": "background"}, "BadPriority"),
        ({"apns_expiration": "tomorrow"}, "BadExpirationDate"),
        ({"apns_collapse_id": "x" * 65}, "BadCollapseId"),
        ({"apns_id": "11111111-2222-3333-4444-55555555ABCD"}, "BadMessageId"),
        ({"body": b""}, "PayloadEmpty"),
        ({"body": b"no json"}, "PayloadEmpty"),
        ({"body": json.dumps({"aps": "x" * 4096}).encode()}, "PayloadTooLarge"),
    ],
)
async def test_a_wrong_push_gets_the_reason_apple_documents(
    apns: Apns, simulators: Simulators, changes: dict[str, Any], reason: str
) -> None:
    answer = await apns.push(**changes)
    assert (answer.status, answer.reason) == (APNS_STATUS[reason], reason)
    assert simulators.log.read()[-1].status == APNS_STATUS[reason]


async def test_a_repeated_header_is_refused(apns: Apns) -> None:
    headers = [*apns.headers.items(), ("apns-priority", "5")]
    assert (await apns.client.start(headers, b"{}", f"/3/device/{DEVICE}")).reason == "DuplicateHeaders"


async def test_a_voip_push_may_be_larger_and_needs_its_topic(apns: Apns) -> None:
    body = json.dumps({"aps": "x" * 5000}).encode()
    topic = apns.headers["apns-topic"] + ".voip"
    assert (await apns.push(body, apns_push_type="voip", apns_topic=topic)).status == 200
    assert (await apns.push(body, apns_push_type="voip")).reason == "DeviceTokenNotForTopic"


async def test_a_provider_token_expires_after_an_hour(apns: Apns, clock: Clock) -> None:
    assert (await apns.push()).status == 200
    clock.now += 3601
    assert (await apns.push()).reason == "ExpiredProviderToken"


async def test_tokens_of_another_key_or_team_are_invalid(apns: Apns, simulators: Simulators, clock: Clock) -> None:
    where = simulators.environment
    for token in (
        provider_token(where, clock.now, ECKey.generate_key("P-256")),
        provider_token(where, clock.now, kid="ABCDEFGHIJ"),
        provider_token(where, clock.now + 600),
    ):
        assert (await apns.push(authorization=f"bearer {token}")).reason == "InvalidProviderToken"


async def test_minting_too_often_is_refused_but_the_old_token_stays_good(
    apns: Apns, simulators: Simulators, clock: Clock
) -> None:
    tokens = [provider_token(simulators.environment, clock.now - n) for n in range(4)]
    reasons = [await apns.push(authorization=f"bearer {token}") for token in tokens]
    assert [answer.status for answer in reasons] == [200, 200, 200, 429]
    assert reasons[-1].reason == "TooManyProviderTokenUpdates"
    assert (await apns.push(authorization=f"bearer {tokens[0]}")).status == 200
    clock.now += 1201
    assert (await apns.push(authorization=f"bearer {tokens[3]}")).status == 200


@pytest.mark.parametrize("reason", sorted(APNS_STATUS))
async def test_every_reason_comes_on_demand_and_only_once(apns: Apns, simulators: Simulators, reason: str) -> None:
    simulators.book.add(Rule("apns", reason, times=1))
    answer = await apns.push()
    assert (answer.status, answer.reason) == (APNS_STATUS[reason], reason)
    assert ("timestamp" in json.loads(answer.body)) == (answer.status == 410)
    assert (await apns.push()).status == 200


async def test_a_410_carries_the_time_in_milliseconds(apns: Apns, simulators: Simulators, clock: Clock) -> None:
    simulators.book.add(Rule("apns", "Unregistered", times=1))
    simulators.book.add(Rule("apns", "ExpiredToken", device_token="cd" * 32, timestamp=1_700_000_000_000))
    assert json.loads((await apns.push()).body)["timestamp"] == int(clock.now * 1000)
    answer = await apns.push(device="CD" * 32)
    assert json.loads(answer.body) == {"reason": "ExpiredToken", "timestamp": 1_700_000_000_000}


async def test_goaway_names_the_last_stream_served_and_ends_the_connection(apns: Apns, simulators: Simulators) -> None:
    assert (await apns.push()).status == 200
    simulators.book.add(Rule("apns", "goaway", times=1))
    with pytest.raises(ConnectionError):
        await apns.push()
    goaway = apns.client.goaway
    assert goaway is not None
    assert (goaway.last_stream_id, goaway.additional_data) == (1, b'{"reason":"Shutdown"}')


async def test_a_reset_breaks_the_connection(apns: Apns, simulators: Simulators) -> None:
    simulators.book.add(Rule("apns", "reset", times=1))
    with pytest.raises(ConnectionError):
        await apns.push()
    assert [push.status for push in simulators.log.read()] == [0]


async def test_a_hanging_or_refused_stream_leaves_the_others_alone(apns: Apns, simulators: Simulators) -> None:
    simulators.book.add(Rule("apns", "hang", device_token="aa"))
    simulators.book.add(Rule("apns", "rst_stream", device_token="bb"))
    assert (await apns.push(device="cc")).status == 200
    hanging = apns.start(device="aa")
    assert (await apns.push(device="bb")).error == 7
    assert (await apns.push(device="cc")).status == 200
    assert not hanging.done()


async def test_a_delayed_answer_is_overtaken(apns: Apns, simulators: Simulators) -> None:
    assert (await apns.push(device="cc")).status == 200
    simulators.book.add(Rule("apns", "ok", device_token="aa", delay=2 * DEADLINE))
    simulators.book.add(Rule("apns", "ok", device_token="bb", delay=0.05))
    slow = apns.start(device="aa")
    assert (await apns.push(device="cc")).status == 200
    assert (await apns.push(device="bb")).status == 200
    assert not slow.done()


async def test_one_stream_is_announced_until_the_first_good_token(apns: Apns) -> None:
    await apns.push(authorization=None)
    assert apns.client.connection.remote_settings.max_concurrent_streams == 1
    await apns.push()
    assert apns.client.connection.remote_settings.max_concurrent_streams == 1000


async def test_error_bodies_wait_for_the_window_of_the_client(simulators: Simulators, clock: Clock) -> None:
    simulators.book.add(Rule("apns", "BadDeviceToken", device_token="aa"))
    async with apns_client(simulators.environment, windows=False) as client:
        apns = Apns(client, simulators.environment, clock)
        assert (await apns.push(device="cc")).status == 200
        # 27 bytes a body, never credited: the 65,535 of the connection last for 2,427 answers.
        for _ in range(2):
            answered = [apns.start(device="aa") for _ in range(900)]
            await asyncio.wait_for(asyncio.gather(*answered), DEADLINE)
        more = [apns.start(device="aa") for _ in range(900)]
        assert (await apns.push(device="cc")).status == 200
        assert not more[-1].done()
        client.credit_windows(65_535)
        await asyncio.wait_for(asyncio.gather(*more), DEADLINE)


async def test_headers_that_need_several_frames_are_put_together(apns: Apns) -> None:
    await apns.push()
    apns.headers["x-long"] = "~" * 12_000
    assert (await apns.push()).status == 200


async def test_rubbish_instead_of_http2_is_turned_away(simulators: Simulators) -> None:
    where = simulators.environment
    context = ssl.create_default_context(cafile=where.apns_ca_file)
    reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(where.apns_url).port, ssl=context)
    writer.write(b"POST /3/device/ab HTTP/1.1\r\n\r\n")
    received = await asyncio.wait_for(reader.read(), DEADLINE)
    assert b"no HTTP/2 preface" in received
    writer.close()


async def test_aioapns_delivers_a_burst(simulators: Simulators) -> None:
    where = simulators.environment
    key = await asyncio.to_thread(Path(where.apns_key_file).read_text)

    class Protocol(APNsTLSClientProtocol):
        APNS_SERVER = "127.0.0.1"
        APNS_PORT = urlsplit(where.apns_url).port or 0

    client = APNs(
        key=key,
        key_id=where.apns_key_id,
        team_id=where.apns_team_id,
        topic=where.apns_topic,
        ssl_context=ssl.create_default_context(cafile=where.apns_ca_file),
    )
    client.pool.protocol_class = Protocol
    requests = [NotificationRequest(f"{n:064x}", PAGE, priority=10, push_type=PushType.ALERT) for n in range(200)]
    answers = [await client.send_notification(requests[0])]
    answers += await asyncio.wait_for(asyncio.gather(*map(client.send_notification, requests[1:])), DEADLINE)
    assert {answer.status for answer in answers} == {"200"}
    assert len({push.device_token for push in simulators.log.read()}) == 200
    client.pool.close()
