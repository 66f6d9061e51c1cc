"""The embedded NATS server with real clients: what is stored survives, and what is forbidden does not happen."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats
import psutil
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import NoRespondersError
from nats.errors import TimeoutError as NatsTimeout
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamConfig
from nats.js.errors import NoStreamResponseError

from cli.embedded import EmbeddedNats, Home, StartError
from cli.embedded.account import Account
from cli.embedded.nats_accounts import inbox_prefix
from libs.chassis.bus.sending import has_sent
from libs.chassis.testing.deadline import DEADLINE


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Poll until the condition holds; fails after 5 s."""
    deadline = time.monotonic() + DEADLINE
    while True:
        held = condition()
        if await held if isinstance(held, Awaitable) else held:
            return
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


class Session:
    """A client that remembers what the server refused."""

    def __init__(self) -> None:
        self.client = Client()
        self.refusals: list[str] = []

    async def on_error(self, error: Exception) -> None:
        self.refusals.append(str(error).lower())

    async def is_refused(self, what: str) -> None:
        await eventually(lambda: any("permissions violation" in text and what in text for text in self.refusals))


@asynccontextmanager
async def connected(server: EmbeddedNats, user: str = "anonymous") -> AsyncIterator[Session]:
    session = Session()
    name, password = (None, None) if user == "anonymous" else server.credentials(user)
    await session.client.connect(
        server.url,
        user=name,
        password=password,
        inbox_prefix=inbox_prefix(user),
        error_cb=session.on_error,
        allow_reconnect=False,
        connect_timeout=int(DEADLINE),
    )
    try:
        yield session
    finally:
        await session.client.close()


@pytest.fixture
def home() -> Iterator[Home]:
    with Home.temporary() as home:
        yield home


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[EmbeddedNats]:
    with Home.temporary() as home:
        async with EmbeddedNats(home) as server:
            async with connected(server, "operator") as operator:
                jetstream = operator.client.jetstream()
                await jetstream.add_stream(StreamConfig(name="ALERTS", subjects=["pager.alerts.>"]))
                await jetstream.add_stream(StreamConfig(name="INCIDENTS", subjects=["pager.events.incidents.>"]))
            yield server


async def stored(server: EmbeddedNats, stream: str) -> int:
    async with connected(server, "operator") as operator:
        return (await operator.client.jetstream().stream_info(stream)).state.messages


async def test_an_anonymous_sender_publishes_an_alert_and_gets_a_pub_ack(server: EmbeddedNats) -> None:
    before = await stored(server, "ALERTS")
    async with connected(server) as sender:
        reply = await sender.client.request("pager.alerts.shop", b'{"summary": "db down"}', timeout=DEADLINE)
    assert b'"stream":"ALERTS"' in reply.data
    assert await stored(server, "ALERTS") == before + 1


@pytest.mark.parametrize("subject", [">", "pager.>", "pager.alerts.>", "pager.events.>", "$JS.>"])
async def test_an_anonymous_sender_hears_nothing_of_ours(server: EmbeddedNats, subject: str) -> None:
    async with connected(server) as sender:
        await sender.client.subscribe(subject)
        await sender.is_refused(f'subscription to "{subject.lower()}"')


@pytest.mark.parametrize("subject", ["pager.events.incidents.urgent.X.1", "pager.rpc.auth.keys", "$JS.API.INFO"])
async def test_an_anonymous_sender_publishes_nothing_but_alerts(server: EmbeddedNats, subject: str) -> None:
    async with connected(server) as sender:
        await sender.client.publish(subject, b"{}")
        await sender.is_refused(f'publish to "{subject.lower()}"')


async def test_an_anonymous_reply_subject_writes_nothing_into_our_streams(server: EmbeddedNats) -> None:
    alerts, incidents = await stored(server, "ALERTS"), await stored(server, "INCIDENTS")
    async with connected(server, "incidents") as service, connected(server) as sender:
        handled: list[bytes] = []

        async def handle(message: Msg) -> None:
            handled.append(message.data)

        await service.client.subscribe("pager.rpc.incidents.>", cb=handle)
        await has_sent(service.client)
        await sender.client.publish("pager.alerts.shop", b"{}", reply="pager.events.incidents.X")
        await sender.client.publish("pager.alerts.shop", b"{}", reply="pager.rpc.incidents.acknowledge")
        # A third alert is answered only after the first two: what they caused has happened by then.
        await sender.client.request("pager.alerts.shop", b"{}", timeout=DEADLINE)
        await has_sent(service.client)
    assert await stored(server, "ALERTS") == alerts + 3
    assert await stored(server, "INCIDENTS") == incidents
    assert handled == []


async def test_an_anonymous_listener_sees_nothing_but_pub_acks(server: EmbeddedNats) -> None:
    async with (
        connected(server) as listener,
        connected(server) as sender,
        connected(server, "operator") as operator,
    ):
        inboxes = await listener.client.subscribe("_INBOX.>")
        await has_sent(listener.client)
        await operator.client.jetstream().stream_info("INCIDENTS")
        with pytest.raises(NoRespondersError):
            await operator.client.request("pager.rpc.incidents.get", b"{}", timeout=DEADLINE)
        await sender.client.request("pager.alerts.shop", b"{}", timeout=DEADLINE)
        message = await inboxes.next_msg(timeout=DEADLINE)
        assert b'"stream":"ALERTS"' in message.data
        with pytest.raises(NatsTimeout):
            await inboxes.next_msg(timeout=0.05)


