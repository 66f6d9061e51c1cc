"""Replicas of the gateway tell each other what they have let in, twice a second, so that a limit is one limit."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError

from libs.chassis.bus.connection import Bus
from libs.contracts.limits import MOST_TOLD, Spent, SpentTold
from libs.contracts.subjects import SPENT
from services.gateway.limits import Limit, Limits, Share

_log = structlog.get_logger()
_KNOWN: Final = frozenset(limit.value for limit in Limit)
_PAUSE: Final = 0.5
"""Seconds between two times."""


@dataclass
class Gossip:
    """`run()` it. While the bus is away each replica counts for itself, and what it has let in is told nobody later:
    by then it has mostly run out again.
    """

    bus: Bus
    limits: Limits
    replica: UUID = field(default_factory=uuid4)

    async def run(self) -> None:
        """For ever."""
        await self.bus.client.subscribe(SPENT, cb=self._heard)
        while True:
            await asyncio.sleep(_PAUSE)
            await self.tell()

    async def tell(self) -> None:
        news, self.limits.news = list(self.limits.news.items()), {}
        if not self.bus.connected:
            return
        for first in range(0, len(news), MOST_TOLD):
            some = news[first : first + MOST_TOLD]
            spent = tuple(
                Spent(limit=share.limit, key=share.key, width=share.width, count=min(count, 100_000))
                for share, count in some
            )
            try:
                await self.bus.client.publish(SPENT, SpentTold(replica=self.replica, spent=spent).to_json())
            except NatsError as error:
                _log.debug("limits are not told", reason=str(error))
                return

    async def _heard(self, message: Msg) -> None:
        """Only gateways can write there; one of another release may count what this one does not know."""
        try:
            told = SpentTold.model_validate_json(message.data)
        except ValidationError:
            _log.warning("unreadable word of another gateway's limits")
            return
        if told.replica == self.replica:
            return
        for spent in told.spent:
            if spent.limit in _KNOWN:
                self.limits.hear(Share(Limit(spent.limit), spent.key, spent.width), spent.count)
