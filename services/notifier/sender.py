"""The sender: takes what is due, sends it to the vendors side by side, and records what came of it (promise 11)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from opentelemetry.trace import SpanKind

from libs.chassis.bus.connection import BusAway
from libs.chassis.clock import Clock
from libs.chassis.measure import telemetry
from libs.chassis.store.changes import Row
from services.notifier.application import Sent
from services.notifier.freshness import Freshness
from services.notifier.outbox import RESERVED, Outbox, Sendable, passes
from services.notifier.projections import OUTBOX
from services.notifier.providers import Provider
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.results import as_result, expired, page_of, refused_token
from services.notifier.suspects import CERTAIN, Suspects

_log = structlog.get_logger()

IN_FLIGHT = 100
"""Pages under way to one provider at a time: as many as one connection to APNs takes well (`apns_connection.py`)."""
_RECORDED_AT_ONCE = 500
_UNRECORDED = 1000
"""Results that may wait for PostgreSQL before sending pauses."""
_NET = 1.0
_PAUSE = 0.2
"""Seconds between looks that nobody woke us for, and after PostgreSQL was away."""

Alarm = Callable[[str, str, str], Awaitable[None]]
"""`alarm(summary, dedup key, description)` pages the operators; may raise BusAway."""


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
    chance: Callable[[], float] = random.random
    suspects: Suspects = field(default_factory=Suspects)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _wakes: int = 0
    _ready: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: set[UUID] = field(default_factory=set)
    """Taken and not yet recorded: not to be taken again."""
    _under_way: Counter[str] = field(default_factory=Counter)
    """Taken and not yet answered, by provider."""
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
        self._busy.clear()
        self._under_way.clear()
        self._results.clear()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._forever(self._take))
                group.create_task(self._forever(self._record))
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
        full = len(self._results) >= _UNRECORDED
        room = {name: 0 if full else IN_FLIGHT - self._under_way[name] for name in self.providers}
        known = self.freshness.known()
        now = self.clock.now()
        taken = await self.outbox.take(now, self._busy, room)
        rows = [row for row in taken.rows if self.freshness.allows(row, known, now)]
        counted = Counter(row.provider for row in rows)
        self._more_due = any(counted[name] >= max(free - RESERVED, 0) for name, free in room.items())
        self._busy.update(row.notification_id for row in rows)
        self._under_way.update(counted)
        for row in rows:
            self._start(self._send(row))
        await self._sleep(taken.next_due)

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
        result = await self._attempt(row)
        self._under_way[row.provider] -= 1
        self._results.append(result)
        self._ready.set()
        # Looking costs a transaction: only where more is due than there were places, and then for many at once.
        if self._more_due and self._under_way[row.provider] <= IN_FLIGHT // 4:
            self._wake.set()

    async def _attempt(self, row: Sendable) -> Sent:
        now = self.clock.now()
        if row.deadline <= now:
            return expired(row, now)
        provider = self.providers[row.provider]
        if provider.client is None:
            nobody = Outcome(Verdict.CREDENTIALS, f"{row.provider} is not configured")
            return as_result(row, nobody, now, self.chance(), final=True)
        if row.push_token is None or not row.alive:
            reason = "the device was removed" if row.push_token is None else "the push token is retired"
            return as_result(row, Outcome(Verdict.RETIRE, reason), now, self.chance())
        if not provider.breaker.allows(now):
            reopens = provider.breaker.retry_at
            pause = max(0.0, (reopens - now).total_seconds()) if reopens is not None else None
            held = Outcome(Verdict.TRANSIENT, f"{row.provider} circuit open", retry_after=pause)
            return as_result(row, held, now, self.chance())
        outcome = await self._exchange(provider, row, row.push_token, (row.deadline - now).total_seconds())
        return self._judge(provider, row, outcome, sent_at=now)

    async def _exchange(self, provider: Provider, row: Sendable, push_token: str, left: float) -> Outcome:
        assert provider.client is not None  # noqa: S101 - checked by the caller
        try:
            with telemetry.span("notifier", f"push {row.provider}", row.traceparent, SpanKind.CLIENT):
                return await provider.client.send(push_token, page_of(row, self.public_url), left)
        except Exception as error:  # noqa: BLE001 - a row whose task died would be busy for ever: a lost page
            _log.exception("push failed inside", notification=str(row.notification_id))
            return Outcome(Verdict.TRANSIENT, f"internal: {type(error).__name__}")

    def _judge(self, provider: Provider, row: Sendable, outcome: Outcome, sent_at: datetime) -> Sent:
        now = self.clock.now()
        if provider.breaker.record(outcome, now):
            self._start(self._tell(f"{provider.name} does not take pages", provider.name, outcome.reason))
        if outcome.verdict is Verdict.OURS:
            _log.error("push refused as malformed", provider=provider.name, reason=outcome.reason)
        dead = refused_token(row, outcome, sent_at) if outcome.verdict is Verdict.RETIRE else None
        if dead is not None and outcome.reason not in CERTAIN:
            if self.suspects.note((dead, row.cause), now):
                summary = f"{provider.name} refuses many devices at once: check its configuration"
                self._start(self._tell(summary, f"{provider.name}:tokens", outcome.reason))
            dead = None
        return as_result(row, outcome, now, self.chance(), dead=dead)

    async def _tell(self, summary: str, key: str, reason: str) -> None:
        _log.error(summary, reason=reason)
        try:
            await self.alarm(summary, f"push:{key}", f"The last answer was: {reason}")
        except BusAway as error:
            _log.warning("alarm not accepted", reason=str(error))

    async def _record(self) -> None:
        """One transaction for whatever results are there; they stay here until it has committed."""
        # Not `wait_for`: in Python 3.11 it loses a cancellation that comes together with what it waits for.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_NET):
                await self._ready.wait()
        while batch := self._results[:_RECORDED_AT_ONCE]:
            wakes, full = self._wakes, len(self._results) >= _UNRECORDED
            lost = await self.outbox.record(batch)
            del self._results[: len(batch)]
            # Those were sent: to send them again for ever would be worse. They stay busy until a restart.
            self._busy.difference_update(r.notification_id for r in batch if r.notification_id not in lost)
            if full or self._wakes != wakes:
                self._wake.set()  # what woke us meanwhile may have been hidden as busy until now, e.g. a repeat
        self._ready.clear()
        ripe = self.suspects.settled(self.clock.now())
        if ripe:
            await self.outbox.retire(ripe)
