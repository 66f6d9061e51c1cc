"""Runs `cli.stack.preparation` as a child that imports while the servers start."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from cli.console.failure import BadSettings, Failure
from cli.embedded.account import Account
from cli.settings import Settings
from cli.stack.environment import common
from cli.stack.process import PYTHON

SECONDS: Final = 120.0
CHECK_SECONDS: Final = 30.0


class Preparing:
    """`async with Preparing(settings) as preparing:`, then `check` and `run`; leaving the block ends the child."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        account = Account(os.geteuid(), os.getegid(), "", switched=False)
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *PYTHON,
            "-m",
            "cli.stack.preparation",
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=common(self._settings.environment),
            start_new_session=True,
            preexec_fn=account.before_exec(signal.SIGKILL),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def check(self) -> list[str]:
        """Look at all settings; what is odd about them and harmless, a line each.

        Raises:
            BadSettings: with all faults.
        """
        settings = self._settings
        order = {"environment": dict(settings.environment), "ports": settings.ports}
        checked = await self._told(order, CHECK_SECONDS, "the settings were not checked")
        hints: list[str] = checked["hints"]
        if faults := [*settings.faults, *checked["faults"]]:
            raise BadSettings(*dict.fromkeys(faults), *hints)
        return hints

    async def run(self, database_url: str, nats_url: str) -> dict[str, Any]:
        """Migrate and declare; what was done, as `{"migrated": {service: [revision]}, "streams": {name: outcome},
        "epochs": {service: number}}`.

        Raises:
            Failure: with the child's one line.
        """
        order = {"databaseUrl": database_url, "natsUrl": nats_url}
        return await self._told(order, SECONDS, "the migrations did not end")

    async def _told(self, order: dict[str, Any], seconds: float, otherwise: str) -> dict[str, Any]:
        """The answer to a line. Raises `Failure`: what it said on stderr, or `otherwise`."""
        process = self._process
        if process is None or process.stdin is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("the preparation was not started")
        try:
            async with asyncio.timeout(seconds):
                with suppress(OSError):  # it has ended, and says why
                    process.stdin.write(json.dumps(order).encode() + b"\n")
                    await process.stdin.drain()
                if answer := await process.stdout.readline():
                    result: dict[str, Any] = json.loads(answer)
                    return result
                said = (await process.stderr.read()).decode("utf-8", "replace").strip().splitlines()
        except TimeoutError:
            raise Failure(f"{otherwise} within {seconds:.0f} s") from None
        raise Failure(said[-1] if said else otherwise)
