"""Who is on call: tables of cases around daylight saving, leap years, layers and restrictions."""

from __future__ import annotations

import pytest

from libs.contracts.oncall import Layer
from libs.contracts.requests import Invalid
from services.oncall.calendar import shifts, whole_shifts
from services.oncall.tests.rules import ANA, BO, CY, layer, told, utc


def starts(found_in: Layer, zone: str, from_: str, to: str) -> list[str]:
    """When handovers happen, in UTC."""
    found = whole_shifts((found_in,), (), zone, utc(from_), utc(to))
    return [f"{s.start_time:%Y-%m-%d %H:%M}" for s in found]


@pytest.mark.parametrize(
    ("zone", "rotation", "start", "from_", "to", "expected"),
    [
        pytest.param(
            "Europe/Berlin",
            "weekly",
            "2026-03-16T09:00",
            "2026-03-16 08:00",
            "2026-04-06 00:00",
            ["2026-03-16 08:00", "2026-03-23 08:00", "2026-03-30 07:00"],
            id="a weekly handover stays at nine o'clock over Berlin's spring",
        ),
        pytest.param(
            "Europe/Berlin",
            "weekly",
            "2026-10-12T09:00",
            "2026-10-12 07:00",
            "2026-11-02 00:00",
            ["2026-10-12 07:00", "2026-10-19 07:00", "2026-10-26 08:00"],
            id="and over its autumn",
        ),
        pytest.param(
            "America/New_York",
            "daily",
            "2026-03-06T09:00",
            "2026-03-06 14:00",
            "2026-03-09 14:00",
            ["2026-03-06 14:00", "2026-03-07 14:00", "2026-03-08 13:00", "2026-03-09 13:00"],
            id="New York's spring makes one daily turn of 23 hours",
        ),
        pytest.param(
            "America/New_York",
            "daily",
            "2026-10-30T09:00",
            "2026-10-30 13:00",
            "2026-11-02 13:00",
            ["2026-10-30 13:00", "2026-10-31 13:00", "2026-11-01 14:00"],
            id="and its autumn one of 25",
        ),
        pytest.param(
            "Europe/Berlin",
            "daily",
            "2026-03-27T02:30",
            "2026-03-28 00:00",
            "2026-03-31 00:00",
            ["2026-03-27 01:30", "2026-03-28 01:30", "2026-03-29 01:30", "2026-03-30 00:30"],
            id="a handover at a wall clock that does not exist moves forward by the gap",
        ),
        pytest.param(
            "Europe/Berlin",
            "daily",
            "2026-10-24T02:30",
            "2026-10-24 00:30",
            "2026-10-27 00:00",
            ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"],
            id="a handover at a wall clock that exists twice happens the first time",
        ),
        pytest.param(
            "Australia/Lord_Howe",
            "daily",
            "2026-10-03T09:00",
            "2026-10-02 22:30",
            "2026-10-05 00:00",
            ["2026-10-02 22:30", "2026-10-03 22:00", "2026-10-04 22:00"],
            id="Lord Howe moves its clocks by half an hour",
        ),
        pytest.param(
            "Pacific/Apia",
            "daily",
            "2011-12-28T09:00",
            "2011-12-28 19:00",
            "2012-01-01 00:00",
            ["2011-12-28 19:00", "2011-12-29 19:00", "2011-12-30 19:00", "2011-12-31 19:00"],
            id="the day that Samoa left out is nobody's turn",
        ),
        pytest.param(
            "UTC",
            "daily",
            "2028-02-28T09:00",
            "2028-02-28 09:00",
            "2028-03-02 00:00",
            ["2028-02-28 09:00", "2028-02-29 09:00", "2028-03-01 09:00"],
            id="a leap day is a day",
        ),
        pytest.param(
            "UTC",
            "monthly",
            "2027-12-31T09:00",
            "2028-01-01 00:00",
            "2028-04-15 00:00",
            ["2027-12-31 09:00", "2028-01-31 09:00", "2028-02-29 09:00", "2028-03-31 09:00"],
            id="a month without the day of the start hands over on its last one",
        ),
        pytest.param(
            "Europe/Berlin",
            "hourly",
            "2026-03-29T00:00",
            "2026-03-29 00:00",
            "2026-03-29 03:00",
            ["2026-03-29 00:00", "2026-03-29 01:00", "2026-03-29 02:00"],
            id="the hour that spring leaves out is nobody's turn",
        ),
        pytest.param(
            "Europe/Berlin",
            "hourly",
            "2026-10-25T00:00",
            "2026-10-25 00:00",
            "2026-10-25 04:00",
            ["2026-10-25 00:00", "2026-10-25 02:00", "2026-10-25 03:00"],
            id="the hour that autumn repeats belongs to the turn that it repeats",
        ),
    ],
)
def test_handovers_follow_the_wall_clock(
    zone: str, rotation: str, start: str, from_: str, to: str, expected: list[str]
) -> None:
    assert starts(layer(rotation, start), zone, from_, to) == expected


