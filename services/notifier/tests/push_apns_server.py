"""A tiny APNs for the push tests: real TLS and HTTP/2, answers given by the test; and a client for it."""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from libs.chassis.testing.deadline import DEADLINE
from services.notifier.push.apns import ApnsClient
from services.notifier.tests.push_pages import MovableClock, pem, until

KEY = pem(ec.generate_private_key(ec.SECP256R1()))


def write_certificate(folder: Path) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1: paths of certificate (also the CA) and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "cert.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_text(pem(key))
    return str(certificate_file), str(key_file)


@dataclass
class ApnsRequest:
    headers: dict[str, str]
    connection: H2Peer
    stream_id: int
    body: bytes = b""

    @property
    def payload(self) -> dict[str, Any]:
        loaded: dict[str, Any] = json.loads(self.body)
        return loaded


@dataclass
class ApnsReply:
    """`None` for status means: no answer at all."""

    status: int | None = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


def refusal(status: int, reason: str, **more: Any) -> ApnsReply:
    return ApnsReply(status, json.dumps({"reason": reason, **more}).encode())


class H2Peer(asyncio.Protocol):
    """The server's side of one connection."""

    def __init__(self, server: ApnsServer) -> None:
        self.server = server
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.requests: dict[int, ApnsRequest] = {}
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        self.server.handshakes += 1
        self.server.peers.append(self)
        self.h2.local_settings = self.server.settings(self.h2)
        self.h2.initiate_connection()
        self.write()

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.peers.remove(self)

    def data_received(self, data: bytes) -> None:
        if self.server.frozen:
            return
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:
            self.transport.close()
            return
        for event in events:
            if isinstance(event, RequestReceived):
                headers = {str(name): str(value) for name, value in event.headers}
                self.requests[event.stream_id] = ApnsRequest(headers, self, event.stream_id)
            elif isinstance(event, DataReceived):
                self.requests[event.stream_id].body += event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                request = self.requests.pop(event.stream_id)
                self.server.requests.append(request)
                self.reply(request, self.server.answer(request))
        self.write()

    def reply(self, request: ApnsRequest, reply: ApnsReply) -> None:
        if reply.status is None:
            return
        headers = {":status": str(reply.status), "apns-id": request.headers.get("apns-id", "")} | reply.headers
        self.h2.send_headers(request.stream_id, list(headers.items()), end_stream=not reply.body)
        if reply.body:
            self.h2.send_data(request.stream_id, reply.body, end_stream=True)

    def write(self) -> None:
        self.transport.write(self.h2.data_to_send())


class ApnsServer:
    """An APNs whose answers the test chooses by replacing `answer`."""

    def __init__(self, certificate: tuple[str, str], *, window: int = 65_535, streams: int = 1000) -> None:
        self.certificate, self.key = certificate
        self.window, self.streams = window, streams
        self.answer: Callable[[ApnsRequest], ApnsReply] = lambda request: ApnsReply()
        self.requests: list[ApnsRequest] = []
        self.peers: list[H2Peer] = []
        self.handshakes = 0
        self.frozen = False
        self.port = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def settings(self, connection: H2Connection) -> Any:
        wanted = connection.local_settings
        wanted[SettingCodes.MAX_CONCURRENT_STREAMS] = self.streams
        wanted[SettingCodes.INITIAL_WINDOW_SIZE] = self.window
        wanted.acknowledge()
        return wanted

    async def start(self) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.certificate, self.key)
        context.set_alpn_protocols(["h2"])
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: H2Peer(self), "127.0.0.1", self.port, ssl=context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for peer in list(self.peers):
            peer.transport.abort()
        await until(lambda: not self.peers)
        self._server = None


@asynccontextmanager
async def client_of(server: ApnsServer, **changes: Any) -> AsyncIterator[ApnsClient]:
    values: dict[str, Any] = {
        "key": KEY,
        "key_id": "KEY1234567",
        "team_id": "TEAM123456",
        "topic": "com.example.pager",
        "url": server.url,
        "ca_file": server.certificate,
        "clock": MovableClock(),
        "connections": 1,
        "timeout": 2 * DEADLINE,
    }
    client = ApnsClient(**(values | changes))
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def first(count: int, reply: ApnsReply) -> Callable[[ApnsRequest], ApnsReply]:
    """Answer `reply` to the first `count` requests, then accept."""
    seen = itertools.count(1)
    return lambda request: reply if next(seen) <= count else ApnsReply()
