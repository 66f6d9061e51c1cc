"""What the relay holds of the log at once is bounded in bytes as well as in events (promise 4)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

import pytest

from libs.chassis.bus.relay import Relay
from libs.chassis.bus.wire import Outgoing
from libs.chassis.store.log import EventLog
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.chassis.tests.ledger import SCHEMA, Ledger, add, until
from libs.contracts.model import Lane
from libs.contracts.subjects import Header


async def _relay(ledger: Ledger) -> Relay:
    relay = Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock)
    ledger.store.listen(lambda written: relay.hand(written.runs))
    return relay


async def _append(store: Store, count: int) -> None:
    """In one transaction."""

    def many(work: Work) -> None:
        for _ in range(count):
            add(work, uuid4())

    await store.transact(many)


async def _until_published(ledger: Ledger, relay: Relay) -> None:
    """Returns when the stream holds the whole log, in its order."""
    js, log = (await ledger.bus("operator")).client.jetstream(), await ledger.lane()
    ledger.run(relay.run)

    async def look() -> int:
        return (await js.stream_info("INCIDENTS")).state.messages

    await until(look, lambda count: count >= len(log), "the whole log in the stream")
    messages = [await js.get_msg("INCIDENTS", number) for number in range(1, len(log) + 1)]
    assert [int((message.headers or {})[Header.POSITION]) for message in messages] == log


@pytest.mark.parametrize("handed", [True, False])
async def test_large_events_are_read_and_published_few_at_a_time(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, handed: bool
) -> None:
    monkeypatch.setattr("libs.chassis.bus.relay._BATCH_BYTES", 2000, raising=False)
    relay, batches = await _relay(ledger), list[list[int]]()
    publish_all = relay.bus.publish_all

    async def watched(messages: Sequence[Outgoing], *, chained: bool = False, timeout: float = 5.0) -> None:
        batches.append([len(message.body) for message in messages])
        await publish_all(messages, chained=chained, timeout=timeout)

    monkeypatch.setattr(relay.bus, "publish_all", watched)
    await _append(ledger.store if handed else ledger.make_store("b"), 40)
    await _until_published(ledger, relay)
    assert sum(map(len, batches)) == 40
    # Each ends with the event that fills it.
    assert all(sum(batch[:-1]) < 2000 for batch in batches)
    assert all(sum(batch) >= 2000 for batch in batches[:-1]), "as much as may be"


async def test_large_events_that_wait_to_be_published_are_left_in_the_log(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.bus.handed._MOST_BYTES", 3000, raising=False)
    relay = await _relay(ledger)
    for _ in range(8):  # nobody takes them yet
        await _append(ledger.store, 4)
    waiting = [event for run in relay._handed[Lane.URGENT]._runs.values() for event in run.events]
    assert 0 < sum(len(event.raw) for event in waiting) <= 3000
    await _until_published(ledger, relay)


async def test_of_a_lane_only_as_much_is_read_as_is_asked_for_and_at_least_one_event(ledger: Ledger) -> None:
    await _append(ledger.store, 10)

    async def read(size: int) -> list[int]:
        def sizes(log: EventLog, cursor: object) -> list[int]:
            return [len(e.raw) for e in log.read_lane(cursor, Lane.URGENT, 0, 100, size)]  # type: ignore[arg-type]

        return await ledger.store.log_read(sizes)

    everything = await read(2**62)
    assert len(everything) == 10
    assert await read(1) == everything[:1]
    assert await read(sum(everything[:3])) == everything[:3]
    assert await read(sum(everything[:3]) + 1) == everything[:4]
