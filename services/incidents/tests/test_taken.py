"""What was taken of ALERTS is told apart by sequence and time together, to the nanosecond."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.chassis.bus.stored import Stored, nanoseconds
from services.incidents.alerts.taken import _packed, _unpacked

NUMBERS = st.integers(0, 2**62)


@given(st.lists(st.builds(Stored, NUMBERS, NUMBERS), min_size=1, max_size=50))
def test_a_batch_is_read_as_it_was_recorded_also_where_a_clock_ran_backwards(places: list[Stored]) -> None:
    assert list(_unpacked(_packed(places))) == places[:-1]


def test_a_batch_of_500_takes_a_few_bytes_an_alert() -> None:
    begun = 1_772_442_000_123_456_789
    places = [Stored(7 * n, begun + n * 1_234_567 + n * n % 1_000_003) for n in range(500)]
    assert len(_packed(places) or b"") < 500 * 7


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1970-01-01T00:00:01Z", 1_000_000_000),
        ("1970-01-01T00:00:00.5Z", 500_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2026-03-02T09:00:00.123456789Z", 1_772_442_000_123_456_789),
    ],
)
def test_the_servers_times_are_read_to_the_nanosecond(written: str, meant: int) -> None:
    assert nanoseconds(written) == meant
