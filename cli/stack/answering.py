"""Servers that somebody else runs: they may come up later than we do, but not in silence."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from cli.console.failure import Failure
from cli.console.report import Report
from cli.reach.urls import without_user

PATIENCE: Final = 30.0
"""Seconds after which a start is given up: whatever starts us can do so again, and a mistyped address is seen."""
SAY_AGAIN: Final = 5.0
_LOOK: Final = 2.0
_PAUSE: Final = 0.5
_PORTS: Final = {"nats": 4222, "tls": 4222, "postgresql": 5432, "postgres": 5432}

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[None]]


async def until_answers(
    setting: str, url: str, report: Report, clock: Clock = time.monotonic, sleep: Sleep = asyncio.sleep
) -> None:
    """Return when the server of a URL answers; until then it is said every five seconds which one does not.

    Several hosts, and sockets, are left to the driver. `clock` (seconds) and `sleep` are injected for tests.

    Raises:
        Failure: not within half a minute.
    """
    parts = urlsplit(url)
    if parts.hostname is None or "," in parts.netloc:
        return
    shown, port = without_user(url), parts.port or _PORTS[parts.scheme]
    began = clock()
    told = began - SAY_AGAIN + _LOOK
    while (why := await _look(parts.hostname, port, greets=parts.scheme == "nats")) is not None:
        now = clock()
        if now - began >= PATIENCE:
            raise Failure(f"{setting}: {shown} does not answer ({why})")
        if now - told >= SAY_AGAIN:
            told = now
            report("waiting", f"{setting}: {shown} does not answer ({why}); waiting", setting=setting, url=shown)
        await sleep(_PAUSE)


async def _look(host: str, port: int, *, greets: bool) -> str | None:
    """Why nobody answers there; None: somebody does. A NATS without TLS `greets`, so one that is frozen is found."""
    try:
        async with asyncio.timeout(_LOOK):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                if greets and not (await reader.readline()).startswith(b"INFO "):
                    return "something else listens there"
            finally:
                writer.close()
    except TimeoutError:
        return "no answer in time"
    except OSError as error:
        words = (
            os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror
        )  # of a name: below 0
        return (words or str(error) or type(error).__name__).lower()
    return None
