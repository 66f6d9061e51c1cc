"""Somebody's browser and app, signing in at a provider: cookies are kept as browsers keep them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
from yarl import URL

from services.auth.oidc.pending import challenge_of
from tests.phone import Answer
from tests.provider.real import APP, PUBLIC_URL
from tests.world import World


@dataclass(frozen=True)
class Seen:
    """What a server has answered a browser."""

    status: int
    location: str
    text: str
    headers: Any

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.location).query))


@dataclass
class Browser:
    """`async with Browser(world) as browser`. It follows nothing by itself."""

    world: World
    public_url: str = PUBLIC_URL
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    """By server."""

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def get(self, url: str, **headers: str) -> Seen:
        """Pager's public address leads to the gateway, as through a proxy."""
        host = urlsplit(url).netloc
        jar = self.cookies.setdefault(host, {})
        if jar:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        reached = url.replace(self.public_url, self.world.gateway.url, 1)
        async with self._http.get(URL(reached, encoded=True), headers=headers, allow_redirects=False) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                for name, morsel in SimpleCookie(line).items():
                    jar[name] = morsel.value
                    if morsel["max-age"] == "0":
                        del jar[name]
            return Seen(answer.status, answer.headers.get("Location", ""), await answer.text(), answer.headers)

    async def start(self, app: App, **more: str) -> Seen:
        asked = {"deviceId": app.device_id, "redirectUri": app.redirect_uri, "codeChallenge": app.challenge} | more
        return await self.get(f"{self.public_url}/api/v1/auth/oidc/start?{urlencode(asked)}")

    async def come_back(self, **said: str) -> Seen:
        return await self.get(f"{self.public_url}/api/v1/auth/oidc/callback?{urlencode(said)}")


@dataclass(frozen=True)
class App:
    """Where a sign-in is begun, and ends."""

    world: World
    device_id: str = "eva-phone"
    redirect_uri: str = APP
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(32))

    @property
    def challenge(self) -> str:
        return challenge_of(self.verifier)

    async def fetch(self, code: str, **more: Any) -> Answer:
        return await self.world.http("POST", "/auth/oidc/token", {"code": code, "codeVerifier": self.verifier} | more)
