"""One layer of a schedule: whose turn it is when, by arithmetic on the local wall clock.

A turn begins when the zone's wall clock reads the layer's start plus n units, whatever daylight saving does in
between: a handover at 09:00 stays at 09:00, and a turn over a change is an hour longer or shorter. A wall clock
that does not exist is read with the offset before the gap, so it moves forward by the gap; one that exists twice
means the first (RFC 5545, 3.3.5).
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib import resources
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.contracts.oncall import Day, Layer, Restriction, RotationType
from libs.contracts.requests import Invalid
from libs.contracts.texts import NO_PLACES

_DAYS = tuple(Day)
SHORTEST_TURN = timedelta(hours=1)
LONGEST_TURN = timedelta(days=366)
LONGEST_RESTRICTION = timedelta(days=7)
YEARS = range(2000, 2200)
"""Where calendars are computed: far outside, a datetime overflows and no time zone rule is known."""

_UNITS = {
    RotationType.HOURLY: timedelta(hours=1),
    RotationType.DAILY: timedelta(days=1),
    RotationType.WEEKLY: timedelta(weeks=1),
}
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,5})D)?"
    r"(?P<time>T(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,7})M)?(?:(?P<seconds>\d{1,8})S)?)?"
)
# More than any jump of a wall clock (Pacific/Apia left out a whole day in 2011).
_JUMP = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch `[start, end)` (UTC) of one person; `layer` and `turn` say which turn it is a part of."""

    start: datetime
    end: datetime
    user: UUID
    layer: int
    turn: int


@cache
def zone(name: str) -> ZoneInfo:
    """An IANA zone by its exact name, from the tzdata package: every host computes the same shifts.

    Raises:
        Invalid: there is no such zone.
    """
    if name not in _zone_names():
        raise Invalid("expected an IANA time zone such as Europe/Berlin", field="timezone")
    with resources.files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def _zone_names() -> frozenset[str]:
    return frozenset(resources.files("tzdata").joinpath("zones").read_text(encoding="ascii").split()) - NO_PLACES


def utc(local: datetime, tz: ZoneInfo) -> datetime:
    """The moment at which a wall clock in `tz` first reads `local` (naive), or would have."""
    return local.replace(tzinfo=tz, fold=0).astimezone(UTC)


def wall_clock(moment: datetime, tz: ZoneInfo) -> datetime:
    """What a wall clock in `tz` reads at a moment, naive."""
    return moment.astimezone(tz).replace(tzinfo=None, fold=0)


def duration(text: str) -> timedelta | None:
    """An ISO 8601 duration in weeks, days, hours, minutes and seconds; None: not one, or nothing in it."""
    match = _DURATION.fullmatch(text)
    if match is None or match["time"] == "T":
        return None
    parts = {name: int(value) for name, value in match.groupdict().items() if name != "time" and value}
    return timedelta(**parts) or None


def check_layer(layer: Layer, path: str) -> None:
    """Refuse a layer that cannot be computed; `path` leads to it in the request, e.g. `layers.0`.

    Raises:
        Invalid: with the field at fault and what was expected.
    """
    for name, moment in (("start", layer.start), ("end", layer.end)):
        if moment is None:
            continue
        if moment.tzinfo is not None:
            raise Invalid(
                "expected a local wall clock without an offset, e.g. 2026-10-19T09:00", field=f"{path}.{name}"
            )
        if moment.year not in YEARS:
            raise Invalid(f"expected a year from {YEARS[0]} to {YEARS[-1]}", field=f"{path}.{name}")
    if layer.end is not None and layer.end <= layer.start:
        raise Invalid("expected a moment after start", field=f"{path}.end")
    _check_length(layer, path)
    for i, restriction in enumerate(layer.restrictions):
        _check_restriction(restriction, f"{path}.restrictions.{i}")


def _check_length(layer: Layer, path: str) -> None:
    if layer.rotation_type is RotationType.CUSTOM:
        if layer.shift_length is None or duration(layer.shift_length) is None:
            raise Invalid(
                "expected an ISO 8601 duration in weeks, days, hours, minutes or seconds, e.g. PT12H",
                field=f"{path}.shiftLength",
            )
    elif layer.shift_length is not None:
        raise Invalid("expected only with rotationType custom", field=f"{path}.shiftLength")
    if layer.rotation_type is RotationType.MONTHLY:
        if layer.interval > 12:
            raise Invalid("expected turns of at most 12 months", field=f"{path}.interval")
    elif not SHORTEST_TURN <= _period(layer) <= LONGEST_TURN:
        field = "shiftLength" if layer.rotation_type is RotationType.CUSTOM else "interval"
        raise Invalid("expected turns of 1 hour to 366 days", field=f"{path}.{field}")


