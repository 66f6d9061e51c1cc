"""What phones say of pages: each once, in their order, by clocks that are believed only within a bound."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.given import Given
from libs.contracts.notifier import ReceiptRecorded, ReceiptState
from services.notifier.application import NOTIFICATION
from services.notifier.domain.notification import Notification, RecordReceipt
from services.notifier.tests.notifications import BO, INCIDENT, INTEND, NINE, accepted, after, stop

RECEIVED, DISPLAYED, OPENED = ReceiptState
INTENDED = NOTIFICATION.decide(INTEND, None)[0]


def said(state: ReceiptState, at: datetime, now: datetime | None = None) -> RecordReceipt:
    return RecordReceipt(state, at, now or at)


def recorded(state: ReceiptState, seen_at: datetime, at: datetime | None = None) -> ReceiptRecorded:
    return ReceiptRecorded(
        notification_id=INTEND.notification_id,
        incident_id=INCIDENT,
        user_id=BO,
        state=state,
        seen_at=seen_at,
        at=at or seen_at,
    )


def test_each_is_recorded_with_both_clocks() -> None:
    first = Given(NOTIFICATION, [INTENDED]).when(said(RECEIVED, after(1), after(2)))
    page = first.then([recorded(RECEIVED, after(1), after(2))])
    page.when(said(DISPLAYED, after(3), after(3600))).then([recorded(DISPLAYED, after(3), after(3600))])


def test_the_same_twice_is_once_also_with_another_time() -> None:
    told = [INTENDED, recorded(RECEIVED, after(1))]
    Given(NOTIFICATION, told).when(said(RECEIVED, after(1))).then_nothing()
    Given(NOTIFICATION, told).when(said(RECEIVED, after(50))).then_nothing()


def test_what_comes_out_of_order_is_kept_in_the_order_in_which_it_happened() -> None:
    page = Given(NOTIFICATION, [INTENDED, recorded(OPENED, after(10))])
    page.when(said(RECEIVED, after(2), after(20))).then([recorded(RECEIVED, after(2), after(20))])
    page.when(said(DISPLAYED, after(19), after(20))).then([recorded(DISPLAYED, after(10), after(20))])
    later = Given(NOTIFICATION, [INTENDED, recorded(RECEIVED, after(10))])
    later.when(said(DISPLAYED, after(5), after(11))).then([recorded(DISPLAYED, after(10), after(11))])


@pytest.mark.parametrize(
    ("phone", "seen"),
    [
        (after(30), after(30)),
        (after(60 + 59), after(60)),
        (after(60 + 61), after(60)),
        (after(-1), after(60)),
        (datetime(1970, 1, 1, tzinfo=UTC), after(60)),
        (datetime.min.replace(tzinfo=UTC), after(60)),
        (datetime.max.replace(tzinfo=UTC), after(60)),
    ],
)
def test_a_clock_that_cannot_be_right_loses_no_receipt(phone: datetime, seen: datetime) -> None:
    Given(NOTIFICATION, [INTENDED]).when(said(RECEIVED, phone, after(60))).then([recorded(RECEIVED, seen, after(60))])


def test_a_page_may_be_seen_before_its_vendors_answer_is_recorded_and_after_it_is_over() -> None:
    Given(NOTIFICATION, []).when(said(RECEIVED, after(1))).then_nothing()
    for commands in ([], [accepted()], [accepted(), stop()], [stop()]):
        page: Any = Given(NOTIFICATION, [INTENDED])
        for command in commands:
            page = Given(NOTIFICATION, [*page.facts, *page.when(command).facts])
        page.when(said(OPENED, after(60))).then([recorded(OPENED, after(60))])


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(st.sampled_from(ReceiptState), st.integers(-100, 5000), st.integers(0, 100)), min_size=1, max_size=30
    )
)
def test_however_often_and_in_whatever_order_there_are_three_at_most_in_their_order(told: list[Any]) -> None:
    state, now, facts = NOTIFICATION.evolve(None, INTENDED), NINE, []
    for kind, at, pause in told:
        now += timedelta(seconds=pause)
        for fact in NOTIFICATION.decide(RecordReceipt(kind, after(at), now), state):
            facts.append(fact)
            state = NOTIFICATION.evolve(state, fact)
    assert isinstance(state, Notification)
    assert len(facts) == len({fact.state for fact in facts if isinstance(fact, ReceiptRecorded)})
    seen = [state.receipts[one] for one in ReceiptState if one in state.receipts]
    assert seen == sorted(seen)
    assert all(NINE <= at <= now for at in seen)
