"""Senders can publish alerts and see nothing else; a service writes its own events only (promise 13)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from libs.chassis.bus.sending import has_sent
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.contracts.subjects import ALERTS_PROBE, SERVICES, STREAMS, UPSTREAMS, reads_all
from tests.attacks import Attack, Told
from tests.servers import Servers
from tests.world import World


@asynccontextmanager
async def _client(servers: Servers, user: str | None) -> AsyncIterator[tuple[Client, list[str]]]:
    """A connection, and what the server has refused it so far."""
    refused: list[str] = []

    async def remember(error: Exception) -> None:
        refused.append(str(error))

    url = servers.nats_url(user) if user else servers.nats
    prefix = f"_INBOX_{user}" if user else "_INBOX"
    client = await nats.connect(url, error_cb=remember, inbox_prefix=prefix, max_reconnect_attempts=1)
    try:
        yield client, refused
    finally:
        await client.close()


async def _refusals(client: Client, refused: list[str]) -> list[str]:
    """What was refused so far: the server tells in order, so one more refusal is asked for and waited for."""
    barrier = f"nobody.may.{uuid4().hex}"
    await client.publish(barrier, b"")
    async with in_time():
        while not any(barrier in error for error in refused):
            await asyncio.sleep(0.005)
    return [error for error in refused if "permissions violation" in error.lower() and "nobody.may." not in error]


async def _messages(servers: Servers, stream: str) -> int:
    operator = await servers.connect("operator")
    try:
        return int((await operator.jetstream().stream_info(stream)).state.last_seq)
    finally:
        await operator.close()


async def test_an_anonymous_client_may_listen_to_nothing_but_its_own_answers(world: World) -> None:
    heard: list[Msg] = []

    async def hear(message: Msg) -> None:
        heard.append(message)

    async with _client(world.servers, None) as (stranger, refused):
        wanted = (
            ">",
            "pager.>",
            "pager.alerts.>",
            "pager.events.>",
            "pager.rpc.>",
            "$JS.>",
            "$SYS.>",
            "_INBOX_incidents.>",
        )
        for subject in wanted:
            await stranger.subscribe(subject, cb=hear)
        assert len(await _refusals(stranger, refused)) == len(wanted), refused
        await stranger.subscribe("_INBOX.>", cb=hear)
        ana, _ = await world.two_responders()
        await world.fire_alert("db down", priority="critical")
        await ana.expect_push("db down")
        await ana.acknowledge((await world.incident())["id"])
        await world.settle()
        await has_sent(stranger)
        # Another sender's acknowledgements are all that comes by: a stream's name and a number.
        assert len(heard) >= 1
        for message in heard:
            assert set(json.loads(message.data)) <= {"stream", "seq", "domain", "duplicate"}, message.data


@pytest.mark.parametrize(
    "reply",
    [
        "pager.events.incidents.urgent.IncidentCreated.00000000-0000-0000-0000-000000000001",
        "pager.alerts.somebody",
        "pager.rpc.incidents.replay",
        "pager.rpc.auth.login",
        "pager.wake.incidents",
        "$JS.API.STREAM.PURGE.INCIDENTS",
        "$JS.API.STREAM.DELETE.ALERTS",
    ],
)
async def test_a_reply_subject_of_ours_writes_nothing_and_asks_nothing(servers: Servers, reply: str) -> None:
    async with servers.fresh(), _client(servers, None) as (stranger, refused):
        operator = await servers.connect("operator")
        heard: list[str] = []

        async def hear(message: Msg) -> None:
            heard.append(message.subject)

        await operator.subscribe("pager.events.>", cb=hear)
        incidents = await servers.connect("incidents")
        await incidents.subscribe("pager.rpc.incidents.>", cb=hear)
        await incidents.subscribe("pager.wake.incidents", cb=hear)
        await has_sent(incidents)
        before = {spec.name: await _messages(servers, spec.name) for spec in STREAMS}
        await stranger.publish("pager.alerts.x", b'{"summary": "x"}', reply=reply)
        await stranger.publish(reply, b"{}")
        await has_sent(stranger)
        # An alert that is accepted after it has been handled after it: the bus keeps the order of one client.
        await stranger.jetstream().publish("pager.alerts.y", b'{"summary": "y"}')
        after = {spec.name: await _messages(servers, spec.name) for spec in STREAMS}
        alerts = 3 if reply.startswith("pager.alerts") else 2
        assert after == before | {"ALERTS": before["ALERTS"] + alerts}
        assert heard == []
        await operator.close()
        await incidents.close()
        assert bool(await _refusals(stranger, refused)) is not reply.startswith("pager.alerts")


async def test_an_anonymous_client_cannot_ask_read_or_change_anything(servers: Servers, told: Told) -> None:
    async with servers.fresh(), _client(servers, None) as (stranger, _):
        for subject in ("pager.rpc.incidents.metrics", "pager.rpc.auth.keys", "$JS.API.STREAM.NAMES", "$JS.API.INFO"):
            with pytest.raises(NatsError):
                await stranger.request(subject, b"{}", timeout=0.3)
        js = stranger.jetstream(timeout=0.3)
        for attempt in (js.stream_info("INCIDENTS"), js.get_msg("ALERTS", 1), js.purge_stream("ALERTS")):
            with pytest.raises((NatsError, APIError)):
                await attempt
    told(Attack.BUS_READING, "no answer to anything asked, no stream read")


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_can_write_its_own_events_and_nobody_elses(servers: Servers, service: str, told: Told) -> None:
    async with servers.fresh(), _client(servers, service) as (client, refused):
        for other in SERVICES:
            subject = f"pager.events.{other}.routine.X.1"
            if other == service:
                assert (await client.jetstream(timeout=DEADLINE).publish(subject, b"{}")).seq == 1
            else:
                refused.clear()
                await client.publish(subject, b"{}")
                assert await _refusals(client, refused), f"{service} may publish {subject}"
                assert await _messages(servers, other.upper()) == 0
        asks = ("events", "public_events", "position", "replay", "acknowledge", "metrics")
        asked = {f"pager.rpc.{o}.{ask}" for o in SERVICES for ask in asks}
        allowed = {f"pager.rpc.{up}.position" for up in UPSTREAMS[service]}
        allowed |= {
            f"pager.rpc.{up}.{'events' if reads_all(service, up) else 'public_events'}" for up in UPSTREAMS[service]
        }
        for subject in sorted(asked - allowed):
            refused.clear()
            await client.publish(subject, b"{}")
            assert await _refusals(client, refused), f"{service} may publish {subject}"
        refused.clear()
        for subject in sorted(allowed):
            await client.publish(subject, b"{}")
        assert await _refusals(client, refused) == []
    told(Attack.BUS_WRITING, "permissions violation; nothing is stored")


@pytest.mark.parametrize("user", [*SERVICES, "gateway", "operator", "auditor"])
async def test_nobody_hears_the_answers_that_others_get(servers: Servers, user: str) -> None:
    others = [u for u in (*SERVICES, "gateway", "operator", "auditor") if u != user]
    async with _client(servers, user) as (client, refused):
        wanted = [">", "_INBOX.>", "_R_.>", *(f"_INBOX_{other}.>" for other in others)]
        for subject in wanted:
            await client.subscribe(subject)
        assert len(await _refusals(client, refused)) == len(wanted), refused


@pytest.mark.parametrize("user", [*SERVICES, "gateway", "auditor", "sender", None])
async def test_operators_alone_look_at_keys_and_rotate_them(servers: Servers, user: str | None) -> None:
    async with _client(servers, user) as (client, refused):
        for subject in ("pager.rpc.auth.signing_keys", "pager.rpc.auth.rotate_keys"):
            refused.clear()
            await client.publish(subject, b"{}")
            assert await _refusals(client, refused), f"{user} may publish {subject}"


async def test_auditors_read_events_and_change_nothing(servers: Servers) -> None:
    async with servers.fresh(), _client(servers, "auditor") as (auditor, refused):
        assert (await auditor.jetstream().stream_info("INCIDENTS")).config.name == "INCIDENTS"
        await auditor.subscribe("pager.events.>")
        assert await _refusals(auditor, refused) == []
        forbidden: list[tuple[str, Any]] = [
            ("pager.alerts.x", b"{}"),
            ("pager.rpc.incidents.replay", b"{}"),
            ("pager.events.auth.routine.X.1", b"{}"),
            ("$JS.API.STREAM.PURGE.INCIDENTS", b""),
        ]
        for subject, body in forbidden:
            refused.clear()
            await auditor.publish(subject, body)
            assert await _refusals(auditor, refused), subject


_OURS = ("pager.alerts.pager", "pager.alerts.pager.critical", "pager.alerts.pager.high", "pager.alerts.pager.x.y")


@pytest.mark.parametrize("user", [None, "gateway", "operator", "auditor"])
async def test_nobody_but_a_service_can_raise_an_alarm_of_ours(servers: Servers, user: str | None) -> None:
    async with servers.fresh(), _client(servers, user) as (client, refused):
        for subject in _OURS:
            refused.clear()
            await client.publish(subject, b'{"summary": "forged"}')
            assert await _refusals(client, refused), f"{user or 'anybody'} may publish {subject}"
            if user is None:
                # Nor by having an acknowledgement sent there, which inside our account would be stored.
                await client.publish("pager.alerts.x", b'{"summary": "x"}', reply=subject)
        await has_sent(client)
        operator = await servers.connect("operator")
        info = await operator.jetstream().stream_info("ALERTS", subjects_filter="pager.alerts.pager.>")
        await operator.close()
        assert not info.state.subjects, "something of theirs is taken for an alarm of ours"


@pytest.mark.parametrize("service", SERVICES)
async def test_every_service_can_raise_an_alarm(servers: Servers, service: str) -> None:
    async with servers.fresh(), _client(servers, service) as (client, _):
        ack = await client.jetstream(timeout=DEADLINE).publish("pager.alerts.pager.critical", b'{"summary": "x"}')
        assert (ack.stream, ack.seq) == ("ALERTS", 1)


@pytest.mark.parametrize("user", [None, *SERVICES, "gateway", "auditor", "sender"])
async def test_incidents_may_purge_alerts_and_nobody_purges_else(servers: Servers, user: str | None) -> None:
    async with servers.fresh(), _client(servers, user) as (client, refused):
        for spec in STREAMS:
            allowed = (user, spec.name) == ("incidents", "ALERTS")
            for call in ("PURGE", "DELETE", "UPDATE", "MSG.DELETE"):
                refused.clear()
                await client.publish(f"$JS.API.STREAM.{call}.{spec.name}", b'{"seq": 1}')
                expected = 0 if allowed and call == "PURGE" else 1
                assert len(await _refusals(client, refused)) == expected, f"{user}: {call} {spec.name}"


@pytest.mark.parametrize("user", [None, *SERVICES, "gateway", "auditor", "sender"])
async def test_nobody_but_incidents_proves_that_alerts_are_stored(servers: Servers, user: str | None) -> None:
    async with servers.fresh(), _client(servers, user) as (client, refused):
        await client.publish(ALERTS_PROBE, b"x")
        assert bool(await _refusals(client, refused)) == (user != "incidents")
