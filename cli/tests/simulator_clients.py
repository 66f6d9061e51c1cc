"""Real clients for the push simulators: HTTP/2 on the `h2` library, HTTP/1.1 on aiohttp."""

import asyncio
import json
import ssl
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
from aiohttp import ClientSession
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from cli.simulators import SimulatorEnvironment, Simulators
from cli.simulators.oauth import GRANT_TYPE, SCOPE
from libs.chassis.testing.deadline import DEADLINE

DEVICE = "ab" * 32
PAGE = {"aps": {"alert": {"title": "db down"}, "sound": {"critical": 1, "name": "page.caf", "volume": 1.0}}}


class Clock:
    """A clock that tests move by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@dataclass
class Answer:
    """What came back for one stream; `error` is the code of a RST_STREAM."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: int | None = None

    @property
    def reason(self) -> str:
        return str(json.loads(self.body)["reason"])


class ApnsClient:
    """One HTTP/2 connection to the APNs door."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, windows: bool) -> None:
        self._reader, self._writer = reader, writer
        self._credits_windows = windows
        self.connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._answers: dict[int, tuple[Answer, asyncio.Future[Answer]]] = {}
        self.goaway: h2.events.ConnectionTerminated | None = None
        self.lost: BaseException | None = None
        self._task = asyncio.create_task(self._read())
        self.connection.initiate_connection()
        self._flush()

    def _flush(self) -> None:
        self._writer.write(self.connection.data_to_send())

    async def _read(self) -> None:
        try:
            while data := await self._reader.read(65_536):
                for event in self.connection.receive_data(data):
                    self._on(event)
                self._flush()
            self._fail(ConnectionError("closed"))
        except OSError as fault:
            self._fail(fault)

    def _fail(self, fault: BaseException) -> None:
        self.lost = fault
        for _, future in self._answers.values():
            if not future.done():
                future.set_exception(fault)

    def _on(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived():
                headers = {str(name): str(value) for name, value in event.headers}
                answer = self._answers[event.stream_id][0]
                answer.status, answer.headers = int(headers[":status"]), headers
            case h2.events.DataReceived():
                self._answers[event.stream_id][0].body += event.data
                if self._credits_windows:
                    self.connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.StreamEnded():
                answer, future = self._answers[event.stream_id]
                future.set_result(answer)
            case h2.events.StreamReset():
                answer, future = self._answers[event.stream_id]
                answer.error = event.error_code
                future.set_result(answer)
            case h2.events.ConnectionTerminated():
                self.goaway = event

    def credit_windows(self, size: int) -> None:
        """Give the server room for `size` more bytes of bodies."""
        self._credits_windows = True
        self.connection.increment_flow_control_window(size)
        self._flush()

    def start(
        self, headers: list[tuple[str, str]], body: bytes, path: str, method: str = "POST"
    ) -> asyncio.Future[Answer]:
        """Send one request; the future has its answer or the loss of the connection."""
        stream_id = self.connection.get_next_available_stream_id()
        pseudo = [(":method", method), (":scheme", "https"), (":authority", "127.0.0.1"), (":path", path)]
        self.connection.send_headers(stream_id, pseudo + headers, end_stream=not body)
        if body:
            self.connection.send_data(stream_id, body, end_stream=True)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[stream_id] = (Answer(), future)
        self._flush()
        return future

    async def close(self) -> None:
        self._task.cancel()
        self._writer.transport.abort()
        await asyncio.gather(self._task, return_exceptions=True)


@asynccontextmanager
async def apns_client(where: SimulatorEnvironment, windows: bool = True) -> AsyncIterator[ApnsClient]:
    """A connected client; without `windows` it never credits received bodies."""
    context = ssl.create_default_context(cafile=where.apns_ca_file)
    context.set_alpn_protocols(["h2"])
    url = urlsplit(where.apns_url)
    client = ApnsClient(*await asyncio.open_connection(url.hostname, url.port, ssl=context), windows=windows)
    try:
        yield client
    finally:
        await client.close()


def provider_token(where: SimulatorEnvironment, issued: float, key: ECKey | None = None, **header: str) -> str:
    """A provider token; `key` and `header` make it wrong on purpose."""
    signer = key or ECKey.import_key(Path(where.apns_key_file).read_bytes())
    claims = {"iss": where.apns_team_id, "iat": int(issued)}
    return jwt.encode({"alg": "ES256", "kid": where.apns_key_id} | header, claims, signer)


class Apns:
    """Sends pushes that are right except for what a test changes."""

    def __init__(self, client: ApnsClient, where: SimulatorEnvironment, clock: Clock) -> None:
        self.client = client
        token = provider_token(where, clock.now)
        self.headers = {
            "authorization": f"bearer {token}",
            "apns-topic": where.apns_topic,
            "apns-push-type": "alert",
            "apns-priority": "10",
            "apns-expiration": "0",
            "apns-collapse-id": "incident-1",
        }

    def start(
        self,
        body: bytes | None = None,
        device: str = DEVICE,
        path: str | None = None,
        method: str = "POST",
        **changes: str | None,
    ) -> asyncio.Future[Answer]:
        """`changes` replaces headers (`_` for `-`), None leaves one out."""
        headers = {**self.headers, "apns-id": str(uuid.uuid4())}
        headers |= {name.replace("_", "-"): value for name, value in changes.items()}  # type: ignore[misc]
        sent = [(name, value) for name, value in headers.items() if value is not None]
        payload = json.dumps(PAGE).encode() if body is None else body
        return self.client.start(sent, payload, path or f"/3/device/{device}", method)

    async def push(self, body: bytes | None = None, **changes: Any) -> Answer:
        return await asyncio.wait_for(self.start(body, **changes), DEADLINE)


def assertion(where: SimulatorEnvironment, now: float, key: RSAKey | None = None, **changes: Any) -> dict[str, str]:
    """The form of a token request; `changes` replaces claims."""
    account = json.loads(Path(where.fcm_credentials_file).read_bytes())
    claims = {
        "iss": account["client_email"],
        "scope": SCOPE,
        "aud": account["token_uri"],
        "iat": int(now),
        "exp": int(now) + 3600,
    }
    signer = key or RSAKey.import_key(account["private_key"])
    return {"grant_type": GRANT_TYPE, "assertion": jwt.encode({"alg": "RS256"}, claims | changes, signer)}


class Fcm:
    """Sends messages that are right except for what a test changes."""

    def __init__(self, http: ClientSession, simulators: Simulators, clock: Clock) -> None:
        self.http, self.where, self.clock = http, simulators.environment, clock
        self.token = ""

    async def authorize(self) -> None:
        async with self.http.post(self.where.fcm_token_url, data=assertion(self.where, self.clock.now)) as answer:
            assert answer.status == 200, await answer.text()
            self.token = (await answer.json())["access_token"]

    async def send(self, project: str = "pager-simulator", **changes: Any) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON body, headers; `changes` replaces fields of the message."""
        message = {
            "token": "phone-1",
            "data": {"notificationId": "n1"},
            "android": {"priority": "HIGH", "ttl": "300s", "direct_boot_ok": True},
        }
        return await self.post({"message": message | changes}, project)

    async def post(self, document: Any, project: str = "pager-simulator") -> tuple[int, Any, dict[str, str]]:
        url = f"{self.where.fcm_url}/v1/projects/{project}/messages:send"
        headers = {"authorization": f"Bearer {self.token}"}
        async with self.http.post(url, json=document, headers=headers) as answer:
            lowered = {name.lower(): value for name, value in answer.headers.items()}
            return answer.status, await answer.json(), lowered
