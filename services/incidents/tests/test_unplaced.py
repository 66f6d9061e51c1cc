"""Triggers without a place: an answer ends none that may be newer than itself, and all that are older."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from libs.contracts.incidents import IncidentReopened, Status
from services.incidents.alerts.kept import kept_answers
from services.incidents.places import are_comparable, changed, fired_before, place_at
from services.incidents.projections import repeats
from services.incidents.tests.lanes import ACKNOWLEDGE, MADE, RESOLVE, ROUTINE, START, TRIGGER, URGENT, Lanes, sent


def test_a_kept_answer_does_not_end_what_fired_while_an_older_release_ran() -> None:
    lanes = sent((URGENT, TRIGGER), (ROUTINE, RESOLVE), (URGENT, TRIGGER))
    lanes.read(ROUTINE)
    lanes.read_by_an_older_release(URGENT)
    lanes.settle()
    assert (lanes.status(), lanes.desk.rows(kept_answers)) == (Status.CREATED, [])


def test_a_kept_answer_does_not_end_what_an_older_release_repeated() -> None:
    lanes = sent((URGENT, TRIGGER), (URGENT, TRIGGER), (ROUTINE, RESOLVE), (URGENT, TRIGGER))
    lanes.read(URGENT, 1)
    lanes.read(ROUTINE)
    lanes.read_by_an_older_release(URGENT)
    lanes.settle()
    assert lanes.status() is Status.CREATED


def test_an_answer_is_not_misled_by_a_place_that_is_younger_than_what_an_older_release_took() -> None:
    """The newest place that is known was taken last, and is not that of the newest trigger."""
    lanes = sent((URGENT, TRIGGER), (ROUTINE, TRIGGER), (ROUTINE, RESOLVE), (URGENT, TRIGGER))
    lanes.read(URGENT, 1)
    lanes.read_by_an_older_release(URGENT)
    lanes.read(ROUTINE, 1)
    lanes.read(ROUTINE, 1)
    assert lanes.status() is Status.CREATED


@pytest.mark.parametrize("again", [False, True])
def test_what_an_older_release_took_before_an_answer_was_sent_is_ended_by_it(again: bool) -> None:
    lanes = sent((URGENT, TRIGGER), (URGENT, TRIGGER))
    if not again:
        del lanes.stream[1:]
    lanes.read_by_an_older_release(URGENT)
    lanes.now += timedelta(seconds=10)
    lanes.send(ROUTINE, RESOLVE)
    lanes.read(ROUTINE)
    assert lanes.status() is Status.RESOLVED


@pytest.mark.parametrize("later", [1, 2, 600])
def test_what_an_older_release_counted_is_as_old_as_it_is_however_often_it_is_repeated_since(later: int) -> None:
    """A day later the alert comes some more times, and its resolve is read late."""
    lanes = sent((URGENT, TRIGGER))
    lanes.read(URGENT)
    lanes.send(URGENT, TRIGGER)
    lanes.read_by_an_older_release(URGENT)
    lanes.now += timedelta(days=1)
    for _ in range(later):
        lanes.send(URGENT, TRIGGER)
    lanes.now += timedelta(seconds=30)
    lanes.send(URGENT, RESOLVE)
    lanes.now += timedelta(minutes=1)
    for _ in range(later):
        lanes.read(URGENT, 1 if later < 9 else 500)
    lanes.read(URGENT, 1)
    assert lanes.status() is Status.RESOLVED
    (row,) = lanes.desk.rows(repeats)
    assert (row["count"], row["placed"]) == (later + 1, later + 1)


def test_what_an_older_release_counted_after_that_is_known_anew() -> None:
    lanes = sent((URGENT, TRIGGER), (URGENT, TRIGGER))
    lanes.read(URGENT, 1)
    lanes.read_by_an_older_release(URGENT)
    lanes.send(URGENT, TRIGGER)
    lanes.read(URGENT)
    lanes.now += timedelta(days=1)
    lanes.send(ROUTINE, RESOLVE)
    lanes.now += timedelta(minutes=1)
    lanes.send(URGENT, TRIGGER)
    lanes.read_by_an_older_release(URGENT)
    lanes.read(ROUTINE)
    assert lanes.status() is Status.CREATED, "it may have fired after the resolve"


def test_an_answer_that_an_older_release_kept_ends_nothing_that_has_no_place() -> None:
    lanes = sent((URGENT, TRIGGER))
    lanes.read_by_an_older_release(URGENT)
    lanes.now += timedelta(minutes=1)
    lanes.send(URGENT, TRIGGER, "noise")
    lanes.send(ROUTINE, RESOLVE)
    lanes.read(ROUTINE)
    (kept,) = lanes.desk.rows(kept_answers)
    kept["fired_before"] = None
    lanes.read(URGENT)
    lanes.settle()
    assert lanes.status() is Status.CREATED


def test_a_path_that_an_older_release_cut_off_orders_nothing() -> None:
    """The kept answer is of before the older release wrote the stream's own word, the trigger of after it."""
    lanes = Lanes(incarnation=changed(MADE, 0, "made anew"))
    lanes.send(URGENT, TRIGGER, "noise")
    lanes.send(ROUTINE, RESOLVE)
    lanes.read(ROUTINE)
    lanes.incarnation = "made anew"
    lanes.send(URGENT, TRIGGER)
    lanes.read(URGENT)
    lanes.settle()
    assert lanes.status() is Status.CREATED
    one, other = place_at(lanes.incarnation, 3), place_at(changed(MADE, 0, "made anew"), 2)
    assert one is not None
    assert other is not None
    assert not are_comparable(one, other)