def _check_restriction(restriction: Restriction, path: str) -> None:
    length = duration(restriction.duration)
    if length is None or length > LONGEST_RESTRICTION:
        raise Invalid("expected an ISO 8601 duration of at most P7D, e.g. PT8H", field=f"{path}.duration")


def spans(index: int, layer: Layer, tz: ZoneInfo, from_: datetime, to: datetime) -> list[Span]:
    """The layer's stretches that overlap `[from_, to)`, sorted and uncut by it; `index` is the layer's place.

    A turn is one stretch, or with restrictions one for each window of it.
    """
    turns = list(_turns(index, layer, tz, from_, to))
    if not layer.restrictions or not turns:
        return turns
    windows = _windows(layer.restrictions, tz, turns[0].start, turns[-1].end)
    pieces = _intersect(turns, windows)
    return [p for p in pieces if p.end > from_ and p.start < to]


def _period(layer: Layer) -> timedelta:
    """A turn's length on the wall clock, of every type but monthly."""
    if layer.rotation_type is RotationType.CUSTOM:
        return (duration(layer.shift_length or "") or timedelta()) * layer.interval
    return _UNITS[layer.rotation_type] * layer.interval


def _boundary(layer: Layer, turn: int, period: timedelta | None = None) -> datetime:
    """The wall clock at which a turn begins. Months keep the day of the start, or end with the month before it.

    `period`: of the layer, where it is known already.
    """
    if layer.rotation_type is not RotationType.MONTHLY:
        return layer.start + turn * (period or _period(layer))
    year, month = divmod(layer.start.year * 12 + layer.start.month - 1 + turn * layer.interval, 12)
    day = min(layer.start.day, monthrange(year, month + 1)[1])
    return layer.start.replace(year=year, month=month + 1, day=day)


def _turn_at(layer: Layer, local: datetime) -> int:
    """The turn of a wall clock, or the one after it for a month that has not reached its day."""
    if layer.rotation_type is not RotationType.MONTHLY:
        return (local - layer.start) // _period(layer)
    months = (local.year - layer.start.year) * 12 + local.month - layer.start.month
    return months // layer.interval


def _turns(index: int, layer: Layer, tz: ZoneInfo, from_: datetime, to: datetime) -> Iterator[Span]:
    turn = max(0, _turn_at(layer, wall_clock(from_, tz) - _JUMP) - 1)
    last = utc(layer.end, tz) if layer.end is not None else None
    period = None if layer.rotation_type is RotationType.MONTHLY else _period(layer)
    start = utc(_boundary(layer, turn), tz)
    while start < to and (last is None or start < last):
        # Turns shorter than a gap would begin after their successors: whoever comes later waits for the earlier.
        following = max(start, utc(_boundary(layer, turn + 1, period), tz))
        end = following if last is None else min(following, last)
        if end > from_ and end > start:
            yield Span(start, end, layer.participants[turn % len(layer.participants)], index, turn)
        start, turn = following, turn + 1


def _windows(
    restrictions: Iterable[Restriction], tz: ZoneInfo, from_: datetime, to: datetime
) -> list[tuple[datetime, datetime]]:
    """When the restrictions let a layer apply, sorted and joined, over at least `[from_, to)`."""
    first = wall_clock(from_, tz).date() - LONGEST_RESTRICTION - _JUMP
    days = [first + timedelta(days=n) for n in range((wall_clock(to, tz).date() - first).days + 1)]
    windows = sorted(w for restriction in restrictions for w in _windows_of(restriction, tz, days))
    joined: list[tuple[datetime, datetime]] = []
    for start, end in windows:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def _windows_of(restriction: Restriction, tz: ZoneInfo, days: Sequence[date]) -> Iterator[tuple[datetime, datetime]]:
    weekdays = {_DAYS.index(day) for day in restriction.days}
    begins = time.fromisoformat(restriction.from_)
    length = duration(restriction.duration) or timedelta()
    for day in days:
        if day.weekday() in weekdays:
            local = datetime.combine(day, begins)
            # The wall clock decides the end as well: 22:00 for eight hours ends at 06:00 on every night.
            start, end = utc(local, tz), utc(local + length, tz)
            if start < end:
                yield start, end


def _intersect(turns: Sequence[Span], windows: Sequence[tuple[datetime, datetime]]) -> Iterator[Span]:
    first = 0
    for turn in turns:
        while first < len(windows) and windows[first][1] <= turn.start:
            first += 1
        for i in range(first, len(windows)):
            start, end = windows[i]
            if start >= turn.end:
                break
            yield Span(max(start, turn.start), min(end, turn.end), turn.user, turn.layer, turn.turn)
