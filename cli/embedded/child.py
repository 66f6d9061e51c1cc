"""A server process of ours: started under an account, watched, stopped in steps; and what a crash left of one."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import psutil

from cli.embedded.account import Account
from cli.embedded.files import open_log

POLL_SECONDS: Final = 0.01
KILL_SECONDS: Final = 10.0
_LOG_TAIL: Final = 4096

Steps = Sequence[tuple[signal.Signals, float]]


class ServerExited(Exception):
    """A server ended while it was starting; the text is the last telling line of its log."""


class Child:
    """A started process; its output goes to a log file."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path, log_start: int) -> None:
        self._process = process
        self._log = log
        self._log_start = log_start

    @classmethod
    async def start(
        cls,
        argv: Sequence[str | Path],
        account: Account,
        log: Path,
        log_owner: tuple[int, int],
        death_signal: signal.Signals,
    ) -> Self:
        """Start a server that gets `death_signal` should we die; call it from the main thread (see `Account`)."""
        output = open_log(log, *log_owner)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A folder that exists for every account and that we do not keep from being unmounted.
                cwd="/",
                env=server_environment(),
                # Ctrl-C in a terminal reaches a whole process group; servers must outlive the services that
                # use them.
                start_new_session=True,
                preexec_fn=account.before_exec(death_signal),
            )
            return cls(process, log, os.fstat(output).st_size)
        finally:
            os.close(output)

    @property
    def pid(self) -> int:
        """Process id, also after the end."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet, as far as the event loop has heard."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for the end; the exit code, negative for a signal."""
        return await self._process.wait()

    async def until(self, ready: Callable[[], Awaitable[bool]], seconds: float) -> None:
        """Ask every 10 ms whether it is ready. Raises `ServerExited` or `TimeoutError`."""
        deadline = time.monotonic() + seconds
        while not await ready():
            if not self.running:
                raise ServerExited(self.last_words())
            if time.monotonic() > deadline:
                raise TimeoutError(self.last_words())
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self, steps: Steps) -> None:
        """Send each signal and give it its seconds; in the end SIGKILL."""
        for step, seconds in (*steps, (signal.SIGKILL, KILL_SECONDS)):
            if not self.running:
                return
            with suppress(ProcessLookupError):  # it ended and the loop has not heard of it yet
                self._process.send_signal(step)
            try:
                await asyncio.wait_for(self._process.wait(), seconds)
            except TimeoutError:
                continue

    def last_words(self) -> str:
        """The last FATAL or error line that this run wrote, else its last line."""
        with self._log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, log.tell() - _LOG_TAIL))
            lines = [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]
        telling = [line for line in lines if "FATAL" in line or "[FTL]" in line or "nats-server:" in line]
        return (telling or lines or ["it wrote nothing"])[-1]


def server_environment() -> dict[str, str]:
    """What servers inherit: nothing of ours, which may hold secrets, and no PG* that would change PostgreSQL."""
    passed = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "TMPDIR")
    return {"LC_ALL": "C", "TZ": "UTC"} | {name: os.environ[name] for name in passed if name in os.environ}


async def stop_leftovers(processes: Sequence[psutil.Process], steps: Steps) -> None:
    """End processes of a supervisor that crashed. They are no children of ours, so their end is polled for."""
    remaining = list(processes)
    for step, seconds in (*steps, (signal.SIGKILL, KILL_SECONDS)):
        for process in remaining:
            try:
                process.send_signal(step)
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + seconds
        while remaining and time.monotonic() < deadline:
            remaining = [process for process in remaining if _alive(process)]
            await asyncio.sleep(POLL_SECONDS)
        if not remaining:
            return


def _alive(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
