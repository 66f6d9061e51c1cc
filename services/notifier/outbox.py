"""What is to be sent, read from the tables just before it is sent, and what became of it, written back in batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from libs.chassis.store.store import Contended, Store, is_away
from libs.chassis.store.work import Cause, Work
from libs.contracts.model import Lane
from services.notifier import projections as tables
from services.notifier.application import ACTOR, Sent, record, retire
from services.notifier.suspects import Suspect

_log = structlog.get_logger()

RESERVED = 40
"""Places of each provider that routine pages never take, so that an urgent one finds one free."""


class Sendable(NamedTuple):
    """One row that is due, with its device's token as it is now; none where the device is gone or of another kind."""

    notification_id: UUID
    provider: str
    lane: str
    kind: str
    attempt: int
    due_at: datetime
    deadline: datetime
    correlation_id: UUID
    causation_id: UUID
    traceparent: str | None
    incident_id: UUID
    user_id: UUID
    method_id: str
    run: int
    level: int
    paging_since: datetime
    """Since when the incident needs people: an answer since then may still be on its way to us."""
    number: int
    title: str
    description: str | None
    priority: str
    push_token: str | None
    registered_at: datetime | None
    alive: bool

    @property
    def cause(self) -> Cause:
        """The chain that its results continue."""
        return Cause(ACTOR, self.correlation_id, self.causation_id, self.traceparent)


@dataclass(frozen=True, slots=True)
class Taken:
    rows: Sequence[Sendable]
    next_due: datetime | None
    """When a row that is not due yet will be."""


class Outbox(Protocol):
    """What the sender needs of the store. Every method may raise what `passes` knows: then try again later."""

    async def take(self, now: datetime, busy: Collection[UUID], room: Mapping[str, int]) -> Taken:
        """Due rows that are not `busy`, urgent ones first, at most `room` of each provider."""
        ...

    async def record(self, results: Sequence[Sent]) -> Collection[UUID]:
        """Write results down; returns the notifications for which that is impossible."""
        ...

    async def retire(self, suspects: Sequence[Suspect]) -> None:
        """Retire these tokens."""
        ...


def passes(error: Exception) -> bool:
    """Whether a failure is one of the surroundings."""
    return is_away(error) or isinstance(error, Contended)


@dataclass(frozen=True)
class StoredOutbox:
    """The outbox in the notifier's schema."""

    store: Store

    async def take(self, now: datetime, busy: Collection[UUID], room: Mapping[str, int]) -> Taken:
        held = list(busy)

        def read(work: Work) -> Taken:
            rows = _sendable(work, now, held, room)
            due = work.fetch(tables.NEXT_DUE, moment=now)
            return Taken(rows, due[0]["due_at"] if due else None)

        return await self.store.read(read)

    async def record(self, results: Sequence[Sent]) -> Collection[UUID]:
        try:
            await self.store.transact(lambda work: record(work, results))
        except Exception as error:
            if passes(error):
                raise
            _log.exception("results could not be recorded together")
            return [r.notification_id for r in results if not await self._record_one(r)]
        return ()

    async def _record_one(self, result: Sent) -> bool:
        try:
            await self.store.transact(lambda work: record(work, [result]))
        except Exception as error:
            if passes(error):
                raise
            _log.exception("a result could not be recorded", notification=str(result.notification_id))
            return False
        return True

    async def retire(self, suspects: Sequence[Suspect]) -> None:
        await self.store.transact(lambda work: retire(work, suspects))


def _sendable(work: Work, now: datetime, busy: list[UUID], room: Mapping[str, int]) -> list[Sendable]:
    places = {(name, str(lane)): free - _kept(lane) for name, free in room.items() for lane in Lane}
    wanted = [(name, lane, free) for (name, lane), free in places.items() if free > 0]
    if not wanted:
        return []
    providers, lanes, rooms = (list(column) for column in zip(*wanted, strict=True))
    found = work.fetch(tables.SENDABLE, providers=providers, lanes=lanes, rooms=rooms, moment=now, busy=busy)
    left = dict(room)
    rows: list[Sendable] = []
    for row in found:  # urgent ones first: what they take is not there for the others
        if left[row["provider"]] > _kept(row["lane"]):
            left[row["provider"]] -= 1
            rows.append(Sendable(**row))
    return rows


def _kept(lane: str) -> int:
    return RESERVED if lane == Lane.ROUTINE else 0
