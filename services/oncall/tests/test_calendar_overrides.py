"""Who is on call when people take over: overrides over layers, over one another, and in place of somebody."""

from __future__ import annotations

from services.oncall.calendar import shifts
from services.oncall.tests.rules import ANA, BO, CY, layer, override, told, utc


def test_an_override_splits_a_shift() -> None:
    found = shifts(
        (layer("daily", "2026-03-02T09:00"),),
        (override(CY, "2026-03-02 12:00", "2026-03-02 14:00"),),
        "UTC",
        utc("2026-03-02 09:00"),
        utc("2026-03-03 09:00"),
    )
    assert told(found) == [
        "ana 2026-03-02 09:00 2026-03-02 12:00",
        "cy* 2026-03-02 12:00 2026-03-02 14:00",
        "ana 2026-03-02 14:00 2026-03-03 09:00",
    ]
    assert [s.layer for s in found] == [0, -1, 0]


def test_an_override_covers_a_gap() -> None:
    found = shifts(
        (),
        (override(CY, "2026-03-02 12:00", "2026-03-02 14:00"),),
        "UTC",
        utc("2026-03-01 00:00"),
        utc("2026-03-09 00:00"),
    )
    assert told(found) == ["cy* 2026-03-02 12:00 2026-03-02 14:00"]


def test_of_two_overrides_the_one_added_later_wins() -> None:
    both = (
        override(CY, "2026-03-02 12:00", "2026-03-02 18:00"),
        override(BO, "2026-03-02 14:00", "2026-03-02 16:00"),
    )
    range_ = ("UTC", utc("2026-03-02 12:00"), utc("2026-03-02 18:00"))
    assert [t.split()[0] for t in told(shifts((), both, *range_))] == ["cy*", "bo*", "cy*"]
    assert [t.split()[0] for t in told(shifts((), both[::-1], *range_))] == ["cy*"]


def test_an_override_of_somebody_leaves_the_others_turns_alone() -> None:
    found = shifts(
        (layer("daily", "2026-03-02T09:00"),),
        (override(CY, "2026-03-02 12:00", "2026-03-05 12:00", replaces=BO),),
        "UTC",
        utc("2026-03-02 09:00"),
        utc("2026-03-06 09:00"),
    )
    assert told(found) == [
        "ana 2026-03-02 09:00 2026-03-03 09:00",
        "cy* 2026-03-03 09:00 2026-03-04 09:00",
        "ana 2026-03-04 09:00 2026-03-05 09:00",
        "cy* 2026-03-05 09:00 2026-03-05 12:00",
        "bo 2026-03-05 12:00 2026-03-06 09:00",
    ]


def test_an_override_of_somebody_over_their_turns_in_a_row_is_one_shift() -> None:
    found = shifts(
        (layer("daily", "2026-03-02T09:00", BO),),
        (override(CY, "2026-03-02 12:00", "2026-03-04 12:00", replaces=BO),),
        "UTC",
        utc("2026-03-02 12:00"),
        utc("2026-03-04 12:00"),
    )
    assert told(found) == ["cy* 2026-03-02 12:00 2026-03-04 12:00"]


def test_an_override_of_somebody_on_call_through_an_override_applies() -> None:
    found = shifts(
        (layer("weekly", "2026-03-02T09:00", ANA),),
        (
            override(BO, "2026-03-02 12:00", "2026-03-02 18:00"),
            override(CY, "2026-03-02 10:00", "2026-03-02 14:00", replaces=BO),
        ),
        "UTC",
        utc("2026-03-02 11:00"),
        utc("2026-03-02 18:00"),
    )
    assert [t.split()[0] for t in told(found)] == ["ana", "cy*", "bo*"]
