"""Relays that compete, freeze, die or may not: a restored log begins one epoch, and its relay says so (promise 6)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.chassis.bus.agreement import Odds
from libs.chassis.bus.connection import BusAway, WrongSequence
from libs.chassis.bus.relay import AtOdds, Relay
from libs.chassis.consume.owed import Alarm, OwedAlarms
from libs.chassis.monitor.storing import Storing
from libs.chassis.tests.ledger import SCHEMA, Ledger, until
from libs.chassis.tests.restored import Told, add_many, epochs_of, operator, publish_all, published_of, relay_of


class _Sleeps:
    """asyncio, but that a pause takes no time and is noted."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, pause: float) -> None:
        self.pauses.append(pause)
        await asyncio.sleep(0)


async def test_two_relays_at_once_begin_one_epoch(ledger: Ledger) -> None:
    positions = await add_many(ledger, 6)
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[2])
    relays = [await relay_of(ledger) for _ in range(4)]
    found = await asyncio.gather(*(relay._resume() for relay in relays), return_exceptions=True)
    assert any(isinstance(one, AtOdds) for one in found)
    # Whoever came to look late, on a busy machine, has found the epoch that another one began.
    late = [relay._epoch for relay, one in zip(relays, found, strict=True) if not isinstance(one, AtOdds)]
    assert late == [2] * len(late)
    assert await epochs_of(ledger) == [(1, 0), (2, positions[2])]


async def test_a_frozen_relay_of_the_lost_log_spoils_nothing(ledger: Ledger) -> None:
    js, frozen = await operator(ledger), await relay_of(ledger)
    positions = await add_many(ledger, 6)
    await frozen._resume()
    while await frozen._publish_some():
        pass
    await ledger.add()  # committed, handed over, and lost before it was published
    await ledger.restore(positions[2])
    await frozen._publish_some()  # nobody has written in between: the stream takes it
    newest = await add_many(ledger, 2)
    relay = await relay_of(ledger)
    await publish_all(relay)
    assert await epochs_of(ledger) == [(1, 0), (2, positions[2])]
    await add_many(ledger, 6)
    frozen._compared = asyncio.get_running_loop().time()  # it does not even look
    with pytest.raises(WrongSequence):
        await frozen._publish_some()
    await publish_all(relay)
    assert [m for m in await published_of(js) if m.startswith("2/")][:2] == [f"2/{p}" for p in newest]


async def test_a_relay_that_dies_before_the_epoch_has_begun_tells_it_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions, told = await add_many(ledger, 6), Told()
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[2])
    relay = await relay_of(ledger, told)

    async def dies(*_: Any) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(ledger.store, "begin_epoch", dies)
        with pytest.raises(asyncio.CancelledError):
            await relay._resume()
    assert len(told.odds) == 1
    assert await epochs_of(ledger) == [(1, 0)]
    await publish_all(relay)
    assert await epochs_of(ledger) == [(1, 0), (2, positions[2])]
    assert len(told.odds) == 2, "whoever hears it twice has one incident of it"


async def test_an_epoch_that_is_refused_is_told_once_and_tried_again_ever_more_seldom(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions, alarms = await add_many(ledger, 6), list[str]()
    await publish_all(await relay_of(ledger))
    await ledger.restore(positions[2])
    await ledger.query("REVOKE EXECUTE ON FUNCTION incidents.begin_epoch FROM pager_incidents", user="owner")
    bus = await ledger.bus()

    async def accept(messages: Any, **_: Any) -> None:
        alarms.extend(message.subject for message in messages)

    monkeypatch.setattr(bus, "publish_all", accept)
    owed, sleeps = OwedAlarms(SCHEMA, bus, ledger.clock), _Sleeps()

    async def tell(odds: Odds) -> None:
        await owed.tell(Alarm("The log was restored", f"epoch:{odds.epoch}", str(odds)))

    monkeypatch.setattr("libs.chassis.bus.relay.asyncio", sleeps)
    ledger.run(owed.run)
    ledger.run(Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock, tell).run)

    async def pauses() -> list[float]:
        return sleeps.pauses

    await until(pauses, lambda found: len(found) >= 12, "twelve tries")
    assert sleeps.pauses[:12] == [min(0.02 * 2**n, 10.0) for n in range(12)]
    assert len(alarms) == 1


