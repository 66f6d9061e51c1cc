"""Who is on call: the one pure function from a schedule's rules to shifts, for paging, display, iCal and proofs.

Every turn is a shift of its own, also when the next one is the same person's: a shift's start is then a property of
the rules and not of the range that was asked for. What a later layer or an override cuts a turn into are several
shifts; pieces of one turn or of one override that touch are one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from uuid import UUID

from libs.contracts.oncall import Layer, Override, Shift
from services.oncall.rotation import Span, spans, zone

OVERRIDE = -1
"""The layer of shifts that come from an override."""
_start, _end = attrgetter("start"), attrgetter("end")


def shifts(
    layers: Sequence[Layer], overrides: Sequence[Override], timezone: str, from_: datetime, to: datetime
) -> tuple[Shift, ...]:
    """Who is on call in `[from_, to)` (UTC), cut at both ends: sorted, not overlapping, a gap is nobody.

    A later layer wins over an earlier one, overrides win over layers and a later override over an earlier one; an
    override with `replaces` applies only where that person would be on call without it. Any slice of an answer is
    the answer for that slice. `layers` have passed `rotation.check_layer`.

    Raises:
        Invalid: `timezone` is not an IANA zone.
    """
    found = _computed(layers, overrides, timezone, from_, to)
    return tuple(_shift(replace(s, start=max(s.start, from_), end=min(s.end, to))) for s in found)


def whole_shifts(
    layers: Sequence[Layer], overrides: Sequence[Override], timezone: str, from_: datetime, to: datetime
) -> tuple[Shift, ...]:
    """The shifts of which a part lies in `[from_, to)`, with their true starts and ends."""
    tz = zone(timezone)
    touched = [s for i, layer in enumerate(layers) for s in spans(i, layer, tz, from_, to)]
    touched += [_span(i, o) for i, o in enumerate(overrides) if o.start_time < to and o.end_time > from_]
    if not touched:
        return ()
    # No shift in the range reaches farther than the longest turn or override that it can be a piece of.
    first, last = min(from_, *(s.start for s in touched)), max(to, *(s.end for s in touched))
    found = _computed(layers, overrides, timezone, first, last)
    return tuple(_shift(s) for s in found if s.end > from_ and s.start < to)


def _computed(
    layers: Sequence[Layer], overrides: Sequence[Override], timezone: str, from_: datetime, to: datetime
) -> list[Span]:
    """Right within `[from_, to)`; a stretch may reach beyond, where nothing was laid over it."""
    tz = zone(timezone)
    result: list[Span] = []
    for i, layer in enumerate(layers):
        result = _laid_over(result, spans(i, layer, tz, from_, to))
    for i, override in enumerate(overrides):
        if override.start_time < to and override.end_time > from_:
            result = _laid_over(result, _applied(_span(i, override), override.replaces, result))
    return [s for s in result if s.end > from_ and s.start < to]


def _applied(override: Span, replaces: UUID | None, base: Iterable[Span]) -> list[Span]:
    """The stretches of an override: all of it, or where the person whom it replaces would be on call."""
    if replaces is None:
        return [override]
    return _joined(
        replace(override, start=max(override.start, s.start), end=min(override.end, s.end))
        for s in base
        if s.user == replaces and s.end > override.start and s.start < override.end
    )


def _laid_over(base: Sequence[Span], top: Sequence[Span]) -> list[Span]:
    """`top` with what is left of `base` around it; both sorted and not overlapping."""
    if not base or not top:
        return list(base or top)
    # What ends before all of them, or begins after, stays as it is: most of a plan, where one override is laid over it.
    lo = bisect_right(base, top[0].start, key=_end)
    hi = bisect_left(base, top[-1].end, lo=lo, key=_start)
    left: list[Span] = []
    first = 0
    for span in base[lo:hi]:
        while first < len(top) and top[first].end <= span.start:
            first += 1
        start = span.start
        for i in range(first, len(top)):
            if top[i].start >= span.end:
                break
            if top[i].start > start:
                left.append(replace(span, start=start, end=top[i].start))
            start = max(start, top[i].end)
        if start < span.end:
            left.append(span if start == span.start else replace(span, start=start))
    return [*base[:lo], *sorted([*left, *top], key=_start), *base[hi:]]


def _joined(pieces: Iterable[Span]) -> list[Span]:
    """Sorted pieces of one override, those that touch made one."""
    joined: list[Span] = []
    for piece in pieces:
        if joined and joined[-1].end == piece.start:
            joined[-1] = replace(joined[-1], end=piece.end)
        else:
            joined.append(piece)
    return joined


def _span(index: int, override: Override) -> Span:
    return Span(override.start_time, override.end_time, override.user_id, OVERRIDE, index)


def _shift(span: Span) -> Shift:
    return Shift(
        user_id=span.user,
        start_time=span.start,
        end_time=span.end,
        layer=span.layer,
        is_override=span.layer == OVERRIDE,
    )
