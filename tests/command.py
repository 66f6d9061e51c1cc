"""`pager` as a process of its own, against a world's database and bus."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.world import World

Pager = Callable[..., Awaitable[tuple[int, Any]]]
"""Its exit code, and its JSON or its complaint; all that it says where it was `asked` at a terminal."""


def pager_of(world: World, home: Path) -> Pager:
    """`await pager("epoch")`, or `await pager("epoch", asked="y")`: what is typed when it asks."""
    url = world.servers.database_url("owner", world.database)
    bus = world.servers.nats_url("operator")
    environment = os.environ | {"PAGER_HOME": str(home), "PAGER_DATABASE_URL": url, "PAGER_NATS_URL": bus}
    environment["PAGER_MASTER_KEY"] = world.master_key

    async def call(*arguments: str, asked: str | None = None) -> tuple[int, Any]:
        person, terminal = pty.openpty()
        try:
            os.write(person, f"{asked or ''}\n".encode())
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "cli.main", *arguments, *(("--json",) if asked is None else ()), env=environment,
                stdin=asyncio.subprocess.DEVNULL if asked is None else terminal,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, err = await process.communicate()
        finally:
            os.close(person)
            os.close(terminal)
        if asked is not None:
            return process.returncode or 0, (out + err).decode()
        return process.returncode or 0, json.loads(out) if out else err.decode()

    return call
