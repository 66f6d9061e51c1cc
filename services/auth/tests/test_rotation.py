"""Keys by their ages: which signs, which verify, and when the next one is made."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from libs.chassis.requests.callers import KEYS_HELD, LEEWAY, LONGEST
from libs.contracts.auth import KeyReason
from services.auth.domain import keys
from services.auth.domain.keys import RotateKey
from services.auth.rotation import EVERY, HEARD, LEAD, RETIRES, Age, coming, due_at, rotation, signing, verifying

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
A_SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class Ring:
    """Keys whose clock only the test moves."""

    def __init__(self) -> None:
        self.now = START
        self.ages: Sequence[Age] = ()
        assert self.rotate(KeyReason.FIRST)

    def rotate(self, reason: KeyReason = KeyReason.AGE) -> bool:
        done = rotation(self.ages, str(len(self.ages) + 1), self.now, reason)
        if done is not None:
            self.ages = done.ages
        return done is not None

    @property
    def signs(self) -> str:
        present = signing(self.ages, self.now)
        assert present is not None
        return present.kid

    @property
    def published(self) -> list[str]:
        return [age.kid for age in verifying(self.ages, self.now)]


def test_the_first_key_signs_at_once_and_is_not_rotated_before_its_time() -> None:
    ring = Ring()
    assert (ring.signs, ring.published) == ("1", ["1"])
    for days in (0, 1, 29):
        ring.now = START + days * DAY
        assert not ring.rotate()
    assert due_at(ring.ages, ring.now) == START + EVERY - LEAD == START + 30 * DAY - LEAD


def test_the_next_key_is_published_before_it_signs_and_the_old_one_verifies_until_its_last_token_is_over() -> None:
    ring = Ring()
    ring.now = START + EVERY - LEAD
    assert ring.rotate()
    assert (ring.signs, set(ring.published)) == ("1", {"1", "2"})
    ring.now = START + EVERY - A_SECOND
    assert ring.signs == "1"
    ring.now = START + EVERY
    assert ring.signs == "2"
    ring.now = START + EVERY + HEARD + LONGEST + LEEWAY - A_SECOND
    assert set(ring.published) == {"1", "2"}
    ring.now += A_SECOND
    assert ring.published == ["2"]
    assert timedelta(minutes=5) + 2 * KEYS_HELD <= LEAD, (
        "everybody has heard of it, whoever was not answered once included"
    )


@pytest.mark.thorough
def test_keys_change_every_thirty_days_for_years_and_never_is_there_none_that_signs() -> None:
    ring, changes, signed = Ring(), [START], "1"
    while ring.now < START + 400 * DAY:
        ring.now += timedelta(minutes=15)
        ring.rotate()
        if ring.signs != signed:
            changes.append(ring.now)
            signed = ring.signs
        assert ring.signs in ring.published
        assert len(ring.published) <= 2
    assert {later - earlier for earlier, later in pairwise(changes)} == {EVERY}
    assert len(changes) == 14


@pytest.mark.parametrize("away", [60 * DAY, 400 * DAY])
def test_whoever_was_off_for_long_makes_one_key_and_signs_with_the_old_one_until_all_have_heard(
    away: timedelta,
) -> None:
    ring = Ring()
    ring.now = START + away
    assert ring.rotate()
    assert not ring.rotate(), "another replica, or the next look"
    assert ring.signs == "1"
    ring.now += LEAD
    assert ring.signs == "2"
    assert not ring.rotate()
    assert due_at(ring.ages, ring.now) == START + away + LEAD + EVERY - LEAD


def test_asked_for_twice_is_one_rotation_until_the_next_key_signs() -> None:
    ring = Ring()
    assert ring.rotate(KeyReason.OPERATOR)
    assert not ring.rotate(KeyReason.OPERATOR)
    assert due_at(ring.ages, ring.now) == START + LEAD + EVERY - LEAD
    ring.now += LEAD
    assert ring.signs == "2"
    assert ring.rotate(KeyReason.OPERATOR)
    assert set(ring.published) == {"1", "2", "3"}
    ring.now += LEAD
    assert ring.signs == "3"
    ring.now += RETIRES
    assert ring.published == ["3"]


def test_a_compromised_key_is_over_at_once_and_so_is_one_that_waits_to_sign() -> None:
    ring = Ring()
    assert ring.rotate(KeyReason.OPERATOR)
    assert ring.rotate(KeyReason.COMPROMISED)
    assert (ring.signs, ring.published) == ("3", ["3"])
    ring.now += LEAD
    assert ring.signs == "3"


def test_a_clock_that_is_set_back_signs_with_the_key_that_there_is() -> None:
    ring = Ring()
    ring.now = START + EVERY
    assert ring.rotate(KeyReason.OPERATOR)
    ring.now = START + EVERY + LEAD - timedelta(minutes=5)
    assert ring.signs == "1"
    ring.now = START - timedelta(minutes=5)
    assert ring.signs == "1"
    assert not ring.rotate()


def test_a_key_of_a_clock_that_was_years_ahead_is_replaced_now_and_not_in_years() -> None:
    ring = Ring()
    ring.now = START - 400 * DAY
    assert ring.signs == "1"
    assert ring.rotate()
    ring.now += LEAD
    assert ring.signs == "2"
    ring.now += RETIRES
    assert ring.published == ["2"]


def test_a_successor_that_a_wrong_clock_has_put_into_the_far_future_is_brought_forward() -> None:
    ring = Ring()
    ring.now = START + 400 * DAY
    assert ring.rotate()
    ring.now = START + DAY  # the clock is right again
    assert ring.signs == "1"
    assert not ring.rotate()
    ring.now = START + EVERY
    assert ring.rotate()
    assert {age.kid for age in ring.ages} == {"1", "2"}, "no third one is made"
    assert [age.kid for age in coming(ring.ages, ring.now)] == ["2"]
    ring.now += LEAD
    assert ring.signs == "2"
    ring.now += RETIRES
    assert ring.published == ["2"]


def test_a_key_from_before_ages_were_written_signs_since_it_was_made() -> None:
    ages = [Age("old", START, START)]
    assert signing(ages, START) == ages[0]
    assert due_at(ages, START) == START + EVERY - LEAD
    assert signing((), START) is None
    assert due_at((), START) == START


def test_an_event_tells_which_key_signs_from_when_and_why_once() -> None:
    command = RotateKey("2", START, KeyReason.AGE)
    (fact,) = keys.decide(command, keys.initial())
    assert set(fact.model_dump()) == {"kid", "not_before", "reason"}
    assert keys.decide(command, keys.evolve(keys.initial(), fact)) == []
