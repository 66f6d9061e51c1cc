"""The sender: takes what is due, sends it to the vendors side by side, and records what came of it (promise 11)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from libs.chassis.bus.connection import BusAway
from libs.chassis.clock import Clock
from libs.chassis.measure import telemetry
from libs.chassis.stopping import together
from libs.chassis.store.changes import Row
from libs.chassis.store.store import passes
from libs.contracts.model import StillSealed
from services.notifier.application import Sent
from services.notifier.domain.notification import RecordAccepted
from services.notifier.freshness import Freshness, Known
from services.notifier.outbox import RESERVED, Outbox, Room, Sendable
from services.notifier.places import IN_FLIGHT, Places
from services.notifier.projections import OUTBOX
from services.notifier.providers import Provider
from services.notifier.push.breaker import FAILURES
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.results import as_result, expired, page_of, refused_token
from services.notifier.suspects import Suspects

_log = structlog.get_logger()

_RECORDED_AT_ONCE = 500
_UNRECORDED = 1000
"""Results that may wait for PostgreSQL before sending pauses."""
_NET = 1.0
_PAUSE = 0.2
"""Seconds between looks that nobody woke us for, and after PostgreSQL was away."""
_REST = timedelta(seconds=10)
"""Between two tries of one page whose failing is known."""
_TRIES_TOLD = 5
"""While its vendor takes others: what fails more often than that is tried on, and recorded when it ends."""
_TELL_AGAIN = 5.0

Alarm = Callable[[str, str, str], Awaitable[None]]
"""`alarm(summary, dedup key, description)` pages the operators; may raise BusAway."""


Unseal = Callable[[UUID, StillSealed], Awaitable[str | None]]
"""`unseal(user_id, text)` asks for a person's key that is not here; None: it is not to be had now."""

NO_KEY = "the key of its push token is not here yet"


async def _not_here(_user_id: UUID, _text: StillSealed) -> None:
    return None


