"""A month is over 90 days after its last one."""

from datetime import UTC, datetime
from itertools import islice

import pytest

from services.auth.months import ended


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2026, 11, 29, 20, tzinfo=UTC), "2026-07"),
        (datetime(2026, 11, 28, 23, 59, tzinfo=UTC), "2026-07"),
        (datetime(2026, 11, 30, 0, 0, tzinfo=UTC), "2026-08"),
        (datetime(2027, 3, 31, 23, 59, tzinfo=UTC), "2026-11"),
        (datetime(2027, 4, 1, 0, 0, tzinfo=UTC), "2026-12"),
    ],
)
def test_a_month_is_over_for_ninety_days(now: datetime, last: str) -> None:
    months = list(islice(ended(now), 14))
    assert months[0] == last
    assert len(set(months)) == 14
    assert months == sorted(months, reverse=True)
