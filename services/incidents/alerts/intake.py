"""The stream ALERTS: from what senders publish to signals; nothing unreadable is lost, and nothing stops the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from uuid import UUID

from nats.js.errors import NotFoundError
from opentelemetry.trace import SpanKind

from libs.chassis.bus.connection import Bus
from libs.chassis.bus.pull import Pull, Received
from libs.chassis.bus.stored import Stored
from libs.chassis.consume.apply import Applier
from libs.chassis.consume.forever import follow_for_ever
from libs.chassis.consume.item import Item
from libs.chassis.consume.parking import Parked, ParkedKind, park
from libs.chassis.measure import telemetry
from libs.chassis.store.cursors import Position
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.alerts import Action, is_urgent
from libs.contracts.incident_alerts import AlertOutcome
from libs.contracts.model import Lane
from libs.contracts.subjects import ALERT_LIMIT, ALERTS
from services.incidents import dedup
from services.incidents.alerts.kept import KEPT_ANSWER, Keeping, signal_in, tell_late
from services.incidents.alerts.outcomes import REFUSED, Became
from services.incidents.alerts.reading import meaning_of, read_item
from services.incidents.alerts.signals import take_signals
from services.incidents.alerts.stream import END, OTHER, READ, AlertStream
from services.incidents.alerts.taken import known_among, remember
from services.incidents.alerts.threads import Signal
from services.incidents.inputs import Inputs, StoredInputs
from services.incidents.integrations import note_use
from services.incidents.places import fired_before
from services.incidents.projections import SCHEMA

_BATCH = 500
_ANSWERS = b'"action"'
"""In the bytes of nearly every answer. One that is spelled otherwise is kept, and takes effect a moment later."""


def take_items(
    work: Work,
    items: Sequence[Item],
    inputs: Inputs | None = None,
    passed: int = END,
    became: dict[int, Became] | None = None,
) -> int:
    """One batch of alerts, in one transaction: read them, find their integrations, decide; by default on the tables.

    `passed`: up to which sequence the other lane has been taken; answers behind it are kept. Returns how many are.
    `became`: takes what becomes of each, by its sequence.
    """
    inputs = inputs or StoredInputs(work)
    keeping = Keeping(work, passed)
    signals = _signals(work, items, inputs)
    with ExitStack() as spans:
        traced = [_traced(s, spans) for s in signals] if telemetry.records(SCHEMA) else signals
        outcomes = {} if became is None else became
        outcomes |= {item.at.position: REFUSED for item in items}  # of whom no signal comes
        take_signals(work, traced, inputs, keeping.put_off, partial(_became, outcomes))
    return keeping.kept


def _became(outcomes: dict[int, Became], signal: Signal, outcome: AlertOutcome, incident_id: UUID | None) -> None:
    if signal.place is not None:
        outcomes[signal.place.position] = Became(outcome, incident_id)


def _signals(work: Work, items: Sequence[Item], inputs: Inputs) -> list[Signal]:
    read = [read_item(item) for item in items]
    hashes = {r.key_hash for r in read if r.key_hash is not None}
    sources = inputs.sources(sorted(hashes))
    note_use(work, sources)
    signals: list[Signal] = []
    for one in read:
        signal, reason = meaning_of(one, sources)
        if reason is not None:
            _park(work, one.item, one.source, reason)
        if signal is not None:
            if signal.alert.action is not Action.TRIGGER:
                signal = replace(signal, fired_before=fired_before(one.item.stored_at, work.now))
            signals.append(signal)
    return signals


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

    Its place in the stream says nothing any more. A trigger has none; an answer takes effect at once, and ends nothing
    that has fired since it was set aside. An answer that was kept has its place still.

    Raises:
        StillRefused: then it stays parked as it is.
    """
    if parked.type == KEPT_ANSWER:
        take_signals(work, [signal_in(parked)], StoredInputs(work), tell=partial(tell_late, work))
        return
    at = Position(0, parked.position, 0, f"replayed {parked.upstream}")
    read, inputs = read_item(Item(at, "", parked.raw, parked.headers, parked.type)), StoredInputs(work)
    sources = {} if read.key_hash is None else inputs.sources([read.key_hash])
    signal, reason = meaning_of(read, sources)
    if reason is not None:
        raise StillRefused(reason)
    if signal is not None:
        take_signals(work, [replace(signal, place=None, fired_before=parked.parked_at)], inputs)


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
    stream: AlertStream
    on_park: Callable[[], None] = lambda: None
    on_taken: Callable[[Lane, int], None] = lambda _lane, _stored_at: None
    """Called after a batch has taken effect, with the Unix nanoseconds at which its oldest alert was stored."""
    on_kept: Callable[[], None] = lambda: None
    """Called after a batch of which answers are kept, before its place is told to the other lane."""
    any_kept: Callable[[], bool] = lambda: False
    """Whether answers may be kept: then later ones are kept as well, for all take effect in their order."""
    upstream: str = field(default=ALERTS, init=False)
    first: bool = field(default=False, init=False)
    stopped: str | None = field(default=None, init=False)
    caught_up: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _applier: Applier = field(init=False)
    _pull: Pull | None = None
    _passed: int = END
    _kept: bool = False
    _became: dict[int, Became] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._applier = Applier(
            SCHEMA,
            ALERTS,
            self.lane,
            self.store,
            self._take_items,
            self.on_park,
            stop_after=None,
            remember=self._remember,
        )

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
        incarnation = await self.stream.resume()
        taken = (await self._applier.begin()).position
        self.stream.moved(self.lane, self.at)
        end, is_new = await self._end(), False
        async with Pull(self.bus, ALERTS, READ[self.lane], taken + 1) as pull:
            self._pull = pull
            while True:
                if taken >= end:
                    self.caught_up.set()
                messages = await pull.some(_BATCH)
                new = messages if is_new else await self._not_taken(messages)
                # What was taken before lies before all that was not.
                is_new = is_new or bool(new)
                taken = messages[-1].sequence
                await self._take(new, Position(0, taken, 0, incarnation))

    async def _not_taken(self, messages: Sequence[Received]) -> list[Received]:
        """Of a stream that was set back, part of the first batch may have been taken."""
        places = [Stored(m.sequence, m.stored_at) for m in messages]
        known = await self.store.read(lambda work: known_among(work, self.lane, places))
        return [m for m, place in zip(messages, places, strict=True) if place not in known]

    async def _end(self) -> int:
        """The sequence of the lane's last alert; 0 for none."""
        ends = [0]
        for subject in READ[self.lane]:
            with suppress(NotFoundError):
                ends.append((await self.bus.js.get_last_msg(ALERTS, subject)).seq or 0)
        return max(ends)

    async def _take(self, messages: Sequence[Received], new: Position) -> None:
        self._kept, self._passed = False, 0
        if not self.any_kept() and any(_ANSWERS in m.data for m in messages):
            self._passed = await self.stream.passed_at_once(OTHER[self.lane], new.position)
        await self._applier.apply([_item(m, new.incarnation) for m in messages], new)
        if self._kept:
            self.on_kept()
        self.stream.moved(self.lane, self.at)
        if messages:
            self.on_taken(self.lane, messages[0].stored_at)

    def _take_items(self, work: Work, items: Sequence[Item]) -> None:
        """In a transaction that may be repeated."""
        became: dict[int, Became] = {}
        self._kept = take_items(work, items, passed=self._passed, became=became) > 0 or self._kept
        self._became = became

    def _remember(self, work: Work, items: Sequence[Item]) -> None:
        became, self._became = self._became, {}  # what is set aside is remembered without having been taken
        remember(work, self.lane, items, became)
