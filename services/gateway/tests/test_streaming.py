"""Streams by real clients: who is let in, what a hostile one gets, and what is said when something is away."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from libs.chassis.testing.deadline import in_time
from libs.contracts.codec import CODEC
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.incidents import IncidentClosed
from libs.contracts.model import Lane, Role
from libs.contracts.requests import Reply
from libs.contracts.streaming import Close
from libs.contracts.subjects import Header, event_subject, message_id
from services.gateway.streaming import connection as connections
from services.gateway.streaming import protocol
from services.gateway.streaming import streams as all_streams
from services.gateway.streaming.crowd import OF_ONE
from services.gateway.streaming.feeds import Feeds
from services.gateway.streaming.frames import LIMIT
from services.gateway.tests import views as v
from services.gateway.tests.stubs import USER, World, world
from tests.listening import listening, opened

pytestmark = pytest.mark.servers


@pytest.fixture
async def fresh() -> AsyncIterator[World]:
    """A gateway, with an incidents that answers whatever it is asked."""
    async with world(cors_origins="https://wall.example", public_url="https://pager.example") as made:
        await made.stubs.keys()
        await made.stubs.reply("incidents.states", _states)
        yield made


async def _states(body: Any) -> Reply:
    states: list[Any] = [{"incident": {**_INCIDENT, "id": one}, "teamId": None, "people": []} for one in body["ids"]]
    return Reply(ok=True, data={"states": states, "left": [], "escalation": {}})


_INCIDENT: dict[str, Any] = dict(v.INCIDENT)


async def _happens(pager: World, position: int, incident: UUID | None = None, *, previous: int | None = None) -> str:
    """Something becomes of an incident, as the relay of incidents tells it."""
    one, now = incident or uuid4(), pager.clock.now()
    event = Envelope[IncidentClosed](
        id=uuid4(),
        type=IncidentClosed.type,
        time=now,
        entity=one,
        version=2,
        lane=Lane.URGENT,
        actor=Actor.service("incidents"),
        correlation_id=uuid4(),
        data=IncidentClosed(incident_id=one, by=Actor.service("incidents"), at=now),
    )
    headers = {
        Header.MESSAGE_ID: message_id("incidents", 1, position),
        Header.PREVIOUS: str(position - 1 if previous is None else previous),
        "ce-type": event.type,
    }
    subject = event_subject(event.type, Lane.URGENT, one)
    await pager.stubs.client.jetstream().publish(subject, CODEC.encode(event), headers=headers)
    return str(one)


CUT_OFF = (1008, 1006)
"""Whoever goes on sending may lose what was said last: the connection is reset (RFC 9293, section 3.10.7.4)."""


def _stream(pager: World, **options: Any) -> Any:
    return opened(f"{pager.gateway.url}/api/v1/stream", **options)


# --- The handshake ---------------------------------------------------------------------------------------------------


async def _refused(pager: World, path: str, **headers: str) -> tuple[int, Any]:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(f"{pager.gateway.url}{path}", additional_headers=headers):
            pass
    response = refused.value.response
    assert response.headers["X-Request-ID"]
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    return response.status_code, json.loads(response.body)["error"]


async def test_a_token_in_the_address_is_refused_and_not_repeated(
    fresh: World, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("token", "access_token", "jwt"):
        status, error = await _refused(fresh, f"/api/v1/stream?{name}={fresh.token()}")
        assert (status, error["code"], error["details"]["field"]) == (400, "VALIDATION_ERROR", name)
        assert "eyJ" not in json.dumps(error)
    said = "".join(capsys.readouterr()) + caplog.text
    assert "eyJ" not in said
    assert (await _refused(fresh, "/api/v1/stream?after=1&after=2"))[0] == 400
    assert (await _refused(fresh, f"/api/v1/stream?after={'1' * 300}"))[0] == 400


async def test_strangers_who_are_refused_write_no_errors_into_our_log(
    fresh: World, caplog: pytest.LogCaptureFixture
) -> None:
    status, _ = await _refused(fresh, "/api/v1/stream?token=x")
    assert status == 400
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_another_version_is_refused_and_the_path_may_name_none(fresh: World) -> None:
    for path in ("/api/v1/stream", "/api/stream"):
        assert (await _refused(fresh, path, **{"X-API-Version": "9"}))[1]["code"] == "NOT_ACCEPTABLE"
        async with opened(f"{fresh.gateway.url}{path}", additional_headers={"X-API-Version": "v1"}) as stream:
            await stream.say(type="authenticate", token=fresh.token())
            await stream.of("ready")


async def test_who_has_no_streams_is_told_so_and_a_stream_ends_when_they_are_switched_off(fresh: World) -> None:
    off = {"features": [{"flag": "stream", "enabled": False}]}
    async with _stream(fresh) as stream:
        await stream.say(type="authenticate", token=fresh.token())
        await stream.of("ready")
        await fresh.stubs.answer("auth.doors", off)
        await fresh.gateway.front.heard.ask()
        assert (await stream.closed())[0] == Close.FORBIDDEN
    async with _stream(fresh) as stream:
        await stream.say(type="authenticate", token=fresh.token())
        assert (await stream.closed())[0] == Close.FORBIDDEN


async def test_a_browsers_page_is_let_in_where_it_is_ours(fresh: World) -> None:
    for origin in ("https://evil.example", "null", "https://pager.example.evil.example"):
        assert (await _refused(fresh, "/api/v1/stream", Origin=origin))[1]["code"] == "FORBIDDEN"
    for ours in ("https://pager.example", "https://wall.example", "capacitor://localhost", None):
        async with _stream(fresh, origin=ours) as stream:
            await stream.say(type="authenticate", token=fresh.token())
            await stream.of("ready")


async def test_a_cookie_opens_nothing(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "FIRST_FRAME", 0.1)
    headers = {"Cookie": f"__Secure-pager-refresh={fresh.token()}", "Authorization": f"Bearer {fresh.token()}"}
    async with _stream(fresh, origin="https://pager.example", additional_headers=headers) as stream:
        assert (await stream.closed())[0] == 4401


async def test_whoever_asks_for_a_page_is_told_what_it_is(fresh: World) -> None:
    answer = await fresh.call("GET", "/api/v1/stream", token=None)
    assert (answer.status, answer.error["code"], answer.headers["Upgrade"]) == (426, "UPGRADE_REQUIRED", "websocket")
    assert (await fresh.call("GET", "/api/v1/stream?token=x", token=None)).status == 400


async def test_elsewhere_a_wish_for_another_protocol_is_ignored(fresh: World) -> None:
    wish = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x"}
    answer = await fresh.call("GET", "/api/v1/nothing", headers=wish)
    assert answer.error["code"] == "NOT_FOUND"
    assert (await fresh.call("POST", "/api/v1/stream", headers=wish)).status == 405


# --- Who it is -------------------------------------------------------------------------------------------------------


async def test_whoever_does_not_say_who_they_are_goes(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    other = fresh.token(aud="somebody else")
    first: list[dict[str, Any]] = [
        {"type": "ping"},
        {"type": "authenticate", "token": "anything"},
        {"type": "authenticate", "token": "pgr_anything"},
        {"type": "authenticate", "token": other},
        {"type": "authenticate", "token": fresh.token(minutes=-1)},
        {"type": "authenticate", "token": fresh.token()[:-4] + "AAAA"},
    ]
    for frame in first:
        async with _stream(fresh) as stream:
            await stream.say(**frame)
            assert (await stream.closed())[0] == 4401, frame
    later = int(fresh.clock.now().timestamp()) + 300
    async with _stream(fresh) as stream:
        await stream.say(type="authenticate", token=fresh.token(iat=later, exp=later + 600))
        assert (await stream.closed())[0] == 4503, "clocks are apart"
    monkeypatch.setattr(connections, "FIRST_FRAME", 0.05)
    async with _stream(fresh) as stream:
        assert await stream.closed() == (4401, "the first frame has to be authenticate, within 5 s")
    assert fresh.gateway.front.streams.crowd._places == set()


async def test_another_persons_token_takes_over_no_stream(fresh: World) -> None:
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        await stream.say(type="authenticate", token=fresh.token(user=uuid4()))
        assert (await stream.closed())[0] == 4401


async def test_a_token_with_other_rights_says_to_list_again(fresh: World) -> None:
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        await stream.say(type="authenticate", token=fresh.token(role=Role.USER))
        assert (await stream.of("reset"))["reason"] == "other_rights"
        await stream.of("renewed")
        one = await _happens(fresh, 1)
        assert (await stream.of("IncidentClosed", one))["position"] != stream.seen[0]["position"]


async def test_a_session_that_ends_ends_its_streams(fresh: World) -> None:
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        await fresh.stubs.end_session(fresh.clock)
        assert (await stream.closed())[0] == 4401


async def test_one_person_has_so_many_streams(fresh: World) -> None:
    opened_ones = [listening(fresh.gateway.url, fresh.token()) for _ in range(OF_ONE)]
    for one in opened_ones:
        await one.__aenter__()
    async with _stream(fresh) as stream:
        await stream.say(type="authenticate", token=fresh.token())
        assert (await stream.closed())[0] == 4429
    for one in opened_ones:
        await one.__aexit__(None, None, None)
    async with in_time():
        while fresh.gateway.front.streams.crowd._places:
            await asyncio.sleep(0.01)
    async with listening(fresh.gateway.url, fresh.token()) as again:
        await again.say(type="ping")
        await again.of("pong")


# --- Hostile clients -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x00\xff", 4400),
        ("not JSON", 4400),
        ("[" * 5000, 4400),
        ('{"type":"ping","id":"\\u0000"}', 4400),
        ('{"type":"authenticate","token":"x","after":"1"}', 4400),
        ("x" * (LIMIT + 1), 1009),
        ("x" * 300_000, 1009),
    ],
    ids=["binary", "no JSON", "nested", "NUL", "a position too late", "large", "huge"],
)
async def test_what_is_no_frame_ends_the_stream(fresh: World, sent: str | bytes, code: int) -> None:
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        with suppress(ConnectionClosed):
            await stream.socket.send(sent)
        await stream.closed()
        assert stream.socket.close_code == code


async def test_a_flood_of_frames_ends_the_stream_and_nobody_elses(fresh: World) -> None:
    async with listening(fresh.gateway.url, fresh.token()) as good:
        async with listening(fresh.gateway.url, fresh.token()) as stream:
            for _ in range(100):
                await stream.say(type="ping")
            assert (await stream.closed())[0] == 4429
        async with listening(fresh.gateway.url, fresh.token()) as stream:
            for _ in range(5_000):
                stream.socket.protocol.send_ping(b"x")
            stream.socket.send_data()
            assert (await stream.closed())[0] in CUT_OFF
        async with listening(fresh.gateway.url, fresh.token()) as stream:
            protocol = stream.socket.protocol
            protocol.send_frame(Frame(Opcode.TEXT, b"", fin=False))
            for _ in range(5_000):
                protocol.send_frame(Frame(Opcode.CONT, b"", fin=False))
            stream.socket.send_data()
            assert (await stream.closed())[0] in CUT_OFF
        one = await _happens(fresh, 1)
        await good.of("IncidentClosed", one)


async def test_who_is_told_something_while_we_hang_up_is_no_fault_of_ours(
    fresh: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A phone that has lost its network: its pong does not come, and the next frame is on its way already."""
    async with _stream(fresh) as stream:
        await stream.say(type="authenticate", token=fresh.token())
        await stream.of("ready")
        hub = fresh.gateway.front.streams.hub
        [listener] = list(hub.audience)
        connection: Any = listener
        connection.put("{}")
        connection.socket.send.__self__.keepalive_timeout()
        async with in_time():
            while len(hub.audience):
                await asyncio.sleep(0)
    said = capsys.readouterr()
    assert "stream failed" not in said.out + said.err


