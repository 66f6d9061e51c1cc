"""Pages that are not new: they wait until their answers are known, and never for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from libs.chassis.bus.connection import BusAway
from libs.contracts.model import Lane
from libs.contracts.notifier import NotificationWithdrawn
from services.notifier.freshness import STALE
from services.notifier.places import IN_FLIGHT
from services.notifier.tests.fakes import Bench
from services.notifier.tests.notifications import after, intend, stop


async def test_a_page_that_was_decided_a_while_ago_reads_incidents_to_the_end_first() -> None:
    bench = Bench()
    old = replace(intend(), decided_at=after(-3))
    bench.on_catch_up = lambda: bench.outbox.decide(old.notification_id, stop(at=0))
    async with bench:
        bench.page(old)
        await bench.settled()
        assert bench.fcm is not None
        assert (bench.caught_up, bench.fcm.pages) == (["urgent"], [])
        assert isinstance(bench.outbox.facts[old.notification_id][-1], NotificationWithdrawn)


async def test_a_bus_that_is_away_does_not_hold_a_page_back() -> None:
    def away() -> None:
        raise BusAway("disconnected")

    bench = Bench(on_catch_up=away)
    async with bench:
        bench.page(replace(intend(), decided_at=after(-3)))
        bench.page(intend())
        await bench.settled()
        assert bench.fcm is not None
        assert len(bench.fcm.pages) == 2


async def test_however_many_pages_wait_acknowledgements_are_read_once() -> None:
    async with Bench() as bench:
        for _ in range(5 * IN_FLIGHT):
            bench.page(replace(intend(), decided_at=after(-3)))
        await bench.settled()
        assert bench.caught_up == ["urgent"]
        assert bench.fcm is not None
        assert len(bench.fcm.pages) == 5 * IN_FLIGHT


async def test_pages_that_wait_for_acknowledgements_hold_no_place() -> None:
    reading = asyncio.Event()

    async def slow(_lane: str) -> None:
        await reading.wait()

    bench = Bench()
    bench.sender.freshness.read_incidents = slow
    async with bench:
        for _ in range(IN_FLIGHT // 2):
            bench.page(replace(intend(), decided_at=after(-3)))
        new = bench.page(intend())
        await bench.until(lambda: bool(bench.fcm and bench.fcm.pages))
        assert bench.fcm is not None
        assert [p.notification_id for p in bench.fcm.pages] == [new]
        reading.set()
        await bench.settled()


async def test_knowledge_of_acknowledgements_ages() -> None:
    async with Bench() as bench:
        old = replace(intend(), decided_at=after(-3))
        bench.page(old)
        # Nor is anything being read any more: that would be known as of after the clock was moved.
        await bench.until(lambda: bool(bench.fcm and bench.fcm.pages) and not bench.sender.freshness._reading)
        await bench.settled()
        bench.clock.advance(seconds=5)
        later = replace(intend(), decided_at=after(-3))
        bench.on_catch_up = lambda: bench.outbox.decide(later.notification_id, stop(at=4))
        bench.page(later)
        await bench.settled()
        assert bench.fcm is not None
        assert [p.notification_id for p in bench.fcm.pages] == [old.notification_id]


@pytest.mark.parametrize(
    ("lane", "run", "read"),
    [
        (Lane.URGENT, 1, ["urgent"]),
        (Lane.URGENT, 2, ["urgent", "routine"]),
        (Lane.ROUTINE, 1, ["urgent", "routine"]),
        (Lane.ROUTINE, 2, ["urgent", "routine"]),
    ],
)
async def test_every_lane_is_read_in_which_a_page_may_have_been_answered(lane: Lane, run: int, read: list[str]) -> None:
    async with Bench() as bench:
        bench.page(replace(intend(lane, run=run), decided_at=after(-3)))
        await bench.settled()
        assert bench.caught_up == read


@pytest.mark.parametrize("slow", list(Lane))
async def test_a_routine_page_waits_for_both_lanes_and_an_urgent_one_for_its_own(slow: Lane) -> None:
    reading = asyncio.Event()

    async def read(lane: str) -> None:
        if lane == slow:
            await reading.wait()

    bench = Bench()
    bench.sender.freshness.read_incidents = read
    async with bench:
        new = bench.page(intend())
        urgent = bench.page(replace(intend(Lane.URGENT), decided_at=after(-3)))
        bench.page(replace(intend(Lane.ROUTINE), decided_at=after(-3)))
        first = {new, urgent} if slow is Lane.ROUTINE else {new}
        await bench.until(lambda: bench.fcm is not None and {p.notification_id for p in bench.fcm.pages} == first)
        reading.set()
        await bench.until(lambda: bench.fcm is not None and len(bench.fcm.pages) == 3)


async def test_a_lane_that_takes_long_to_read_each_time_still_becomes_known() -> None:
    bench = Bench()

    def take_long() -> None:
        bench.clock.advance(seconds=STALE.total_seconds() + 0.05)

    bench.on_catch_up = take_long
    async with bench:
        bench.page(replace(intend(), decided_at=after(-3)))
        await bench.settled()
        assert bench.fcm is not None
        assert len(bench.fcm.pages) == 1
        assert len(bench.caught_up) <= 2


async def test_what_is_known_is_known_of_the_moment_at_which_it_was_asked_for() -> None:
    bench = Bench()
    bench.on_catch_up = lambda: bench.clock.advance(seconds=0.5)
    async with bench:
        freshness = bench.sender.freshness
        freshness._renew(Lane.URGENT)
        await bench.until(lambda: bool(freshness.known()))
        assert freshness.known() == {Lane.URGENT: after(0)}


async def test_a_process_that_was_stopped_while_it_read_reads_again_before_it_pages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("services.notifier.freshness._LIMIT", 0.01)
    bench, old, calls = Bench(), replace(intend(), decided_at=after(-3)), 0

    async def hang_once(_lane: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            await asyncio.Event().wait()
        bench.outbox.decide(old.notification_id, stop(at=0))

    bench.sender.freshness.read_incidents = hang_once
    async with bench:
        bench.page(old)
        await bench.settled()
        assert bench.fcm is not None
        assert (bench.fcm.pages, calls) == ([], 2)


async def test_whoever_leads_again_knows_nothing_of_before() -> None:
    async with Bench() as bench:
        bench.page(replace(intend(), decided_at=after(-3)))
        await bench.settled()
        assert bench.sender.freshness.known()
    assert not bench.sender.freshness.known()
