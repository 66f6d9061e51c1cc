"""The run of a replay: from sources through the merge to lines, until its end or until somebody asks to stop."""

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Event as Flag
from typing import BinaryIO, Final

from cli.replay.asked import Asked
from cli.replay.incident import MARGIN, Belonging
from cli.replay.lines import Lines
from cli.replay.logs import LogSource
from cli.replay.merge import START, WINDOW, Entry, Key, Merge
from cli.replay.token import Token
from libs.chassis.rebuild.history import EVERYTHING, History, ends, microseconds, moment, since_2000
from libs.contracts.envelope import FACTS
from libs.contracts.events import declare_events

POLL_SECONDS: Final = 0.5

declare_events()


@dataclass
class Replay:
    """Writes what is wanted of each batch; `token` says where to go on after the last one that was written."""

    asked: Asked
    lines: Lines
    out: BinaryIO
    stop: Flag
    belonging: Belonging | None = None
    written: int = 0
    unknown: Counter[str] = field(default_factory=Counter)
    """Events by type that this build does not know: written all the same, as they are stored."""
    token: Token | None = None

    def __post_init__(self) -> None:
        self._since = since_2000(self.asked.since) if self.asked.since else None
        self._until = since_2000(self.asked.until) if self.asked.until else None
        self._all = self._since is None and self._until is None and self.asked.type_glob is None

    def write(self, batch: Sequence[Entry]) -> None:
        """Raises `BrokenPipeError` when whoever reads has seen enough."""
        wanted = batch if self._all and self.belonging is None else [e for e in batch if self._wants(e)]
        for entry in wanted:
            if entry.row.type not in FACTS:
                self.unknown[entry.row.type] += 1
        if wanted:
            self.out.write(self.lines(wanted))
            self.written += len(wanted)

    def _wants(self, entry: Entry) -> bool:
        row = entry.row
        at = microseconds(row.time)
        if (self._since is not None and at < self._since) or (self._until is not None and at >= self._until):
            return False
        return self.asked.fits(row.type) and (self.belonging is None or self.belonging.holds(row.raw))

    def run(self, merge: Merge, progress: Callable[[], None]) -> bool:
        """Everything that the sources hold; False when it was stopped before the end."""
        batches = iter(merge)
        while not self.stop.is_set():
            batch = next(batches, None)
            if batch is None:
                self.out.flush()
                return True
            self.write(batch)
            progress()
            self.token = Token(self.asked.written(), merge.after, left=tuple(sorted(merge.waiting())))
        self.out.flush()
        return False

    def follow(self, merge: Merge, sources: Sequence[LogSource], end_of: Callable[[], dict[str, int]]) -> None:
        """What is appended from now on, until somebody stops it.

        A round reads all logs; what it brings goes out after the next one, since an effect may be read a round before
        its cause.
        """
        merge.after, merge.left = START, frozenset()
        while not self.stop.wait(POLL_SECONDS):
            earlier = merge.drain()
            end = end_of()
            for rank, source in enumerate(sources):
                source.upto = end[source.service]
                while rows := source.page():
                    merge.take(rank, rows)
            batch = merge.release(earlier)
            if batch:
                self.write(batch)
                self.out.flush()
            self._remember(merge, sources)

    def _remember(self, merge: Merge, sources: Sequence[LogSource]) -> None:
        left = {(e.rank, e.position) for e in merge.peek()} | merge.waiting()
        after = {source.service: source.after for source in sources}
        self.token = Token(self.asked.written(), after=after, left=tuple(sorted(left)))


def log_sources(
    histories: Sequence[History], asked: Asked, belonging: Belonging | None, token: Token | None
) -> list[LogSource]:
    """A source for each log, from where this replay, or what is left of it, begins to where it ends."""
    end = ends(histories[0].connection, [h.service for h in histories])
    condition = belonging.condition if belonging is not None else EVERYTHING
    sources = []
    for rank, history in enumerate(histories):
        upto = end[history.service]
        if asked.until is not None:
            upto = min(upto, history.position_before(asked.until + MARGIN))
        after, done, left = 0, 0, frozenset[int]()
        if token is not None and token.after:
            done = token.after.get(history.service, 0)
            left = frozenset(position for r, position in token.left if r == rank)
            after = min(left, default=done + 1) - 1
        elif token is not None and token.key is not None and token.key[0] > START.time:
            # A margin of a window, so that an event which waits there finds its cause again.
            after = history.position_before(moment(token.key[0] - 2 * WINDOW) - MARGIN)
        elif asked.since is not None:
            after = history.position_before(asked.since - MARGIN)
        sources.append(LogSource(history, after, upto, condition, done, left))
    return sources


def merge_of(sources: Sequence[LogSource], token: Token | None) -> Merge:
    """The merge from its beginning, or from where a token says."""
    if token is None or token.key is None:
        return Merge(sources)
    return Merge(sources, Key(*token.key), frozenset(token.left))


def tell_unknown(unknown: Iterable[tuple[str, int]]) -> None:
    """Name what this build cannot read: it was written as it is stored."""
    for type_name, count in sorted(unknown):
        sys.stderr.write(f"pager: unknown event type {type_name}: {count} written as stored\n")
