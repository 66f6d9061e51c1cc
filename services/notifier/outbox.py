"""What is to be sent, read from the tables just before it is sent, and what became of it, written back in batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog

from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Cause, Work
from libs.contracts.model import Lane, StillSealed
from services.notifier import queries
from services.notifier.application import ACTOR, Sent, record, retire
from services.notifier.domain.decisions import LONGEST_PAUSE
from services.notifier.suspects import Device, Suspect, is_evident

_log = structlog.get_logger()

RESERVED = 40
"""Places of each provider that routine pages never take, so that an urgent one finds one free."""


class Sendable(NamedTuple):
    """One row that is due, with its device's token as it is now; none where the device is gone or of another kind.

    A token whose key is not here is still sealed.
    """

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
    further: int
    push_token: str | StillSealed | None
    registered_at: datetime | None
    alive: bool

    @property
    def device(self) -> Device:
        return self.user_id, self.method_id

    @property
    def cause(self) -> Cause:
        """The chain that its results continue."""
        return Cause(ACTOR, self.correlation_id, self.causation_id, self.traceparent)


EAGER = timedelta(seconds=LONGEST_PAUSE)
"""How early a repeat goes whose vendor is back."""


class Room(NamedTuple):
    """What to take of one provider."""

    places: int
    is_back: bool = False
    """Its vendor was away and takes pages again: what is to be repeated later may go now."""
    is_away: bool = False
    """Then most of what is due cannot go; but all whose deadline has passed is taken as well."""


@dataclass(frozen=True, slots=True)
class Taken:
    rows: Sequence[Sendable]
    next_due: datetime | None
    """When a row that is not due yet will be."""


class Outbox(Protocol):
    """What the sender needs of the store. Every method may raise what `passes` knows: try again later then."""

    async def take(self, now: datetime, busy: Collection[UUID], room: Mapping[str, Room]) -> Taken:
        """Due rows that are not `busy`, urgent ones first, of each provider as many as it has places."""
        ...

    async def record(self, results: Sequence[Sent]) -> Collection[UUID]:
        """Write results down; returns the notifications for which that is impossible."""
        ...

    async def retire(self, suspects: Sequence[Suspect]) -> Collection[Suspect]:
        """Retire those of these tokens that are to blame, and return them."""
        ...


@dataclass(frozen=True)
class StoredOutbox:
    """The outbox in the notifier's schema."""

    store: Store

    async def take(self, now: datetime, busy: Collection[UUID], room: Mapping[str, Room]) -> Taken:
        held = list(busy)

        def read(work: Work) -> Taken:
            rows = _sendable(work, now, held, room)
            due = work.fetch(queries.NEXT_DUE, moment=now)
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

    async def retire(self, suspects: Sequence[Suspect]) -> Collection[Suspect]:
        def decide(work: Work) -> list[Suspect]:
            evident = [suspect for suspect in suspects if is_evident(work, suspect)]
            retire(work, [(suspect.dead, suspect.cause) for suspect in evident])
            return evident

        return (await self.store.transact(decide)).result


def _sendable(work: Work, now: datetime, busy: list[UUID], room: Mapping[str, Room]) -> list[Sendable]:
    wanted = [
        (name, str(lane), wish.places - _kept(lane), now + EAGER if wish.is_back else now, over)
        for name, wish in room.items()
        for lane in Lane
        if wish.places > _kept(lane)
        for over in ((False, True) if wish.is_away else (False,))
    ]
    if not wanted:
        return []
    names = ("providers", "lanes", "rooms", "untils", "overs")
    columns = {name: list(column) for name, column in zip(names, zip(*wanted, strict=True), strict=True)}
    found = work.fetch(queries.SENDABLE, **columns, moment=now, busy=busy)
    left = {name: wish.places for name, wish in room.items()}
    rows: dict[UUID, Sendable] = {}
    for row in found:  # urgent ones first: what they take is not there for the others
        known = row["notification_id"] in rows
        if not known and (row["deadline"] <= now or left[row["provider"]] > _kept(row["lane"])):
            left[row["provider"]] -= 1
            rows[row["notification_id"]] = Sendable(**row)
    return list(rows.values())


def _kept(lane: str) -> int:
    return RESERVED if lane == Lane.ROUTINE else 0