def test_the_left_out_day_takes_a_turn_with_it() -> None:
    found = whole_shifts(
        (layer("daily", "2011-12-28T09:00", ANA, BO, CY),),
        (),
        "Pacific/Apia",
        utc("2011-12-28 19:00"),
        utc("2012-01-01 00:00"),
    )
    # 30 December did not exist: Cy's turn of that day and Ana's of the 31st begin at the same moment.
    assert [t.split()[0] for t in told(found)] == ["ana", "bo", "ana", "bo"]


def test_turns_shorter_than_the_gap_do_not_overlap() -> None:
    hourly = (layer("hourly", "2026-03-29T00:00"),)
    # Troll leaves out 01:00 to 03:00: the wall clocks in between, moved forward, would pass those after them.
    found = shifts(hourly, (), "Antarctica/Troll", utc("2026-03-29 00:00"), utc("2026-03-29 04:00"))
    assert told(found) == [
        "ana 2026-03-29 00:00 2026-03-29 01:00",
        "bo 2026-03-29 01:00 2026-03-29 02:00",
        "ana 2026-03-29 02:00 2026-03-29 03:00",
        "bo 2026-03-29 03:00 2026-03-29 04:00",
    ]
    middle = shifts(hourly, (), "Antarctica/Troll", utc("2026-03-29 01:30"), utc("2026-03-29 02:30"))
    assert told(middle) == ["bo 2026-03-29 01:30 2026-03-29 02:00", "ana 2026-03-29 02:00 2026-03-29 02:30"]


def test_participants_take_turns_of_the_interval() -> None:
    found = shifts(
        (layer("daily", "2026-03-02T09:00", ANA, BO, CY, interval=2),),
        (),
        "UTC",
        utc("2026-03-05 00:00"),
        utc("2026-03-09 00:00"),
    )
    assert told(found) == [
        "bo 2026-03-05 00:00 2026-03-06 09:00",
        "cy 2026-03-06 09:00 2026-03-08 09:00",
        "ana 2026-03-08 09:00 2026-03-09 00:00",
    ]


def test_a_custom_shift_length_is_a_turn() -> None:
    halves = layer("custom", "2026-03-28T09:00", shift_length="PT12H")
    assert starts(halves, "Europe/Berlin", "2026-03-28 08:00", "2026-03-30 00:00") == [
        "2026-03-28 08:00",
        "2026-03-28 20:00",
        "2026-03-29 07:00",
        "2026-03-29 19:00",
    ]


def test_turns_of_one_person_stay_apart() -> None:
    found = shifts(
        (layer("weekly", "2026-03-02T09:00", ANA),), (), "UTC", utc("2026-03-03 00:00"), utc("2026-03-12 00:00")
    )
    assert told(found) == ["ana 2026-03-03 00:00 2026-03-09 09:00", "ana 2026-03-09 09:00 2026-03-12 00:00"]


