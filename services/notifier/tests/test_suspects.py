"""A token is retired only on evidence that it is the token and not us: another one was taken with our credentials."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.chassis.store.work import Cause
from libs.contracts.notifier import MethodKind, NotificationState
from services.notifier.application import ACTOR
from services.notifier.domain.token import RetireToken, decide
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.suspects import MASS, Suspects
from services.notifier.tests.fakes import ACCEPTED, REGISTERED, Bench, FakeVendor
from services.notifier.tests.notifications import BO, NINE, intend

HOUR = timedelta(hours=1)
GONE = Outcome(Verdict.RETIRE, "Unregistered", 410, retired_at=REGISTERED + HOUR)
WORDS = [
    "Unregistered",
    "ExpiredToken",
    "BadDeviceToken",
    "DeviceTokenNotForTopic",
    "UNREGISTERED",
    "SENDER_ID_MISMATCH",
]


class Bad:
    """A vendor that refuses some pages and takes all others."""

    def __init__(self, outcome: Outcome = GONE) -> None:
        self.outcome = outcome
        self.refused: set[UUID] = set()
        self.all = False

    async def answer(self, page: Page) -> Outcome:
        return self.outcome if self.all or page.notification_id in self.refused else ACCEPTED


def bench_of(bad: Bad) -> Bench:
    return Bench(apns=FakeVendor(bad.answer))


async def accept(bench: Bench) -> None:
    bench.page(intend(kind=MethodKind.APNS))
    await bench.settled()


async def refuse(bench: Bench, bad: Bad, times: int = 1) -> list[str]:
    pages = [intend(kind=MethodKind.APNS) for _ in range(times)]
    bad.refused |= {page.notification_id for page in pages}
    for page in pages:
        bench.page(page)
    await bench.settled()
    for page in pages:
        state = bench.outbox.state(page.notification_id)
        assert state is not None
        assert state.stage is NotificationState.FAILED, "for this page it has failed all the same"
    return [str(page.notification_id) for page in pages]


def retired(bench: Bench) -> list[str]:
    return [token.device_id for token in bench.outbox.retired]


@pytest.mark.parametrize("word", WORDS)
async def test_a_refused_token_is_retired_at_once_where_another_device_was_reached(word: str) -> None:
    bad = Bad(Outcome(Verdict.RETIRE, word, 410))
    async with bench_of(bad) as bench:
        await accept(bench)
        devices = await refuse(bench, bad)
        await bench.until(lambda: retired(bench) == devices)
        assert bench.alarms == []


async def test_or_as_soon_as_another_device_is_reached() -> None:
    bad = Bad()
    async with bench_of(bad) as bench:
        devices = await refuse(bench, bad)
        assert retired(bench) == []
        await accept(bench)
        await bench.until(lambda: retired(bench) == devices)
        assert bench.alarms == []


@pytest.mark.parametrize("phones", [1, 3, 20, 30])
@pytest.mark.parametrize("word", WORDS)
async def test_where_no_device_is_reached_no_token_is_retired_and_the_operators_are_told_once(
    word: str, phones: int
) -> None:
    bad = Bad(Outcome(Verdict.RETIRE, word, 410))
    bad.all = True
    async with bench_of(bad) as bench:
        for _ in range(3):
            await refuse(bench, bad, phones)
            bench.clock.advance(minutes=2)
            await bench.until(lambda: bool(bench.alarms))
        assert retired(bench) == []
        assert bench.alarms == ["apns refuses devices and has taken no page of others: check its configuration"]


async def test_what_was_taken_with_other_credentials_is_no_evidence() -> None:
    bad = Bad()
    async with bench_of(bad) as before:
        await accept(before)
    after = Bench(apns=FakeVendor(bad.answer), outbox=before.outbox, credentials="another topic")
    async with after:
        await refuse(after, bad)
        after.clock.advance(minutes=2)
        await after.until(lambda: bool(after.alarms))
        assert retired(after) == []


async def test_a_new_leader_finds_the_evidence_of_the_one_before() -> None:
    bad = Bad()
    async with bench_of(bad) as before:
        await accept(before)
    after = Bench(apns=FakeVendor(bad.answer), outbox=before.outbox)
    async with after:
        devices = await refuse(after, bad)
        await after.until(lambda: retired(after) == devices)


async def test_what_was_taken_more_than_a_day_ago_is_no_evidence() -> None:
    bad = Bad()
    async with bench_of(bad) as bench:
        await accept(bench)
        bench.clock.advance(minutes=25 * 60)
        page = intend(kind=MethodKind.APNS)
        bad.refused.add(page.notification_id)
        now = bench.clock.now()
        bench.page(replace(page, now=now, decided_at=now, next_due_at=now + HOUR))
        await bench.settled()
        bench.clock.advance(minutes=2)
        await bench.until(lambda: bool(bench.alarms))
        assert retired(bench) == []


async def test_a_mass_of_refusals_needs_evidence_that_is_newer_than_its_first() -> None:
    bad = Bad()
    async with bench_of(bad) as bench:
        await accept(bench)
        bench.clock.advance(seconds=30)
        bad.all = True
        devices = await refuse(bench, bad, 50)
        early = len(retired(bench))
        assert early == 0
        bad.all = False
        await accept(bench)
        await bench.until(lambda: sorted(retired(bench)) == sorted(devices))


@pytest.mark.parametrize("days", [400, 30_000])
async def test_a_vendors_moment_in_the_future_does_not_kill_the_next_token(days: int) -> None:
    bad = Bad(Outcome(Verdict.RETIRE, "Unregistered", 410, retired_at=NINE + timedelta(days=days)))
    async with bench_of(bad) as bench:
        await accept(bench)
        await refuse(bench, bad)
        await bench.until(lambda: len(bench.outbox.retired) == 1)
        assert bench.outbox.retired[0].dead_at == NINE, "when it was asked"


async def test_a_token_that_was_registered_after_the_vendors_moment_is_kept() -> None:
    bad = Bad(Outcome(Verdict.RETIRE, "Unregistered", 410, retired_at=REGISTERED - HOUR))
    async with bench_of(bad) as bench:
        await accept(bench)
        await refuse(bench, bad)
        await accept(bench)
        assert bench.outbox.retired == []


def test_a_token_that_is_registered_again_may_be_retired_again() -> None:
    def dead(registered_at: datetime, dead_at: datetime) -> RetireToken:
        return RetireToken(BO, "phone", registered_at, dead_at, "Unregistered")

    assert decide(dead(REGISTERED, NINE), None)
    assert not decide(dead(REGISTERED, NINE), NINE), "it is dead already"
    assert decide(dead(NINE + HOUR, NINE + 2 * HOUR), NINE)


def test_in_a_mass_of_refusals_evidence_must_be_newer_than_the_first_of_them() -> None:
    cause, suspects, moments = Cause(ACTOR, uuid4()), Suspects(), [NINE + timedelta(seconds=n) for n in range(MASS + 1)]
    for number, moment in enumerate(moments):
        dead = RetireToken(BO, f"phone {number}", REGISTERED, moment, "Unregistered")
        suspects.note(dead, cause, "apns", "ours", moment)
    assert {suspect.since for suspect in suspects.to_ask(moments[-1], {})} == {NINE}


async def test_a_vendor_that_refuses_everybody_one_by_one_takes_few_tokens_with_it() -> None:
    bad = Bad()
    async with bench_of(bad) as bench:
        await accept(bench)
        bad.all = True
        refused: list[str] = []
        for _ in range(3 * MASS):
            bench.clock.advance(seconds=61)
            page = intend(kind=MethodKind.APNS)
            now = bench.clock.now()
            refused.append(str(page.notification_id))
            bench.page(replace(page, now=now, decided_at=now, next_due_at=now + HOUR))
            await bench.settled()
            await bench.turn()
        bench.clock.advance(seconds=61)
        await bench.until(lambda: bool(bench.alarms))
        assert retired(bench) == refused[:MASS], "then it is no longer believed for what it took before"


def test_a_page_that_was_taken_before_a_row_of_refusals_does_not_end_it() -> None:
    cause, suspects = Cause(ACTOR, uuid4()), Suspects()
    for number in range(MASS + 1):
        at = NINE + timedelta(seconds=number)
        suspects.note(RetireToken(BO, f"phone {number}", REGISTERED, at, "Gone"), cause, "apns", "ours", at)
    before, after = NINE - timedelta(seconds=1), NINE + timedelta(seconds=MASS)
    for _ in range(2):
        asked = suspects.to_ask(NINE + timedelta(minutes=2), {("apns", "ours"): before})
        assert {suspect.since for suspect in asked} == {NINE}
    suspects.to_ask(NINE + timedelta(minutes=2), {("apns", "ours"): after})
    asked = suspects.to_ask(NINE + timedelta(minutes=2), {})
    assert all(suspect.since == suspect.at - timedelta(days=1) for suspect in asked)
