"""Revocations are told at the commit, past the stream: they are in force also where the relay has to wait for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from nats.errors import Error as NatsError

from libs.chassis.bus.connection import Bus
from libs.chassis.store.log import Run
from libs.contracts.subjects import REVOKING, revoked_subject


@dataclass
class Revoking:
    """In every replica of auth. What gets lost here is in the stream a moment later."""

    bus: Bus
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def committed(self, runs: Iterable[Run]) -> None:
        told = [(event.type, event.raw) for run in runs for event in run.events if event.type in REVOKING]
        if told and self.bus.connected:
            task = asyncio.get_running_loop().create_task(self._tell(told))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _tell(self, told: Iterable[tuple[str, bytes]]) -> None:
        with contextlib.suppress(NatsError):
            for type_name, raw in told:
                await self.bus.client.publish(revoked_subject(type_name), raw)