def test_whole_shifts_keep_their_true_start_and_end() -> None:
    found = whole_shifts(
        (layer("weekly", "2026-03-02T09:00"),), (), "UTC", utc("2026-03-04 10:00"), utc("2026-03-04 10:01")
    )
    assert told(found) == ["ana 2026-03-02 09:00 2026-03-09 09:00"]


def test_whole_shifts_begin_where_a_later_layer_ended() -> None:
    weekend = layer(
        "weekly", "2026-03-02T00:00", CY, restrictions=[{"days": ["mon"], "from": "00:00", "duration": "PT12H"}]
    )
    found = whole_shifts(
        (layer("weekly", "2026-03-02T09:00"), weekend), (), "UTC", utc("2026-03-04 00:00"), utc("2026-03-04 00:01")
    )
    assert told(found) == ["ana 2026-03-02 12:00 2026-03-09 00:00"]


def test_nobody_is_on_call_before_the_start_or_after_the_end() -> None:
    ending = layer("daily", "2026-03-02T09:00", end="2026-03-03T12:00")
    assert told(shifts((ending,), (), "UTC", utc("2026-03-01 00:00"), utc("2026-03-10 00:00"))) == [
        "ana 2026-03-02 09:00 2026-03-03 09:00",
        "bo 2026-03-03 09:00 2026-03-03 12:00",
    ]


def test_nobody_is_on_call_without_layers() -> None:
    assert shifts((), (), "UTC", utc("2026-03-01 00:00"), utc("2026-03-10 00:00")) == ()


def test_a_later_layer_wins_where_it_applies() -> None:
    night = layer(
        "daily", "2026-03-02T09:00", CY, restrictions=[{"days": ["mon"], "from": "22:00", "duration": "PT8H"}]
    )
    found = shifts(
        (layer("daily", "2026-03-02T09:00"), night), (), "UTC", utc("2026-03-02 09:00"), utc("2026-03-04 09:00")
    )
    assert told(found) == [
        "ana 2026-03-02 09:00 2026-03-02 22:00",
        "cy 2026-03-02 22:00 2026-03-03 06:00",
        "ana 2026-03-03 06:00 2026-03-03 09:00",
        "bo 2026-03-03 09:00 2026-03-04 09:00",
    ]
    assert [s.layer for s in found] == [0, 1, 0, 0]


def test_a_restriction_ends_by_the_wall_clock_too() -> None:
    nights = layer("weekly", "2026-03-23T00:00", ANA, restrictions=[{"from": "22:00", "duration": "PT8H"}])
    found = shifts((nights,), (), "Europe/Berlin", utc("2026-03-28 12:00"), utc("2026-03-30 12:00"))
    assert told(found) == [
        "ana 2026-03-28 21:00 2026-03-29 04:00",
        # Monday's new turn divides this night at midnight in Berlin.
        "ana 2026-03-29 20:00 2026-03-29 22:00",
        "ana 2026-03-29 22:00 2026-03-30 04:00",
    ]


def test_restrictions_that_touch_are_one_shift() -> None:
    days = layer(
        "weekly",
        "2026-03-02T00:00",
        ANA,
        restrictions=[
            {"days": ["tue", "wed"], "from": "00:00", "duration": "P1D"},
            {"days": ["wed"], "from": "12:00", "duration": "P1D"},
        ],
    )
    found = shifts((days,), (), "UTC", utc("2026-03-02 00:00"), utc("2026-03-09 00:00"))
    assert told(found) == ["ana 2026-03-03 00:00 2026-03-05 12:00"]


def test_an_unknown_zone_is_refused() -> None:
    for name in ("Berlin", "europe/berlin", "", "../UTC", "posix/UTC", "Factory", "+02:00"):
        with pytest.raises(Invalid) as refused:
            shifts((), (), name, utc("2026-03-01 00:00"), utc("2026-03-02 00:00"))
        assert refused.value.field == "timezone"
