"""A process of ours (a service, the simulators): started with its environment, watched, stopped."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from cli.embedded.account import Account
from cli.embedded.files import open_log
from cli.embedded.home import Home

STOP_SECONDS: Final = 5.0
_LOG_TAIL: Final = 16_384

PYTHON: Final = (sys.executable, "-P")
"""With what is installed alone: a folder in which somebody calls us may hold modules of the same names."""

Argv = Callable[[], Sequence[str]]


class Process:
    """Output goes to `logs/<name>.log`. `argv` is asked at each start, so that a restart may keep what was chosen.

    `niceness` as in nice(1), below 0 only where we may: elsewhere it stays as it is. `told` is what of the environment
    may have changed, asked at each start too.
    """

    def __init__(
        self,
        name: str,
        argv: Argv,
        environment: Mapping[str, str],
        home: Home,
        *,
        niceness: int = 0,
        told: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        self.name = name
        self.log = home.logs / f"{name}.log"
        self._argv = argv
        self._environment = dict(environment)
        self._owner = home.owner
        self._niceness = niceness
        self._told = told
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int:
        """Process id, also after the end. Raises `RuntimeError` before the first start."""
        return self._started().pid

    async def start(self) -> None:
        """Start it. Call it from the main thread: the signal at our death is bound to the thread that forks."""
        output = open_log(self.log, *self._owner)
        # Before it runs: who fails at once has spoken by the time we hear that there is a process.
        self._log_start = os.fstat(output).st_size
        try:
            # A service holds nothing that a crash may break, so it gets SIGKILL when we die: none survives us.
            account = Account(os.geteuid(), os.getegid(), "", switched=False)
            prepare = account.before_exec(signal.SIGKILL, self._niceness)
            self._process = await asyncio.create_subprocess_exec(
                *self._argv(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**self._environment, **self._told()},
                # Ctrl-C in a terminal reaches a whole process group; we stop our children ourselves, in order.
                start_new_session=True,
                preexec_fn=prepare,
            )
        finally:
            os.close(output)

    async def wait(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return await self._started().wait()

    async def stop(self) -> None:
        """SIGTERM, five seconds, SIGKILL; harmless before the start and after the end."""
        if self._process is None:
            return
        for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, STOP_SECONDS)):
            if self._process.returncode is not None:
                return
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), seconds)

    async def restart(self) -> None:
        """Stop it if it runs, and start it with the same environment, but for what is `told`."""
        await self.stop()
        await self.start()

    def last_words(self) -> str:
        """The last line that this run wrote, of a JSON record its message; at most 300 characters."""
        return last_words(self.log, self._log_start)

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process


def last_words(log: Path, start: int = 0) -> str:
    """The last line of a log after byte `start`; of a structured record its exception or message."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start if start <= size else 0, size - _LOG_TAIL))
            lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return _message(lines[-1])[:300] if lines else ""


def _message(line: str) -> str:
    if not line.startswith("{"):
        return line
    try:
        record = json.loads(line)
    except ValueError:
        return line
    # The trace of a group of exceptions is drawn with these marks, and ends with a rule.
    trace = [text for raw in str(record.get("exception") or "").splitlines() if (text := raw.strip(" |+-"))]
    return trace[-1] if trace else str(record.get("event", line))
