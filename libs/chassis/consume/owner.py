"""Asking the owner of a log: what a stream no longer holds, and where the log ends (design, rule 5)."""

from __future__ import annotations

from dataclasses import dataclass

from libs.chassis.bus.connection import Bus, BusAway
from libs.contracts.model import Contract, Lane
from libs.contracts.requests import EventsPage, EventsQuery, PositionView, Reply
from libs.contracts.subjects import rpc_subject


class NoRequest(Contract):
    """The body of a request that asks nothing more."""


@dataclass(frozen=True)
class Owner:
    """`pager.rpc.<service>.events` and `.position` of one upstream."""

    bus: Bus
    service: str

    async def events(self, epoch: int, lane: Lane, after: int) -> EventsPage:
        """The next stretch of a lane.

        Raises:
            BusAway: the owner does not answer.
        """
        query = EventsQuery(epoch=epoch, lane=lane, after=after)
        return EventsPage.model_validate((await self._ask("events", query, timeout=5.0)).data)

    async def position(self, timeout: float = 1.0) -> PositionView:
        """Where each lane of the log ends; raises BusAway when the owner does not answer."""
        return PositionView.model_validate((await self._ask("position", NoRequest(), timeout)).data)

    async def _ask(self, operation: str, body: Contract, timeout: float) -> Reply:
        raw = await self.bus.request(rpc_subject(self.service, operation), body.to_json(), timeout=timeout)
        reply = Reply.model_validate_json(raw)
        if not reply.ok:
            raise BusAway(f"{self.service} refused {operation}: {reply.error.message if reply.error else ''}")
        return reply
