"""A stop must arrive: a task that misses its cancellation would keep a replica from ever leading again."""

from __future__ import annotations

import asyncio

import pytest

from libs.chassis.stopping import stoppable
from libs.chassis.testing.deadline import DEADLINE


async def test_a_task_that_loses_its_first_cancellation_ends_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.stopping._AGAIN", 0.01)
    lost = 0

    async def forgetful() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    task = asyncio.create_task(stoppable(forgetful))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, DEADLINE)
    assert lost == 2


async def test_what_ends_a_task_by_itself_comes_through() -> None:
    async def broken() -> None:
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        await stoppable(broken)
