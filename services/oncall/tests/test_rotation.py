"""Rules that cannot be computed are refused, with the field and what was expected."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.contracts.requests import Invalid
from services.oncall.rotation import check_layer, duration
from services.oncall.tests.rules import layer


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("PT12H", timedelta(hours=12)),
        ("P1D", timedelta(days=1)),
        ("P1W", timedelta(days=7)),
        ("P1DT2H30M15S", timedelta(days=1, hours=2, minutes=30, seconds=15)),
        ("P1M", None),
        ("P", None),
        ("PT", None),
        ("P1DT", None),
        ("PT0S", None),
        ("12H", None),
        ("-PT1H", None),
        ("PT1H ", None),
        ("PT99999999999H", None),
    ],
)
def test_durations_are_iso_8601_without_months(text: str, length: timedelta | None) -> None:
    assert duration(text) == length


@pytest.mark.parametrize(
    ("rotation", "more", "field"),
    [
        ("weekly", {"start": datetime(2026, 3, 2, 9, tzinfo=UTC)}, "start"),
        ("weekly", {"start": "1970-01-01T00:00"}, "start"),
        ("weekly", {"end": "2026-03-02T09:00"}, "end"),
        ("weekly", {"end": datetime(2026, 4, 2, 9, tzinfo=UTC)}, "end"),
        ("weekly", {"shift_length": "PT8H"}, "shiftLength"),
        ("weekly", {"interval": 53}, "interval"),
        ("monthly", {"interval": 13}, "interval"),
        ("custom", {}, "shiftLength"),
        ("custom", {"shift_length": "PT0S"}, "shiftLength"),
        ("custom", {"shift_length": "PT59M"}, "shiftLength"),
        ("custom", {"shift_length": "P200D", "interval": 2}, "shiftLength"),
        ("daily", {"restrictions": [{"from": "09:00", "duration": "P8D"}]}, "restrictions.0.duration"),
    ],
)
def test_a_layer_that_cannot_be_computed_is_refused(rotation: str, more: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_layer(layer(rotation, **({"start": "2026-03-02T09:00"} | more)), "layers.0")
    assert refused.value.field == f"layers.0.{field}"
    assert str(refused.value).startswith("expected")


@pytest.mark.parametrize(
    ("rotation", "more"),
    [
        ("hourly", {"interval": 366}),
        ("daily", {"interval": 366}),
        ("weekly", {"interval": 52}),
        ("monthly", {"interval": 12}),
        ("custom", {"shift_length": "PT30M", "interval": 2}),
        ("weekly", {"end": "2026-03-02T09:01", "restrictions": [{"from": "22:00", "duration": "P7D"}]}),
    ],
)
def test_a_layer_that_can_be_computed_passes(rotation: str, more: dict[str, Any]) -> None:
    check_layer(layer(rotation, "2026-03-02T09:00", **more), "layers.0")