@dataclass
class Sender:
    """Runs in the active replica. `wake()` after commits; it sleeps until the next row is due.

    Nothing is marked before a send: a crash leaves the row as it was, and its repeat replaces the same notification
    on the phone.
    """

    outbox: Outbox
    clock: Clock
    providers: Mapping[str, Provider]
    public_url: str
    freshness: Freshness
    alarm: Alarm
    unseal: Unseal = _not_here
    chance: Callable[[], float] = random.random
    suspects: Suspects = field(default_factory=Suspects)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _wakes: int = 0
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    places: Places = field(default_factory=Places)
    _back: set[str] = field(default_factory=set)
    """Vendors that take pages again, until everything that waited for them is taken."""
    _results: list[Sent] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _more_due: bool = False
    """Whether the last look found more than it could take."""

    def __post_init__(self) -> None:
        self.freshness.renewed = self.wake

    def committed(self, rows: Sequence[Row] | None) -> None:
        """Were rows set in the outbox? None: not known."""
        if rows is None or any(row.table is OUTBOX for row in rows):
            self.wake()

    def wake(self) -> None:
        """There may be something to send."""
        self._wakes += 1
        self._wake.set()

    async def run(self) -> None:
        """Send for ever. When it ends, what is under way counts as never sent: whoever leads next repeats it."""
        self.places.clear()
        self._back.clear()
        self._results.clear()
        try:
            await together(partial(self._forever, self._take), partial(self._forever, self._record))
        finally:
            self.freshness.stop()
            for task in self._tasks:
                task.cancel()

    async def _forever(self, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await step()
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("sender goes on after a pause", reason=str(error))
                await asyncio.sleep(_PAUSE)

    async def _take(self) -> None:
        self._wake.clear()
        room = self._room()
        known = self.freshness.known()
        now = self.clock.now()
        self.places.crowded = False
        taken = await self.outbox.take(now, self.places.hidden(now), room)
        rows = [row for row in self._in_order(taken.rows) if self._goes(row, known, now)]
        found, counted = Counter(row.provider for row in taken.rows), Counter(row.provider for row in rows)
        full = {name for name, wish in room.items() if found[name] >= max(wish.places - RESERVED, 1)}
        self._more_due = any(counted[name] >= max(wish.places - RESERVED, 0) for name, wish in room.items())
        self._back -= {n for n, wish in room.items() if wish.is_back and wish.places > RESERVED and n not in full}
        for row in taken.rows if full else ():
            # Behind what only the vendor's return can free there may be a page to a phone that has not failed.
            breaker = self.providers[row.provider].breaker_of(row.push_token)
            if row.notification_id not in self.places.busy and not breaker.is_closed and breaker.fails(row.device):
                self.places.rest(row, now + _REST)
                self.places.crowded = True
        for row in rows:
            self._start(self._send(row))
        # What waits for its device is hidden from now on: behind it there may be more; so there may behind nothing.
        if not (self.places.crowded and (full or not taken.rows)):
            await self._sleep(self._next_look(taken.next_due))

    def _room(self) -> dict[str, Room]:
        full = len(self._results) >= _UNRECORDED
        return {
            name: Room(0 if full else self.places.free(name), name in self._back, not provider.is_closed)
            for name, provider in self.providers.items()
        }

    def _in_order(self, rows: Sequence[Sendable]) -> Sequence[Sendable]:
        """While a vendor is away, first what may show that only some devices are."""
        if all(provider.is_closed for provider in self.providers.values()):
            return rows
        return sorted(rows, key=self._fails)

    def _fails(self, row: Sendable) -> bool:
        return self.providers[row.provider].breaker_of(row.push_token).fails(row.device)

    def _goes(self, row: Sendable, known: Known, now: datetime) -> bool:
        """Whether it is sent now, or told to be impossible. What waits for its vendor leaves no trace."""
        provider = self.providers[row.provider]
        is_sent = row.deadline > now and provider.client is not None and row.push_token is not None and row.alive
        if is_sent and not (
            self.freshness.allows(row, known, now)
            and self.places.has_place(row, now)
            and provider.breaker_of(row.push_token).allows(now, row.device)
        ):
            return False
        self.places.enter(row)
        return True

    def _next_look(self, next_due: datetime | None) -> datetime | None:
        """When there is something to do that nobody wakes us for."""
        probes = (provider.retry_at for provider in self.providers.values())
        moments = [moment for moment in (next_due, self.places.next_rested, *probes) if moment is not None]
        return min(moments, default=None)

    async def _sleep(self, until: datetime | None) -> None:
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._wake.wait())]
        if until is not None:
            waits.append(asyncio.create_task(self.clock.wait_until(until)))
        try:
            await asyncio.wait(waits, timeout=_NET, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _send(self, row: Sendable) -> None:
        result, outcome = await self._attempt(row)
        now = self.clock.now()
        waited = self.places.leave(row, outcome.verdict if outcome is not None else None, now)
        if result is not None:
            self._results.append(result)
            self._ready.set()
        # Looking costs a transaction: only where more is due than there were places, and then for many at once.
        if waited or (self._more_due and self.places.under_way(row.provider) <= IN_FLIGHT // 4):
            self._wake.set()

    async def _attempt(self, row: Sendable) -> tuple[Sent | None, Outcome | None]:
        """What to record, if anything, and what the vendor said, if it was asked."""
        now = self.clock.now()
        if row.deadline <= now:
            return expired(row, now), None
        provider = self.providers[row.provider]
        if provider.client is None:
            nobody = Outcome(Verdict.CREDENTIALS, f"{row.provider} is not configured")
            return as_result(row, nobody, now, self.chance(), final=True), None
        if row.push_token is None or not row.alive:
            reason = "the device was removed" if row.push_token is None else "the push token is retired"
            return as_result(row, Outcome(Verdict.RETIRE, reason), now, self.chance()), None
        token: str | None = row.push_token
        if isinstance(token, StillSealed):
            token = await self.unseal(row.user_id, token)
        if token is None:
            return as_result(row, Outcome(Verdict.TRANSIENT, NO_KEY), now, self.chance()), None
        outcome = await self._exchange(provider, row, token, (row.deadline - now).total_seconds())
        return self._judge(provider, row, token, outcome, sent_at=now), outcome

    async def _exchange(self, provider: Provider, row: Sendable, push_token: str, left: float) -> Outcome:
        assert provider.client is not None  # noqa: S101 - checked by the caller
        try:
            with telemetry.span("notifier", f"push {row.provider}", row.traceparent, SpanKind.CLIENT):
                return await provider.client.send(push_token, page_of(row, self.public_url), left)
        except Exception as error:  # noqa: BLE001 - a row whose task died would be busy for ever: a lost page
            _log.exception("push failed inside", notification=str(row.notification_id))
            return Outcome(Verdict.TRANSIENT, f"internal: {type(error).__name__}")

    def _judge(self, provider: Provider, row: Sendable, token: str, outcome: Outcome, sent_at: datetime) -> Sent | None:
        now, breaker = self.clock.now(), provider.breaker_of(token)
        was_away = not breaker.is_closed or breaker.fails(row.device)
        if breaker.record(outcome, now, row.device):
            name = provider.called(token)
            self._start(self._tell(f"{name} does not take pages", name, outcome.reason))
        if was_away and outcome.verdict is Verdict.ACCEPTED:
            self._back.add(provider.name)
            self.places.wake(provider.name)
            self.wake()
        if outcome.verdict is Verdict.OURS:
            _log.error("push refused as malformed", provider=provider.name, reason=outcome.reason)
        dead = refused_token(row, outcome, sent_at) if outcome.verdict is Verdict.RETIRE else None
        if dead is not None:
            self.suspects.note(dead, row.cause, provider.name, provider.credentials, now)
        told = _TRIES_TOLD if breaker.is_closed else 1
        if outcome.verdict in FAILURES and row.attempt > told:
            # Its log knows that it fails: an outage of an hour is not to be told page by page and try by try.
            self.places.rest(row, now + _REST)
            return None
        return as_result(row, outcome, now, self.chance(), credentials=provider.credentials)

    async def _tell(self, summary: str, key: str, reason: str) -> None:
        _log.error(summary, reason=reason)
        while True:
            try:
                return await self.alarm(summary, f"push:{key}", f"The last answer was: {reason}")
            except BusAway as error:
                _log.warning("alarm not accepted", reason=str(error))
                await asyncio.sleep(_TELL_AGAIN)

    async def _record(self) -> None:
        """One transaction for whatever results are there; they stay here until it has committed."""
        # Not `wait_for`: in Python 3.11 it loses a cancellation that comes together with what it waits for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NET):
                await self._ready.wait()
        reached = False
        while batch := self._results[:_RECORDED_AT_ONCE]:
            wakes, full = self._wakes, len(self._results) >= _UNRECORDED
            lost = await self.outbox.record(batch)
            reached = reached or any(isinstance(r.command, RecordAccepted) for r in batch)
            del self._results[: len(batch)]
            # Those were sent: to send them again for ever would be worse. They stay busy until a restart.
            self.places.busy.difference_update(r.notification_id for r in batch if r.notification_id not in lost)
            if full or self._wakes != wakes:
                self._wake.set()  # what woke us meanwhile may have been hidden as busy until now, e.g. a repeat
        self._ready.clear()
        await self._retire(reached)

    async def _retire(self, reached: bool) -> None:
        """After what was recorded: what was taken beside a refusal is evidence against the token."""
        now = self.clock.now()
        if not (suspects := self.suspects.to_ask(now, reached)):
            return
        for one in self.suspects.asked(suspects, await self.outbox.retire(suspects), now):
            summary = f"{one.provider} refuses devices and has taken no page of others: check its configuration"
            self._start(self._tell(summary, f"{one.provider}:tokens", one.dead.reason))
