"""Events of several logs in one order: by time, ties by service and position, and never an effect before its cause.

The clocks of services differ by milliseconds, so time alone would let an effect come first. Everything up to `WINDOW`
ahead of what goes out has been read: an effect whose cause stands among it waits for it (docs/adr/0019).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from libs.chassis.rebuild.history import LogRow, microseconds
from libs.contracts.codec import cause_of

WINDOW: Final = 5_000_000
"""Microseconds by which clocks, and times within one log, may differ."""
MOST_BYTES: Final = 64 * 2**20
"""What may wait in memory; a log that wants more than that within the window is put out in a shorter one."""
_NEVER: Final = 2**63


class Key(NamedTuple):
    """Where an event stands: its time in microseconds since 2000, the rank of its service, its position."""

    time: int
    rank: int
    position: int


START: Final = Key(-_NEVER, 0, 0)


class Entry(NamedTuple):
    """An event on its way out; it compares by its key, which no other has."""

    time: int
    rank: int
    position: int
    row: LogRow

    @property
    def key(self) -> Key:
        return Key(self.time, self.rank, self.position)


class Hole(Exception):
    """A log lacks an event; the text says which, and where."""


class Source(Protocol):
    """One service's events in the order of their positions."""

    @property
    def service(self) -> str: ...

    def page(self) -> Sequence[LogRow]:
        """The next ones; none: there is nothing more."""
        ...


@dataclass
class Merge:
    """`for batch in Merge(sources)`: batches of entries in order. `after` and `left` continue an earlier one.

    `after`: what stands up to this key is out already, but for the places `left`: (rank, position).
    """

    sources: Sequence[Source]
    after: Key = START
    left: frozenset[tuple[int, int]] = frozenset()
    window: int = WINDOW
    squeezed: bool = False
    """Whether the window had to be cut short."""
    _buffer: list[Entry] = field(default_factory=list)
    _bytes: int = 0
    _pending: set[bytes] = field(default_factory=set)
    _newest: list[dict[bytes, int]] = field(default_factory=list)
    """By service and entity, the time of the newest event that is not out."""
    _waiting: dict[bytes, list[tuple[Entry, bytes]]] = field(default_factory=dict)
    """By what they wait for; with the id of the event of their entity that waits before them."""
    _held: dict[tuple[int, bytes], bytes] = field(default_factory=dict)
    """Entities with an event that waits: the id of the newest such one."""

    def __post_init__(self) -> None:
        self._newest = [{} for _ in self.sources]

    def __iter__(self) -> Iterator[list[Entry]]:
        horizons: list[float] = [-_NEVER] * len(self.sources)
        while (behind := min(horizons)) < _NEVER:
            rank = horizons.index(behind)
            rows = self.sources[rank].page()
            horizons[rank] = max(behind, self.take(rank, rows)) if rows else _NEVER
            yield from self._out(min(horizons))
        if self._waiting:
            # Each waits for another: no log of ours can say so, and nothing may be kept back.
            yield sorted(entry for entries in self._waiting.values() for entry, _ in entries)

    def waiting(self) -> frozenset[tuple[int, int]]:
        """The places of effects whose cause is not out yet: before `after` in time, and still to come."""
        return frozenset((e.rank, e.position) for entries in self._waiting.values() for e, _ in entries)

    def take(self, rank: int, rows: Sequence[LogRow]) -> int:
        """Read these in; returns the newest time among them. Raises `Hole`."""
        newest, pending, buffer = self._newest[rank], self._pending, self._buffer
        latest = -_NEVER
        for row in rows:
            position, entity, _, _, time, raw, hole = row
            if hole:
                raise Hole(f"{self.sources[rank].service} lacks the event before position {position} (see its entity)")
            at = microseconds(time)
            latest = max(latest, at)
            # Two replicas' clocks may differ, too: an entity's events keep their order.
            before = newest.get(entity)
            if before is not None and before > at:
                at = before
            newest[entity] = at
            entry = Entry(at, rank, position, row)
            if entry[:3] <= self.after and (rank, position) not in self.left:
                continue
            pending.add(raw[7:43])
            buffer.append(entry)
            self._bytes += len(raw)
        return latest

    def _out(self, horizon: float) -> Iterator[list[Entry]]:
        self._buffer.sort()
        count = _first_at(self._buffer, horizon - self.window) if horizon < _NEVER else len(self._buffer)
        if self._bytes > MOST_BYTES:
            self.squeezed = True
            count = max(count, len(self._buffer) // 2)
        if count:
            ready, self._buffer[:count] = self._buffer[:count], []
            out = self.release(ready)
            self.after = ready[-1].key
            yield out

    def release(self, ready: Sequence[Entry]) -> list[Entry]:
        """What of these may go out, and what waited for it."""
        out: list[Entry] = []
        held = self._held
        for entry in ready:
            self._admit(entry, held.get((entry.rank, entry.row.entity), b"") if held else b"", out)
        return out

    def _admit(self, entry: Entry, before: bytes, out: list[Entry]) -> None:
        """Out with it and with all that waited for it, or let it wait: for its cause, or for `before`.

        `before`: the id of an earlier event of its entity that waits.
        """
        todo = [(entry, before)]
        pending, waiting, held = self._pending, self._waiting, self._held
        while todo:
            entry, before = todo.pop()
            row = entry.row
            event = row.raw[7:43]
            cause = cause_of(row.raw)
            awaited = before if before in pending else cause
            if awaited in pending and awaited != event:
                waiting.setdefault(awaited, []).append((entry, before))
                if held.get((entry.rank, row.entity), before) == before:
                    held[entry.rank, row.entity] = event
                continue
            pending.discard(event)
            self._bytes -= len(row.raw)
            newest = self._newest[entry.rank]
            if newest.get(row.entity) == entry.time:
                del newest[row.entity]
            out.append(entry)
            if waiting:
                if held.get((entry.rank, row.entity)) == event:
                    del held[entry.rank, row.entity]
                todo += reversed(waiting.pop(event, ()))

    def peek(self) -> Sequence[Entry]:
        """What is in and neither out nor waiting."""
        return self._buffer

    def drain(self) -> list[Entry]:
        """Everything that is in and neither out nor waiting, in order: for `release`, when what came later is in."""
        drained, self._buffer = sorted(self._buffer), []
        return drained


def _first_at(buffer: Sequence[Entry], time: float) -> int:
    """How many of a sorted buffer stand before a time."""
    low, high = 0, len(buffer)
    while low < high:
        middle = (low + high) // 2
        if buffer[middle].time < time:
            low = middle + 1
        else:
            high = middle
    return low
