"""How much room is left is told by disk, by share and by files, and what cannot be looked at is left out."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from libs.chassis.bus.connection import Bus
from libs.chassis.monitor.room import Room, of_account, of_folders

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


def test_a_disk_counts_once_and_a_folder_that_is_not_there_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "nats").mkdir()
    found = of_folders([str(tmp_path / "gone"), str(tmp_path / "postgres"), str(tmp_path / "nats")])
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
