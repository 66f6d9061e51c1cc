"""How much room there is for what we write: on the disks of servers beside us, or within JetStream's limits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import NamedTuple

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from libs.chassis.bus.connection import Bus

_log = structlog.get_logger()
_SHARE = 0.10
_ENOUGH = 5 * 1024**3
"""Low is less than a tenth of the whole, but never more than 5 GiB: that is hours, also on a large disk."""
_FEW_FILES = 0.01
_PATIENCE = 5.0
"""Seconds for a disk to answer: it may hang for hours, and what is said of the others must not."""
_FRESH = 60.0
"""Seconds after which a figure says nothing any more."""


class Room(NamedTuple):
    """A place that can be full. `free` and `size` in bytes."""

    place: str
    free: int
    size: int
    files_left: float = 1.0
    """The share of inodes that are free; 1 where they are made as they are needed."""
    known: bool = True
    """False: whoever was asked has not answered for a minute, and the figures are of before."""

    @property
    def low(self) -> bool:
        """Whether it is known to be about to end, while there is still room for an alarm."""
        return self.known and (self.free < min(self.size * _SHARE, _ENOUGH) or self.files_left < _FEW_FILES)


def of_folder(folder: str) -> tuple[int, Room]:
    """Its disk's number, and what that has left for whoever is not root.

    Raises:
        OSError: it cannot be looked at.
    """
    disk, found = Path(folder).stat().st_dev, os.statvfs(folder)
    left = found.f_favail / found.f_files if found.f_files else 1.0
    return disk, Room(folder, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, left)


async def of_account(bus: Bus) -> Room | None:
    """What JetStream allows our account; None without a limit, and for a server's own limit, which no client sees.

    Raises:
        NatsError, APIError, TimeoutError: it does not say.
    """
    account = await bus.js.account_info()
    limit, used = account.limits.max_storage, account.storage
    return Room("jetstream", max(0, limit - used), limit) if limit > 0 else None


class _Figure(NamedTuple):
    """`disk`: the number of a folder's; `at`: since when it is known, in seconds."""

    disk: int
    room: Room
    at: float


@dataclass
class Rooms:
    """What there is room for, by place; who is asked and does not answer keeps no other waiting."""

    bus: Bus
    folders: Sequence[str] = ()
    now: Callable[[], float] = monotonic
    measure: Callable[[str], tuple[int, Room]] = of_folder
    _figures: dict[str, _Figure] = field(default_factory=dict)
    _asked: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    """Folders whose disks have not answered yet: each hanging one holds one thread, however often it is looked at."""

    async def look(self, patience: float = _PATIENCE) -> None:
        """Ask again for all figures; returns when all are there, or after `patience` seconds."""
        for folder in self.folders:
            if folder not in self._asked:
                # No thread of a pool: that would have an end, and would keep the process from ending.
                asking = Thread(target=self._measure, args=(folder, asyncio.get_running_loop()), daemon=True)
                try:
                    asking.start()
                except RuntimeError as error:  # the machine has no thread left: the next look may find one
                    _log.warning("room not known", folder=folder, reason=str(error))
                else:
                    self._asked[folder] = asyncio.get_running_loop().create_future()
        waiting = [asyncio.ensure_future(self._look_at_account()), *self._asked.values()]
        _, late = await asyncio.wait(waiting, timeout=patience)
        if late:
            _log.warning("room not known", folders=sorted(self._asked))

    def all(self) -> list[Room]:
        """Each disk once, under its first folder's name, and JetStream's limit, if there is one."""
        disks: dict[int, Room] = {}
        unknown = [Room(f, 0, 0, known=False) for f in self.folders if f in self._asked and f not in self._figures]
        for place in (*self.folders, "jetstream"):
            if place in self._figures:
                disk, room, at = self._figures[place]
                disks.setdefault(disk, room._replace(known=self.now() - at <= _FRESH))
        return [*disks.values(), *unknown]

    def _measure(self, folder: str, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread."""
        found: tuple[int, Room] | None = None
        try:
            found = self.measure(folder)
        except OSError as error:
            _log.warning("room not known", folder=folder, reason=error.strerror)
        with suppress(RuntimeError):  # nobody waits any more: the loop has been closed
            loop.call_soon_threadsafe(self._measured, folder, found)

    def _measured(self, folder: str, found: tuple[int, Room] | None) -> None:
        if found is not None:
            self._figures[folder] = _Figure(*found, self.now())
        self._asked.pop(folder).set_result(None)

    async def _look_at_account(self) -> None:
        with suppress(NatsError, APIError, TimeoutError):
            room = await of_account(self.bus)
            if room is None:
                self._figures.pop("jetstream", None)
            else:
                self._figures["jetstream"] = _Figure(-1, room, self.now())
