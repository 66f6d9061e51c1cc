"""A restored log begins a new epoch by itself, where it and its stream part, and is published on (promise 6)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from libs.chassis.store.work import Work
from libs.chassis.tests.ledger import Ledger, add
from libs.chassis.tests.restored import STREAM, Told, add_many, epochs_of, operator, publish_all, published_of, relay_of
from libs.contracts.model import Lane
from libs.contracts.subjects import Header
from tests.servers import recreate


@pytest.mark.parametrize("kept", [0, 1, 5, 11])
async def test_a_restored_log_is_published_on_in_a_new_epoch_after_the_last_event_on_which_both_agree(
    ledger: Ledger, kept: int
) -> None:
    js, told = await operator(ledger), Told()
    positions = await add_many(ledger, 12)
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[kept] if kept else 0)
    again = await add_many(ledger, 4)
    assert kept == 11 or set(again) & set(positions), "positions are given out again"
    await publish_all(await relay_of(ledger, told))
    after = positions[kept] if kept else 0
    assert await epochs_of(ledger) == ([(1, 0), (2, after)] if kept < 11 else [(1, 0)])
    epoch = 2 if kept < 11 else 1
    assert sorted(await published_of(js, 13)) == sorted(f"{epoch}/{position}" for position in again)
    if kept < 11:
        (odds,) = told.odds
        lost = sum(types.total() for types in odds.lost.values())
        assert (odds.epoch, odds.after, lost, odds.uncounted) == (2, after, 12 - (kept + 1 if kept else 0), False)
        assert f"agree up to position {after}; {lost} later events are only in the stream" in str(odds)
        assert "AlertsGrouped" in str(odds)


async def test_the_lane_that_is_behind_loses_nothing_when_the_other_one_was_cut(ledger: Ledger) -> None:
    js = await operator(ledger)
    relay = await relay_of(ledger)
    await relay._resume()
    urgent = [await ledger.add(lane=Lane.URGENT) for _ in range(3)]
    await relay._publish_some()
    backlog = [await ledger.add(lane=Lane.ROUTINE) for _ in range(3)]
    later = [await ledger.add(lane=Lane.URGENT) for _ in range(2)]
    await relay._publish_some()  # urgent goes first: the backlog is not in the stream yet
    assert await published_of(js) == [f"1/{p}" for p in (*urgent, *later)]
    await ledger.restore(backlog[-1])
    await publish_all(await relay_of(ledger))
    assert await epochs_of(ledger) == [(1, 0), (2, urgent[-1])]
    assert await published_of(js, 6) == [f"2/{p}" for p in backlog]


async def test_a_bus_that_is_behind_or_was_restored_with_the_log_begins_nothing(ledger: Ledger) -> None:
    js, told = await operator(ledger), Told()
    positions = await add_many(ledger, 6)
    await publish_all(await relay_of(ledger, told))
    kept = [await js.get_msg(STREAM, sequence) for sequence in range(1, 6)]
    for log in (positions[-1], positions[3]):  # behind the log; and both restored to the same moment
        await ledger.restore(log)
        await recreate(js, STREAM)
        for message in kept:
            if int((message.headers or {})[Header.POSITION]) > log:
                continue
            headers = {k: v for k, v in (message.headers or {}).items() if k != Header.EXPECTED_LAST_SEQUENCE}
            await (await ledger.bus()).js.publish(message.subject or "", message.data or b"", headers=headers)
        await publish_all(await relay_of(ledger, told))
        assert await epochs_of(ledger) == [(1, 0)]
    await recreate(js, STREAM)
    await publish_all(await relay_of(ledger, told))
    assert await epochs_of(ledger) == [(1, 0)]
    assert not told.odds
    assert await published_of(js) == [
        f"1/{p}" for p, _ in sorted(await ledger.events(), key=lambda e: e[1] != "urgent")
    ]


async def test_a_log_that_was_restored_to_before_an_epoch_began_goes_on_in_a_later_one_than_any_that_was_told(
    ledger: Ledger,
) -> None:
    js = await operator(ledger)
    positions = await add_many(ledger, 8)
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[5])
    await add_many(ledger, 4)
    await publish_all(await relay_of(ledger))
    assert await epochs_of(ledger) == [(1, 0), (2, positions[5])]
    await ledger.restore(positions[3])
    await ledger.query("DELETE FROM incidents.epochs WHERE epoch = 2")
    newest = await add_many(ledger, 2)
    await publish_all(await relay_of(ledger))
    assert await epochs_of(ledger) == [(1, 0), (3, positions[3])]
    assert await published_of(js, 13) == [f"3/{p}" for p in newest]


async def test_a_second_restore_is_found_behind_what_the_first_one_lost(ledger: Ledger) -> None:
    """The stream holds: agreed, lost in epoch 1, agreed in epoch 2, lost in epoch 2."""
    js = await operator(ledger)
    positions = await add_many(ledger, 20)
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[7])
    again = await add_many(ledger, 12)
    await publish_all(await relay_of(ledger))
    await ledger.restore(again[5])
    newest = await add_many(ledger, 2)
    told = Told()
    await publish_all(await relay_of(ledger, told))
    assert await epochs_of(ledger) == [(1, 0), (2, positions[7]), (3, again[5])]
    assert await published_of(js, 33) == [f"3/{p}" for p in newest]
    assert sum(types.total() for types in told.odds[0].lost.values()) == 6, "what epoch 1 lost was told before"


async def test_an_epoch_in_which_nothing_was_published_yet_is_gone_on_with(ledger: Ledger) -> None:
    js, told = await operator(ledger), Told()
    positions = await add_many(ledger, 6)
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[1])
    await publish_all(await relay_of(ledger))
    for _ in range(2):
        await publish_all(await relay_of(ledger, told))
    newest = await add_many(ledger, 2)
    await publish_all(await relay_of(ledger, told))
    assert await epochs_of(ledger) == [(1, 0), (2, positions[1])]
    assert await published_of(js, 7) == [f"2/{p}" for p in newest]
    assert not told.odds


async def test_where_nothing_is_in_both_any_more_the_time_says_what_the_log_has_kept(ledger: Ledger) -> None:
    js = await operator(ledger)
    kept = await add_many(ledger, 3)
    ledger.clock.advance(minutes=60 * 24 * 40)
    await add_many(ledger, 5)
    await publish_all(await relay_of(ledger))
    await js.purge_stream(STREAM, seq=4)  # as the age of thirty days does
    await ledger.restore(kept[-1])
    ledger.clock.advance(minutes=60)
    newest = await add_many(ledger, 2)
    before = (await js.stream_info(STREAM)).state.last_seq
    await publish_all(await relay_of(ledger))
    assert await epochs_of(ledger) == [(1, 0), (2, kept[-1])]
    assert await published_of(js, before + 1) == [f"2/{p}" for p in newest]


async def test_a_long_stream_costs_a_few_looks_and_what_was_lost_is_counted_up_to_a_bound(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.bus.agreement._COUNTED", 20)

    def many(work: Work) -> None:
        for _ in range(1000):
            add(work, uuid4())

    for _ in range(3):
        await ledger.store.transact(many)
    positions, told = await ledger.lane(), Told()
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[700])
    relay, asked = await relay_of(ledger, told), list[Any]()
    get_msg = relay.bus.js.get_msg

    async def counted(*args: Any, **query: Any) -> Any:
        asked.append(query)
        return await get_msg(*args, **query)

    monkeypatch.setattr(relay.bus.js, "get_msg", counted)
    await publish_all(relay)
    assert await epochs_of(ledger) == [(1, 0), (2, positions[700])]
    assert len(asked) < 60
    assert "at least 20 later events" in str(told.odds[0])
