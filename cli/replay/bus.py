"""Replaying from the bus: what its streams hold, in the same order, and where that differs from the logs."""

import asyncio
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from uuid import UUID

from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.client import JetStreamContext
from nats.js.errors import APIError, NotFoundError

from cli.console.failure import STOPPED, TROUBLE, Failure
from cli.console.progress import progress_on_stderr
from cli.reach import bus
from cli.reach.running import auditor_url
from cli.replay.asked import Asked
from cli.replay.incident import MARGIN
from cli.replay.lines import Lines
from cli.replay.merge import Hole, Merge
from cli.replay.run import Replay, tell_unknown
from cli.settings import Settings
from libs.chassis.rebuild.history import History, LogRow, since_2000
from libs.chassis.store.epochs import Epochs, read_epochs
from libs.contracts.codec import CODEC
from libs.contracts.model import Lane
from libs.contracts.subjects import Header, lane_filter, lanes_of, place_of_id, stream_of

_PAGE: Final = 500
_SECONDS: Final = 10.0
_SHOWN: Final = 10
T = TypeVar("T")


@dataclass
class Differences:
    """Of one lane. What has expired, or is not relayed yet, is no difference: the log is the truth and has it."""

    service: str
    lane: Lane
    on_bus: int = 0
    expired: int = 0
    not_relayed: int = 0
    only_in_log: int = 0
    """The stream holds nothing of the lane."""
    missing: list[int] = field(default_factory=list)
    """Positions in the log between two that the stream holds."""
    other_bytes: list[int] = field(default_factory=list)
    other_chain: list[int] = field(default_factory=list)
    """Positions whose message names another one before it than the log."""
    lost: list[str] = field(default_factory=list)
    """Events that a restore has taken from the log, as its epochs say."""

    @property
    def real(self) -> bool:
        return bool(self.missing or self.other_bytes or self.other_chain)

    def lines(self) -> Iterator[str]:
        """What to tell of it."""
        place = f"{self.service}.{self.lane}"
        if self.expired:
            yield f"{place}: {self.expired} older events are only in the log (expired)"
        if self.not_relayed:
            yield f"{place}: {self.not_relayed} newest events are not relayed yet"
        if self.only_in_log:
            yield f"{place}: all {self.only_in_log} events are only in the log (expired, or not relayed yet)"
        if self.lost:
            more = f" and {len(self.lost) - _SHOWN} more" if len(self.lost) > _SHOWN else ""
            shown = ", ".join(self.lost[:_SHOWN])
            yield f"{place}: {len(self.lost)} events are only on the bus, lost in a restore: {shown}{more}"
        for what, positions in (
            ("missing on the bus", self.missing),
            ("other bytes on the bus", self.other_bytes),
            ("another previous position on the bus", self.other_chain),
        ):
            if positions:
                shown = ", ".join(map(str, positions[:_SHOWN]))
                more = f" and {len(positions) - _SHOWN} more" if len(positions) > _SHOWN else ""
                yield f"{place}: {len(positions)} {what}: {shown}{more}"


@dataclass(frozen=True)
class Here:
    """An event loop that runs in another thread: the merge is synchronous, and the client answers pings meanwhile."""

    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()