async def test_a_replica_that_only_watches_says_that_log_and_stream_differ_and_blames_no_bus(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.chassis.monitor.storing.GRACE", 0.0)
    standby = Storing(SCHEMA, await ledger.bus(), ledger.clock, lambda: ledger.store, lambda _lane: None)
    positions = await add_many(ledger, 6)
    await publish_all(await relay_of(ledger))
    await standby.look()
    assert (standby.odds(), standby.reasons()) == ([], [])
    for kept, again in ((2, 0), (2, 1), (2, 6)):  # the stream's end lies beyond the log's, and among other events
        await ledger.restore(positions[kept])
        await add_many(ledger, again)
        await standby.look()
        assert len(standby.odds()) == 2, "both lanes"
        assert "does not hold position" in standby.odds()[0]
        assert standby.reasons() == []
    await publish_all(await relay_of(ledger))
    await standby.look()
    assert (standby.odds(), standby.reasons()) == ([], [])


async def test_a_running_relay_notices_a_restore_and_an_epoch_that_was_begun_by_hand(ledger: Ledger) -> None:
    js, told = await operator(ledger), Told()
    relay = await relay_of(ledger, told)
    ledger.run(relay.run)
    positions = await add_many(ledger, 6)

    async def published() -> list[str]:
        return await published_of(js)

    async def compared() -> int:
        return len(relay._anchors)

    await until(published, lambda found: len(found) == 6, "everything in the stream")
    await until(compared, lambda lanes: lanes == 2, "a comparison")
    await ledger.restore(positions[1])
    again = await add_many(ledger, 6)  # further than it was published before
    await until(published, lambda found: {f"2/{p}" for p in again} <= set(found), "the new epoch in the stream")
    assert len(told.odds) == 1
    begun = await ledger.query("SELECT incidents.begin_epoch(2, 3, %s, 'a test')", again[1], user="owner")
    assert begun == [(True,)]
    await until(published, lambda found: {f"3/{p}" for p in again[2:]} <= set(found), "what follows, once more")
    assert len(told.odds) == 1, "whoever has begun it knows"


async def test_where_no_epoch_can_be_begun_the_relay_says_so_and_goes_on_when_it_was_begun_by_hand(
    ledger: Ledger,
) -> None:
    js, relay = await operator(ledger), await relay_of(ledger)
    positions = await add_many(ledger, 6)
    await publish_all(relay)
    await ledger.query("REVOKE EXECUTE ON FUNCTION incidents.begin_epoch FROM pager_incidents", user="owner")
    await ledger.restore(positions[2])
    newest = await add_many(ledger, 2)
    ledger.run(relay.run)

    async def reasons() -> list[str]:
        return relay.reasons()

    said = await until(reasons, bool, "a reason")
    assert said[0].startswith(f"publishing: log and stream agree up to position {positions[2]}; 3 later events")
    await ledger.query("SELECT incidents.begin_epoch(1, 2, %s, 'a test')", positions[2], user="owner")

    async def published() -> list[str]:
        return await published_of(js, 7)

    await until(published, lambda found: found == [f"2/{p}" for p in newest], "what was added")
    assert relay.reasons() == []


async def test_of_events_of_somebody_else_in_the_stream_nothing_is_believed(ledger: Ledger) -> None:
    relay = await relay_of(ledger)
    await (await ledger.bus()).js.publish("pager.events.incidents.urgent.Odd.1", b"{}", headers={"Nats-Msg-Id": "x"})
    with pytest.raises(BusAway, match="none of ours"):
        await relay._resume()
