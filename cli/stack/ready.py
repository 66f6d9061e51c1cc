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
HEALTH_SECONDS: Final = 5.0
"""Health itself waits up to three seconds for who hangs."""
PORT_PATIENCE: Final = 1.0
_PROCESSES: Final = {"bus": "nats", "database": "postgres", "push": "simulator"}
"""Whose log says more about a culprit that is no process."""
_KNOWN_SECONDS: Final = 5.0


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
    """Return when bus, database and every service do their work, as the gateway's `ready` says it.

    Raises:
        Failure: not within `seconds`, with each culprit; `tell` gives the last words of a process by its name.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = await get_json(port, "/api/health/ready", HEALTH_SECONDS)
        if answer is not None and answer[0] == 200:
            return
        if time.monotonic() > deadline:
            broken = [one for one in troubles_in(answer) if one["effect"] in ("outage", "silence")]
            words = "; ".join(f"{one['culprit']} {one['problem']}" for one in broken) or "gateway does not answer"
            said = tell(_PROCESSES.get(culprit := words.split(" ", 1)[0], culprit))
            raise Failure(f"not ready after {seconds:.0f} s: {words}{'; it says: ' + said if said else ''}")
        await asyncio.sleep(POLL_SECONDS)


def troubles_in(answer: tuple[int, Any] | None) -> list[dict[str, str]]:
    """What health or ready says to be wrong, the worst first: `culprit`, `problem` and `effect` each."""
    body = answer[1] if answer is not None else None
    return list(body.get("troubles", ())) if isinstance(body, dict) else []


async def all_told(port: int) -> list[dict[str, str]]:
    """What is wrong with a stack that has just become ready; waits a little until it knows who can be reached."""
    deadline = time.monotonic() + _KNOWN_SECONDS
    while True:
        answer = await get_json(port, "/api/health", HEALTH_SECONDS)
        known = answer is not None and isinstance(answer[1], dict) and answer[1]["services"]["people"] != "unknown"
        if known or time.monotonic() > deadline:
            return troubles_in(answer)
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
