"""Night is by the clock on the wall of whoever is paged, also when clocks are set."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.incidents.analytics.night import Night, stretches

ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Chatham", "UTC")


def test_it_is_over_midnight_where_it_ends_before_it_begins() -> None:
    night = Night.read("22:00-07:00")
    assert [night.covers(time(hour)) for hour in (21, 22, 0, 6, 7)] == [False, True, True, True, False]
    siesta = Night.read("13:30-15:00")
    assert [siesta.covers(time(*at)) for at in ((13, 15), (13, 30), (14, 59), (15, 0))] == [False, True, True, False]
    assert [siesta.touches(hour) for hour in (12, 13, 14, 15)] == [False, True, True, False]
    assert str(night) == "22:00-07:00"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "22:00",
        "22:00-22:00",
        "22:10-07:00",
        "24:00-07:00",
        "22:00-07:00\n",
        "\uff122:00-07:00",
        "22:00 - 07:00",
    ],
)
def test_what_is_no_night_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="quarters of an hour"):
        Night.read(text)


@pytest.mark.parametrize(
    ("at", "zone", "expected"),
    [
        ("2026-03-29T04:59:00Z", "Europe/Berlin", True),  # 06:59 in summer time, which has just begun
        ("2026-03-29T05:00:00Z", "Europe/Berlin", False),
        ("2026-03-28T05:59:00Z", "Europe/Berlin", True),  # the day before: 06:59 in winter time
        ("2026-10-25T05:59:00Z", "Europe/Berlin", True),  # clocks were set back: an hour more of night
        ("2026-10-25T00:30:00Z", "Europe/Berlin", True),  # 02:30, the first time
        ("2026-10-25T01:30:00Z", "Europe/Berlin", True),  # and the second
        ("2026-04-04T20:14:59Z", "Asia/Kathmandu", True),
        ("2026-04-05T01:15:00Z", "Asia/Kathmandu", False),  # 07:00
        ("2026-04-03T20:00:00Z", "Australia/Lord_Howe", False),  # 07:00
        ("2026-04-04T20:29:00Z", "Australia/Lord_Howe", True),  # 06:59: clocks went back by half an hour
    ],
)
def test_clocks_that_are_set_move_the_night(at: str, zone: str, expected: bool) -> None:
    moment = datetime.fromisoformat(at)
    assert Night().covers(_shown(moment, zone, SINCE, UNTIL).time()) is expected


SINCE, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 2, tzinfo=UTC)


def _shown(at: datetime, zone: str, since: datetime, until: datetime) -> datetime:
    """By the one stretch that a moment is in."""
    (one,) = [one for one in stretches(zone, since, until) if one.begins <= at < one.ends]
    return at + timedelta(seconds=one.seconds)


@given(
    after=st.integers(0, 366 * 86_400_000_000),
    begins=st.integers(0, 86_400_000_000 * 30),
    zone=st.sampled_from(ZONES),
)
def test_a_stretch_shows_what_the_zones_own_clock_shows(after: int, begins: int, zone: str) -> None:
    at = SINCE + timedelta(microseconds=after)
    since = at - timedelta(microseconds=begins)
    shown = _shown(at, zone, since, since + timedelta(days=366))
    assert shown.replace(tzinfo=None) == at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@pytest.mark.parametrize(("zone", "several"), [("Europe/Berlin", 3), ("Australia/Lord_Howe", 3), ("UTC", 1)])
def test_stretches_are_all_of_a_period_and_few(zone: str, several: int) -> None:
    found = stretches(zone, SINCE, UNTIL)
    assert len(found) == several
    assert (found[0].begins, found[-1].ends) == (SINCE, UNTIL)
    assert all(one.ends == other.begins for one, other in pairwise(found))


def test_a_quarter_of_the_day_is_night_as_its_minutes_are() -> None:
    night = Night.read("22:15-06:45")
    for minute in range(24 * 60):
        assert night.has(minute // 15) is night.covers(time(minute // 60, minute % 60))


def test_of_a_zone_that_is_not_known_here_it_is_utcs() -> None:
    for name in ("Mars/Olympus", "../etc/passwd", "", "x" * 300):
        assert [one.seconds for one in stretches(name, SINCE, UNTIL)] == [0]
