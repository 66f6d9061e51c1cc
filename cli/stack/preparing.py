"""Runs `cli.stack.preparation` as a child that imports while the servers start."""

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self

from cli.console.failure import Failure
from cli.embedded.account import Account
from cli.stack.process import PYTHON

SECONDS: Final = 120.0


class Preparing:
    """`async with Preparing(environment) as preparing: await preparing.run(…)`; leaving the block ends the child."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
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
            env=self._environment,
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

    async def run(self, database_url: str, nats_url: str) -> dict[str, Any]:
        """Migrate and declare; what was done, as `{"migrated": {service: [revision]}, "streams": {name: outcome},
        "epochs": {service: number}}`.

        Raises:
            Failure: with the child's one line.
        """
        if self._process is None:
            raise RuntimeError("the preparation was not started")
        order = json.dumps({"databaseUrl": database_url, "natsUrl": nats_url}) + "\n"
        try:
            out, err = await asyncio.wait_for(self._process.communicate(order.encode()), SECONDS)
        except TimeoutError:
            raise Failure(f"the migrations did not end within {SECONDS:.0f} s") from None
        if self._process.returncode != 0:
            lines = err.decode("utf-8", "replace").strip().splitlines()
            raise Failure(lines[-1] if lines else f"the migrations ended with {self._process.returncode}")
        result: dict[str, Any] = json.loads(out.splitlines()[-1])
        return result