@pytest.mark.parametrize("answer", [Lanes.acknowledge, Lanes.snooze])
def test_what_a_person_answered_stays_answered_although_the_same_fire_was_repeated(
    answer: Callable[[Lanes], None],
) -> None:
    """Whoever answered had heard of the second fire; the third trigger only repeats it."""
    lanes = sent((URGENT, TRIGGER), (ROUTINE, RESOLVE), (URGENT, TRIGGER))
    lanes.read(URGENT)
    answer(lanes)
    lanes.send(URGENT, TRIGGER)
    lanes.read(URGENT)
    before = lanes.status()
    lanes.read(ROUTINE)
    assert (lanes.status(), lanes.count(IncidentReopened)) == (before, 0)


def test_who_answered_the_fire_that_a_second_resolve_ends_has_not_heard_of_the_third() -> None:
    lanes = sent((URGENT, TRIGGER), (ROUTINE, RESOLVE), (URGENT, TRIGGER), (ROUTINE, RESOLVE))
    lanes.read(URGENT)
    lanes.acknowledge()
    lanes.send(URGENT, TRIGGER)
    lanes.read(URGENT)
    lanes.read(ROUTINE)
    assert (lanes.status(), lanes.count(IncidentReopened)) == (Status.CREATED, 1)


def test_a_senders_own_acknowledgement_has_heard_of_nothing() -> None:
    lanes = sent((URGENT, TRIGGER), (URGENT, ACKNOWLEDGE), (ROUTINE, RESOLVE), (URGENT, TRIGGER))
    lanes.read(URGENT)
    lanes.read(ROUTINE)
    assert lanes.status() is Status.CREATED


NANOSECONDS = int(START.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("stored_at", "taken_at", "before"),
    [
        (None, START, None),
        (0, START, None),
        (NANOSECONDS, START + timedelta(hours=1), START - timedelta(seconds=1)),
        # The server's clock runs ahead of ours: what ours says counts.
        (NANOSECONDS + 3600 * 10**9, START, START - timedelta(seconds=1)),
    ],
)
def test_an_answer_is_about_what_fired_before_it_by_the_earlier_of_both_clocks(
    stored_at: int | None, taken_at: datetime, before: datetime | None
) -> None:
    assert START.tzinfo is UTC
    assert fired_before(stored_at, taken_at) == before
