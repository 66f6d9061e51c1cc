"""Snapshots: a long entity's state at one of its events, so that a decision folds only what came after it (ADR 35)."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, NamedTuple, TypeVar
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json

S = TypeVar("S")

EVERY: Final = 50
"""Events after which a state is kept again: what a decision folds at most, while the code stays the same."""


class UnreadableSnapshot(Exception):
    """A snapshot's text is none of its shape: the log is read instead."""


class Snapshot(NamedTuple):
    """A row of the table: the state after the event `event_id`, which is the entity's `version`-th."""

    entity: UUID
    version: int
    event_id: UUID
    slot: int
    shape: str
    state: str


class Shape(Generic[S]):
    """How states become text, for a decider whose states are instances of the dataclasses `kinds`.

    `name` follows from their fields and from the source of the modules that evolve them: a state that other code has
    folded has another shape, and is not read. `parts`: what `evolve` leaves to other modules.
    """

    def __init__(
        self, evolve: Callable[[S, Any], S], *kinds: type[S], parts: Iterable[Callable[..., Any]] = ()
    ) -> None:
        self._kinds: dict[str, TypeAdapter[S]] = {kind.__name__: TypeAdapter(kind) for kind in kinds}
        schemas = {name: adapter.json_schema(mode="serialization") for name, adapter in self._kinds.items()}
        source = "".join(inspect.getsource(sys.modules[one.__module__]) for one in (evolve, *parts))
        self.name = hashlib.sha256(to_json([schemas, source])).hexdigest()[:32]

    def write(self, state: S) -> str:
        """Raises `KeyError` for a state of no such kind."""
        kind = type(state).__name__
        return f"{kind} {self._kinds[kind].dump_json(state, by_alias=True).decode()}"

    def read(self, text: str) -> S:
        """Raises `UnreadableSnapshot`: it is none of these states."""
        kind, _, state = text.partition(" ")
        try:
            return self._kinds[kind].validate_json(state)
        except (KeyError, ValueError) as error:
            raise UnreadableSnapshot(kind) from error
