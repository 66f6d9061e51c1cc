"""Waiting for what has no other way to say that it serves; light, since the supervisor lives on small memory."""

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from cli.console.failure import Failure
from cli.embedded.errors import StartError
from cli.embedded.ports import LOOPBACK, require_free

POLL_SECONDS: Final = 0.1
PORT_PATIENCE: Final = 1.0


async def get_json(port: int, path: str, timeout: float = 2.0) -> tuple[int, Any] | None:
    """Status and body of `GET path` on loopback, None where nothing answers so. No HTTP library: see above."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n".encode())
                head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            finally:
                writer.close()
        return int(head.split(b" ", 2)[1]), json.loads(body)
    except (OSError, TimeoutError, ValueError, IndexError):
        return None


async def until_ready(port: int, seconds: float, tell: Callable[[str], str]) -> None:
    """Return when the gateway serves and every service answers it as healthy.

    Raises:
        Failure: not within `seconds`; `tell` gives the last words of a process by its name.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = await get_json(port, "/api/health/ready")
        states: dict[str, str] = answer[1].get("services", {}) if answer and isinstance(answer[1], dict) else {}
        missing = [name for name, state in states.items() if state != "healthy"] if states else ["gateway"]
        if answer is not None and answer[0] == 200 and not missing:
            return
        if time.monotonic() > deadline:
            said = tell(missing[0])
            raise Failure(
                f"not ready after {seconds:.0f} s: {', '.join(missing)}{'; it says: ' + said if said else ''}"
            )
        await asyncio.sleep(POLL_SECONDS)


async def port_is_free(port: int, setting: str) -> None:
    """Raises `StartError` naming the setting; waits a second for what a crash of ours has left on it."""
    deadline = time.monotonic() + PORT_PATIENCE
    while True:
        try:
            require_free(port, setting)
            return
        except StartError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(POLL_SECONDS)


async def file_changed(path: Path, before: int | None, seconds: float) -> bool:
    """Whether a file got another modification time (ns; None: it was missing) within `seconds`."""
    deadline = time.monotonic() + seconds
    while modified(path) == before:
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(POLL_SECONDS / 4)
    return True


def modified(path: Path) -> int | None:
    """Modification time in ns; None where there is no such file."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
