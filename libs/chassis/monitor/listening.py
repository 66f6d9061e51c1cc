"""An HTTP server inside somebody else's event loop: uvicorn, without its signals and its logs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from libs.chassis.settings import SettingsError

_SECOND = 1.0
"""The date of an answer is that exact."""


class _Server(uvicorn.Server):
    """Signals stay with the process."""

    listening: asyncio.Event
    leaving: asyncio.Event

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """Until it is told to leave; uvicorn's own looks ten times a second whether it is."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SECOND):
                    await self.leaving.wait()


class Listening:
    """One listening socket and the application behind it."""

    def __init__(self, host: str, port: int, *, variable: str) -> None:
        """Take the port, 0 for any free one.

        Raises:
            SettingsError: the port is taken, or the host is not one of this machine; names `variable`.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family, backlog=2048)
        except OSError as error:
            raise SettingsError(f"{variable}: cannot listen on {host}:{port}: {error.strerror}") from None
        taken, number = self._socket.getsockname()[:2]
        self.url = f"http://[{taken}]:{number}" if ":" in taken else f"http://{taken}:{number}"

    def close(self) -> None:
        """Give the port back without having served."""
        self._socket.close()

    async def serve(self, config: uvicorn.Config, name: str) -> None:
        """Return when connections are accepted; raises what the server raises at its start."""
        self._server = _Server(config)
        self._server.listening, self._server.leaving = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._server.serve([self._socket]), name=name)
        ready = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait((ready, self.task), return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self.task.done():
            self.task.result()

    async def stop(self) -> None:
        """Answer what is under way, then leave."""
        self._server.should_exit = True
        self._server.leaving.set()
        await asyncio.gather(self.task, return_exceptions=True)
