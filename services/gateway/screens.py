"""The phone app in a browser, at `/app`: its files, and itself for each of its screens (docs/adr/0077)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.gateway import accepting, pages
from services.gateway.built import Built, File
from services.gateway.conditions import conditional
from services.gateway.edge import FILES
from services.gateway.envelope import Problem
from services.gateway.settings import Settings

PLACE: Final = "/app/"
"""What the app is built for. A service worker that lies there may have all of it, and no header has to allow more."""
_HOST: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "media-src 'self'; connect-src {connect}; manifest-src 'self'; worker-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'self'"
)


@dataclass(frozen=True)
class Screens:
    """Answers whatever is asked for below `/app/`, whether or not anything else works."""

    built: Built
    settings: Settings

    def answer(self, request: Request, path: str) -> Response:
        """Raises Problem: there is no such file."""
        file = self.built.find(path)
        if file is not None:
            return self._sent(request, file)
        if self.built.files or "." in path:
            raise Problem("NOT_FOUND", "no such path")
        return pages.register() if path == "register" else pages.without_app()

    def _sent(self, request: Request, file: File) -> Response:
        # A worker lives by the policy of its own script, so that each file has it.
        own = {"Content-Security-Policy": self._policy(request.headers), "Cross-Origin-Opener-Policy": "same-origin"}
        plain = Response(file.body, headers=dict(file.headers) | own, media_type=file.media_type)
        answer = conditional(request, plain)
        if answer is not plain or file.packed is None:
            return answer
        if "gzip" not in accepting.wanted(request.headers.getlist("accept-encoding")):
            return plain
        headers = dict(file.headers) | own | {"Content-Encoding": "gzip"}
        return Response(file.packed, headers=headers, media_type=file.media_type)

    def _policy(self, headers: Headers) -> str:
        """With the stream's address by name: Safari long took `'self'` for no WebSocket's (bugs.webkit.org, 235873)."""
        public = self.settings.public_url
        # On this machine people come by any of its names.
        host = headers.get("host", "") if self.settings.is_local else urlsplit(public or "").netloc
        stream = f"{'wss' if self.settings.https else 'ws'}://{host}"
        return _POLICY.format(connect=f"'self' {stream}" if _HOST.fullmatch(host) else "'self'")


router = APIRouter(include_in_schema=False)


@router.get("/")
@router.get("/app")
async def door(request: Request) -> Response:
    """To the address that the app, and its service worker, are at home at."""
    query = request.url.query
    return RedirectResponse(f"{PLACE}?{query}" if query else PLACE)


@router.get(FILES)
async def screen(request: Request, path: str) -> Response:
    screens: Screens = request.app.state.screens
    return screens.answer(request, path)
