"""Timers: due times that events have set, fired in the active replica (promise 10)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import bindparam, select

from libs.chassis.clock import Clock
from libs.chassis.measure.meters import meters
from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.store import Store, is_away, passes
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work

_log = structlog.get_logger()
_BATCH = 200
_NET = 1.0
"""Seconds between looks at the table that nobody woke us for."""
_NEVER = datetime.max.replace(tzinfo=UTC)
_AGAIN = timedelta(seconds=30)
"""When to try a timer again whose handler fails on it."""
_SOON = timedelta(seconds=1)
"""When to try one again that only others were in the way of."""


@dataclass(frozen=True, slots=True)
class Timer:
    entity: UUID
    name: str
    due_at: datetime


def timer_set(schema: str, timer: Timer) -> Row:
    """For `project`: the timer of this entity and name is due then, instead of whenever it was."""
    return Row(chassis_tables(schema).timers, {"entity": timer.entity, "name": timer.name, "due_at": timer.due_at})


def timer_gone(schema: str, entity: UUID, name: str) -> Gone:
    """For `project`: no such timer any more."""
    return Gone(chassis_tables(schema).timers, {"entity": entity, "name": name})


Fire = Callable[[Work, Sequence[Timer]], None]
"""Decide for each due timer; one that lost a race decides nothing and is gone all the same."""


@dataclass
class Timers:
    """Sleeps until the next due time; `wake(…)` when a commit has set another one."""

    service: str
    store: Store
    clock: Clock
    fire: Fire
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _until: datetime | None = None
    """When it will look by itself; None while it looks."""

    def __post_init__(self) -> None:
        table = self._table = chassis_tables(self.service).timers
        self._next = select(table.c.due_at).order_by(table.c.due_at).limit(1)
        # The moment is a bound parameter: a volatile function would scan the whole table (measured with a million
        # timers: 800 ms a look instead of 0.3 ms).
        due = select(table.c.entity, table.c.name, table.c.due_at).where(table.c.due_at <= bindparam("moment"))
        self._any_due = due.limit(1)
        self._due = due.order_by(table.c.due_at).limit(_BATCH).with_for_update(skip_locked=True)
        self._due_one = self._due.where(table.c.entity == bindparam("entity"), table.c.name == bindparam("name"))

    def wake(self, rows: Iterable[Row] | None = None) -> None:
        """A commit has set these rows, or any: is one of them a timer that is due before the next look?"""
        if (
            rows is None
            or self._until is None
            or any(row.table is self._table and row.values["due_at"] < self._until for row in rows)
        ):
            self._wake.set()

    async def run(self) -> None:
        """Fire for ever; a failure of the surroundings is tried again, one of a single timer is put off."""
        while True:
            try:
                self._wake.clear()
                while await self._fire_due():
                    pass
                await self._sleep(await self._next_due())
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("timers start again", service=self.service, reason=str(error))
                await asyncio.sleep(0.2)

    async def _next_due(self) -> datetime | None:
        rows = await self.store.read(lambda work: work.fetch(self._next))
        return rows[0]["due_at"] if rows else None

    async def _sleep(self, until: datetime | None) -> None:
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._wake.wait())]
        if until is not None:
            waits.append(asyncio.create_task(self.clock.wait_until(until)))
        self._until = until or _NEVER
        try:
            await asyncio.wait(waits, timeout=_NET, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._until = None
            for task in waits:
                task.cancel()

    async def _fire_due(self) -> bool:
        moment = self.clock.now()
        try:
            fired = (await self.store.transact(lambda work: self._fire_batch(work, moment))).result
            meters(self.service).fired([timer.due_at for timer in fired], self.clock.now())
            return bool(fired)
        except Exception as error:
            if is_away(error):
                raise
            _log.warning("batch of timers failed, firing one by one", service=self.service, exc_info=True)
        rows = await self.store.read(lambda work: work.fetch(self._due, moment=moment))
        for row in rows:
            await self._fire_one(Timer(**row))
        return bool(rows)

    def _fire_batch(self, work: Work, moment: datetime) -> list[Timer]:
        if not work.fetch(self._any_due, moment=moment):
            return []
        work.lock_appends()
        timers = [Timer(**row) for row in work.fetch(self._due, moment=moment)]
        self._decide(work, timers)
        return timers

    def _decide(self, work: Work, timers: Sequence[Timer]) -> None:
        # Before the decisions, so that a timer which they set again stays.
        work.put(*(timer_gone(self.service, t.entity, t.name) for t in timers))
        if timers:
            self.fire(work, timers)

    async def _fire_one(self, timer: Timer) -> None:
        def fire(work: Work) -> None:
            work.lock_appends()
            rows = work.fetch(self._due_one, moment=timer.due_at, entity=timer.entity, name=timer.name)
            self._decide(work, [Timer(**row) for row in rows])

        try:
            await self.store.transact(fire)
        except Exception as error:
            if is_away(error):
                raise
            _log.error(
                "timer failed, put off", service=self.service, timer=timer.name, entity=str(timer.entity), exc_info=True
            )
            later = Timer(timer.entity, timer.name, self.clock.now() + (_SOON if passes(error) else _AGAIN))
            await self.store.transact(lambda work: work.put(timer_set(self.service, later)))
