"""A plan as events: which shifts hold in which range, in pieces that do not grow with the number of shifts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.oncall import Shift, ShiftsPlanned

SHIFTS_A_PLAN = 1000
"""Shifts in one event: some 150 KB."""


def replanned(schedule_id: UUID, version: int, begins: datetime, to: datetime, shifts: Sequence[Shift]) -> list[Fact]:
    """One plan of `[begins, to)`, or several that follow one another."""
    # The last shift is planned whole, so that its end can be shown and the next plan begins with it.
    end = max(to, shifts[-1].end_time) if shifts else to
    pieces = [shifts[i : i + SHIFTS_A_PLAN] for i in range(0, len(shifts), SHIFTS_A_PLAN)] or [()]
    borders = [begins, *(piece[0].start_time for piece in pieces[1:]), end]
    return [
        ShiftsPlanned(
            schedule_id=schedule_id, schedule_version=version, from_time=since, to_time=until, shifts=tuple(piece)
        )
        for piece, (since, until) in zip(pieces, pairwise(borders), strict=True)
    ]
