"""The code as it was before a migration: taken from git, and run as a process of its own beside the new services."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from nats.errors import Error as NatsError
from nats.js.errors import NotFoundError

from libs.chassis.clock import SystemClock
from libs.chassis.service import Service
from libs.chassis.store.keyring import Keyring
from libs.chassis.store.log import EventLog
from libs.chassis.store.work import Work
from libs.chassis.testing.clock import MovableClock
from libs.contracts.codec import CODEC
from libs.contracts.model import Lane
from libs.contracts.subjects import Header, lane_filter, lanes_of, stream_of
from tests.servers import OLD_CODE, Servers
from tests.world import World

ROOT = Path(__file__).resolve().parents[1]


class NoHistory(Exception):
    """The commit before a migration cannot be had; the text says what is missing."""


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(("git", "-C", str(ROOT), *arguments), capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise NoHistory("this test runs the code of earlier commits: install git") from None
    if done.returncode != 0:
        raise NoHistory(
            "this test runs the code of earlier commits, so it needs a clone of the repository with all of its history"
            f" (not a source archive, not `--depth`): git {arguments[0]}: {done.stderr.strip()}"
        )
    return done.stdout.strip()


def commit_before(migration: Path) -> str:
    """The parent of the commit that added this migration; HEAD for one that is not committed yet.

    Raises:
        NoHistory: git, the repository or that commit is not here.
    """
    added = _git("log", "--diff-filter=A", "--format=%H", "--", str(migration)).splitlines()
    return _git("rev-parse", f"{added[-1]}^" if added else "HEAD")


def check_out(commit: str, folder: Path) -> Path:
    """What a service runs on, as of a commit, in a folder of its own; the repository is only read."""
    archive = folder / "tree.zip"  # Python 3.11 can unpack a tar without its warnings only from 3.11.4 on
    _git("archive", "--format=zip", f"--output={archive}", commit, "libs", "services")
    tree = folder / "tree"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tree)
    return tree


class _RunningClock(MovableClock):
    """The machine's: a process on old code has no other, and the world must agree with it."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def wait_until(self, moment: datetime) -> None:
        await SystemClock().wait_until(moment)


class OldWorld(World):
    """A world in which one service runs on old code; it talks with the others as always, over the bus."""

    def __init__(self, servers: Servers, old: str, tree: Path) -> None:
        super().__init__(servers)
        self.clock = _RunningClock()
        self._old, self._tree = old, tree

    async def start(self, name: str) -> None:
        if name != self._old:
            await super().start(name)
            return
        log = await asyncio.to_thread((self._tree / f"{name}.log").open, "wb")
        self._stack.callback(log.close)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", f"services.{name}.main", cwd=self._tree, env=self._environment(name), stderr=log
        )
        self._stack.push_async_callback(process.wait)
        self._stack.callback(process.terminate)

        async def ready() -> bool:
            assert process.returncode is None, (self._tree / f"{name}.log").read_text()
            try:
                return bool((await self.health(name))["ready"])
            except NatsError:
                return False

        await self.eventually(ready, bool, f"{name} on old code")

    def twin(self, name: str, instance: str) -> Service:
        """Auth is renewed last: a notifier from before seals began could not read what it says of phones."""
        service = super().twin(name, instance)
        if (name, self._old) == ("auth", "notifier"):
            assert service.keyring is not None
            service.keyring = _Unsealed(service.keyring)  # type: ignore[assignment]
        return service

    def values_of(self, name: str) -> dict[str, Any]:
        return super().values_of(name) | {"nats_url": self.servers.nats_url(OLD_CODE)}

    def _environment(self, name: str) -> dict[str, str]:
        values = {f"PAGER_{key.upper()}": str(value) for key, value in self.values_of(name).items()}
        return {"PATH": os.environ["PATH"], "PYTHONPATH": str(self._tree)} | values

    async def settle(self) -> None:
        """Also what the old service reads: it is asked, since nobody can look into it."""
        await super().settle()
        await self.eventually(self._unread, lambda found: not found, "an old service that has read everything")
        await super().settle()

    async def _unread(self) -> list[str]:
        health = await self.health(self._old)
        found = [f"{self._old} reads {lane}" for lane, behind in health["lag"].items() if behind]
        if not health["active"]:
            found.append(f"{self._old} is not active")
        for name, service in self.services.items():
            for lane in lanes_of(name):
                end = await service.runtime.work.log_read(partial(_end, lane=lane))
                if await self._relayed(name, lane) < end:
                    found.append(f"{name}.{lane} is not relayed")
        return found

    async def _relayed(self, name: str, lane: Lane) -> int:
        try:
            last = await self.operator.jetstream().get_last_msg(stream_of(name), lane_filter(name, lane))
        except NotFoundError:
            return 0
        return int((last.headers or {})[Header.POSITION])


class _Unsealed:
    """A keyring with which events are written in the clear, as before there were keys."""

    def __init__(self, ring: Keyring) -> None:
        self._ring = ring

    def serve(self, work: Work) -> None:
        self._ring.serve(work)
        work.codec = CODEC

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ring, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_ring":
            object.__setattr__(self, name, value)
        else:
            setattr(self._ring, name, value)


def _end(log: EventLog, cursor: Any, lane: Lane) -> int:
    return log.last_position(cursor, lane)
