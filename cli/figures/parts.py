"""What a report shows, in words: the same tables and bars for a terminal and for a page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from libs.contracts import durations
from libs.contracts.erasure import ERASED

if TYPE_CHECKING:
    from libs.contracts.analytics import Handling, Load, Noise, Report, Response, Summary

Names = Mapping[UUID, str]
_PEOPLE, _KEYS = 20, 15
_NOTHING: Final = "–"  # noqa: RUF001 - a dash, as in other tables
_TITLE: Final = "newest title"
TEXTS: Final = frozenset({_TITLE})
"""Columns of words, beside the first one of each table."""


@dataclass(frozen=True, slots=True)
class Part:
    """A table; `bars`: the column whose numbers are drawn beside the rows, None: none is.

    `marked`: rows whose bars stand out.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    bars: tuple[float, ...] | None = None
    marked: frozenset[int] = frozenset()
    note: str = ""


def headline(report: Report) -> tuple[tuple[str, str], ...]:
    """The numbers that everybody asks for first, each with what it is."""
    summary, load = report.summary, report.load
    return (
        ("incidents", str(summary.incidents)),
        ("to answer, mean", lasted(summary.mtta)),
        ("to resolve, mean", lasted(summary.mttr)),
        ("pages", str(load.pages)),
        (f"at night, {load.night}", str(load.night_pages)),
    )


def period(report: Report) -> str:
    """By the clock of its zone."""
    asked = report.summary
    since, until = (at.astimezone(ZoneInfo(asked.timezone)) for at in (asked.from_, asked.to))
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} ({asked.timezone})"


def parts(report: Report, names: Names) -> Iterator[Part]:
    """Those that have something to show."""
    for part in (
        _became(report.summary),
        _by_priority(report.summary),
        _by_integration(report.summary),
        _by_hour(report.summary),
        *_people(report.load, names),
        *_levels(report.response, names),
        *_noise(report.noise),
    ):
        if part.rows:
            yield part


def lasted(seconds: float | None) -> str:
    return _NOTHING if seconds is None else durations.lasted(seconds)


def _became(summary: Summary) -> Part:
    rows = (
        ("answered by somebody", f"{summary.answered}", f"median {lasted(summary.median_answer)}"),
        ("resolved", f"{summary.resolved}", f"median {lasted(summary.median_resolution)}"),
        ("of these automatically", f"{summary.resolved_automatically}", ""),
        ("reopened", f"{summary.reopened}", ""),
        ("snoozed", f"{summary.snoozed}", ""),
        ("suppressed", f"{summary.suppressed}", ""),
    )
    return Part("What became of them", ("", "incidents", ""), rows if summary.incidents else ())


_HANDLED = ("incidents", "answered", "MTTA", "resolved", "MTTR")


def _handled(one: Handling) -> tuple[str, ...]:
    return (str(one.incidents), str(one.answered), lasted(one.mtta), str(one.resolved), lasted(one.mttr))


def _by_priority(summary: Summary) -> Part:
    rows = tuple((str(one.priority), *_handled(one)) for one in summary.by_priority)
    bars = tuple(float(one.incidents) for one in summary.by_priority)
    return Part("By priority", ("priority", *_HANDLED), rows, bars)


def _by_integration(summary: Summary) -> Part:
    named = [
        (one.name or (f"{one.integration_id}" if one.integration_id else "by hand"), one)
        for one in summary.by_integration
    ]
    rows = tuple((name, *_handled(one)) for name, one in named[:_KEYS])
    bars = tuple(float(one.incidents) for _, one in named[:_KEYS])
    return Part("By service", ("integration", *_HANDLED), rows, bars)


def _by_hour(summary: Summary) -> Part:
    rows = tuple((f"{one.hour:02}:00", str(one.incidents), lasted(one.mtta)) for one in summary.by_hour)
    bars = tuple(float(one.incidents) for one in summary.by_hour)
    part = Part(f"Opened, by hour ({summary.timezone})", ("hour", "incidents", "MTTA"), rows, bars)
    return part if any(bars) else Part(part.title, part.columns, ())


def _people(load: Load, names: Names) -> Iterator[Part]:
    shown = load.people[:_PEOPLE]
    rows = tuple(
        (_name(one.user_id, names, erased=one.erased), str(one.pages), str(one.night_pages), str(one.incidents))
        for one in shown
    )
    note = "A page is a level that paged somebody, with however many messages; night is by their own clock."
    bars = tuple(float(one.pages) for one in shown)
    yield Part("Paged", ("person", "pages", "at night", "incidents"), rows, bars, note=note)
    if load.pages:
        hours = tuple((f"{one.hour:02}:00", str(one.pages)) for one in load.by_hour)
        night = frozenset(number for number, one in enumerate(load.by_hour) if one.is_night)
        bars = tuple(float(one.pages) for one in load.by_hour)
        yield Part(f"Pages by the hour where people live (night: {load.night})", ("hour", "pages"), hours, bars, night)


def _levels(response: Response, names: Names) -> Iterator[Part]:
    rows = tuple(
        (
            str(one.level),
            str(one.fired),
            str(one.answered),
            *map(lasted, (one.mean_seconds, one.median_seconds, one.p95_seconds)),
        )
        for one in response.levels
    )
    note = f"{response.unpaged} answered before a level was paged." if response.unpaged else ""
    columns = ("level", "paged", "answered", "mean", "median", "95 %")
    yield Part("Which level answered", columns, rows, tuple(float(one.answered) for one in response.levels), note=note)
    people = response.responders[:_PEOPLE]
    acted = tuple(
        (
            _name(one.user_id, names, erased=one.erased),
            str(one.acknowledged),
            str(one.resolved),
            str(one.first),
            lasted(one.mean_seconds),
        )
        for one in people
    )
    bars = tuple(float(one.acknowledged + one.resolved) for one in people)
    yield Part("Who answered", ("person", "acknowledged", "resolved", "first", "after, mean"), acted, bars)


def _noise(noise: Noise) -> Iterator[Part]:
    keys = noise.keys[:_KEYS]
    rows = tuple((one.dedup_key, one.title, str(one.alerts), str(one.incidents), str(one.untouched)) for one in keys)
    note = "Untouched: over without anybody's answer."
    columns = ("alerts", "incidents", "untouched")
    bars = tuple(float(one.alerts) for one in keys)
    yield Part("Noisiest keys", ("dedup key", _TITLE, *columns), rows, bars, note=note)


def _name(person: UUID, names: Names, *, erased: bool) -> str:
    return ERASED if erased else names.get(person) or str(person)


def scaled(bars: Sequence[float], to: float) -> list[float]:
    """The longest is `to`."""
    most = max(bars, default=0)
    return [to * bar / most if most else 0.0 for bar in bars]
