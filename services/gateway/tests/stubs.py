"""Stub services on a real NATS server: they answer what a test says, and remember what they were asked."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import nats
from joserfc import jwt
from joserfc.jwk import RSAKey
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from libs.chassis.bus.sending import has_sent
from libs.chassis.requests.callers import AUDIENCE, ISSUER
from libs.chassis.testing.clock import MovableClock
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.contracts.auth import SessionEnded
from libs.contracts.codec import CODEC
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.model import Contract, Lane, Role
from libs.contracts.requests import Refusal, Reply
from libs.contracts.subjects import event_subject, rpc_subject, stream_of
from services.gateway.built import FOLDER
from services.gateway.main import Gateway
from services.gateway.settings import Settings
from tests.patience import be_patient

USER = UUID("550e8400-e29b-41d4-a716-446655440000")
be_patient()


@cache
def _key() -> RSAKey:
    """Made for the first test that needs it, which most runs have none of."""
    return RSAKey.generate_key(2048, {"kid": "one"})


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@asynccontextmanager
async def nats_server(port: int = 0) -> AsyncIterator[str]:
    """The URL of a server of our own, with the streams that a gateway reads; port 0 is any free one."""
    program = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or "nats-server"
    with tempfile.TemporaryDirectory() as folder:
        options = ("-a", "127.0.0.1", "-p", str(port or -1), "--ports_file_dir", folder, "-js", "-sd", folder)
        process = await asyncio.create_subprocess_exec(program, *options, stderr=asyncio.subprocess.DEVNULL)
        try:
            url = await _where(Path(folder) / f"{Path(program).name}_{process.pid}.ports")
            client = await connected(url)
            for service in ("auth", "incidents", "escalation"):
                subjects = [f"pager.events.{service}.>"]
                await client.jetstream().add_stream(name=stream_of(service), subjects=subjects)
            await client.close()
            yield url
        finally:
            process.terminate()
            await process.wait()


async def _where(file: Path) -> str:
    """What a server says of where it listens: a port that was chosen for it might be somebody else's by then."""
    async with in_time():
        while True:
            with suppress(OSError, ValueError):
                return str(json.loads(await asyncio.to_thread(file.read_text))["nats"][0])
            await asyncio.sleep(0.01)


@dataclass(frozen=True)
class Asked:
    """A request as it arrived at a service."""

    body: Any
    headers: Mapping[str, str]


@dataclass
class Stubs:
    """The services: only operations that a test has set have a responder."""

    client: Client
    asked: dict[str, list[Asked]] = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    _subscriptions: list[Subscription] = field(default_factory=list)

    async def answer(self, operation: str, data: Any = None, *, refusal: Refusal | None = None) -> None:
        """`operation` as `incidents.get`; with `refusal` it refuses."""
        await self.answer_raw(operation, Reply(ok=refusal is None, data=data, error=refusal).to_json())

    async def answer_raw(self, operation: str, raw: bytes | None, *, when: asyncio.Event | None = None) -> None:
        """Answer these bytes (None: never), once `when` is set."""

        async def respond(message: Msg) -> None:
            asked = Asked(json.loads(message.data), dict(message.headers or {}))
            self.asked.setdefault(operation, []).append(asked)
            if when is not None:
                await when.wait()
            if raw is not None:
                await message.respond(raw)
            self.answered.set()

        self._subscriptions.append(await self.client.subscribe(rpc_subject(*operation.split(".")), cb=respond))
        await has_sent(self.client)

    async def reply(self, operation: str, answer: Callable[[Any], Awaitable[Reply]]) -> None:
        """What `answer` makes of each body."""

        async def respond(message: Msg) -> None:
            await message.respond((await answer(json.loads(message.data))).to_json())

        self._subscriptions.append(await self.client.subscribe(rpc_subject(*operation.split(".")), cb=respond))
        await has_sent(self.client)

    async def hold(self, operation: str) -> list[Msg]:
        """What arrives for `operation`, to be answered when the test says so."""
        held: list[Msg] = []

        async def take(message: Msg) -> None:
            held.append(message)

        self._subscriptions.append(await self.client.subscribe(rpc_subject(*operation.split(".")), cb=take))
        await has_sent(self.client)
        return held

    async def keys(self) -> None:
        await self.answer("auth.keys", {"keys": [_key().as_dict(private=False, use="sig", alg="RS256")]})

    async def end_session(self, clock: MovableClock, session_id: UUID = USER) -> None:
        """Auth says that a session is over, for good; unless it is said which, that of `World.token`."""
        event = Envelope[SessionEnded](
            id=uuid4(),
            type=SessionEnded.type,
            time=clock.now(),
            entity=session_id,
            version=2,
            lane=Lane.ROUTINE,
            actor=Actor.service("auth"),
            correlation_id=uuid4(),
            data=SessionEnded(user_id=USER, session_id=session_id, reason="signed out"),
        )
        subject = event_subject(event.type, Lane.ROUTINE, session_id)
        await self.client.jetstream().publish(subject, CODEC.encode(event))

    async def forget(self) -> None:
        for subscription in self._subscriptions:
            await subscription.unsubscribe()
        await has_sent(self.client)
        self._subscriptions.clear()
        self.asked.clear()
        self.answered.clear()

    def body(self, operation: str) -> Any:
        return self.asked[operation][-1].body


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def error(self) -> Any:
        assert self.json["success"] is False
        return self.json["error"]


@dataclass
class World:
    """A gateway, its stub services and an HTTP client."""

    gateway: Gateway
    stubs: Stubs
    http: aiohttp.ClientSession
    clock: MovableClock

    def token(self, *, role: Role = Role.ADMIN, minutes: float = 15, user: UUID = USER, **more: Any) -> str:
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "jti": str(uuid4()),
            "iat": int(self.clock.now().timestamp() + min(minutes - 1, 0) * 60),
            "use": "access",
            "sub": str(user),
            "sid": str(USER),
            "did": "phone",
            "roles": [str(role)],
            "exp": int(self.clock.now().timestamp() + minutes * 60),
        }
        return jwt.encode({"alg": "RS256", "kid": "one"}, claims | more, _key())

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        token: str | None = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`token` "" takes a good one, None none. `raw` is sent as JSON as it is."""
        sent = {"Authorization": f"Bearer {token or self.token()}"} if token is not None else {}
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        if data is not None:
            sent["Content-Type"] = "application/json"
        url = self.gateway.url + path
        async with self.http.request(
            method, url, data=data and BytesIO(data), headers=sent | dict(headers or {})
        ) as response:
            return Answer(response.status, response.headers, await response.read())


@asynccontextmanager
async def world(*, app: Path = FOLDER, **overrides: Any) -> AsyncIterator[World]:
    """Everything that a test needs, with auth's keys already published; `app`: where the built app is."""
    clock = MovableClock()
    async with nats_server() as url:
        client = await connected(url)
        settings = Settings.load(nats_url=url, port=0, **overrides)
        async with Gateway(settings, clock, app) as gateway, aiohttp.ClientSession() as http:
            yield World(gateway, Stubs(client), http, clock)
        await client.close()


async def connected(url: str) -> Client:
    deadline = asyncio.get_running_loop().time() + DEADLINE
    while True:
        try:
            return await nats.connect(url, allow_reconnect=False, reconnect_time_wait=0.01, error_cb=_quiet)
        except OSError:
            assert asyncio.get_running_loop().time() < deadline, "NATS did not start"
            await asyncio.sleep(0.01)


async def _quiet(_error: Exception) -> None:
    """nats-py prints every failed attempt otherwise."""


def json_of(view: Contract) -> Any:
    return json.loads(view.to_json())
