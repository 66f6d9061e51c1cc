"""Which of two alerts came later, also after the stream has lost its end or was made anew."""

from __future__ import annotations

import pytest

from libs.chassis.store.cursors import Position
from services.incidents.places import changed, created, is_gone, is_later, latest, place_in

MADE = "2026-03-02 09:00:00+00:00"
CUT = changed(MADE, 55, MADE)
ANEW = changed(CUT, 0, "2026-03-03 09:00:00+00:00")


def at(incarnation: str, sequence: int) -> Position:
    return Position(0, sequence, 0, incarnation)


def test_a_place_is_the_same_before_and_after_the_stream_lost_what_lay_behind_it() -> None:
    assert place_in(CUT, 55) == at(MADE, 55) == place_in(MADE, 55)
    assert place_in(CUT, 56) == at(CUT, 56)
    assert place_in(ANEW, 1) == at(ANEW, 1)
    assert not is_gone(CUT, at(MADE, 55))
    assert is_gone(CUT, at(MADE, 56))
    assert is_gone(ANEW, at(MADE, 1))


def test_a_place_whose_path_was_lost_is_gone_only_with_the_stream_that_it_was_in() -> None:
    alone = created(ANEW)
    assert not is_gone(alone, at(ANEW, 1)), "an older release has written the stream's own word"
    assert is_gone(f"another/8@{alone}", at(CUT, 56))


def test_whoever_knows_only_an_earlier_stream_does_not_take_a_later_place_for_lost() -> None:
    assert not is_gone(CUT, at(ANEW, 1))
    assert not is_gone(MADE, at(CUT, 90))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (at(MADE, 8), at(MADE, 7)),
        (at(CUT, 56), at(MADE, 90)),  # a lost one with a greater sequence
        (at(ANEW, 1), at(MADE, 90)),
        (at(ANEW, 1), at(CUT, 90)),
    ],
)
def test_what_was_stored_after_a_change_is_later_whatever_the_sequences_say(one: Position, other: Position) -> None:
    assert is_later(one, other)
    assert not is_later(other, one)
    assert latest(one, other) == latest(other, one) == one


def test_nothing_is_later_than_itself_or_than_what_it_cannot_be_compared_with() -> None:
    assert not is_later(at(MADE, 7), at(MADE, 7))
    assert not is_later(at("another", 7), at(MADE, 1))
    assert latest(None, at(MADE, 1)) == at(MADE, 1)
    assert latest(None, None) is None


def test_a_path_says_when_the_present_stream_was_made_and_does_not_grow_for_ever() -> None:
    assert (created(MADE), created(CUT), created(ANEW)) == (MADE, MADE, "2026-03-03 09:00:00+00:00")
    incarnation = MADE
    for cut in range(1000):
        incarnation = changed(incarnation, cut, MADE)
    assert len(incarnation) < 400
