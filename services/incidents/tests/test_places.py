"""Which of two alerts came later, also after the stream has lost its end or was made anew."""

from __future__ import annotations

import pytest

from libs.chassis.store.cursors import Position
from services.incidents.places import changed, created, is_later, latest, place_in, still_holds

MADE = "2026-03-02 09:00:00+00:00"
CUT = changed(MADE, 55, MADE)
ANEW = changed(CUT, 0, "2026-03-03 09:00:00+00:00")


def at(incarnation: str, sequence: int) -> Position:
    return Position(0, sequence, 0, incarnation)


def test_a_place_is_the_same_before_and_after_the_stream_lost_what_lay_behind_it() -> None:
    assert place_in(CUT, 55) == at(MADE, 55) == place_in(MADE, 55)
    assert place_in(CUT, 56) == at(CUT, 56)
    assert place_in(ANEW, 1) == at(ANEW, 1)
    assert still_holds(CUT, at(MADE, 55))
    assert not still_holds(CUT, at(MADE, 56))
    assert not still_holds(ANEW, at(MADE, 1))


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
