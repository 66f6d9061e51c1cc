"""A provider whose tokens are whatever a test makes of them; it says of itself, and of its keys, what it is told."""

from __future__ import annotations

import asyncio
import hmac
import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import unquote_plus

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from libs.chassis.clock import Clock
from tests.provider.real import APP

CLIENT_ID = "pager"
SECRET = "of the forger"
KEY = RSAKey.generate_key(2048, {"kid": "one"})
OTHER = RSAKey.generate_key(2048, {"kid": "two"})
CURVE = ECKey.generate_key("P-256", {"kid": "curve"})

Forge = Callable[[dict[str, Any]], str]


class Forger:
    """`async with Forger() as forger`. What it answers is public, and a test changes it."""

    def __init__(self) -> None:
        self.clock: Clock | None = None
        self.nonce = ""
        self.claims: dict[str, Any] = {}
        """Beside those of a good token, or in their place; None leaves one out."""
        self.forge: Forge = signed
        self.userinfo: dict[str, Any] | None = None
        self.metadata: dict[str, Any] = {}
        self.keys = [KEY.as_dict(private=False), CURVE.as_dict(private=False)]
        self.answers: dict[str, Callable[[], web.Response]] = {}
        """Instead of what it would answer, by path."""
        self.goes_on = asyncio.Event()
        """Cleared, it answers nothing."""
        self.goes_on.set()
        self.asked: list[tuple[str, dict[str, str]]] = []
        """Paths and forms, with what a header said of the client."""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.issuer = self._runner.addresses[0] and f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.goes_on.set()
        await self._runner.cleanup()

    def settings(self, **more: str) -> dict[str, str]:
        given = {
            "oidc_issuer": self.issuer,
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SECRET,
            "oidc_redirect_uris": APP,
            "oidc_group_roles": '{"everybody": "user", "bosses": "admin"}',
        }
        return given | more

    def asked_of(self, path: str) -> list[dict[str, str]]:
        return [form for asked, form in self.asked if asked == path]

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        scheme, _, word = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = b64decode(word).decode().partition(":")
            form |= {"basic": unquote_plus(name), "basic_secret": unquote_plus(secret)}
        self.asked.append((request.path, form))
        await self.goes_on.wait()
        if request.path in self.answers:
            return self.answers[request.path]()
        match request.path:
            case "/.well-known/openid-configuration":
                return web.json_response(self._metadata())
            case "/keys":
                return web.json_response({"keys": self.keys})
            case "/token":
                access = "an access token"
                return web.json_response({"id_token": self.forge(self._good()), "access_token": access})
            case "/userinfo":
                return web.json_response(self.userinfo)
        return web.Response(status=404)

    def _metadata(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize?tenant=one",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return said | ({"userinfo_endpoint": f"{self.issuer}/userinfo"} if self.userinfo else {}) | self.metadata

    def _good(self) -> dict[str, Any]:
        assert self.clock is not None
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": "eva-at-the-provider",
            "aud": CLIENT_ID,
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
            "email": "eva@pager.test",
            "email_verified": True,
            "given_name": "Eva",
            "family_name": "Ek",
            "groups": ["everybody"],
        }
        return {name: value for name, value in (claims | self.claims).items() if value is not None}


def signed(claims: dict[str, Any], key: Any = KEY, algorithm: str = "RS256", **header: Any) -> str:
    """A token as a provider makes it; `header` goes over what it would say, None leaves something out."""
    said = {"alg": algorithm, "kid": key.kid} | header
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, claims, key, algorithms=[algorithm])


def by_hand(claims: dict[str, Any], header: dict[str, Any], secret: bytes | None) -> str:
    """A token that no library would make; `secret`: of an HMAC, None for no signature."""
    text = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{_base64(hmac.digest(secret, text.encode(), 'sha256')) if secret is not None else ''}"


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode("ascii").rstrip("=")
