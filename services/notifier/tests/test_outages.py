"""While a vendor is away its pages wait without a trace and go when it is back; a bad phone is no outage."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from libs.contracts.model import Lane
from libs.contracts.notifier import AttemptFailed, MethodKind, NotificationState, NotificationWithdrawn
from services.notifier.domain.notification import IntendNotification
from services.notifier.places import FIRST
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.tests.fakes import ACCEPTED, Bench, FakeVendor
from services.notifier.tests.notifications import NINE, intend

TIMEOUT = Outcome(Verdict.TRANSIENT, "timeout")
HOUR = timedelta(hours=1)


class Vendor:
    """Away until `is_back`; never well for the pages in `bad`, which it leaves without an answer if it `hangs`."""

    def __init__(self) -> None:
        self.is_back = False
        self.bad: set[UUID] = set()
        self.hangs = False
        self.hanging = self.most_hanging = 0

    async def answer(self, page: Page) -> Outcome:
        if page.notification_id in self.bad:
            if self.hangs:
                self.hanging += 1
                self.most_hanging = max(self.most_hanging, self.hanging)
                await asyncio.Event().wait()
            return TIMEOUT
        return ACCEPTED if self.is_back else TIMEOUT


def long_lived() -> IntendNotification:
    return replace(intend(), next_due_at=NINE + 2 * HOUR)


def failures(bench: Bench) -> int:
    return sum(isinstance(fact, AttemptFailed) for facts in bench.outbox.facts.values() for fact in facts)


async def away(bench: Bench, pages: int = 6) -> list[UUID]:
    """Everything that is due has failed, and the operators know."""
    intended = [bench.page(long_lived()) for _ in range(pages)]
    await bench.until(lambda: bench.alarms == ["fcm does not take pages"])
    return intended


@pytest.mark.thorough
async def test_an_outage_of_an_hour_is_recorded_once_a_page_and_told_once() -> None:
    vendor = Vendor()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        pages = await away(bench)
        pages += [bench.page(long_lived()) for _ in range(200)]
        for _ in range(60):
            bench.clock.advance(minutes=1)
            await bench.turn()
        assert bench.fcm is not None
        assert len(bench.fcm.pages) > 60, "it was probed all the time"
        assert failures(bench) <= len(pages)
        assert bench.alarms == ["fcm does not take pages"]


async def test_when_the_vendor_is_back_everything_that_waits_goes_at_once() -> None:
    vendor = Vendor()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        pages = await away(bench)
        pages += [bench.page(long_lived()) for _ in range(150)]
        pages += [bench.page(replace(long_lived(), lane=Lane.ROUTINE)) for _ in range(50)]
        for _ in range(20):
            bench.clock.advance(minutes=1)
            await bench.turn()
        vendor.is_back = True
        bench.clock.advance(seconds=2)
        bench.sender.wake()
        await bench.settled()
        assert bench.clock.now() == NINE + timedelta(minutes=20, seconds=2)
        assert {p.notification_id for p in bench.fcm.pages} == set(pages) if bench.fcm else False


async def test_a_page_whose_deadline_passes_in_an_outage_expires_and_says_so_also_behind_many_others() -> None:
    vendor = Vendor()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        await away(bench)
        for _ in range(300):
            bench.page(long_lived())
        short = bench.page(intend())
        bench.clock.advance(minutes=5)
        bench.sender.wake()
        await bench.until(lambda: isinstance(bench.outbox.facts[short][-1], NotificationWithdrawn))
        state = bench.outbox.state(short)
        assert state is not None
        assert state.given_up


async def test_other_vendors_and_methods_do_not_wait_for_one_that_is_away() -> None:
    vendor = Vendor()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        await away(bench)
        one = bench.page(intend(kind=MethodKind.APNS))
        await bench.until(lambda: len(bench.outbox.facts[one]) == 2)


async def test_one_phone_that_cannot_be_reached_for_an_hour_is_told_a_few_times_and_tried_all_the_time() -> None:
    vendor = Vendor()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        page = long_lived()
        one = bench.page(page)
        for _ in range(360):
            bench.clock.advance(seconds=10)
            await bench.turn()
        assert bench.fcm is not None
        assert len(bench.fcm.pages) > 200
        assert failures(bench) == 5
        vendor.is_back = True
        bench.clock.advance(seconds=10)
        await bench.until(lambda: len(bench.outbox.facts[one]) == 7)
        state = bench.outbox.state(one)
        assert state is not None
        assert state.stage is NotificationState.ACCEPTED


async def test_three_bad_phones_never_make_a_healthy_one_wait() -> None:
    vendor = Vendor()
    vendor.is_back = True
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        for n in range(3):
            bad = long_lived()
            vendor.bad.add(bad.notification_id)
            bench.outbox.devices[bad.notification_id] = f"bad {n}"
            bench.page(bad)
        for _ in range(30):
            for _ in range(10):
                bench.clock.advance(seconds=1)
                await bench.turn()
            page = replace(long_lived(), now=bench.clock.now())
            bench.outbox.devices[page.notification_id] = "healthy"
            one = bench.page(page)
            await bench.until(lambda one=one: len(bench.outbox.facts[one]) == 2)  # type: ignore[misc]
            state = bench.outbox.state(one)
            assert state is not None
            assert state.stage is NotificationState.ACCEPTED
            assert state.attempts == 1


async def test_behind_a_storm_for_bad_phones_a_healthy_one_is_found() -> None:
    vendor = Vendor()
    vendor.is_back = True
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        for n in range(300):
            bad = long_lived()
            vendor.bad.add(bad.notification_id)
            bench.outbox.devices[bad.notification_id] = f"bad {n % 10}"
            bench.page(bad)
        bench.clock.advance(seconds=1)
        page = replace(long_lived(), now=bench.clock.now())
        bench.outbox.devices[page.notification_id] = "healthy"
        one = bench.page(page)
        for _ in range(15):
            bench.clock.advance(seconds=1)
            await bench.turn()
        assert len(bench.outbox.facts[one]) == 2
        state = bench.outbox.state(one)
        assert state is not None
        assert state.stage is NotificationState.ACCEPTED


async def test_pages_to_phones_that_hang_leave_the_places_to_others() -> None:
    vendor = Vendor()
    vendor.is_back = vendor.hangs = True
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        for n in range(600):
            bad = long_lived()
            vendor.bad.add(bad.notification_id)
            bench.outbox.devices[bad.notification_id] = f"bad {n % 3}"
            bench.page(bad)
        await bench.until(lambda: vendor.hanging == 3 * FIRST)
        healthy = bench.page(long_lived())
        await bench.until(lambda: len(bench.outbox.facts[healthy]) == 2)
        assert vendor.most_hanging == 3 * FIRST


async def test_a_device_that_takes_pages_gets_many_at_a_time() -> None:
    vendor = Vendor()
    vendor.is_back = True
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        pages = [long_lived() for _ in range(500)]
        for page in pages:
            bench.outbox.devices[page.notification_id] = "the only phone"
            bench.page(page)
        await bench.settled()
        assert bench.fcm is not None
        assert len(bench.fcm.pages) == 500
        assert len({p.notification_id for p in bench.fcm.pages}) == 500


async def test_pages_that_wait_for_their_device_are_not_forgotten_when_others_are_withdrawn() -> None:
    vendor = Vendor()
    vendor.is_back = True
    gate = asyncio.Event()

    async def slow(page: Page) -> Outcome:
        await gate.wait()
        return await vendor.answer(page)

    async with Bench(fcm=FakeVendor(slow)) as bench:
        pages = [replace(long_lived(), notification_id=uuid4()) for _ in range(40)]
        for page in pages:
            bench.outbox.devices[page.notification_id] = "the only phone"
            bench.page(page)
        await bench.until(lambda: len(bench.fcm.pages) == FIRST if bench.fcm else False)
        for page in pages[FIRST:20]:
            bench.outbox.facts.pop(page.notification_id)
        gate.set()
        await bench.settled()


class Silent:
    """Leaves every page without an answer until `time_out` or, for good, `come_back`."""

    def __init__(self) -> None:
        self.is_back = False
        self.waiting: list[asyncio.Future[Outcome]] = []

    async def answer(self, _page: Page) -> Outcome:
        if self.is_back:
            return ACCEPTED
        self.waiting.append(asyncio.get_running_loop().create_future())
        return await self.waiting[-1]

    def time_out(self) -> None:
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.set_result(TIMEOUT)

    def come_back(self) -> None:
        self.is_back = True
        self.time_out()


async def backlog(bench: Bench, count: int) -> list[UUID]:
    pages = [long_lived() for _ in range(count)]
    for page in pages:
        bench.outbox.devices[page.notification_id] = "the only phone"
        bench.outbox.intend(page)
    bench.sender.wake()
    return [page.notification_id for page in pages]


async def test_a_long_backlog_of_a_phone_that_hangs_costs_a_few_looks_at_each_time_out() -> None:
    vendor = Silent()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        pages = await backlog(bench, 1000)
        await bench.until(lambda: len(vendor.waiting) == FIRST)
        await bench.turn()
        for _ in range(5):
            looks = bench.outbox.looks
            vendor.time_out()
            await bench.until(lambda: len(vendor.waiting) == 1)
            await bench.turn()
            assert bench.outbox.looks - looks <= 6
        vendor.come_back()
        bench.clock.advance(minutes=1)
        sent = bench.fcm.pages if bench.fcm else []
        await bench.until(lambda: len({page.notification_id for page in sent}) == len(pages))
        await bench.settled()


async def test_behind_a_long_backlog_of_a_phone_that_hangs_an_urgent_page_is_tried_next() -> None:
    vendor = Silent()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        for _ in range(500):
            page = replace(long_lived(), lane=Lane.ROUTINE)
            bench.outbox.devices[page.notification_id] = "the only phone"
            bench.outbox.intend(page)
        bench.sender.wake()
        await bench.until(lambda: len(vendor.waiting) == FIRST)
        await bench.turn()
        [urgent] = await backlog(bench, 1)
        await bench.turn()
        vendor.time_out()
        await bench.until(lambda: len(vendor.waiting) == 1)
        assert bench.fcm is not None
        assert bench.fcm.pages[-1].notification_id == urgent


async def test_what_waits_behind_a_long_backlog_that_was_withdrawn_goes_when_the_phone_is_back() -> None:
    vendor = Silent()
    async with Bench(fcm=FakeVendor(vendor.answer)) as bench:
        pages = await backlog(bench, 1000)
        await bench.until(lambda: len(vendor.waiting) == FIRST)
        await bench.turn()
        for one in pages[FIRST:-1]:
            bench.outbox.facts.pop(one)
        vendor.come_back()
        await bench.until(lambda: len(bench.outbox.facts[pages[-1]]) == 2)
