"""The stream ALERTS: from what senders publish to signals; nothing unreadable is lost, and nothing stops the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace

import structlog
from nats.js.errors import NotFoundError
from opentelemetry.trace import SpanKind

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.consume.alarm import raise_alarm
from libs.chassis.consume.apply import Applier
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.consume.item import Item
from libs.chassis.consume.parking import Parked, ParkedKind, park
from libs.chassis.measure import telemetry
from libs.chassis.store.cursors import Position
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.alerts import is_urgent
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERT_LIMIT, ALERTS
from services.incidents import dedup
from services.incidents.application import Signal, take_signals
from services.incidents.inputs import Inputs, StoredInputs
from services.incidents.projections import SCHEMA
from services.incidents.reading import meaning_of, read_item

_log = structlog.get_logger()
_BATCH = 500
READ = {Lane.URGENT: ("pager.alerts.*.*",), Lane.ROUTINE: ("pager.alerts.*", "pager.alerts.*.*.>")}
"""What each lane reads, by the shape of the subject: together all there are, and nothing twice. A source of two words
travels with the urgent ones."""


def take_items(work: Work, items: Sequence[Item], inputs: Inputs | None = None) -> None:
    """One batch of alerts, in one transaction: read them, find their integrations, decide; by default on the tables."""
    inputs = inputs or StoredInputs(work)
    read = [read_item(item) for item in items]
    hashes = {r.key_hash for r in read if r.key_hash is not None}
    sources = inputs.sources(sorted(hashes))
    signals: list[Signal] = []
    for one in read:
        signal, reason = meaning_of(one, sources)
        if reason is not None:
            _park(work, one.item, one.source, reason)
        if signal is not None:
            signals.append(signal)
    with ExitStack() as spans:
        take_signals(work, [_traced(s, spans) for s in signals] if telemetry.records(SCHEMA) else signals, inputs)


def _traced(signal: Signal, spans: ExitStack) -> Signal:
    """What is decided because of an alert belongs into its sender's trace."""
    source = signal.alert.source
    span = telemetry.span(SCHEMA, "alert process", signal.traceparent, SpanKind.CONSUMER, source=source)
    return replace(signal, traceparent=spans.enter_context(span))


def _park(work: Work, item: Item, source: str, reason: str) -> None:
    raw = item.raw
    if len(raw) > ALERT_LIMIT:
        raw = raw[:ALERT_LIMIT] + f"… [shortened by Pager: {len(raw)} bytes]".encode()
    lane = Lane.URGENT if is_urgent(item.subject) else Lane.ROUTINE
    # Its subject says who may have sent it (OWN_SOURCE) and stands in `type`, where no header of a sender's can reach.
    kind, at = ParkedKind.INPUT, item.at.position
    park(work, SCHEMA, Parked(kind, ALERTS, lane, at, source, item.subject, reason, raw, item.headers))


class StillRefused(Exception):
    """What was parked cannot be acted on now either; the text says why."""


def replay(work: Work, parked: Parked) -> None:
    """Read a parked alert again, e.g. after its integration was made.

    Raises:
        StillRefused: then it stays parked as it is.
    """
    at = Position(0, parked.position, 0, f"replayed {parked.upstream}")
    item = Item(at, "", parked.raw, parked.headers, parked.type)
    read = read_item(item)
    sources = {} if read.key_hash is None else StoredInputs(work).sources([read.key_hash])
    reason = meaning_of(read, sources).reason
    if reason is not None:
        raise StillRefused(reason)
    take_items(work, [item])


def _item(message: Received, incarnation: str) -> Item:
    at = Position(0, message.sequence, 0, incarnation)
    return Item(at, "", dedup.without_keys(message.data), message.headers, message.subject, message.stored_at)


@dataclass
class AlertIntake:
    """One lane of ALERTS, in the active replica. ALERTS has no chain: the cursor is the stream's own sequence.

    It has no owner either who could be asked for what is missing, and it is never stopped: what we fail on is parked.
    """

    lane: Lane
    store: Store
    bus: Bus
    on_park: Callable[[], None] = lambda: None
    on_taken: Callable[[Lane, int], None] = lambda _lane, _stored_at: None
    """Called after a batch has taken effect, with the Unix nanoseconds at which its oldest alert was stored."""
    upstream: str = field(default=ALERTS, init=False)
    first: bool = field(default=False, init=False)
    stopped: str | None = field(default=None, init=False)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _applier: Applier = field(init=False)
    _pull: Pull | None = None

    def __post_init__(self) -> None:
        self._applier = Applier(SCHEMA, ALERTS, self.lane, self.store, take_items, self.on_park, stop_after=None)

    @property
    def at(self) -> Position:
        """What of the lane has taken effect."""
        return self._applier.at

    @property
    def lag(self) -> int:
        """Messages of the stream that have not taken effect here."""
        return self._pull.behind if self._pull is not None else 0

    @property
    def pressing(self) -> bool:
        """Whether more alerts wait than one batch takes."""
        return self.lag > _BATCH

    async def run(self) -> None:
        """Read for ever; whatever goes wrong, begin again from the cursor in PostgreSQL."""
        await follow_for_ever(self.bus, self._follow, SCHEMA, f"{ALERTS}.{self.lane}")

    def replay(self, work: Work, parked: Parked) -> None:
        """Read a parked alert again, e.g. after its integration was made.

        Raises:
            StillRefused: then it stays parked as it is.
        """
        replay(work, parked)

    async def _follow(self) -> None:
        cursor = await self._applier.begin()
        info = await self.bus.js.stream_info(ALERTS)
        incarnation = str(info.created)
        start = cursor.position + 1
        if cursor.position and (cursor.incarnation != incarnation or info.state.last_seq < cursor.position):
            # Recreated or shortened: everything that it holds is read again, and derived ids absorb the repeats.
            await self._alarm(incarnation)
            start = 1
        end, taken = await self._end(), start - 1
        async with Pull(self.bus, ALERTS, READ[self.lane], start) as pull:
            self._pull = pull
            while True:
                if taken >= end:
                    self.caught_up.set()
                messages = await pull.some(_BATCH)
                await self._take(messages, incarnation)
                taken = messages[-1].sequence

    async def _end(self) -> int:
        """The sequence of the lane's last alert; 0 for none."""
        ends = [0]
        for subject in READ[self.lane]:
            with suppress(NotFoundError):
                ends.append((await self.bus.js.get_last_msg(ALERTS, subject)).seq or 0)
        return max(ends)

    async def _take(self, messages: Sequence[Received], incarnation: str) -> None:
        items = [_item(m, incarnation) for m in messages]
        await self._applier.apply(items, items[-1].at)
        self.on_taken(self.lane, items[0].stored_at)

    async def _alarm(self, incarnation: str) -> None:
        _log.error("the stream ALERTS was recreated or shortened, reading it from its start", lane=str(self.lane))
        await raise_alarm(
            self.bus,
            "The stream ALERTS was recreated or shortened",
            f"alerts-stream:{incarnation}",
            "Alerts that it had accepted and that were not read yet are lost. Everything it holds is read again.",
        )
