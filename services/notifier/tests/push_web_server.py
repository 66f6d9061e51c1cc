"""A tiny push service and a browser for the Web Push tests, on plain HTTP, answers given by the test."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Awaitable, Callable
from typing import Any

import http_ece
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.jwk import ECKey

from libs.contracts.web_push import base64url

SECRET = b"sixteen bytes !!"


class Browser:
    """Somebody's browser, which alone opens what is sealed for it."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def subscription(self, endpoint: str) -> str:
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return json.dumps({"endpoint": endpoint, "keys": {"p256dh": base64url(point), "auth": base64url(SECRET)}})

    def opened(self, body: bytes) -> Any:
        return json.loads(http_ece.decrypt(body, private_key=self._key, auth_secret=SECRET, version="aes128gcm"))


class PushService:
    """The test replaces `answer`; `requests` are the headers and the bodies that came."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answer: Callable[[int], Awaitable[web.StreamResponse]] = self.accept
        self.request: Any = None
        """The newest."""
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def accept(self, number: int) -> web.StreamResponse:
        return web.Response(status=201, headers={"Location": f"{self.url}/messages/{number}"})

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/push/{name}", self._push)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _push(self, request: web.Request) -> web.StreamResponse:
        self.request = request
        self.requests.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return await self.answer(len(self.requests))


def claims_of(authorization: str) -> tuple[str, dict[str, Any]]:
    """The key and the claims of a VAPID header, its signature checked (RFC 8292 sections 2 and 3)."""
    scheme, _, parameters = authorization.partition(" ")
    assert scheme == "vapid"
    named = dict(part.strip().split("=", 1) for part in parameters.split(","))
    raw = urlsafe_b64decode(named["k"] + "=" * (-len(named["k"]) % 4))
    key = ECKey.import_key({"kty": "EC", "crv": "P-256", "x": base64url(raw[1:33]), "y": base64url(raw[33:])})
    return named["k"], dict(jwt.decode(named["t"], key, algorithms=["ES256"]).claims)
