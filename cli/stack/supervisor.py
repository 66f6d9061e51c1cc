"""Keeps processes alive: whatever dies is started again, with back-off, and said so."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from cli.console.failure import USAGE, Failure
from cli.console.report import Report
from cli.embedded.errors import StartError
from cli.stack.backoff import Backoff

BAD_SETTINGS: Final = 2
"""Exit code of a service that refuses its settings: starting it again would not help."""


class Unit(Protocol):
    """A process that can be watched: a service, the simulators or an embedded server."""

    @property
    def pid(self) -> int: ...
    async def wait(self) -> int: ...
    async def restart(self) -> None: ...
    async def stop(self) -> None: ...


async def _nothing() -> None:
    return


@dataclass
class _Watched:
    unit: Unit
    after_restart: Callable[[], Awaitable[None]]
    task: asyncio.Task[None] | None = None
    renewing: str = ""
    """Why it was stopped on purpose."""
    restarts: int = 0


@dataclass
class Supervisor:
    """`changed` is called whenever a process id is new. `clock` (seconds) and `sleep` are injected for tests."""

    report: Report
    changed: Callable[[], None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _watched: dict[str, _Watched] = field(default_factory=dict)
    _failure: Failure | None = None
    _failing: asyncio.Event = field(default_factory=asyncio.Event)

    def watch(self, name: str, unit: Unit, after_restart: Callable[[], Awaitable[None]] = _nothing) -> None:
        """Take charge of a unit that has been started."""
        watched = self._watched[name] = _Watched(unit, after_restart)
        watched.task = asyncio.create_task(self._keep_alive(name, watched), name=f"watch {name}")
        self.changed()

    def pids(self) -> dict[str, int]:
        """Process ids by name, in the order of `watch`."""
        return {name: watched.unit.pid for name, watched in self._watched.items()}

    async def failed(self) -> None:
        """Never returns; raises `Failure` when something died that no restart can cure."""
        await self._failing.wait()
        assert self._failure is not None  # noqa: S101 - set together
        raise self._failure

    async def renew(self, name: str, why: str = "was reloaded") -> None:
        """Stop a unit on purpose; it comes back at once."""
        watched = self._watched[name]
        watched.renewing = why
        await watched.unit.stop()

    async def release(self, *names: str) -> None:
        """Stop watching and stop the units (all of them by default), side by side."""
        chosen = names or tuple(self._watched)
        leaving = [self._watched.pop(name) for name in chosen if name in self._watched]
        for watched in leaving:
            if watched.task is not None:
                watched.task.cancel()
        await asyncio.gather(*(w.task for w in leaving if w.task is not None), return_exceptions=True)
        await asyncio.gather(*(watched.unit.stop() for watched in leaving))

    async def _keep_alive(self, name: str, watched: _Watched) -> None:
        backoff = Backoff()
        while True:
            started = self.clock()
            code = await watched.unit.wait()
            words = _last_words(watched.unit)
            if watched.renewing:
                why, watched.renewing = watched.renewing, ""
                await self._restart(name, watched, backoff, 0.0, why)
            elif code == BAD_SETTINGS and watched.restarts == 0:
                self._fail(Failure(f"{name} cannot start: {words}", USAGE))
                return
            else:
                delay = backoff.delay(self.clock() - started)
                await self._restart(name, watched, backoff, delay, _how(code, words))

    async def _restart(self, name: str, watched: _Watched, backoff: Backoff, delay: float, how: str) -> None:
        while True:
            await self.sleep(delay)
            try:
                await watched.unit.restart()
                break
            except (StartError, OSError) as error:
                delay = backoff.delay(0.0)
                self.report("warning", f"{name} does not start, next try in {delay:.1f} s: {error}", process=name)
        watched.restarts += 1
        self.changed()
        pid = watched.unit.pid
        self.report("died", f"{name} {how}, restarted in {delay:.1f} s, pid {pid}", process=name, pid=pid)
        await watched.after_restart()

    def _fail(self, failure: Failure) -> None:
        self._failure = self._failure or failure
        self._failing.set()


def _how(code: int, words: str) -> str:
    if code < 0:
        return f"died (signal {-code})"
    return f"died (exit code {code}{': ' + words if words and code else ''})"


def _last_words(unit: Unit) -> str:
    tell = getattr(unit, "last_words", None)
    return str(tell()) if callable(tell) else ""
