"""The states of entities while a log is read in the order of its positions, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from libs.chassis.rebuild.history import History, LogRow
from libs.chassis.rebuild.origins import STATELESS, Evolution
from libs.chassis.store.work import Decided
from libs.contracts.codec import UnknownEvent
from libs.contracts.envelope import Envelope

ROOM: Final = 10_000
"""States that are kept; whoever was heard of longest ago is folded again from its events."""


class LogHole(Exception):
    """A log lacks an event; the text says where."""


@dataclass
class Folding:
    """`decided(rows)`: each event with the state of its entity right after it.

    Types without a fold are passed over in an upstream's log; in the `own` one every type must have one.
    """

    history: History
    folds: Mapping[str, Evolution]
    """By the type of event."""
    own: bool = False
    room: int = ROOM
    _passed: set[str] = field(default_factory=set)
    _states: dict[UUID, Any] = field(default_factory=dict)

    def decided(self, rows: Sequence[LogRow]) -> Iterator[Decided]:
        """Raises `LogHole`, `UnknownEvent`, or what the codec raises."""
        for row in rows:
            if row.hole:
                raise LogHole(f"{self.history.service} lacks the event before position {row.position}")
            if row.type not in self.folds and row.type not in self._passed:
                self._pass(row)
        events = [self.history.codec.decode(row.type, row.raw) for row in rows if row.type in self.folds]
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

    def _pass(self, row: LogRow) -> None:
        """A newer version of what we fold must not be passed over: without it the states would be wrong."""
        versionless = {name.rpartition(".")[0] for name in self.folds}
        if self.own or row.type.rpartition(".")[0] in versionless:
            raise UnknownEvent(f"unknown event type {row.type} at position {row.position} of {self.history.service}")
        self._passed.add(row.type)

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
                event = self.history.codec.decode(row.type, row.raw)
                state = self._states.get(event.entity, self)
                self._states[event.entity] = fold.evolve(fold.initial() if state is self else state, event)
