"""Incidents are numbered one after the other, whatever had to be tried again."""

from __future__ import annotations

import asyncio

import pytest

from libs.chassis.store.work import Work
from services.incidents.inputs import StoredInputs
from tests.world import World


class _InTheWay(Exception):
    """What ends a transaction."""


async def test_what_was_tried_again_or_opened_nothing_takes_no_number(world: World) -> None:
    await world.two_responders()
    await world.fire_alert("one", dedupKey="one")
    first = (await world.incident("one"))["number"]

    def fails(work: Work) -> None:
        assert StoredInputs(work).numbers(300)
        raise _InTheWay

    store = world.services["incidents"].runtime.work
    for _ in range(3):
        with pytest.raises(_InTheWay):
            await store.transact(fails)
    await asyncio.gather(*(world.fire_alert("over", dedupKey=f"key-{n}", action="resolve") for n in range(40)))
    await world.settle()
    for title in ("two", "three", "four"):
        await world.fire_alert(title, dedupKey=title)
        await world.settle()
    assert [(await world.incident(title))["number"] for title in ("two", "three", "four")] == [
        first + 1,
        first + 2,
        first + 3,
    ]
