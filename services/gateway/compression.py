"""gzip, for what is read and holds no secret (docs/adr/0071)."""

from __future__ import annotations

from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from services.gateway import accepting

SMALLEST: Final = 1024
"""Bytes: what is shorter travels in one packet either way."""
_LEVEL: Final = 4
"""Half the time of gzip's own 6 for a few percent more bytes; long ones (128 KiB) are compressed in a thread."""
_NEVER: Final = ("/api/v1/auth", "/api/v1/users/me/export", "/app/")
"""What is behind a cookie, where somebody else's page could make a browser ask; what is sent on as it comes; and the
app's files, which were compressed once (`built.py`)."""


class Compressed:
    """Only answers to GET: whatever hands out a token or a key answers another method, and is never compressed beside
    text that its caller chose (BREACH).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._gzip = GZipMiddleware(app, minimum_size=SMALLEST, compresslevel=_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chosen = scope["type"] == "http" and scope["method"] == "GET" and not scope["path"].startswith(_NEVER)
        if chosen and "gzip" in accepting.wanted(Headers(scope=scope).getlist("accept-encoding")):
            await self._gzip(scope, receive, send)
        else:
            await self._app(scope, receive, send)
