"""Whose pages may call: those that the settings name, and the app in its own shell on a phone."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

METHODS: Final = ("GET", "POST", "PATCH", "PUT", "DELETE")
APP: Final = frozenset({"capacitor://localhost", "https://localhost"})
"""Where the app's pages are on iOS and Android. Any other app may be there as well: they get no cookies."""
_SENT: Final = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Pager-Client"),
    *("Pager-Proof", "X-API-Version", "X-Request-Id", "traceparent"),
)
_READ: Final = (
    # By `Date` the app knows how wrong its phone's clock is.
    *("Date", "ETag", "Retry-After", "X-Request-Id", "X-API-Version", "Deprecation", "Sunset", "Link"),
    *("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"),
)


class Cors:
    """Whoever is neither of the two is answered as if there were no CORS: browsers keep it from them."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(origins)
        # The only cookie is for `/api/v1/auth`, and is looked at with its Origin (`origins.py`).
        self._ours = _allowing(app, origins, cookies=True)
        self._phones = _allowing(app, tuple(APP), cookies=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin in self._origins:
            await self._ours(scope, receive, send)
        elif origin in APP:
            await self._phones(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _allowing(app: ASGIApp, origins: tuple[str, ...], *, cookies: bool) -> CORSMiddleware:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_credentials=cookies,
        allow_headers=_SENT,
        expose_headers=_READ,
    )
