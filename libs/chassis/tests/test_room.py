"""How much room is left is told by disk, by share and by files, and what cannot be looked at is left out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any, cast

import pytest

from libs.chassis.bus.connection import Bus
from libs.chassis.monitor.room import Room, Rooms, of_account
from libs.chassis.testing.deadline import DEADLINE, in_time

_GIB = 1024**3


@pytest.mark.parametrize(
    ("free", "size", "files_left", "low"),
    [
        (3 * _GIB, 20 * _GIB, 1.0, False),
        (1 * _GIB, 20 * _GIB, 1.0, True),
        (6 * _GIB, 1000 * _GIB, 1.0, False),
        (4 * _GIB, 1000 * _GIB, 1.0, True),
        (19 * _GIB, 20 * _GIB, 0.005, True),
    ],
)
def test_low_is_a_tenth_or_five_gib_whichever_is_less_or_hardly_a_file(
    free: int, size: int, files_left: float, low: bool
) -> None:
    assert Room("/data", free, size, files_left).low is low


class _NoLimit:
    """An account without a limit; or, while it is `away`, one that does not answer."""

    def __init__(self, limit: int = -1) -> None:
        self.js, self.limit, self.away = self, limit, False

    async def account_info(self) -> Any:
        if self.away:
            raise TimeoutError
        return SimpleNamespace(storage=600, limits=SimpleNamespace(max_storage=self.limit))


def _rooms(*folders: Path | str, **more: Any) -> Rooms:
    return Rooms(cast("Bus", more.pop("bus", _NoLimit())), [str(folder) for folder in folders], **more)


async def test_a_disk_counts_once_and_a_folder_that_is_not_there_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "nats").mkdir()
    rooms = _rooms(tmp_path / "gone", tmp_path / "postgres", tmp_path / "nats")
    await rooms.look(DEADLINE)
    found = rooms.all()
    assert [room.place for room in found] == [str(tmp_path / "postgres")]
    disk = os.statvfs(tmp_path)
    assert found[0].size == disk.f_blocks * disk.f_frsize
    assert 0 < found[0].free <= found[0].size


@pytest.mark.parametrize(("limit", "expected"), [(-1, None), (1000, Room("jetstream", 400, 1000))])
async def test_an_account_without_a_limit_tells_nothing(limit: int, expected: Room | None) -> None:
    async def account_info() -> Any:
        return SimpleNamespace(storage=600, limits=SimpleNamespace(max_storage=limit))

    bus = cast("Bus", SimpleNamespace(js=SimpleNamespace(account_info=account_info)))
    assert await of_account(bus) == expected


async def test_a_disk_that_hangs_is_unknown_and_keeps_no_other_and_no_second_thread() -> None:
    answers, asked, seconds = Event(), list[str](), 0.0

    def measure(folder: str) -> tuple[int, Room]:
        asked.append(folder)
        if (folder == "/stuck" and asked.count(folder) > 1) or folder == "/never":
            answers.wait(DEADLINE)
        return hash(folder), Room(folder, 30 * _GIB - len(asked), 40 * _GIB)

    rooms = _rooms("/stuck", "/well", now=lambda: seconds, measure=measure)
    await rooms.look(DEADLINE)
    assert [(room.place, room.known) for room in rooms.all()] == [("/stuck", True), ("/well", True)]
    for _ in range(10):
        seconds += 10
        await rooms.look(0.01)
        await _until(lambda: rooms.all()[1].known)
    assert [(room.place, room.known, room.low) for room in rooms.all()] == [
        ("/stuck", False, False),
        ("/well", True, False),
    ]
    assert (asked.count("/stuck"), asked.count("/well")) == (2, 11)
    answers.set()
    await _until(lambda: rooms.all()[0].known)

    answers.clear()
    fresh = _rooms("/never", "/well", now=lambda: seconds, measure=measure)
    await fresh.look(0.01)
    await _until(lambda: {room.place: room.known for room in fresh.all()} == {"/never": False, "/well": True})
    answers.set()


async def test_a_limit_of_which_nothing_was_heard_for_a_minute_is_unknown() -> None:
    bus, seconds = _NoLimit(1000), 0.0
    rooms = _rooms(bus=bus, now=lambda: seconds)
    await rooms.look(DEADLINE)
    bus.away = True
    for later, known in ((60.0, True), (61.0, False)):
        seconds = later
        await rooms.look(DEADLINE)
        assert rooms.all() == [Room("jetstream", 400, 1000, known=known)]
    bus.away = False
    await rooms.look(DEADLINE)
    assert rooms.all()[0].known


async def _until(found: Callable[[], bool]) -> None:
    async with in_time():
        while not found():
            await asyncio.sleep(0.01)
