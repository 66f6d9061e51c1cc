"""What is said of the room for data: low before unknown, and unknown before healthy."""

from __future__ import annotations

from typing import Any, cast

import pytest

from libs.chassis.monitor.room import Room
from libs.chassis.testing.clock import MovableClock
from services.incidents.alerts.purge import AlertsPurge
from services.incidents.housekeeping import Housekeeping

WELL, FULL = Room("/well", 90 * 1024**3, 100 * 1024**3), Room("/full", 0, 100 * 1024**3)
STUCK = WELL._replace(place="/stuck", known=False)


class _Rooms:
    def __init__(self, *rooms: Room) -> None:
        self.found = rooms

    def all(self) -> tuple[Room, ...]:
        return self.found


def _house(*rooms: Room) -> Housekeeping:
    purge = cast("AlertsPurge", type("Purge", (), {"used": 0.0}))
    return Housekeeping(cast("Any", None), MovableClock(), purge, cast("Any", _Rooms(*rooms)))


@pytest.mark.parametrize(
    ("rooms", "state"),
    [
        ((), "unknown"),
        ((WELL,), "healthy"),
        ((WELL, STUCK), "unknown"),
        ((WELL, STUCK, FULL), "low"),
        ((FULL._replace(known=False),), "unknown"),
    ],
)
def test_a_disk_that_does_not_answer_is_never_said_to_be_fine(rooms: tuple[Room, ...], state: str) -> None:
    assert _house(*rooms).health()["storage"] == state


def test_a_disk_that_does_not_answer_has_no_figures() -> None:
    house = _house(WELL, STUCK)
    assert [room["known"] for room in house.health()["rooms"]] == [True, False]
    assert {gauge.labels.get("place") for gauge in house.gauges() if gauge.labels} == {"/well"}
