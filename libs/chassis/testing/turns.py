"""Tests that run in several processes at once, and those that must be alone on the machine."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Turns:
    """Many at once, or one alone; known to whoever names the same `folder`. A process that dies gives its turn back."""

    folder: Path

    @contextmanager
    def turn(self, *, alone: bool) -> Iterator[None]:
        """Wait for it, as long as others take, and hold it. Nobody passes somebody who waits to be alone."""
        with (self.folder / "room.lock").open("w") as room:
            with (self.folder / "door.lock").open("w") as door:
                fcntl.flock(door, fcntl.LOCK_EX)
                fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
            yield
