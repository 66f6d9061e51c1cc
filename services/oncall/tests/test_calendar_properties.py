"""What holds for every schedule: any slice is the slice of more, and a clock-by-clock computation agrees."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.testing.examples import examples
from libs.contracts.oncall import Layer, Override, Shift
from services.oncall.calendar import shifts, whole_shifts
from services.oncall.rotation import duration
from services.oncall.rotation import utc as moment_of
from services.oncall.rotation import zone as zone_of
from services.oncall.tests.rules import ANA, BO, CY

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "America/St_Johns")
PEOPLE = st.sampled_from((ANA, BO, CY))
# The weeks around Berlin's, New York's and Lord Howe's changes, to the minute.
LOCALS = st.datetimes(datetime(2026, 2, 1), datetime(2026, 11, 30)).map(lambda d: d.replace(second=0, microsecond=0))  # noqa: DTZ001
MOMENTS = LOCALS.map(lambda d: d.replace(tzinfo=UTC))


@st.composite
def layers(draw: st.DrawFn) -> Layer:
    rotation = draw(st.sampled_from(("hourly", "daily", "weekly", "monthly", "custom")))
    start = draw(LOCALS)
    restriction = st.fixed_dictionaries(
        {
            "days": st.lists(st.sampled_from(("mon", "wed", "sat", "sun")), min_size=1, max_size=3),
            "from": st.sampled_from(("00:00", "02:00", "02:30", "22:00")),
            "duration": st.sampled_from(("PT30M", "PT8H", "P1D", "P7D")),
        }
    )
    return Layer.model_validate(
        {
            "rotation_type": rotation,
            "interval": draw(st.integers(1, 3)) * (5 if rotation == "hourly" else 1),
            "shift_length": draw(st.sampled_from(("PT90M", "PT12H", "P1DT1H"))) if rotation == "custom" else None,
            "start": start,
            "end": draw(st.none() | st.integers(1, 60).map(lambda d: start + timedelta(days=d))),
            "participants": draw(st.lists(PEOPLE, min_size=1, max_size=4)),
            "restrictions": draw(st.lists(restriction, max_size=2)),
        }
    )


@st.composite
def overrides(draw: st.DrawFn) -> Override:
    start = draw(MOMENTS)
    end = start + timedelta(minutes=draw(st.integers(1, 60 * 24 * 20)))
    replaces = draw(st.none() | PEOPLE)
    return Override(id=UUID(int=0), user_id=draw(PEOPLE), start_time=start, end_time=end, replaces=replaces)


RULES = st.tuples(
    st.lists(layers(), max_size=3).map(tuple), st.lists(overrides(), max_size=4).map(tuple), st.sampled_from(ZONES)
)
RANGES = st.tuples(MOMENTS, st.integers(1, 60 * 24 * 30)).map(lambda r: (r[0], r[0] + timedelta(minutes=r[1])))
Rules = tuple[tuple[Layer, ...], tuple[Override, ...], str]
Range = tuple[datetime, datetime]


def cut(found: tuple[Shift, ...], from_: datetime, to: datetime) -> tuple[Shift, ...]:
    return tuple(
        s.model_copy(update={"start_time": max(s.start_time, from_), "end_time": min(s.end_time, to)})
        for s in found
        if s.end_time > from_ and s.start_time < to
    )


@settings(max_examples=examples(75), database=None)
@given(RULES, RANGES, st.integers(0, 60 * 24 * 40), st.integers(0, 60 * 24 * 40))
def test_a_slice_is_the_slice_of_a_longer_computation(rules: Rules, range_: Range, before: int, after: int) -> None:
    longer = shifts(*rules, range_[0] - timedelta(minutes=before), range_[1] + timedelta(minutes=after))
    assert shifts(*rules, *range_) == cut(longer, *range_)


@settings(max_examples=examples(75), database=None)
@given(RULES, RANGES)
def test_shifts_are_sorted_apart_and_within_the_range(rules: Rules, range_: Range) -> None:
    found = shifts(*rules, *range_)
    assert all(range_[0] <= s.start_time < s.end_time <= range_[1] for s in found)
    assert all(a.end_time <= b.start_time for a, b in pairwise(found))


@settings(max_examples=examples(75), database=None)
@given(RULES, RANGES, st.integers(0, 60 * 24 * 40))
def test_whole_shifts_do_not_depend_on_the_range(rules: Rules, range_: Range, more: int) -> None:
    whole = whole_shifts(*rules, *range_)
    assert cut(whole, *range_) == shifts(*rules, *range_)
    wider = range_[0] - timedelta(minutes=more), range_[1] + timedelta(minutes=more)
    longer = whole_shifts(*rules, *wider)
    assert whole == tuple(s for s in longer if s.end_time > range_[0] and s.start_time < range_[1])


@settings(max_examples=examples(75), database=None)
@given(RULES, MOMENTS)
def test_one_moment_computed_from_the_start_agrees(rules: Rules, at: datetime) -> None:
    found = shifts(*rules, at, at + timedelta(minutes=1))
    covering = [s for s in found if s.start_time <= at < s.end_time]
    assert (covering[0].user_id if covering else None) == _slowly(rules, at)


def _slowly(rules: Rules, at: datetime) -> UUID | None:
    """Turn by turn from each layer's start, with every rule read at one moment only."""
    layers_, overrides_, zone = rules
    person = None
    for layer in layers_:
        person = _on_layer(layer, zone, at) or person
    for override in overrides_:
        if override.start_time <= at < override.end_time and override.replaces in (None, person):
            person = override.user_id
    return person


def _on_layer(layer: Layer, zone: str, at: datetime) -> UUID | None:
    tz = zone_of(zone)
    if layer.end is not None and at >= moment_of(layer.end, tz):
        return None
    if layer.restrictions and not _permitted(layer, zone, at):
        return None
    # The last turn of all whose boundary has passed, where a boundary waits for those before it.
    turn, latest = -1, moment_of(layer.start, tz)
    while True:
        latest = max(latest, moment_of(_begin(layer, turn + 1), tz))
        if latest > at:
            return layer.participants[turn % len(layer.participants)] if turn >= 0 else None
        turn += 1


def _begin(layer: Layer, turn: int) -> datetime:
    units = turn * layer.interval
    match layer.rotation_type:
        case "monthly":
            month = layer.start.month - 1 + units
            first = layer.start.replace(day=1, year=layer.start.year + month // 12, month=month % 12 + 1)
            days = [first + timedelta(days=d) for d in range(layer.start.day)]
            return max(d for d in days if d.month == first.month)
        case "custom":
            return layer.start + units * (duration(layer.shift_length or "") or timedelta())
        case unit:
            return layer.start + units * {"hourly": timedelta(hours=1), "daily": timedelta(days=1)}.get(
                unit, timedelta(weeks=1)
            )


def _permitted(layer: Layer, zone: str, at: datetime) -> bool:
    tz = zone_of(zone)
    today = at.astimezone(tz).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)
    for restriction in layer.restrictions:
        length = duration(restriction.duration) or timedelta()
        for back in range(-2, 10):
            day = today - timedelta(days=back)
            begin = day + timedelta(hours=int(restriction.from_[:2]), minutes=int(restriction.from_[3:]))
            if f"{day:%a}".lower() in restriction.days and moment_of(begin, tz) <= at < moment_of(begin + length, tz):
                return True
    return False
