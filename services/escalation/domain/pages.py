"""What a page says and whom it reaches: the first level that reaches anybody, or else the fallback."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.contracts.escalation import EscalationDue, Paged
from services.escalation.domain.escalations import (
    Exhausted,
    FireTimer,
    PassOver,
    ReportUnreachable,
    Run,
    StartEscalation,
    Waiting,
)
from services.escalation.domain.people import NOBODY_AT_ALL, reach

_REASON_LENGTH = 500
MOST_PAGED = 2000
"""People whom one page names: an event that grows with an installation would one day be too large to be stored, and the
page would be parked."""

Occasion = StartEscalation | FireTimer | ReportUnreachable | PassOver
"""What a level may be paged for; each brings the policy, the directory and the moment."""


def every(occasion: Occasion) -> range:
    """All levels of the policy."""
    return range(1, len(occasion.plan.levels) + 1)


def later(state: Waiting, occasion: Occasion) -> range:
    """The levels after the one that was paged last."""
    return range(state.level + 1, len(occasion.plan.levels) + 1)


@dataclass(frozen=True, slots=True)
class _Found:
    """The first level that reaches anybody (0: none does), and what was seen on the way."""

    level: int
    people: tuple[Paged, ...]
    notes: tuple[str, ...]
    versions: dict[str, int]
    passed: tuple[UUID, ...] = ()


def _search(run: Run, occasion: Occasion, levels: Iterable[int]) -> _Found:
    """An empty level is passed at once: it never burns its time-out."""
    notes: list[str] = []
    versions: dict[str, int] = {}
    passed: list[UUID] = []
    for level in levels:
        reached = reach(occasion.plan.levels[level - 1], occasion.directory, run.assigned if level == 1 else None)
        notes.extend(reached.notes)
        versions.update(reached.schedule_versions)
        passed.extend(reached.passed)
        if reached.people:
            return _Found(level, reached.people, tuple(notes), versions, tuple(passed))
        notes.append(f"level {level} reaches nobody and is passed")
    return _Found(0, (), tuple(notes), versions, tuple(passed))


def page_levels(run: Run, occasion: Occasion, levels: Iterable[int], round_: int) -> EscalationDue | None:
    """The page of the first of these levels that reaches anybody; None: none does."""
    found = _search(run, occasion, levels)
    return _due(run, occasion, round_, found) if found.level else None


def fall_back(run: Run, occasion: Occasion, level: int, round_: int) -> EscalationDue:
    """The page for whoever there is, because no level reaches anybody: never silence."""
    people = occasion.directory.fallback(again=round_ > 1)
    note = "no level reaches anybody: the fallback is paged" if people else NOBODY_AT_ALL
    seen = _search(run, occasion, every(occasion))
    return _due(run, occasion, round_, _Found(level, people, (note, *seen.notes), seen.versions, seen.passed))


def page_others(run: Run, occasion: ReportUnreachable, state: Waiting | Exhausted) -> EscalationDue | None:
    """The page for whoever has a device, when nobody of a page could be reached; None: nobody else has one.

    Each kind of `Others` is a level of its own after the policy's last, with that one's time-out: where nobody of it
    can be reached either, the next kind is paged, and each at most once a round.
    """
    unreached = {p.user_id for p in state.people}
    for level, people in enumerate(occasion.others, len(occasion.plan.levels) + 1):
        others = tuple(p for p in people if p.user_id not in unreached)
        if level > state.level and others:
            return _due(run, occasion, state.round, _Found(level, others, (), {}))
    return None


def noted(due: EscalationDue, note: str | None) -> EscalationDue:
    """The page with another reason before its own."""
    if note is None:
        return due
    return due.model_copy(update={"reason": _reason(n for n in (note, due.reason) if n)})


def _due(run: Run, occasion: Occasion, round_: int, found: _Found) -> EscalationDue:
    timed = min(found.level, len(occasion.plan.levels))
    minutes = occasion.plan.minutes(timed, run.brief.priority, run.first_timeout_minutes)
    return EscalationDue(
        incident_id=run.brief.incident_id,
        run=run.number,
        level=found.level,
        round=round_,
        people=found.people[:MOST_PAGED],
        next_due_at=occasion.now + timedelta(minutes=minutes),
        reason=_reason((*_too_many(found.people), *found.notes)),
        schedule_versions=found.versions,
        passed=tuple(dict.fromkeys(found.passed))[:MOST_PAGED],
        brief=run.brief,
    )


def _too_many(people: Sequence[Paged]) -> tuple[str, ...]:
    return (f"the first {MOST_PAGED} of {len(people)} people are paged",) if len(people) > MOST_PAGED else ()


def _reason(notes: Iterable[str]) -> str | None:
    return "; ".join(notes)[:_REASON_LENGTH] or None