@contextmanager
def _loop_beside() -> Iterator[Here]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Here(loop)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@dataclass
class LaneSource:
    """One lane of a stream, each page compared with the log. `since`: Unix time of the first one that is wanted."""

    loop: Here
    js: JetStreamContext
    history: History
    lane: Lane
    config: ConsumerConfig
    differences: Differences
    epochs: Epochs
    whole: bool = True
    """Whether it is read from its beginning."""
    left: int = -1
    read: int = 0
    _subscription: Any = None
    _at: int = -1
    """The last position that was compared."""

    @property
    def service(self) -> str:
        return self.history.service

    def page(self) -> Sequence[LogRow]:
        while messages := self.loop.run(self._fetch()):
            kept = [message for message in messages if self._still_holds(message)]
            if kept:
                rows = [self._row(message) for message in kept]
                self._compare(rows, [int((m.headers or {}).get(Header.PREVIOUS, 0)) for m in kept])
                return rows
        if self._at >= 0:
            self.differences.not_relayed = self.history.count(self._at)
        elif self.whole:
            self.differences.only_in_log = self.history.count(0)
        return []

    def _still_holds(self, message: Any) -> bool:
        """Whether it is of the log's history: what was published in an epoch and lost with it is told of apart."""
        headers = message.headers or {}
        epoch, position = place_of_id(headers.get(Header.MESSAGE_ID, "/0/0"))
        if self.epochs.keep(epoch, position) == position:
            return True
        name, entity = headers.get("ce-type", "").split(".")[-2:-1], (message.subject or "").rpartition(".")[2]
        self.differences.lost.append(f"{position} ({''.join(name)} of {entity})")
        return False

    async def _fetch(self) -> list[Any]:
        stream = stream_of(self.service)
        try:
            if self._subscription is None:
                self._subscription = await self.js.pull_subscribe(
                    lane_filter(self.service, self.lane), stream=stream, config=self.config
                )
                self.left = (await self._subscription.consumer_info()).num_pending or 0
            if self.left <= 0:
                return []
            messages = await self._subscription.fetch(min(self.left, _PAGE), timeout=_SECONDS)
        except NotFoundError:
            raise Failure(f"the stream {stream} does not exist: see `pager doctor`") from None
        except (NatsError, APIError, TimeoutError) as error:
            raise Failure(f"the stream {stream} cannot be read: {error or type(error).__name__}") from None
        self.left -= len(messages)
        self.read += len(messages)
        return list(messages)

    def _row(self, message: Any) -> LogRow:
        headers = message.headers or {}
        head = CODEC.head(message.data)
        time = since_2000(head.time).to_bytes(8, "big", signed=True)
        position = int(headers.get(Header.POSITION, 0))
        return LogRow(
            position, head.entity.bytes, str(headers.get("ce-type", "")), str(self.lane), time, message.data, False
        )

    def _compare(self, rows: Sequence[LogRow], previous: Sequence[int]) -> None:
        """With the same stretch of the log. Raises `Hole`: the log lacks what the bus has."""
        found = self.differences
        found.on_bus += len(rows)
        first = rows[0].position
        if self._at < 0:
            self._at = self.history.previous(first)
            found.expired = self.history.count(0, self._at) if self.whole else 0
        logged: dict[int, LogRow] = {}
        after = self._at
        while part := self.history.page(after, rows[-1].position):
            logged |= {row.position: row for row in part}
            after = part[-1].position
        before = self._at
        chain = dict(zip(logged, [before, *logged], strict=False))
        for row, named in zip(rows, previous, strict=True):
            mine = logged.pop(row.position, None)
            if mine is None:
                entity = UUID(bytes=row.entity)
                raise Hole(f"the log of {self.service} lacks position {row.position} ({row.type} of {entity}), which"
                           " the bus has")  # fmt: skip
            if mine.raw != row.raw:
                found.other_bytes.append(row.position)
            if named != chain[row.position]:
                found.other_chain.append(row.position)
        found.missing += sorted(logged)
        self._at = rows[-1].position

    def close(self) -> None:
        if self._subscription is not None:
            self.loop.run(self._subscription.unsubscribe())


def replay_bus(
    run: Replay, form: Callable[[Sequence[str]], Lines], settings: Settings, histories: Sequence[History]
) -> int:
    """The exit code: 1 when the bus says something else than the logs. Raises `Failure`."""
    url = auditor_url(settings)
    with _loop_beside() as loop, _connected(loop, url) as client:
        sources = list(lane_sources(run.asked, loop, client, histories))
        # A source for each lane: an entry's rank is that of its lane here.
        run.lines = form([source.service for source in sources])
        complete = _write(run, sources)
        for source in sources:
            source.close()
    tell_unknown(run.unknown.items())
    if not complete:
        return STOPPED
    differences = [source.differences for source in sources]
    for line in (line for one in differences for line in one.lines()):
        sys.stderr.write(f"pager: {line}\n")
    return TROUBLE if any(one.real for one in differences) else 0


def _write(run: Replay, sources: Sequence[LaneSource]) -> bool:
    with progress_on_stderr("replay from the bus", sum(source.history.count(0) for source in sources)) as progress:
        return run.run(Merge(sources), lambda: progress(sum(source.read for source in sources)))


def lane_sources(asked: Asked, loop: Here, client: Client, histories: Sequence[History]) -> Iterator[LaneSource]:
    """Every lane of every stream, from where the replay begins."""
    js = client.jetstream(timeout=_SECONDS)
    for history in histories:
        epochs = read_epochs(history.connection, history.service)
        for lane in lanes_of(history.service):
            config = ConsumerConfig(
                deliver_policy=DeliverPolicy.ALL,
                ack_policy=AckPolicy.NONE,
                mem_storage=True,
                inactive_threshold=60.0,
            )
            if asked.since is not None:
                # Stored when they were relayed, which is later than they happened.
                config.deliver_policy = DeliverPolicy.BY_START_TIME
                config.opt_start_time = (asked.since - MARGIN).isoformat().replace("+00:00", "Z")  # type: ignore[assignment]
            of_lane = History(history.connection, history.service, (lane,))
            found = Differences(history.service, lane)
            yield LaneSource(loop, js, of_lane, lane, config, found, epochs, whole=asked.since is None)


@contextmanager
def _connected(loop: Here, url: str) -> Iterator[Client]:
    connection = bus.connected(url)
    client = loop.run(connection.__aenter__())
    try:
        yield client
    finally:
        loop.run(connection.__aexit__(None, None, None))