async def test_a_service_cannot_publish_events_of_another(server: EmbeddedNats) -> None:
    before = await stored(server, "INCIDENTS")
    async with connected(server, "escalation") as service:
        await service.client.publish("pager.events.incidents.urgent.X.1", b"{}")
        await service.is_refused('publish to "pager.events.incidents.urgent.x.1"')
    assert await stored(server, "INCIDENTS") == before


async def test_a_service_publishes_its_events_and_those_downstream_read_them(server: EmbeddedNats) -> None:
    async with connected(server, "incidents") as writer, connected(server, "escalation") as reader:
        writing, reading = writer.client.jetstream(), reader.client.jetstream()
        ack = await writing.publish("pager.events.incidents.urgent.X.1", b"event")
        config = ConsumerConfig(
            name="downstream",
            ack_policy=AckPolicy.NONE,
            mem_storage=True,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=ack.seq,
            filter_subject="pager.events.incidents.urgent.>",
        )
        made = await reading.add_consumer("INCIDENTS", config)
        pull = await reading.pull_subscribe_bind(made.name, "INCIDENTS")
        assert (await pull.fetch(1, timeout=DEADLINE))[-1].data == b"event"
        assert await reading.delete_consumer("INCIDENTS", made.name)
        await pull.unsubscribe()
    assert not writer.refusals
    assert not reader.refusals


async def test_a_request_of_the_gateway_is_answered_by_the_service(server: EmbeddedNats) -> None:
    async with connected(server, "incidents") as service, connected(server, "gateway") as gateway:

        async def answer(message: Msg) -> None:
            await message.respond(b"found")

        await service.client.subscribe("pager.rpc.incidents.get", queue="incidents", cb=answer)
        await has_sent(service.client)
        assert (await gateway.client.request("pager.rpc.incidents.get", b"{}", timeout=DEADLINE)).data == b"found"
    assert not service.refusals


async def test_an_auditor_reads_events_and_writes_none(server: EmbeddedNats) -> None:
    async with connected(server, "auditor") as auditor:
        await auditor.client.jetstream().stream_info("INCIDENTS")
        await auditor.client.publish("pager.events.incidents.urgent.X.1", b"{}")
        await auditor.is_refused("publish to")
        with pytest.raises((NatsTimeout, NoStreamResponseError)):
            await auditor.client.jetstream(timeout=0.1).purge_stream("INCIDENTS")


async def test_without_anonymous_senders_a_password_is_needed(home: Home) -> None:
    async with EmbeddedNats(home, anonymous=False) as server:
        with pytest.raises(nats.errors.Error):
            async with connected(server):
                pass
        async with connected(server, "operator") as operator:
            assert operator.client.is_connected


async def test_stored_alerts_survive_a_stop_a_restart_and_a_crash(home: Home) -> None:
    async with EmbeddedNats(home, monitoring=True) as server:
        assert server.monitoring_url is not None
        port, first_pid = server.port, server.pid
        async with connected(server, "operator") as operator:
            await operator.client.jetstream().add_stream(StreamConfig(name="ALERTS", subjects=["pager.alerts.>"]))
            await operator.client.jetstream().publish("pager.alerts.shop", b"1")
            await server.kill()
        assert await server.wait() == -9
        await server.restart()
        assert (server.port, server.pid != first_pid) == (port, True)
        assert await stored(server, "ALERTS") == 1
        await server.restart()
        assert await stored(server, "ALERTS") == 1
    assert not psutil.pid_exists(server.pid)
    async with EmbeddedNats(home, port=port) as server:
        assert server.port == port
        assert await stored(server, "ALERTS") == 1


async def test_a_taken_port_is_one_clear_line_and_leaves_the_home_free(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"^PAGER_NATS_PORT: port {port} .* choose another") as caught:
            await EmbeddedNats(home, port=port).start()
    assert "\n" not in str(caught.value)
    with Home(home.path).hold():
        pass


async def test_passwords_are_on_no_command_line(server: EmbeddedNats) -> None:
    command = " ".join(psutil.Process(server.pid).cmdline())
    assert not any(server.credentials(user)[1] in command for user in ("operator", "auth"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another account")
async def test_a_program_that_the_account_cannot_reach_is_copied(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Account.version_of
    programs = home.path / "programs"
    home.prepare()

    def version_of(self: Account, program: Path) -> str | None:
        return real(self, program) if not self.switched or programs in program.parents else None

    monkeypatch.setattr(Account, "version_of", version_of)
    monkeypatch.setattr("cli.embedded.places.PROGRAMS", programs)
    async with EmbeddedNats(home) as server:
        executable = Path(psutil.Process(server.pid).exe())
        assert programs in executable.parents
    assert {path.lstat().st_uid for path in programs.rglob("*")} == {0}
