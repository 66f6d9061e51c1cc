"""Tests share the machine, and one that must be alone is."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path
from threading import Thread

from libs.chassis.testing.deadline import DEADLINE
from libs.chassis.testing.turns import Turns


def _is_locked(file: Path) -> bool:
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_whoever_waits_to_be_alone_comes_after_those_who_were_there_and_before_those_who_come_later(
    tmp_path: Path,
) -> None:
    order: list[str] = []

    def take(name: str, *, alone: bool) -> Thread:
        def run() -> None:
            with Turns(tmp_path).turn(alone=alone):
                order.append(name)

        thread = Thread(target=run, daemon=True)
        thread.start()
        return thread

    with Turns(tmp_path).turn(alone=False), Turns(tmp_path).turn(alone=False):
        alone = take("alone", alone=True)
        end = time.monotonic() + DEADLINE
        while not _is_locked(tmp_path / "door.lock"):
            assert time.monotonic() < end
        late = take("late", alone=False)
        assert order == []
    for thread in (alone, late):
        thread.join(DEADLINE)
    assert order == ["alone", "late"]