async def test_whoever_does_not_read_goes_and_may_come_back(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_FRAMES", 20)
    monkeypatch.setattr(connections, "_FAREWELL", 0.1)
    monkeypatch.setattr(protocol, "_GONE", 0.1)
    small = socket.create_connection(("127.0.0.1", int(fresh.gateway.url.rpartition(":")[2])))
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.setblocking(False)
    # A client that does not write may not learn that it was cut off: its pings are what tells it.
    async with _stream(fresh, sock=small, max_queue=1, ping_interval=0.2, ping_timeout=None) as slow:
        await slow.say(type="authenticate", token=fresh.token())
        await slow.of("ready")
        hub, front = fresh.gateway.front.streams.hub, fresh.gateway.front
        [listener] = list(hub.audience)
        slow.socket.transport.pause_reading()
        big = json.dumps(
            {"type": "heartbeat", "position": hub.position(listener.rights), "live": True, "x": "x" * 9000}
        )
        async with in_time():
            while len(hub.audience):
                listener.put(big)
                await asyncio.sleep(0)
        assert len(front.streams._open) == 0
        slow.socket.transport.resume_reading()
        assert (await slow.closed())[0] in (4408, 1006), "as far as it takes its close"
    one = await _happens(fresh, 1)
    async with listening(fresh.gateway.url, fresh.token(), slow.position) as again:
        assert (await again.of("IncidentClosed"))["incident"]["id"] == one


# --- While nobody listens --------------------------------------------------------------------------------------------


async def _is_alone(pager: World) -> None:
    """Until what happens is read by nobody."""
    async with in_time():
        while await pager.stubs.client.jetstream().consumers_info("INCIDENTS"):
            await asyncio.sleep(0.01)


async def test_nothing_is_read_while_nobody_listens_and_whoever_comes_back_misses_nothing(
    fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_streams, "_LINGER", 0.0)
    told = [await _happens(fresh, 1)]
    assert await fresh.stubs.client.jetstream().consumers_info("INCIDENTS") == []
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        begins = stream.position
        told.append(await _happens(fresh, 2))
        await stream.of("IncidentClosed", told[-1])
        position = stream.position
    for after in (3, 6):
        await _is_alone(fresh)
        told += [await _happens(fresh, after), await _happens(fresh, after + 1)]
        async with listening(fresh.gateway.url, fresh.token(), position) as again:
            told.append(await _happens(fresh, after + 2))
            await again.of("IncidentClosed", told[-1])
            assert [incident for _, incident in again.told] == told[after - 1 :], "each of them, in order and once"
            position = again.position
    async with listening(fresh.gateway.url, fresh.token(), begins) as first:
        await first.of("IncidentClosed", told[-1])
        assert [incident for _, incident in first.told] == told[1:], "what was told before is known as well"


async def test_after_more_than_is_read_again_whoever_comes_back_lists_again(
    fresh: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(all_streams, "_LINGER", 0.0)
    fresh.gateway.front.streams.feeds.recall = 2
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        await stream.of("IncidentClosed", await _happens(fresh, 1))
    await _is_alone(fresh)
    told = [await _happens(fresh, at) for at in range(2, 6)]
    async with listening(fresh.gateway.url, fresh.token(), stream.position) as again:
        assert (await again.of("reset"))["reason"] == "too_old"
        last = await _happens(fresh, 6)
        await again.of("IncidentClosed", last)
        assert [incident for _, incident in again.told] == [last]
    # What was read again can be gone on from.
    where = f"1-3{str(again.position)[3:]}"
    async with listening(fresh.gateway.url, fresh.token(), where) as back:
        await back.of("IncidentClosed", last)
        assert [incident for _, incident in back.told] == [*told[2:], last]


# --- What is away ----------------------------------------------------------------------------------------------------


async def test_a_gap_in_the_stream_says_to_list_again(fresh: World) -> None:
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        await stream.of("IncidentClosed", await _happens(fresh, 1))
        await _happens(fresh, 9, previous=8)
        assert (await stream.of("reset"))["reason"] == "too_old"
        await stream.of("IncidentClosed")
        position = stream.position
    async with listening(fresh.gateway.url, fresh.token(), position) as again:
        await again.of("IncidentClosed", await _happens(fresh, 10))
        assert "reset" not in [frame["type"] for frame in again.seen]


async def test_incidents_away_is_said_and_caught_up(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.gateway.streaming.hub._STALLED", 0.2)
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        assert stream.seen[0]["live"]
        await fresh.stubs.forget()
        ones = [await _happens(fresh, at) for at in range(1, 4)]
        beat = await stream.of("heartbeat")
        assert beat["live"] is False
        await fresh.stubs.keys()
        await fresh.stubs.reply("incidents.states", _states)
        for one in ones:
            await stream.of("IncidentClosed", one)
        assert (await stream.of("heartbeat"))["live"]


async def test_an_incidents_that_answers_rubbish_stops_nobody(fresh: World) -> None:
    odd = await _happens(fresh, 1)
    rubbish: list[Any] = [
        None,
        [],
        {"states": 7},
        {"states": [{"incident": {}}]},
        {"states": [{"incident": {"id": 7}}]},
    ]
    said: list[Any] = []

    async def reply(body: Any) -> Reply:
        return Reply(ok=True, data=said[-1]) if odd in body["ids"] else await _states(body)

    await fresh.stubs.forget()
    await fresh.stubs.keys()
    await fresh.stubs.reply("incidents.states", reply)
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        await fresh.stubs.client.jetstream().publish("pager.events.incidents.urgent.Odd.x", b"rubbish")
        for at, one_kind in enumerate(rubbish, 1):
            said.append(one_kind)
            await _happens(fresh, 10 * at, UUID(odd), previous=10 * at - (9 if at == 1 else 8))
            one = await _happens(fresh, 10 * at + 1, previous=10 * at)
            await _happens(fresh, 10 * at + 2, previous=10 * at + 1)
            await stream.of("IncidentClosed", one)
        assert odd not in [incident for _, incident in stream.told]
        assert "reset" not in [frame["type"] for frame in stream.seen]


async def test_a_fault_of_ours_ends_streams_and_no_door(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_streams, "_AGAIN", 0.01)
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        await stream.of("IncidentClosed", await _happens(fresh, 1))
        with monkeypatch.context() as broken:
            broken.setattr(fresh.gateway.front.streams.hub, "_spread", None)
            two = await _happens(fresh, 2)
            assert (await stream.closed())[0] == 4503
    assert (await fresh.call("GET", "/api/health/live")).status == 200
    async with listening(fresh.gateway.url, fresh.token(), stream.position) as again:
        await again.of("IncidentClosed", two)
        await again.of("IncidentClosed", await _happens(fresh, 3))
        hub = fresh.gateway.front.streams.hub
        with monkeypatch.context() as broken:
            broken.setattr(hub.incidents, "of", None)
            await _happens(fresh, 4)
            assert (await again.closed())[0] == 4503
    async with listening(fresh.gateway.url, fresh.token(), again.position) as last:
        assert (await last.of("reset"))["reason"] == "too_old"
        await last.of("IncidentClosed", await _happens(fresh, 5))


async def test_a_client_hears_that_we_are_there(fresh: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEARTBEAT", 0.1)
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        first, second = await stream.of("heartbeat"), await stream.of("heartbeat")
        assert first["position"] == second["position"] == stream.seen[0]["position"]


async def test_a_stop_sends_everybody_away_to_come_back(fresh: World) -> None:
    async with listening(fresh.gateway.url, fresh.token()) as stream:
        leaving = asyncio.create_task(stream.closed())
        await fresh.gateway.front.streams.drain()
        assert (await leaving)[0] == 1012
        assert stream.seen[-1]["type"] == "closing"
    assert (await _refused(fresh, "/api/v1/stream"))[0] == 503


async def test_streams_are_counted_and_kept_in_the_access_log(fresh: World) -> None:
    async with listening(fresh.gateway.url, fresh.token()):
        text = (await fresh.gateway.front.metrics.own()).decode()
        assert 'pager_stream_connections{service="gateway"} 1.0' in text
        assert 'endpoint="/api/v1/stream",method="GET",service="gateway",status="101"' in text
    async with in_time():
        while fresh.gateway.front.streams._open:
            await asyncio.sleep(0.01)
    assert (
        'pager_stream_closed_total{code="1000",service="gateway"} 1.0'
        in (await fresh.gateway.front.metrics.own()).decode()
    )
    kept = [access for access in fresh.gateway.front.access._kept if access.route == "/api/v1/stream"]
    assert [(access.status, access.user_id) for access in kept] == [(101, USER)]


async def test_who_comes_before_anything_can_be_told_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(all_streams, "_PATIENCE", 0.1)
    monkeypatch.setattr(Feeds, "run", lambda _feeds: asyncio.Event().wait())
    async with world() as made:
        await made.stubs.keys()
        async with _stream(made) as stream:
            await stream.say(type="authenticate", token=made.token())
            assert (await stream.closed())[0] == 4503
