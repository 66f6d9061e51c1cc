"""Whoever watches a stream says what it lacks, and asks for that nothing that costs more as the stream grows."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from libs.chassis.bus.connection import Bus
from libs.chassis.monitor.storing import Storing
from libs.chassis.tests.ledger import SCHEMA, Ledger, until
from libs.chassis.tests.restored import publish_all, relay_of
from libs.contracts.model import Lane
from libs.contracts.subjects import lane_filter

_LANES = [lane_filter(SCHEMA, lane) for lane in Lane]


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.monitor.storing.GRACE", 0.0)


def _asked(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The subjects of which the stream's last message was asked for, from now on."""
    asked: list[str | None] = []
    get = bus.js.get_msg

    async def get_msg(stream: str, seq: int | None = None, subject: str | None = None, **more: Any) -> Any:
        if seq is None:
            asked.append(subject)
        return await get(stream, seq=seq, subject=subject, **more)

    monkeypatch.setattr(bus.js, "get_msg", get_msg)
    return asked


async def _watch(ledger: Ledger) -> Storing:
    return Storing(SCHEMA, await ledger.bus(), ledger.clock, lambda: ledger.store, lambda _lane: None)


async def test_a_stream_that_is_complete_is_not_asked_for_the_end_of_a_lane(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server finds that by walking through every subject of the lane, one an entity."""
    watch = await _watch(ledger)
    asked = _asked(watch.bus, monkeypatch)
    entity = uuid4()
    for lane in (Lane.URGENT, Lane.ROUTINE, Lane.URGENT):
        await ledger.add(lane=lane, entity=entity if lane is Lane.URGENT else None)
    await watch.look()  # not there yet, and not late
    await publish_all(await relay_of(ledger))
    for seconds in (2, 3600, 2):
        ledger.clock.advance(seconds=seconds)
        await watch.look()
        assert watch.reasons() == watch.odds() == []
    assert asked
    assert not set(asked) & set(_LANES)


async def test_what_the_stream_lacks_stays_said_while_more_is_committed_and_until_it_is_there(ledger: Ledger) -> None:
    watch = await _watch(ledger)
    await ledger.add()
    await publish_all(await relay_of(ledger))
    await watch.look()
    await ledger.add()
    for seconds, late in ((9, False), (2, True), (5, True), (5, True)):
        await watch.look()
        ledger.clock.advance(seconds=seconds)
        await ledger.add()  # the newest is always young
        await watch.look()
        assert bool(watch.reasons()) is late, seconds
    assert "lacks events that were committed 21 s ago" in watch.reasons()[0]
    await publish_all(await relay_of(ledger))
    await watch.look()
    assert watch.reasons() == []


async def test_a_look_that_failed_makes_nothing_young_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = await _watch(ledger)
    await ledger.add()
    await publish_all(await relay_of(ledger))
    get, failing = watch.bus.js.get_msg, False

    async def get_msg(*asked: Any, **more: Any) -> Any:
        if failing:
            raise TimeoutError
        return await get(*asked, **more)

    monkeypatch.setattr(watch.bus.js, "get_msg", get_msg)
    for number in range(6):
        await ledger.add()
        failing = number % 2 == 1
        await watch.look()
        ledger.clock.advance(seconds=4)
    failing = False
    await watch.look()
    assert "lacks events that were committed" in watch.reasons()[0]


async def test_a_stream_that_was_purged_is_watched_on(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    watch, operator = await _watch(ledger), (await ledger.bus("operator")).client.jetstream()
    await ledger.add()
    await publish_all(await relay_of(ledger))
    await operator.purge_stream("INCIDENTS")
    ledger.clock.advance(seconds=60)
    watch.published = {Lane.URGENT: 2**31, Lane.ROUTINE: 0}.__getitem__  # the relay alone knows
    await watch.look()
    assert watch.reasons() == []
    await ledger.add()
    await ledger.relay()

    async def held() -> int:
        return (await operator.stream_info("INCIDENTS")).state.messages

    await until(held, lambda messages: messages == 2, "both events in the stream")
    asked = _asked(watch.bus, monkeypatch)
    for _ in range(2):
        await watch.look()
    assert watch.reasons() == []
    assert lane_filter(SCHEMA, Lane.URGENT) not in asked, "what came after the purge shows it again"
