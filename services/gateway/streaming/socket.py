"""A WebSocket as ASGI has it: texts in and out, and an end."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Send

LEFT = 1000
"""Counted where the client has gone, whatever it said."""


class Left(Exception):
    """The client has gone."""


@dataclass
class Socket:
    """One that was accepted."""

    receive: Receive
    send: Send

    async def text(self) -> str | None:
        """The next message; None: it is binary. Raises Left."""
        message = await self.receive()
        if message["type"] == "websocket.disconnect":
            raise Left
        text: str | None = message.get("text")
        return text

    async def say(self, text: str) -> None:
        """Returns when there is room for more. Raises Left."""
        await self._send({"type": "websocket.send", "text": text})

    async def close(self, code: int, reason: str, *, within: float) -> None:
        """Say why it ends, as far as the client takes that within so many seconds."""
        with suppress(TimeoutError, Left):
            async with asyncio.timeout(within):
                await self._send({"type": "websocket.close", "code": code, "reason": reason})

    async def _send(self, message: Any) -> None:
        try:
            await self.send(message)
        except OSError:  # as ASGI has servers say it (uvicorn's is one)
            raise Left from None
