"""A restored log begins a new epoch by itself, where it and its stream part, and is published on (promise 6)."""

from __future__ import annotations

import asyncio
import random
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from nats.js.client import JetStreamContext

from libs.chassis.bus.agreement import Odds
from libs.chassis.bus.connection import BusAway, WrongSequence
from libs.chassis.bus.relay import AtOdds, Relay
from libs.chassis.consume.epoch_alarm import EpochAlarm
from libs.chassis.consume.feed import Batch, Feed
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.monitor.storing import Storing
from libs.chassis.store.cursors import START
from libs.chassis.store.epochs import Epoch
from libs.chassis.store.work import Work
from libs.chassis.tests.ledger import SCHEMA, Ledger, add, until
from libs.contracts.codec import id_of
from libs.contracts.model import Lane
from libs.contracts.subjects import SERVICES, Header
from tests.servers import recreate

_STREAM = "INCIDENTS"


class Told:
    """What the admins were to be told."""

    def __init__(self) -> None:
        self.odds: list[Odds] = []

    async def __call__(self, odds: Odds) -> None:
        self.odds.append(odds)


class _Sleeps:
    """asyncio, but that a pause takes no time and is noted."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def sleep(self, pause: float) -> None:
        self.pauses.append(pause)
        await asyncio.sleep(0)


async def _operator(ledger: Ledger) -> JetStreamContext:
    return (await ledger.bus("operator")).client.jetstream()


async def _relay(ledger: Ledger, told: Told | None = None) -> Relay:
    relay = Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock, told or Told())
    ledger.store.listen(lambda written: relay.hand(written.runs))
    return relay


async def _publish_all(relay: Relay) -> None:
    """As `run` does, until everything is in the stream."""
    for _ in range(10):
        try:
            await relay._resume()
            break
        except AtOdds:
            continue
    while await relay._publish_some():
        pass


async def _add(ledger: Ledger, many: int) -> list[int]:
    """Events in turn in both lanes; their positions."""
    return [await ledger.add(lane=list(Lane)[n % 2]) for n in range(many)]


async def _epochs(ledger: Ledger) -> list[tuple[int, int]]:
    rows = await ledger.query("SELECT epoch, after_position FROM incidents.epochs ORDER BY epoch")
    return [(row[0], row[1]) for row in rows]


async def _published(js: JetStreamContext, first: int = 1) -> list[str]:
    """`epoch/position` of what the stream holds from a sequence on, in its order."""
    info = await js.stream_info(_STREAM)
    found = []
    for sequence in range(max(info.state.first_seq, first), info.state.last_seq + 1):
        headers = (await js.get_msg(_STREAM, sequence)).headers or {}
        found.append(headers[Header.MESSAGE_ID].removeprefix("incidents/"))
    return found


@pytest.mark.parametrize("kept", [0, 1, 5, 11])
async def test_a_restored_log_is_published_on_in_a_new_epoch_after_the_last_event_on_which_both_agree(
    ledger: Ledger, kept: int
) -> None:
    js, told = await _operator(ledger), Told()
    positions = await _add(ledger, 12)
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[kept] if kept else 0)
    again = await _add(ledger, 4)
    assert kept == 11 or set(again) & set(positions), "positions are given out again"
    await _publish_all(await _relay(ledger, told))
    after = positions[kept] if kept else 0
    assert await _epochs(ledger) == ([(1, 0), (2, after)] if kept < 11 else [(1, 0)])
    epoch = 2 if kept < 11 else 1
    assert sorted(await _published(js, 13)) == sorted(f"{epoch}/{position}" for position in again)
    if kept < 11:
        (odds,) = told.odds
        lost = sum(types.total() for types in odds.lost.values())
        assert (odds.epoch, odds.after, lost, odds.uncounted) == (2, after, 12 - (kept + 1 if kept else 0), False)
        assert f"agree up to position {after}; {lost} later events are only in the stream" in str(odds)
        assert "AlertsGrouped" in str(odds)


async def test_the_lane_that_is_behind_loses_nothing_when_the_other_one_was_cut(ledger: Ledger) -> None:
    js = await _operator(ledger)
    relay = await _relay(ledger)
    await relay._resume()
    urgent = [await ledger.add(lane=Lane.URGENT) for _ in range(3)]
    await relay._publish_some()
    backlog = [await ledger.add(lane=Lane.ROUTINE) for _ in range(3)]
    later = [await ledger.add(lane=Lane.URGENT) for _ in range(2)]
    await relay._publish_some()  # urgent goes first: the backlog is not in the stream yet
    assert await _published(js) == [f"1/{p}" for p in (*urgent, *later)]
    await ledger.restore(backlog[-1])
    await _publish_all(await _relay(ledger))
    assert await _epochs(ledger) == [(1, 0), (2, urgent[-1])]
    assert await _published(js, 6) == [f"2/{p}" for p in backlog]


async def test_a_bus_that_is_behind_or_was_restored_with_the_log_begins_nothing(ledger: Ledger) -> None:
    js, told = await _operator(ledger), Told()
    positions = await _add(ledger, 6)
    await _publish_all(await _relay(ledger, told))
    kept = [await js.get_msg(_STREAM, sequence) for sequence in range(1, 6)]
    for log in (positions[-1], positions[3]):  # behind the log; and both restored to the same moment
        await ledger.restore(log)
        await recreate(js, _STREAM)
        for message in kept:
            if int((message.headers or {})[Header.POSITION]) > log:
                continue
            headers = {k: v for k, v in (message.headers or {}).items() if k != Header.EXPECTED_LAST_SEQUENCE}
            await (await ledger.bus()).js.publish(message.subject or "", message.data or b"", headers=headers)
        await _publish_all(await _relay(ledger, told))
        assert await _epochs(ledger) == [(1, 0)]
    await recreate(js, _STREAM)
    await _publish_all(await _relay(ledger, told))
    assert await _epochs(ledger) == [(1, 0)]
    assert not told.odds
    assert await _published(js) == [f"1/{p}" for p, _ in sorted(await ledger.events(), key=lambda e: e[1] != "urgent")]


async def test_a_log_that_was_restored_to_before_an_epoch_began_goes_on_in_a_later_one_than_any_that_was_told(
    ledger: Ledger,
) -> None:
    js = await _operator(ledger)
    positions = await _add(ledger, 8)
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[5])
    await _add(ledger, 4)
    await _publish_all(await _relay(ledger))
    assert await _epochs(ledger) == [(1, 0), (2, positions[5])]
    await ledger.restore(positions[3])
    await ledger.query("DELETE FROM incidents.epochs WHERE epoch = 2")
    newest = await _add(ledger, 2)
    await _publish_all(await _relay(ledger))
    assert await _epochs(ledger) == [(1, 0), (3, positions[3])]
    assert await _published(js, 13) == [f"3/{p}" for p in newest]


async def test_a_second_restore_is_found_behind_what_the_first_one_lost(ledger: Ledger) -> None:
    """The stream holds: agreed, lost in epoch 1, agreed in epoch 2, lost in epoch 2."""
    js = await _operator(ledger)
    positions = await _add(ledger, 20)
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[7])
    again = await _add(ledger, 12)
    await _publish_all(await _relay(ledger))
    await ledger.restore(again[5])
    newest = await _add(ledger, 2)
    told = Told()
    await _publish_all(await _relay(ledger, told))
    assert await _epochs(ledger) == [(1, 0), (2, positions[7]), (3, again[5])]
    assert await _published(js, 33) == [f"3/{p}" for p in newest]
    assert sum(types.total() for types in told.odds[0].lost.values()) == 6, "what epoch 1 lost was told before"


async def test_an_epoch_in_which_nothing_was_published_yet_is_gone_on_with(ledger: Ledger) -> None:
    js, told = await _operator(ledger), Told()
    positions = await _add(ledger, 6)
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[1])
    await _publish_all(await _relay(ledger))
    for _ in range(2):
        await _publish_all(await _relay(ledger, told))
    newest = await _add(ledger, 2)
    await _publish_all(await _relay(ledger, told))
    assert await _epochs(ledger) == [(1, 0), (2, positions[1])]
    assert await _published(js, 7) == [f"2/{p}" for p in newest]
    assert not told.odds


async def test_where_nothing_is_in_both_any_more_the_time_says_what_the_log_has_kept(ledger: Ledger) -> None:
    js = await _operator(ledger)
    kept = await _add(ledger, 3)
    ledger.clock.advance(minutes=60 * 24 * 40)
    await _add(ledger, 5)
    await _publish_all(await _relay(ledger))
    await js.purge_stream(_STREAM, seq=4)  # as the age of thirty days does
    await ledger.restore(kept[-1])
    ledger.clock.advance(minutes=60)
    newest = await _add(ledger, 2)
    before = (await js.stream_info(_STREAM)).state.last_seq
    await _publish_all(await _relay(ledger))
    assert await _epochs(ledger) == [(1, 0), (2, kept[-1])]
    assert await _published(js, before + 1) == [f"2/{p}" for p in newest]


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
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[700])
    relay, asked = await _relay(ledger, told), list[Any]()
    get_msg = relay.bus.js.get_msg

    async def counted(*args: Any, **query: Any) -> Any:
        asked.append(query)
        return await get_msg(*args, **query)

    monkeypatch.setattr(relay.bus.js, "get_msg", counted)
    await _publish_all(relay)
    assert await _epochs(ledger) == [(1, 0), (2, positions[700])]
    assert len(asked) < 60
    assert "at least 20 later events" in str(told.odds[0])


async def test_two_relays_at_once_begin_one_epoch(ledger: Ledger) -> None:
    positions = await _add(ledger, 6)
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[2])
    relays = [await _relay(ledger) for _ in range(4)]
    found = await asyncio.gather(*(relay._resume() for relay in relays), return_exceptions=True)
    assert any(isinstance(one, AtOdds) for one in found)
    # Whoever came to look late, on a busy machine, has found the epoch that another one began.
    late = [relay._epoch for relay, one in zip(relays, found, strict=True) if not isinstance(one, AtOdds)]
    assert late == [2] * len(late)
    assert await _epochs(ledger) == [(1, 0), (2, positions[2])]


async def test_a_frozen_relay_of_the_lost_log_spoils_nothing(ledger: Ledger) -> None:
    js, frozen = await _operator(ledger), await _relay(ledger)
    positions = await _add(ledger, 6)
    await frozen._resume()
    while await frozen._publish_some():
        pass
    await ledger.add()  # committed, handed over, and lost before it was published
    await ledger.restore(positions[2])
    await frozen._publish_some()  # nobody has written in between: the stream takes it
    newest = await _add(ledger, 2)
    relay = await _relay(ledger)
    await _publish_all(relay)
    assert await _epochs(ledger) == [(1, 0), (2, positions[2])]
    await _add(ledger, 6)
    frozen._compared = asyncio.get_running_loop().time()  # it does not even look
    with pytest.raises(WrongSequence):
        await frozen._publish_some()
    await _publish_all(relay)
    assert [m for m in await _published(js) if m.startswith("2/")][:2] == [f"2/{p}" for p in newest]


async def test_a_relay_that_dies_before_the_epoch_has_begun_tells_it_again(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions, told = await _add(ledger, 6), Told()
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[2])
    relay = await _relay(ledger, told)

    async def dies(*_: Any) -> bool:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(ledger.store, "begin_epoch", dies)
        with pytest.raises(asyncio.CancelledError):
            await relay._resume()
    assert len(told.odds) == 1
    assert await _epochs(ledger) == [(1, 0)]
    await _publish_all(relay)
    assert await _epochs(ledger) == [(1, 0), (2, positions[2])]
    assert len(told.odds) == 2, "whoever hears it twice has one incident of it"


async def test_an_epoch_that_is_refused_is_told_once_and_tried_again_ever_more_seldom(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions, alarms = await _add(ledger, 6), list[str]()
    await _publish_all(await _relay(ledger))
    await ledger.restore(positions[2])
    await ledger.query("REVOKE EXECUTE ON FUNCTION incidents.begin_epoch FROM pager_incidents", user="owner")
    bus = await ledger.bus()

    async def accept(messages: Any, **_: Any) -> None:
        alarms.extend(message.subject for message in messages)

    monkeypatch.setattr(bus, "publish_all", accept)
    alarm, sleeps = EpochAlarm(SCHEMA, bus, ledger.clock), _Sleeps()
    monkeypatch.setattr("libs.chassis.bus.relay.asyncio", sleeps)
    ledger.run(alarm.run)
    ledger.run(Relay(SCHEMA, ledger.store, await ledger.bus(), ledger.clock, alarm.tell).run)

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
    positions = await _add(ledger, 6)
    await _publish_all(await _relay(ledger))
    await standby.look()
    assert (standby.odds(), standby.reasons()) == ([], [])
    for kept, again in ((2, 0), (2, 1), (2, 6)):  # the stream's end lies beyond the log's, and among other events
        await ledger.restore(positions[kept])
        await _add(ledger, again)
        await standby.look()
        assert len(standby.odds()) == 2, "both lanes"
        assert "does not hold position" in standby.odds()[0]
        assert standby.reasons() == []
    await _publish_all(await _relay(ledger))
    await standby.look()
    assert (standby.odds(), standby.reasons()) == ([], [])


async def test_a_running_relay_notices_a_restore_and_an_epoch_that_was_begun_by_hand(ledger: Ledger) -> None:
    js, told = await _operator(ledger), Told()
    relay = await _relay(ledger, told)
    ledger.run(relay.run)
    positions = await _add(ledger, 6)

    async def published() -> list[str]:
        return await _published(js)

    async def compared() -> int:
        return len(relay._anchors)

    await until(published, lambda found: len(found) == 6, "everything in the stream")
    await until(compared, lambda lanes: lanes == 2, "a comparison")
    await ledger.restore(positions[1])
    again = await _add(ledger, 6)  # further than it was published before
    await until(published, lambda found: {f"2/{p}" for p in again} <= set(found), "the new epoch in the stream")
    assert len(told.odds) == 1
    begun = await ledger.query("SELECT incidents.begin_epoch(2, 3, %s, 'a test')", again[1], user="owner")
    assert begun == [(True,)]
    await until(published, lambda found: {f"3/{p}" for p in again[2:]} <= set(found), "what follows, once more")
    assert len(told.odds) == 1, "whoever has begun it knows"


async def test_where_no_epoch_can_be_begun_the_relay_says_so_and_goes_on_when_it_was_begun_by_hand(
    ledger: Ledger,
) -> None:
    js, relay = await _operator(ledger), await _relay(ledger)
    positions = await _add(ledger, 6)
    await _publish_all(relay)
    await ledger.query("REVOKE EXECUTE ON FUNCTION incidents.begin_epoch FROM pager_incidents", user="owner")
    await ledger.restore(positions[2])
    newest = await _add(ledger, 2)
    ledger.run(relay.run)

    async def reasons() -> list[str]:
        return relay.reasons()

    said = await until(reasons, bool, "a reason")
    assert said[0].startswith(f"publishing: log and stream agree up to position {positions[2]}; 3 later events")
    await ledger.query("SELECT incidents.begin_epoch(1, 2, %s, 'a test')", positions[2], user="owner")

    async def published() -> list[str]:
        return await _published(js, 7)

    await until(published, lambda found: found == [f"2/{p}" for p in newest], "what was added")
    assert relay.reasons() == []


async def test_of_events_of_somebody_else_in_the_stream_nothing_is_believed(ledger: Ledger) -> None:
    relay = await _relay(ledger)
    await (await ledger.bus()).js.publish("pager.events.incidents.urgent.Odd.1", b"{}", headers={"Nats-Msg-Id": "x"})
    with pytest.raises(BusAway, match="none of ours"):
        await relay._resume()


async def test_the_service_may_begin_an_epoch_through_its_function_and_write_nothing_else_there(
    ledger: Ledger,
) -> None:
    positions = await _add(ledger, 2)
    for statement in (
        "INSERT INTO incidents.epochs (epoch, after_position) VALUES (2, 0)",
        "UPDATE incidents.epochs SET after_position = 1",
        "DELETE FROM incidents.epochs",
        "DELETE FROM incidents.stored_events",
        "SELECT auth.begin_epoch(1, 2, 0, 'another service')",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await ledger.query(statement, user=SCHEMA)
    for number, after, why in ((1, 0, "no later one"), (2, positions[-1] + 1, "beyond the end"), (2, -1, "x"),
                               (2, 0, "  "), (2, 0, "x" * 2001)):  # fmt: skip
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            await ledger.query("SELECT incidents.begin_epoch(1, %s, %s, %s)", number, after, why, user=SCHEMA)
    assert not await ledger.store.begin_epoch(7, Epoch(8, 0, ledger.clock.now(), "on a wrong idea of what is current"))
    assert await ledger.store.begin_epoch(1, Epoch(4, positions[0], ledger.clock.now(), "a test"))
    epochs = await ledger.store.epochs()
    assert [(e.number, e.after, e.reason) for e in epochs.all] == [(1, 0, "the first one"), (4, positions[0], "a test")]
    assert (epochs.keep(1, positions[1]), epochs.keep(4, positions[1])) == tuple(positions)


@pytest.mark.parametrize("service", SERVICES)
async def test_the_function_runs_as_the_owner_with_a_pinned_path_and_nobody_else_may_call_it(
    ledger: Ledger, service: str
) -> None:
    ((definer, config, owner, rights),) = await ledger.query(
        "SELECT prosecdef, proconfig, proowner::regrole::text, proacl::text[] FROM pg_proc"
        " WHERE pronamespace = %s::regnamespace",
        service,
    )
    assert (definer, config, owner) == (True, ["search_path=pg_catalog, pg_temp"], "pager_owner")
    assert sorted(right.partition("=")[0] for right in rights) == sorted(["pager_owner", f"pager_{service}"])


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_restored_a_reader_from_the_start_gets_the_log_and_one_that_goes_on_misses_nothing(
    ledger: Ledger, seed: int
) -> None:
    chance, told = random.Random(seed), Told()
    await ledger.answer()
    bus = await ledger.bus("gateway")
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
    running = ledger.run((await _relay(ledger, told)).run)
    for _ in range(4):
        log = await ledger.events()
        if log and chance.random() < 0.8:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await ledger.restore(chance.choice([0, *(p for p, _ in log)]))
            running = ledger.run((await _relay(ledger, told)).run)
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
            async with asyncio.timeout(10), aclosing(Feed(bus, SCHEMA, lane).after(START)) as batches:
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
