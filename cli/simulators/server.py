"""The simulators as one object: start it in any asyncio loop, use its environment, stop it."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from cli.simulators.apns import ApnsDoor
from cli.simulators.behaviour import BehaviourBook
from cli.simulators.certificates import CA_CERTIFICATE, server_context
from cli.simulators.config import SimulatorEnvironment, SimulatorSettings
from cli.simulators.control import ControlDoor
from cli.simulators.credentials import (
    CLIENT_EMAIL,
    PROJECT,
    VAPID_SUBJECT,
    ApnsIdentity,
    apns_identity,
    apns_key,
    browsers_secret,
    oauth_secret,
    service_account,
    vapid_key,
)
from cli.simulators.fcm import FcmDoor
from cli.simulators.http1 import Http1Connection
from cli.simulators.http2 import Http2Connection
from cli.simulators.messages import Request, Responder
from cli.simulators.oauth import TokenDoor
from cli.simulators.provider_tokens import ProviderTokens
from cli.simulators.records import PushLog
from cli.simulators.subscriptions import PUSH_PATH, Browsers
from cli.simulators.webpush import SUBSCRIBE_PATH, WebPushDoor

HOST = "127.0.0.1"
_BACKLOG = 1024


class Simulators:
    """APNs, FCM, OAuth, Web Push and control doors on loopback; `log` and `book` may be used directly in process.

    `clock` (Unix seconds) decides on the age of tokens and stamps the records.
    """

    def __init__(self, settings: SimulatorSettings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.log = PushLog(settings.capacity, settings.max_bytes)
        self.book = BehaviourBook(random.Random(settings.seed))  # noqa: S311 - no secret depends on it
        self._clock = clock
        self._control = ControlDoor(self.book, self.log, self._describe, self._subscribe)
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Transport] = set()
        self._environment: SimulatorEnvironment | None = None
        self._fcm: FcmDoor | None = None
        self._web: WebPushDoor | None = None
        self._tokens: TokenDoor | None = None

    @property
    def environment(self) -> SimulatorEnvironment:
        """Where everything is; raises RuntimeError before `start`."""
        if self._environment is None:
            raise RuntimeError("the simulators have not been started")
        return self._environment

    async def start(self) -> SimulatorEnvironment:
        """Make what is missing in the home folder, listen, write `simulator.json`.

        Raises OSError if a port that was asked for by number is taken.
        """
        home = self.settings.home.resolve()
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        loop = asyncio.get_running_loop()
        # Key generation takes up to half a second at the first start: not on the caller's loop.
        identity, key_file = await loop.run_in_executor(None, apns_identity, home)
        context = await loop.run_in_executor(None, server_context, home, self._clock())
        provider_tokens = ProviderTokens(
            apns_key(key_file),
            identity.key_id,
            identity.team_id,
            self._clock,
            self.settings.max_token_updates,
        )
        apns = ApnsDoor(identity.topic, provider_tokens, self.book, self.log, self._clock)
        old_port, old_apns_port = _earlier_ports(self.settings)
        try:
            port = await self._listen(
                lambda: Http1Connection(self._handle, self._connections), self.settings.port, old_port
            )
            apns_port = await self._listen(
                lambda: Http2Connection(apns, self._connections, self.settings.first_streams),
                self.settings.apns_port,
                old_apns_port,
                ssl=context,
            )
            await self._open_fcm(f"http://{HOST}:{port}", identity, str(key_file), apns_port)
        except BaseException:
            await self.stop()
            raise
        return self.environment

    async def _open_fcm(self, url: str, identity: ApnsIdentity, key_file: str, apns_port: int) -> None:
        home = self.settings.home.resolve()
        token_url = f"{url}/token"
        loop = asyncio.get_running_loop()
        key, credentials = await loop.run_in_executor(None, service_account, home, token_url)
        audiences = {token_url, token_url.replace(HOST, "localhost")}
        self._tokens = TokenDoor(key, CLIENT_EMAIL, oauth_secret(home), audiences, self._clock)
        self._fcm = FcmDoor(PROJECT, self._tokens, self.book, self.log, self._clock)
        self._web = WebPushDoor(url, Browsers(browsers_secret(home)), self.book, self.log, self._clock)
        self._environment = SimulatorEnvironment(
            url=url,
            fcm_credentials_file=str(credentials),
            fcm_url=url,
            fcm_token_url=token_url,
            apns_key_file=key_file,
            apns_key_id=identity.key_id,
            apns_team_id=identity.team_id,
            apns_topic=identity.topic,
            apns_url=f"https://{HOST}:{apns_port}",
            apns_ca_file=str(home / CA_CERTIFICATE),
            vapid_key_file=str(vapid_key(home)),
            vapid_subject=VAPID_SUBJECT,
            web_push_hosts=url,
        )
        self._environment.write(home)

    async def stop(self) -> None:
        """Close the ports and every connection; the record stays readable."""
        for server in self._servers:
            server.close()
        await self._control.close()
        for transport in tuple(self._connections):
            transport.abort()
        for server in self._servers:
            await server.wait_closed()
        self._servers.clear()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    def _handle(self, request: Request, responder: Responder) -> None:
        """Send one HTTP/1.1 request to its door."""
        if self._fcm is None or self._tokens is None or self._web is None:
            responder.answer(503, [], b"")
        elif request.target.startswith("/v1/projects/") and request.method == "POST":
            self._fcm(request, responder)
        elif request.target.startswith(PUSH_PATH) and request.method == "POST":
            self._web(request, responder)
        elif request.target.partition("?")[0] == "/token":
            self._tokens(request, responder)
        else:
            self._control(request, responder)

    def _subscribe(self, document: object) -> dict[str, Any] | None:
        return self._web.subscribe(document) if self._web is not None else None

    def _describe(self) -> dict[str, Any]:
        where = self.environment
        return {"apns": where.apns_url, "fcm": where.fcm_url, "webpush": f"{where.url}{SUBSCRIBE_PATH}"}

    async def _listen(self, factory: Callable[[], asyncio.Protocol], wanted: int, earlier: int, **options: Any) -> int:
        """Listen on `wanted`, else on the port of the last start if free, else on any; returns the port."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(factory, HOST, wanted or earlier, backlog=_BACKLOG, **options)
        except OSError:
            if wanted or not earlier:
                raise
            server = await loop.create_server(factory, HOST, 0, backlog=_BACKLOG, **options)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port


def _earlier_ports(settings: SimulatorSettings) -> tuple[int, int]:
    """The HTTP and APNs ports of the last start in this home, 0 where unknown."""
    try:
        last = SimulatorEnvironment.read(settings.home)
        return urlsplit(last.url).port or 0, urlsplit(last.apns_url).port or 0
    except (FileNotFoundError, json.JSONDecodeError, TypeError):
        return 0, 0
