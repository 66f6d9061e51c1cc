"""A plan as events: what differs from the plan before, in pieces that do not grow with the number of shifts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple
from uuid import UUID

from libs.contracts.envelope import Fact
from libs.contracts.oncall import Shift, ShiftsPlanned

SHIFTS_A_PLAN = 1000
"""Shifts in one event: some 150 KB."""


class Range(NamedTuple):
    """Who is on call in `[begins, to)`: sorted, not overlapping, a gap is nobody."""

    begins: datetime
    to: datetime
    shifts: Sequence[Shift]


def differing(before: Sequence[Shift], known_to: datetime, after: Range) -> Iterator[Range]:
    """The ranges that make of the plan `before`, which said nothing of `known_to` and later, the plan `after`.

    Both begin together, where a shift that goes on keeps its start. There are at most two ranges: one from the first
    shift that differs to the last, and what the plan has come to reach.
    """
    if after.begins < known_to:
        known = [s for s in after.shifts if s.start_time < known_to]
        alike = _alike(before, known)
        gone, new = before[alike:], known[alike:]
        alike = _alike(gone[::-1], new[::-1])
        gone, new = gone[: len(gone) - alike], new[: len(new) - alike]
        if changed := [*gone, *new]:
            begins, to = min(s.start_time for s in changed), max(s.end_time for s in changed)
            if to >= known_to:
                yield Range(begins, after.to, [s for s in after.shifts if s.start_time >= begins])
                return
            yield Range(begins, to, new)
    begins = max(known_to, after.begins)
    if begins < after.to:
        yield Range(begins, after.to, [s for s in after.shifts if s.start_time >= begins])


def told(schedule_id: UUID, version: int, now: datetime, plan: Range) -> list[Fact]:
    """One plan, or several that follow one another."""
    shifts = plan.shifts
    pieces = [shifts[i : i + SHIFTS_A_PLAN] for i in range(0, len(shifts), SHIFTS_A_PLAN)] or [()]
    borders = [plan.begins, *(piece[0].start_time for piece in pieces[1:]), plan.to]
    return [
        ShiftsPlanned(
            schedule_id=schedule_id,
            schedule_version=version,
            planned_at=now,
            from_time=since,
            to_time=until,
            shifts=tuple(piece),
        )
        for piece, (since, until) in zip(pieces, pairwise(borders), strict=True)
    ]


def whole(begins: datetime, to: datetime, shifts: Sequence[Shift]) -> Range:
    """Until the last shift ends, so that its end can be shown and the next plan begins with it."""
    return Range(begins, max(to, shifts[-1].end_time) if shifts else to, shifts)


def _alike(some: Sequence[Shift], others: Sequence[Shift]) -> int:
    """How many are the same at the beginning."""
    pairs = zip(some, others, strict=False)
    return next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(some), len(others)))
