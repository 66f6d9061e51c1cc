"""Where each table of a service comes from: its own log, an upstream's, or neither; what a rebuild may repeat.

Every service says so in its `origins.py`; a test holds it to it: each table stands in exactly one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Table

from libs.chassis.store.changes import Change
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Decider, Projector
from libs.contracts.envelope import Envelope, Fact


class Evolution(NamedTuple):
    """How the events of one kind of entity become its state. Pure."""

    initial: Callable[[], Any]
    evolve: Callable[[Any, Envelope[Any]], Any]


def _nothing(_state: Any, _event: Envelope[Any]) -> None:
    return None


STATELESS = Evolution(lambda: None, _nothing)
"""Events that say all there is to say."""


def folding(decider: Decider[Any, Any]) -> Evolution:
    """The fold of a decider."""
    evolve = decider.evolve
    return Evolution(decider.initial, lambda state, event: evolve(state, event.data))


Replicate = Callable[[Envelope[Any]], Iterable[Change]]
"""`replicate(event of an upstream)`: the rows that it writes here. Pure, as `project` is, and in whatever order."""


@dataclass(frozen=True)
class Replica:
    """A table that follows from an upstream's events alone.

    `own`: events of the service's own log write to it as well, through `project`.
    """

    table: Table
    upstreams: Mapping[str, tuple[type[Fact], ...]]
    replicate: Replicate
    own: bool = False


@dataclass(frozen=True)
class Origins:
    """All tables of a service but its log.

    `streams`: the facts of each kind of entity of the log, and how they fold. `refused`: replicas that cannot be
    repeated, with the reason. `rows`: tables that are in no log, with what they hold.
    """

    schema: str
    project: Projector
    streams: Mapping[tuple[type[Fact], ...], Evolution]
    projections: tuple[Table, ...]
    replicas: tuple[Replica, ...] = ()
    refused: Mapping[Table, str] = field(default_factory=dict)
    rows: Mapping[Table, str] = field(default_factory=dict)

    @property
    def repeated(self) -> dict[str, Table]:
        """What a rebuild makes anew, by name; timers are rows that events write (docs/adr/0004)."""
        timers = chassis_tables(self.schema).timers
        return {t.name: t for t in (*self.projections, timers, *(r.table for r in self.replicas))}

    @property
    def kept(self) -> dict[str, str]:
        """What it leaves alone, and why, by name."""
        chassis = chassis_tables(self.schema)
        shared = {
            chassis.cursors: "how far upstreams have been read; only reading moves it",
            chassis.parked: "inputs that were set aside, as they came",
            chassis.snapshots: "states of long entities at one of their events; later ones are folded on top",
            chassis.answers: "answers to requests, for a day, to be given again",
            chassis.replicas: "who is running, and which secrets they open with",
        }
        return {table.name: reason for table, reason in {**shared, **self.rows, **self.refused}.items()}

    def fold_of(self, fact: type[Fact]) -> Evolution:
        """Raises `KeyError` for a fact that no stream of this log holds."""
        for facts, fold in self.streams.items():
            if fact in facts:
                return fold
        raise KeyError(fact.type)
