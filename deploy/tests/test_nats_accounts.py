"""The accounts that the chart declares, in a nats-server that somebody else runs, with TLS."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import nats
import pytest
from nats.aio.client import Client

from cli.console.failure import Failure
from cli.deployment.bus import USERS, accounts_by_reference, server_environment
from cli.deployment.installation import Addresses, Installation
from cli.embedded.ports import free_port
from cli.reach import streams
from cli.reach.bus import connected, publish_alert
from cli.simulators.certificates import CA_CERTIFICATE, server_context
from deploy.check.chart import CHART, rendered
from deploy.tests.containers import start_nats
from libs.chassis.tls import tls_options

TLS = """
port: {port}
host: "127.0.0.1"
jetstream {{ store_dir: "{folder}/store", max_file_store: 100G }}
tls {{ cert_file: "{folder}/apns-server.pem", key_file: "{folder}/apns-server.pem", handshake_first: auto }}
include "accounts.conf"
"""


@dataclass
class Bus:
    installation: Installation
    authority: str

    async def connect(self, user: str, **changed: str) -> Client:
        url = self.installation.nats_url(user).replace("tls://", changed.get("scheme", "tls://"))
        options = tls_options(url, changed.get("authority", self.authority) or None)
        return await nats.connect(
            url, inbox_prefix=f"_INBOX_{user}", allow_reconnect=False, connect_timeout=2, **options
        )


@pytest.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    """A server as an operator would configure it: the chart's file included, passwords in its environment."""
    server_context(tmp_path, time.time())
    port = free_port()
    installation = Installation.at(tmp_path / "state", Addresses("unused", f"tls://localhost:{port}"), {})
    config = rendered("default").named("ConfigMap", "pager-nats-accounts")["data"]["accounts.conf"]
    (tmp_path / "accounts.conf").write_text(config)
    variables = server_environment(dict(installation.credentials.nats))
    server = start_nats(tmp_path, TLS.format(port=port, folder=tmp_path), **variables)
    monkeypatch.setenv("PAGER_NATS_CA_FILE", str(tmp_path / CA_CERTIFICATE))
    try:
        for _ in range(100):
            try:
                async with connected(installation.nats_url("operator")):
                    break
            except Failure:
                assert server.poll() is None, (tmp_path / "nats.log").read_text()
                await asyncio.sleep(0.1)
        yield Bus(installation, str(tmp_path / CA_CERTIFICATE))
    finally:
        server.terminate()
        server.wait(10)


def test_the_charts_file_is_what_the_code_says() -> None:
    message = "pager deploy-config nats-accounts > deploy/helm/pager/files/nats-accounts.conf"
    assert (CHART / "files" / "nats-accounts.conf").read_text() == accounts_by_reference(), message


def test_the_charts_file_holds_names_of_variables_and_no_password() -> None:
    text = accounts_by_reference()
    for user in USERS:
        assert f'"password": $PAGER_NATS_PASSWORD_{user.upper()}' in text
    assert "anonymous" not in text
    assert "no_auth_user" not in text


async def test_every_user_signs_in_over_tls_and_the_operator_declares_the_streams(bus: Bus) -> None:
    for user in USERS:
        await (await bus.connect(user)).close()
    declared = await streams.declare_at(bus.installation.nats_url("operator"))
    assert set(declared.values()) == {"created"}


async def test_a_sender_gets_an_acknowledgement_and_hears_nothing_else(bus: Bus) -> None:
    await streams.declare_at(bus.installation.nats_url("operator"))
    async with connected(bus.installation.nats_url("sender")) as sender:
        assert (await publish_alert(sender, "pager.alerts.test", b'{"summary": "x"}', {}))["stream"] == "ALERTS"
    refused: list[str] = []
    heard = asyncio.Event()

    async def on_error(error: Exception) -> None:
        refused.append(str(error))
        heard.set()

    url = bus.installation.nats_url("sender")
    client = await nats.connect(url, error_cb=on_error, allow_reconnect=False, **tls_options(url, bus.authority))
    await client.subscribe("pager.events.>")
    await asyncio.wait_for(heard.wait(), 5)
    assert "permissions violation" in refused[0].lower()
    await client.close()


async def test_nobody_connects_without_a_password(bus: Bus) -> None:
    url = bus.installation.addresses.nats
    with pytest.raises(nats.errors.Error):
        await nats.connect(url, allow_reconnect=False, **tls_options(url, bus.authority))


async def test_an_unknown_authority_is_refused_before_the_password_is_sent(bus: Bus) -> None:
    with pytest.raises((ssl.SSLError, nats.errors.Error)):
        await bus.connect("auth", authority="")


async def test_a_server_without_tls_is_told_nothing(tmp_path: Path) -> None:
    told = bytearray()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","max_payload":1048576,"headers":true}\r\n')
        told.extend(await reader.read(4096))
        writer.close()

    server = await asyncio.start_server(plain, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    url = f"tls://auth:secret-word@127.0.0.1:{port}"
    with pytest.raises((OSError, TimeoutError, nats.errors.Error)):
        await nats.connect(url, allow_reconnect=False, connect_timeout=2, **tls_options(url, None))
    server.close()
    await server.wait_closed()
    assert b"secret-word" not in told
    assert told[:1] == b"\x16", "a handshake of TLS comes first"
