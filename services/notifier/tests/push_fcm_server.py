"""A tiny FCM with its token endpoint for the push tests, on plain HTTP, answers given by the test."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from services.notifier.tests.push_pages import pem


class FcmServer:
    """FCM and its token endpoint on plain HTTP; the test replaces `answer` and `token_answer`."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.bearers: list[str] = []
        self.assertions: list[str] = []
        self.sockets: set[Any] = set()
        self.answer: Callable[[str], Awaitable[web.StreamResponse]] = self.accept
        self.token_answer: Callable[[], Awaitable[web.StreamResponse]] = self.grant
        self.request: Any = None
        """The newest."""
        self.port = 0
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def accept(self, bearer: str) -> web.StreamResponse:
        return web.json_response({"name": f"projects/pager-test/messages/{len(self.messages)}"})

    async def grant(self) -> web.StreamResponse:
        return web.json_response({"access_token": f"token-{len(self.assertions)}", "expires_in": 3600})

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/projects/pager-test/messages:send", self._send)
        app.router.add_post("/token", self._token)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _send(self, request: web.Request) -> web.StreamResponse:
        self.sockets.add(request.transport)
        self.request = request
        self.messages.append(await request.json())
        self.bearers.append(request.headers["Authorization"])
        return await self.answer(request.headers["Authorization"])

    async def _token(self, request: web.Request) -> web.StreamResponse:
        self.request = request
        form = await request.post()
        self.assertions.append(str(form["assertion"]))
        return await self.token_answer()


def write_service_account(folder: Path, token_url: str) -> str:
    # Short: each client that a test makes reads it, and of one as long as Google's the checks take 50 ms.
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    file = folder / "service-account.json"
    file.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "pager-test",
                "private_key_id": "k1",
                "private_key": pem(key),
                "client_email": "pager@pager-test.iam.gserviceaccount.com",
                "token_uri": token_url,
            }
        )
    )
    return str(file)
