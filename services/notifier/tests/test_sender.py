"""The sender: every page that is due goes out at once, its result is never lost, and nobody waits for a slow vendor."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from libs.contracts.model import Lane
from libs.contracts.notifier import (
    AttemptFailed,
    MethodKind,
    NotificationReplaced,
    NotificationState,
)
from services.notifier.places import IN_FLIGHT
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.tests.fakes import ACCEPTED, Bench, FakeVendor
from services.notifier.tests.notifications import INTEND, NINE, intend, stop


def answers(*outcomes: Outcome) -> FakeVendor:
    """These answers one after the other, the last of them for ever."""
    left = list(outcomes)

    async def answer(_page: Page) -> Outcome:
        return left.pop(0) if len(left) > 1 else left[0]

    return FakeVendor(answer)


def last(bench: Bench) -> UUID | None:
    """What went to FCM last."""
    assert bench.fcm is not None
    return bench.fcm.pages[-1].notification_id if bench.fcm.pages else None


async def hang(_page: Page) -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_page_goes_to_the_vendor_of_its_platform_and_is_recorded() -> None:
    async with Bench() as bench:
        phone, tablet = bench.page(intend()), bench.page(intend(kind=MethodKind.APNS))
        await bench.settled()
        assert bench.fcm is not None
        assert bench.apns is not None
        assert [p.notification_id for p in bench.fcm.pages] == [phone]
        assert [p.notification_id for p in bench.apns.pages] == [tablet]
        assert bench.fcm.pages[0].incident_url == f"https://pager.example/app/incidents/{INTEND.brief.incident_id}"
        state = bench.outbox.state(phone)
        assert state is not None
        assert state.stage is NotificationState.ACCEPTED


async def test_a_failed_page_is_sent_again_under_the_same_id() -> None:
    async with Bench(fcm=answers(Outcome(Verdict.TRANSIENT, "timeout"), ACCEPTED)) as bench:
        one = bench.page(intend())
        await bench.until(lambda: len(bench.outbox.facts[one]) == 2)
        bench.clock.advance(seconds=1)
        await bench.settled()
        assert bench.fcm is not None
        assert [p.notification_id for p in bench.fcm.pages] == [one, one]


@pytest.mark.thorough
async def test_results_survive_postgresql_being_away() -> None:
    async with Bench() as bench:
        bench.outbox.away = 2
        bench.page(intend())
        await bench.settled()
        assert bench.fcm is not None
        assert len(bench.fcm.pages) == 1, "not sent again while its result waits"


async def test_a_sender_that_dies_before_it_records_repeats_the_same_notification() -> None:
    first = Bench(fcm=FakeVendor(hang))
    async with first:
        one = first.page(intend())
        await first.until(lambda: bool(first.fcm and first.fcm.pages))
    async with Bench(outbox=first.outbox) as second:
        await second.settled()
        assert second.fcm is not None
        assert [p.notification_id for p in second.fcm.pages] == [one]


async def test_a_page_that_is_acknowledged_on_its_way_is_replaced_silently() -> None:
    gate = asyncio.Event()

    async def slow(_page: Page) -> Outcome:
        await gate.wait()
        return ACCEPTED

    async with Bench(fcm=FakeVendor(slow)) as bench:
        one = bench.page(intend())
        await bench.until(lambda: bool(bench.fcm and bench.fcm.pages))
        bench.outbox.decide(one, stop(at=0.5))
        gate.set()
        await bench.until(lambda: bool(bench.fcm and len(bench.fcm.pages) == 2))
        await bench.settled()
        assert bench.fcm is not None
        assert [p.kind for p in bench.fcm.pages] == ["page", "acknowledged"]
        assert isinstance(bench.outbox.facts[one][-2], NotificationReplaced)


async def test_a_vendor_that_hangs_delays_nobody_elses_pages() -> None:
    async with Bench(apns=FakeVendor(hang)) as bench:
        for _ in range(2 * IN_FLIGHT):
            bench.page(intend(kind=MethodKind.APNS))
        phone = bench.page(intend())
        await bench.until(lambda: bool(bench.fcm and bench.fcm.pages))
        assert bench.apns is not None
        assert bench.fcm is not None
        assert bench.fcm.pages[0].notification_id == phone
        assert len(bench.apns.pages) == IN_FLIGHT


async def test_routine_pages_leave_places_for_urgent_ones() -> None:
    async with Bench(fcm=FakeVendor(hang)) as bench:
        for _ in range(2 * IN_FLIGHT):
            bench.page(intend(Lane.ROUTINE))
        await bench.until(lambda: bool(bench.fcm and len(bench.fcm.pages) == 60))
        urgent = bench.page(intend())
        await bench.until(lambda: bool(bench.fcm and bench.fcm.pages[-1].notification_id == urgent))


async def test_a_provider_without_credentials_fails_visibly_and_at_once() -> None:
    async with Bench(fcm=None) as bench:
        one = bench.page(intend())
        await bench.settled()
        fact = bench.outbox.facts[one][-1]
        assert isinstance(fact, AttemptFailed)
        assert (fact.reason, fact.verdict, fact.retry_at) == ("fcm is not configured", "credentials", None)


async def test_a_removed_device_is_not_sent_to() -> None:
    async with Bench() as bench:
        command = intend()
        bench.outbox.tokens[command.notification_id] = None
        bench.page(command)
        await bench.settled()
        assert bench.fcm is not None
        assert bench.fcm.pages == []


async def test_a_malformed_page_is_not_tried_again() -> None:
    async with Bench(fcm=answers(Outcome(Verdict.OURS, "INVALID_ARGUMENT", 400))) as bench:
        bench.page(intend())
        await bench.settled()
        assert bench.fcm is not None
        assert len(bench.fcm.pages) == 1


async def test_a_client_that_raises_loses_no_page() -> None:
    async def broken(_page: Page) -> Outcome:
        raise RuntimeError("a surprise")

    async with Bench(fcm=FakeVendor(broken)) as bench:
        one = bench.page(intend())
        await bench.until(lambda: len(bench.outbox.facts[one]) == 2)
        fact = bench.outbox.facts[one][-1]
        assert isinstance(fact, AttemptFailed)
        assert fact.retry_at is not None


async def test_a_page_is_not_sent_before_its_time() -> None:
    async with Bench() as bench:
        assert bench.fcm is not None
        later = bench.page(replace(intend(), not_before=NINE + timedelta(minutes=3)))
        for minutes in (0, 2.9):
            bench.clock.advance(minutes=minutes)
            bench.page(intend())
            await bench.until(lambda: bench.fcm is not None and len(bench.fcm.pages) == len(bench.outbox.facts) - 1)
        assert later not in {p.notification_id for p in bench.fcm.pages}
        bench.clock.advance(minutes=0.1)
        await bench.settled()
        assert last(bench) == later


async def test_results_are_recorded_together() -> None:
    async with Bench() as bench:
        for _ in range(50):
            bench.page(intend())
        await bench.settled()
        assert sum(bench.outbox.records) == 50
        assert len(bench.outbox.records) <= 5
