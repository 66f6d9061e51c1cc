"""Asking the owner of a log: what a stream no longer holds, where the log ends, and all there is at one moment."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from libs.chassis.bus.connection import Bus, BusAway
from libs.contracts.model import Contract, Lane
from libs.contracts.requests import (
    ErrorKind,
    EventsPage,
    EventsQuery,
    PositionView,
    Refusal,
    Reply,
    Snapshot,
    SnapshotQuery,
)
from libs.contracts.subjects import rpc_subject

_log = structlog.get_logger()
_SNAPSHOT_WAIT = 5.0
"""Seconds for one page. The first one waits for the reading of all of them."""


class NoRequest(Contract):
    """The body of a request that asks nothing more."""


class Refused(BusAway):
    """The owner is there and does not give what it is asked for."""


@dataclass(frozen=True)
class Owner:
    """`pager.rpc.<service>.events`, `.public_events`, `.position` and `.snapshot.<name>` of one upstream."""

    bus: Bus
    service: str
    private: bool = True
    """Whether its private facts are asked for, too; without them only their places in the log are told."""

    async def events(self, epoch: int, lane: Lane, after: int) -> EventsPage:
        """The next stretch of a lane.

        Raises:
            BusAway: the owner does not answer.
        """
        query = EventsQuery(epoch=epoch, lane=lane, after=after)
        if not self.private:
            # Of one that is away nothing is asked: the bus would keep us waiting for what it forbids.
            await self.position()
            try:
                return await self._events("public_events", query)
            except Refused:
                raise
            except BusAway:
                # During a rollout its owner, or the bus's accounts, may be of the release before.
                _log.debug("public events not answered", upstream=self.service)
        return await self._events("events", query)

    async def _events(self, operation: str, query: EventsQuery) -> EventsPage:
        return EventsPage.model_validate((await self._ask(operation, query, timeout=5.0)).data)

    async def position(self, timeout: float = 1.0) -> PositionView:
        """Where each lane of the log ends; raises BusAway when the owner does not answer."""
        return PositionView.model_validate((await self._ask("position", NoRequest(), timeout)).data)

    async def snapshot(self, name: str) -> Snapshot:
        """All pages of a snapshot as one: whole, or not at all.

        Raises:
            Refused: it cannot be had from this owner as it is.
            BusAway: the owner does not answer, or has gone in between; begin again.
        """
        begun = await self._page(f"snapshot.{name}", SnapshotQuery())
        rows = list(begun.data)
        for page in range(1, begun.pages):
            rows += (await self._page(begun.more, SnapshotQuery(id=begun.id, page=page))).data
        return begun.model_copy(update={"data": tuple(rows)})

    async def _page(self, operation: str, query: SnapshotQuery) -> Snapshot:
        return Snapshot.model_validate((await self._ask(operation, query, _SNAPSHOT_WAIT)).data)

    async def _ask(self, operation: str, body: Contract, timeout: float) -> Reply:
        raw = await self.bus.request(rpc_subject(self.service, operation), body.to_json(), timeout=timeout)
        reply = Reply.model_validate_json(raw)
        if not reply.ok:
            raise _away(f"{self.service} refused {operation}", reply.error)
        return reply


def _away(what: str, error: Refusal | None) -> BusAway:
    """A page that is not kept any more is asked for again from the first one, like one of an owner that went away."""
    passing = error is not None and error.kind in (ErrorKind.UNAVAILABLE, ErrorKind.NOT_FOUND)
    return (BusAway if passing else Refused)(f"{what}: {error.message if error else ''}")
