"""The states of entities while a log is read in the order of its positions, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from libs.chassis.history import History, Row
from libs.chassis.origins import STATELESS, Fold
from libs.chassis.work import Decided
from libs.contracts.envelope import Envelope, parse_event

ROOM: Final = 10_000
"""States that are kept; whoever was heard of longest ago is folded again from its events."""


class LogHole(Exception):
    """A log lacks an event; the text says where."""


@dataclass
class Folding:
    """`decided(rows)`: each event with the state of its entity right after it; types without a fold are passed over."""

    history: History
    folds: Mapping[str, Fold]
    """By the type of event."""
    room: int = ROOM
    _states: dict[UUID, Any] = field(default_factory=dict)

    def decided(self, rows: Sequence[Row]) -> Iterator[Decided]:
        """Raises `LogHole`, or what `parse_event` raises."""
        for row in rows:
            if row.hole:
                raise LogHole(f"{self.history.service} lacks the event before position {row.position}")
        events = [parse_event(row.type, row.raw) for row in rows if row.type in self.folds]
        self._load(events, rows[0].position if rows else 0)
        for event in events:
            fold = self.folds[event.type]
            if fold is STATELESS:
                yield Decided(event, None)
                continue
            state = self._states.pop(event.entity, self)
            state = fold.evolve(fold.initial() if state is self else state, event)
            self._states[event.entity] = state  # at the end: the newest
            yield Decided(event, state)
        while len(self._states) > self.room:
            del self._states[next(iter(self._states))]

    def _load(self, events: Sequence[Envelope[Any]], first: int) -> None:
        """The states, before this page, of entities that began before it and are not kept."""
        missing: dict[UUID, None] = {}
        begun: set[UUID] = set()
        for event in events:
            if event.version == 1 or event.entity in self._states or self.folds[event.type] is STATELESS:
                begun.add(event.entity)
            elif event.entity not in begun:
                missing[event.entity] = None
        if not missing:
            return
        for row in self.history.before(list(missing), first):
            fold = self.folds.get(row.type)
            if fold is not None:
                event = parse_event(row.type, row.raw)
                state = self._states.get(event.entity, self)
                self._states[event.entity] = fold.evolve(fold.initial() if state is self else state, event)
