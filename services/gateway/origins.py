"""Whose pages may use a browser's cookies: ours, and those that the settings name."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from services.gateway.envelope import Problem
from services.gateway.settings import Settings, is_loopback

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Origins:
    """Every browser says with a POST whose page asks (`Origin`; RFC 6454, section 7), and no page can change that."""

    allowed: frozenset[str]
    is_local: bool
    """People reach us on this machine only: then under any of its names that they are using."""

    @classmethod
    def of(cls, settings: Settings) -> Origins:
        public = () if settings.public_url is None else (settings.public_url,)
        return cls(frozenset(map(_origin, (*public, *settings.origins))), settings.is_local)

    def check(self, request: HTTPConnection) -> None:
        """Raises Problem 403: the page is somebody else's, or nobody says whose it is."""
        given = request.headers.getlist("origin")
        if len(given) != 1 or not (given[0].lower() in self.allowed or self._is_here(given[0], request)):
            raise Problem("FORBIDDEN", "this needs an Origin that PAGER_PUBLIC_URL or PAGER_CORS_ORIGINS name")

    def _is_here(self, origin: str, request: HTTPConnection) -> bool:
        # Of another port is another program's page, and the browser would send it our cookies.
        host = request.headers.get("host", "").lower()
        is_ours = self.is_local and is_loopback(urlsplit(f"//{host}").hostname or "")
        return is_ours and origin.lower() == f"http://{host}"


def _origin(url: str) -> str:
    """As browsers write it: in small letters, without a default port."""
    parts = urlsplit(url.lower())
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    port = f":{parts.port}" if parts.port not in (None, _PORTS.get(parts.scheme)) else ""
    return f"{parts.scheme}://{host}{port}"
