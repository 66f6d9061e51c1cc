"""A client of `WebSocket /stream`, as anybody may write one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from libs.chassis.testing.deadline import in_time

Frame = Mapping[str, Any]


@dataclass
class Listening:
    """`seen`: all frames so far; `position`: the last one that was read."""

    socket: ClientConnection
    seen: list[Frame] = field(default_factory=list)
    position: str | None = None

    async def frame(self) -> Frame:
        frame: Frame = json.loads(await self.socket.recv())
        self.seen.append(frame)
        self.position = frame.get("position", self.position)
        return frame

    async def until(self, good: Callable[[Frame], bool]) -> Frame:
        """The first frame of which this is so, from here on."""
        async with in_time():
            while not good(frame := await self.frame()):
                pass
        return frame

    async def of(self, kind: str, incident: str | None = None) -> Frame:
        """The next frame of this type, about this incident."""
        return await self.until(lambda f: f["type"] == kind and (incident is None or f["incident"]["id"] == incident))

    async def say(self, **frame: Any) -> None:
        await self.socket.send(json.dumps(frame))

    async def closed(self) -> tuple[int, str]:
        """The code and the reason of its end; what comes before is read."""
        async with in_time():
            with suppress(ConnectionClosed):
                while True:
                    await self.frame()
        return self.socket.close_code or 0, self.socket.close_reason or ""

    @property
    def told(self) -> list[tuple[str, str]]:
        """(type, incident) of all that was told of incidents."""
        return [(str(f["type"]), str(f["incident"]["id"])) for f in self.seen if "incident" in f]


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Listening]:
    """A socket that has said nothing yet; `url` of the gateway."""
    async with connect(f"ws{url.removeprefix('http')}", proxy=None, **options) as socket:
        yield Listening(socket)


@asynccontextmanager
async def listening(
    url: str, token: str, after: str | None = None, path: str = "/api/v1/stream"
) -> AsyncIterator[Listening]:
    """One that has said who it is, and was let in."""
    async with opened(f"{url}{path}") as stream:
        await stream.say(type="authenticate", token=token, **({} if after is None else {"after": after}))
        await stream.of("ready")
        yield stream
