"""A NATS that cannot store is restarted: after a write error a stream takes nothing more, even with room again.

The server says so on `/healthz` of its monitoring port, and nowhere else (docs/adr/0038). While its disk is still full
it is left alone: a restart would cure nothing, and a server that recovers its streams without room may lose them.
"""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cli.console.report import Report
from cli.stack.ready import get_json

EVERY: Final = 1.0
PATIENCE: Final = 3
"""Looks in a row that must find it unwell: it says so for a moment, too, while it recovers."""
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 300.0
"""Seconds until the next restart: doubled each time, until it has been well for twice as long."""
_CURABLE: Final = "write error"
_SHARE: Final = 0.05
_ENOUGH: Final = 64 * 1024**2
"""There is room again when a twentieth of the disk is free, or 64 MiB."""


async def unwell(port: int | None) -> str | None:
    """What NATS says on its monitoring port that a restart cures; None for nothing, and while it does not answer.

    Asked as `js-enabled-only` or `js-server-only`, it says ok while a stream stores nothing.
    """
    return complaint(await get_json(port, "/healthz") if port is not None else None)


def complaint(answer: tuple[int, Any] | None) -> str | None:
    """The write error in an answer of `/healthz`, if there is one.

    A server that recovers its streams says `failed to be ready` for as long as that takes: a restart would begin anew.
    """
    if answer is None or answer[0] == 200 or not isinstance(answer[1], dict):
        return None
    said = str(answer[1].get("error"))
    return said if _CURABLE in said else None


@dataclass
class Cure:
    """`run` for ever beside the supervisor; `clock` (seconds) and `sleep` are injected for tests."""

    folder: Path
    """Where the server keeps its streams."""
    ask: Callable[[], Awaitable[str | None]]
    """What it says is wrong with it, if anything."""
    restart: Callable[[str], Awaitable[None]]
    """Restart it, for this reason."""
    report: Report
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _unwell: int = 0
    _told: bool = False
    _pause: float = FIRST_PAUSE
    _last: float = float("-inf")

    async def run(self) -> None:
        while True:
            await self.look()
            await self.sleep(EVERY)

    async def look(self) -> None:
        """Look once, and restart it if that is due and can help."""
        said = await self.ask()
        if said is None:
            self._unwell, self._told = 0, False
            if self.clock() - self._last > 2 * self._pause:
                self._pause, self._last = FIRST_PAUSE, float("-inf")
            return
        self._unwell += 1
        if self._unwell < PATIENCE:
            return
        if (free := missing_room(self.folder)) is not None:
            self._tell(
                f"NATS cannot store, and its disk is full ({free}): alerts are refused until there is room: {said}"
            )
        elif self.clock() - self._last >= self._pause:
            if self._last > float("-inf"):
                self._pause = min(self._pause * 2, LONGEST_PAUSE)
            self._last, self._unwell, self._told = self.clock(), 0, False
            await self.restart(f"could not store ({said})")

    def _tell(self, words: str) -> None:
        """Once until it is well again."""
        if not self._told:
            self._told = True
            self.report("warning", words, process="nats")


def missing_room(folder: Path) -> str | None:
    """How little is free where a server could not even begin to store; None if there is room."""
    try:
        disk = shutil.disk_usage(folder)
        # Also a disk with bytes left may take no more files, or nothing of this user's.
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(64 * 1024))
            os.fsync(file.fileno())
    except OSError as error:
        return error.strerror or type(error).__name__
    if disk.free >= min(_ENOUGH, disk.total * _SHARE):
        return None
    return f"{disk.free / 1024**2:.0f} of {disk.total / 1024**2:.0f} MiB free"
