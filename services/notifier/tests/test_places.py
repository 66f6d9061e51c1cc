"""Places: how many are under way to one device, who waits for that, and what rests in an outage."""

from __future__ import annotations

from datetime import timedelta

import pytest

from services.notifier.outbox import Sendable
from services.notifier.places import FIRST, MOST, Places
from services.notifier.push.outcome import Verdict
from services.notifier.tests.fakes import FakeOutbox
from services.notifier.tests.notifications import NINE, intend

LATER = NINE + timedelta(minutes=1)


def rows(count: int) -> list[Sendable]:
    """Pages to one device, all of them due."""
    outbox = FakeOutbox()
    for _ in range(count):
        outbox.devices[outbox.intend(intend())] = "phone"
    return list(outbox._rows())


def let_in(places: Places, wanted: list[Sendable]) -> list[Sendable]:
    """Those that find a place, which they take."""
    found = []
    for row in wanted:
        if places.has_place(row, NINE):
            places.enter(row)
            found.append(row)
    return found


def widened() -> Places:
    """The device has taken so many pages that it gets as many at a time as any."""
    places = Places()
    for row in rows(10):
        places.enter(row)
        places.leave(row, Verdict.ACCEPTED, NINE)
    taken = let_in(places, rows(MOST))
    assert len(taken) == MOST
    for row in taken:
        places.leave(row, None, NINE)
    return places


def test_a_device_of_which_nothing_is_known_gets_few_at_a_time() -> None:
    assert len(let_in(Places(), rows(10))) == FIRST


@pytest.mark.parametrize("verdict", [Verdict.TRANSIENT, Verdict.THROTTLE])
def test_one_that_does_not_take_a_page_gets_one_at_a_time(verdict: Verdict) -> None:
    places = widened()
    (first,) = rows(1)
    places.enter(first)
    places.leave(first, verdict, NINE)
    assert len(let_in(places, rows(10))) == 1


def test_that_it_took_pages_counts_for_a_while() -> None:
    places = widened()
    assert places.has_place(rows(1)[0], NINE + timedelta(seconds=30))
    found = 0
    for row in rows(10):
        if places.has_place(row, NINE + timedelta(seconds=31)):
            places.enter(row)
            found += 1
    assert found == FIRST


def test_whoever_waits_is_hidden_until_a_place_is_free_and_nobody_is_left_behind() -> None:
    places, wanted = Places(), rows(30)
    inside = let_in(places, wanted)
    assert set(places.hidden(NINE)) == {row.notification_id for row in wanted}
    assert not places.leave(inside[0], Verdict.TRANSIENT, NINE), "another one is still under way"
    assert places.leave(inside[1], Verdict.TRANSIENT, NINE)
    # Both stay busy until they are recorded; of those who waited all may go, since nobody else will wake them.
    assert set(places.hidden(NINE)) == {row.notification_id for row in inside}


def test_what_rests_is_hidden_until_then_until_its_deadline_or_until_its_vendor_is_back() -> None:
    places, (one, other) = Places(), rows(2)
    for row in (one, other):
        places.enter(row)
        places.leave(row, Verdict.TRANSIENT, NINE)
    places.rest(one, LATER)
    places.rest(other, other.deadline + timedelta(hours=1))
    assert places.next_rested == LATER
    assert set(places.hidden(NINE)) == {one.notification_id, other.notification_id}
    assert set(places.hidden(LATER)) == {other.notification_id}
    assert places.next_rested == other.deadline, "then it is given up, and its log must say so"
    places.wake("apns")
    assert places.hidden(LATER)
    places.wake("fcm")
    assert not places.hidden(LATER)
