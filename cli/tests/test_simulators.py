"""The FCM, OAuth and control doors of the push simulators, and the rules set there."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession
from joserfc.jwk import RSAKey

from cli.simulators import Simulators, SimulatorSettings
from cli.simulators.answers import FCM_FAULTS
from cli.simulators.behaviour import Rule
from cli.tests.simulator_clients import Clock, Fcm, assertion
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
    async with Simulators(SimulatorSettings(home, seed=1), clock) as started:
        yield started


@pytest_asyncio.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest_asyncio.fixture
async def fcm(http: ClientSession, simulators: Simulators, clock: Clock) -> Fcm:
    client = Fcm(http, simulators, clock)
    await client.authorize()
    return client


async def call(http: ClientSession, method: str, url: str, document: Any = None) -> tuple[int, Any]:
    async with http.request(method, url, json=document) as answer:
        return answer.status, await answer.json()


async def test_a_good_message_is_accepted_and_recorded(fcm: Fcm, simulators: Simulators) -> None:
    status, body, _ = await fcm.send()
    assert status == 200
    assert re.fullmatch(r"projects/pager-simulator/messages/0:\d+", body["name"])
    [record] = [json.loads(push.to_json()) for push in simulators.log.read()]
    assert (record["provider"], record["deviceToken"], record["status"]) == ("fcm", "phone-1", 200)
    assert record["payload"]["message"]["data"] == {"notificationId": "n1"}
    assert fcm.token not in json.dumps(record)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", record["receivedAt"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"token": ""}, "message.token"),
        ({"data": {"n": 1}}, "message.data[n]"),
        ({"data": {"from": "x"}}, "message.data"),
        ({"data": {"google.x": "x"}}, "message.data"),
        ({"data": {"x": "y" * 4096}}, "message"),
        ({"android": {"priority": "URGENT"}}, "message.android.priority"),
        ({"android": {"ttl": "300"}}, "message.android.ttl"),
        ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"android": {"colour": "red"}}, "message.android.colour"),
        ({"tokne": "x"}, "message.tokne"),
    ],
)
async def test_a_wrong_message_names_the_field(fcm: Fcm, changes: dict[str, Any], field: str) -> None:
    status, body, _ = await fcm.send(**changes)
    assert (status, body["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert body["error"]["details"][1]["fieldViolations"][0]["field"] == field


async def test_a_dry_run_gets_the_constant_id(fcm: Fcm) -> None:
    status, body, _ = await fcm.post({"validate_only": True, "message": {"token": "phone-1"}})
    assert (status, body["name"]) == (200, "projects/pager-simulator/messages/fake_message_id")


async def test_another_project_is_forbidden(fcm: Fcm) -> None:
    status, body, _ = await fcm.send(project="other")
    assert (status, body["error"]["status"]) == (403, "PERMISSION_DENIED")


async def test_a_bad_or_old_access_token_is_401(fcm: Fcm, clock: Clock) -> None:
    good = fcm.token
    fcm.token = good[:-1] + ("0" if good[-1] != "0" else "1")
    assert (await fcm.send())[0] == 401
    fcm.token = good
    assert (await fcm.send())[0] == 200
    clock.now += 3600
    status, body, _ = await fcm.send()
    assert (status, body["error"]["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"iss": "stranger@example.org"}, "invalid_grant"),
        ({"aud": "https://example.org/token"}, "invalid_grant"),
        ({"scope": "email"}, "invalid_scope"),
        ({"exp": 1}, "invalid_grant"),
        ({"iat": "now"}, "invalid_grant"),
    ],
)
async def test_a_wrong_assertion_gives_no_token(
    http: ClientSession, simulators: Simulators, clock: Clock, changes: dict[str, Any], error: str
) -> None:
    where = simulators.environment
    async with http.post(where.fcm_token_url, data=assertion(where, clock.now, **changes)) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, error)


async def test_an_assertion_of_another_key_gives_no_token(
    http: ClientSession, simulators: Simulators, clock: Clock
) -> None:
    where = simulators.environment
    form = assertion(where, clock.now, RSAKey.generate_key(2048))
    async with http.post(where.fcm_token_url, data=form) as answer:
        assert (answer.status, (await answer.json())["error"]) == (400, "invalid_grant")
    async with http.post(where.fcm_token_url, data={"grant_type": "password"}) as answer:
        assert (await answer.json())["error"] == "unsupported_grant_type"


@pytest.mark.parametrize("code", sorted(FCM_FAULTS))
async def test_every_error_comes_on_demand_in_googles_shape(fcm: Fcm, simulators: Simulators, code: str) -> None:
    simulators.book.add(Rule("fcm", code, times=1))
    fault = FCM_FAULTS[code]
    status, body, headers = await fcm.send()
    assert (status, body["error"]["code"], body["error"]["status"]) == (fault.code, fault.code, fault.status)
    if fault.has_fcm_error:
        detail = body["error"]["details"][0]
        assert detail["@type"].endswith("google.firebase.fcm.v1.FcmError")
        assert detail["errorCode"] == code
    assert headers.get("retry-after") == (str(fault.retry_after) if fault.retry_after else None)
    assert (await fcm.send())[0] == 200


async def test_a_rule_for_a_device_wins_and_is_set_over_http(
    fcm: Fcm, http: ClientSession, simulators: Simulators
) -> None:
    url = f"{simulators.environment.url}/behaviour"
    await call(http, "POST", url, {"provider": "fcm", "answer": "INTERNAL"})
    rule = {"provider": "fcm", "answer": "QUOTA_EXCEEDED", "deviceToken": "p2", "times": 1, "retryAfter": 7}
    assert (await call(http, "POST", url, rule))[0] == 200
    status, _, headers = await fcm.send(token="p2")
    assert (status, headers["retry-after"]) == (429, "7")
    assert [(await fcm.send(token=token))[0] for token in ("p2", "p1")] == [500, 500]
    assert [rule["answer"] for rule in (await call(http, "GET", url))[1]] == ["INTERNAL"]
    assert (await call(http, "DELETE", url))[1] == {"removed": 1}
    assert (await fcm.send())[0] == 200
    assert [push.status for push in simulators.log.read()] == [429, 500, 500, 200]


async def test_a_fraction_hits_about_that_share(fcm: Fcm, simulators: Simulators) -> None:
    simulators.book.add(Rule("fcm", "UNAVAILABLE", fraction=0.3))
    failed = sum([(await fcm.send())[0] == 503 for _ in range(200)])
    assert 40 <= failed <= 80


async def test_reset_and_hang_give_no_answer(fcm: Fcm, simulators: Simulators) -> None:
    simulators.book.add(Rule("fcm", "reset", device_token="p1"))
    simulators.book.add(Rule("fcm", "hang", device_token="p2"))
    with pytest.raises(ClientError):
        await fcm.send(token="p1")
    hanging = asyncio.create_task(fcm.send(token="p2"))
    pushes = await simulators.log.wait(5, device_token="p2")
    assert ([push.status for push in pushes], hanging.done()) == ([0], False)
    assert (await fcm.send(token="p3"))[0] == 200
    hanging.cancel()


async def test_a_delay_holds_only_its_own_answer(fcm: Fcm, simulators: Simulators) -> None:
    simulators.book.add(Rule("fcm", "INTERNAL", device_token="slow", delay=0.2))
    slow = asyncio.create_task(fcm.send(token="slow"))
    [push] = await simulators.log.wait(5, device_token="slow")
    assert (push.status, slow.done()) == (500, False)
    assert (await fcm.send())[0] == 200
    assert not slow.done()
    assert (await slow)[0] == 500


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ([], "body"),
        ({"provider": "sms", "answer": "ok"}, "provider"),
        ({"provider": "fcm", "answer": "Unregistered"}, "answer"),
        ({"provider": "fcm", "answer": "ok", "times": 0}, "times"),
        ({"provider": "fcm", "answer": "ok", "times": True}, "times"),
        ({"provider": "fcm", "answer": "ok", "delayMs": -1}, "delayMs"),
        ({"provider": "fcm", "answer": "ok", "fraction": 0}, "fraction"),
        ({"provider": "fcm", "answer": "ok", "deviceToken": 5}, "deviceToken"),
        ({"provider": "fcm", "answer": "ok", "color": 1}, "color"),
    ],
)
async def test_a_wrong_behaviour_is_400_and_names_the_field(
    http: ClientSession, simulators: Simulators, document: Any, field: str
) -> None:
    status, body = await call(http, "POST", f"{simulators.environment.url}/behaviour", document)
    assert (status, body["error"].split(":")[0]) == (400, field)


async def test_pushes_are_paged_and_filtered(fcm: Fcm, http: ClientSession, simulators: Simulators) -> None:
    for token in ("p1", "p2", "p1"):
        await fcm.send(token=token)
    url = f"{simulators.environment.url}/pushes"

    async def ids(query: str) -> list[int]:
        return [push["id"] for push in (await call(http, "GET", f"{url}?{query}"))[1]]

    assert await ids("") == [1, 2, 3]
    assert await ids("after=1&limit=1") == [2]
    assert await ids("deviceToken=p1&after=1") == [3]
    assert await ids("provider=apns") == []
    assert (await call(http, "GET", f"{url}?limit=no"))[1]["error"] == "limit: must be a number"
    assert (await call(http, "GET", f"{url}?since=1"))[0] == 400


async def test_a_long_poll_returns_at_once_for_a_push_it_asked_for(
    fcm: Fcm, http: ClientSession, simulators: Simulators
) -> None:
    url = f"{simulators.environment.url}/pushes?wait={1.5 * DEADLINE}&deviceToken=p2"
    poll = asyncio.create_task(call(http, "GET", url))
    await fcm.send(token="p1")
    assert not poll.done()
    await fcm.send(token="p2")
    assert [push["id"] for push in (await asyncio.wait_for(poll, DEADLINE))[1]] == [2]
    assert (await call(http, "GET", f"{simulators.environment.url}/pushes?after=2&wait=0.05"))[1] == []


async def test_only_loopback_names_may_read(http: ClientSession, simulators: Simulators) -> None:
    url = f"{simulators.environment.url}/pushes"
    async with http.get(url, headers={"host": "evil.example"}) as answer:
        assert answer.status == 403
    assert (await call(http, "PUT", url))[0] == 405
    assert (await call(http, "GET", f"{simulators.environment.url}/healthz"))[1]["status"] == "ok"


async def test_no_web_page_tells_what_is_answered(http: ClientSession, simulators: Simulators) -> None:
    url, rule = f"{simulators.environment.url}/behaviour", b'{"provider": "fcm", "answer": "INTERNAL"}'
    for status, headers in (
        (415, {"content-type": "text/plain"}),
        (415, {"content-type": "application/x-www-form-urlencoded"}),
        (403, {"content-type": "application/json", "origin": "https://evil.example"}),
        (403, {"content-type": "application/json", "origin": "null"}),
        (403, {"content-type": "application/json", "origin": "http://["}),
        (403, {"content-type": "application/json", "host": "evil.example:3001"}),
        (405, {"origin": "http://localhost:5173", "access-control-request-method": "POST"}),
        (200, {"content-type": "application/json; charset=utf-8", "origin": "http://localhost:5173"}),
    ):
        async with http.request("OPTIONS" if status == 405 else "POST", url, data=rule, headers=headers) as answer:
            assert answer.status == status, headers
            assert "access-control-allow-origin" not in answer.headers
    assert len(simulators.book.rules()) == 1


async def test_pipelined_requests_are_answered_in_order(simulators: Simulators) -> None:
    port = int(simulators.environment.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    one = b"GET /pushes?after=%d HTTP/1.1\r\nhost: localhost\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    writer.write(b"".join(one % n for n in range(200)) + last)
    received = await asyncio.wait_for(reader.read(), DEADLINE)
    assert received.count(b"HTTP/1.1 200 OK") == 200
    assert b"404" in received.rpartition(b"HTTP/1.1")[2]
    writer.close()
