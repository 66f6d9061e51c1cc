"""Whatever is restored, readers get the log and miss nothing (promise 6)."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import Any

import pytest

from libs.chassis.consume.feed import Batch, Feed
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.store.cursors import START
from libs.chassis.testing.deadline import in_time
from libs.chassis.tests.ledger import SCHEMA, Ledger, until
from libs.chassis.tests.restored import Told, relay_of
from libs.contracts.codec import id_of
from libs.contracts.model import Lane


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_restored_a_reader_from_the_start_gets_the_log_and_one_that_goes_on_misses_nothing(
    ledger: Ledger, seed: int
) -> None:
    chance, told = random.Random(seed), Told()
    await ledger.answer()
    bus = await ledger.bus("operator")
    seen: dict[Lane, list[Batch]] = {lane: [] for lane in Lane}

    def follow(lane: Lane) -> Any:
        feed, at = Feed(bus, SCHEMA, lane), [START]

        async def read() -> None:
            async with aclosing(feed.after(at[0])) as batches:
                async for batch in batches:
                    seen[lane].append(batch)
                    at[0] = batch.at

        return lambda: follow_for_ever(bus, read, "gateway", str(lane))

    for lane in Lane:
        ledger.run(follow(lane))
    running = ledger.run((await relay_of(ledger, told)).run)
    for _ in range(4):
        log = await ledger.events()
        if log and chance.random() < 0.8:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await ledger.restore(chance.choice([0, *(p for p, _ in log)]))
            running = ledger.run((await relay_of(ledger, told)).run)
        for _ in range(chance.randint(1, 9)):
            await ledger.add(lane=chance.choice(list(Lane)))
        for lane in Lane:
            await ledger.add(lane=lane)
        for lane in Lane:
            ids = await ledger.query(
                "SELECT convert_from(state, 'UTF8')::jsonb ->> 'id' FROM incidents.stored_events WHERE lane = %s"
                " ORDER BY notification_id", str(lane),
            )  # fmt: skip
            wanted = [row[0] for row in ids]

            async def taken(lane: Lane = lane) -> set[str]:
                return {_id(item) for batch in seen[lane] for item in batch.items}

            await until(taken, lambda found, wanted=wanted: set(wanted) <= found, f"all of the log, {lane}")  # type: ignore[misc]
            fresh: list[str] = []
            async with in_time(), aclosing(Feed(bus, SCHEMA, lane).after(START)) as batches:
                async for batch in batches:
                    fresh += [_id(item) for item in batch.items]
                    if len(fresh) >= len(wanted):
                        break
            assert fresh == wanted, "whoever begins now is told nothing of what was lost"
    for lane in Lane:
        ids_taken = [_id(item) for batch in seen[lane] for item in batch.items]
        assert len(ids_taken) == len(set(ids_taken)), "nothing is taken twice"


def _id(item: Any) -> str:
    return id_of(item.raw)
