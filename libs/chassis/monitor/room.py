"""How much room there is for what we write: on the disks of servers beside us, or within JetStream's limits."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import structlog

from libs.chassis.bus.connection import Bus

_log = structlog.get_logger()
_SHARE = 0.10
_ENOUGH = 5 * 1024**3
"""Low is less than a tenth of the whole, but never more than 5 GiB: that is hours, also on a large disk."""
_FEW_FILES = 0.01


class Room(NamedTuple):
    """A place that can be full. `free` and `size` in bytes."""

    place: str
    free: int
    size: int
    files_left: float = 1.0
    """The share of inodes that are free; 1 where they are made as they are needed."""

    @property
    def low(self) -> bool:
        """Whether it is about to end, while there is still room for an alarm."""
        return self.free < min(self.size * _SHARE, _ENOUGH) or self.files_left < _FEW_FILES


def of_folders(folders: Iterable[str]) -> list[Room]:
    """What the disks of these folders have left for whoever is not root: each disk once, under its first folder's name.

    A folder that cannot be looked at is left out, and the log says so.
    """
    disks: dict[int, Room] = {}
    for folder in folders:
        try:
            disk, found = Path(folder).stat().st_dev, os.statvfs(folder)
        except OSError as error:
            _log.warning("room not known", folder=folder, reason=error.strerror)
            continue
        left = found.f_favail / found.f_files if found.f_files else 1.0
        free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
        disks.setdefault(disk, Room(folder, free, size, left))
    return list(disks.values())


async def of_account(bus: Bus) -> Room | None:
    """What JetStream allows our account; None without a limit, and for a server's own limit, which no client sees.

    Raises:
        NatsError, APIError, TimeoutError: it does not say.
    """
    account = await bus.js.account_info()
    limit, used = account.limits.max_storage, account.storage
    return Room("jetstream", max(0, limit - used), limit) if limit > 0 else None
