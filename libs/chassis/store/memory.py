"""States as this process last committed them, so that it need not read back what it is about to decide on again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from uuid import UUID

_LIMIT = 2000


class Known(NamedTuple):
    """An entity's state after `version` of its events."""

    state: Any
    version: int
    slot: int | None = None
    snapped: int = 0
    """The version of its snapshot; 0 for none."""


class Memory:
    """A hope, never the truth: whoever appended meanwhile makes our append conflict, and then the log is read.

    A decision that appends nothing is never made on what is remembered (`Work.decide`), and all is forgotten whenever
    anything goes wrong. So it does no harm that two commits may be learned of in another order than they were made.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self._known: dict[UUID, Known] = {}
        self._limit = limit

    def get(self, entity: UUID) -> Known | None:
        return self._known.get(entity)

    def learn(self, outcomes: Mapping[UUID, Known | None]) -> None:
        """What a commit has made of its entities; None: not worth keeping."""
        for entity, known in outcomes.items():
            if known is None:
                self._known.pop(entity, None)
            elif len(self._known) < self._limit or entity in self._known:
                self._known[entity] = known

    def forget(self) -> None:
        self._known.clear()
