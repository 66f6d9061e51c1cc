"""A write that is read back: nothing else proves that a stream stores (docs/adr/0038)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.fault import fault_of

_log = structlog.get_logger()
DEADLINE = 2.0
"""Seconds for each step of it."""
_KEPT = 16
"""Probes that stay: another replica's must not purge ours before it is read back."""


@dataclass(frozen=True)
class Probe:
    """A write into a stream, on a subject of it that its readers do not read."""

    bus: Bus
    stream: str
    subject: str

    async def look(self) -> None:
        """Write, read it back, and purge earlier ones.

        Raises:
            BusAway: it was not stored.
        """
        body = uuid4().bytes
        try:
            ack = await self.bus.js.publish(self.subject, body, timeout=DEADLINE)
            found = (await self.bus.js.get_msg(self.stream, ack.seq)).data
        except (NatsError, APIError, TimeoutError) as error:
            raise BusAway(fault_of(error)) from error
        if found != body:
            raise BusAway("something else was read back")
        try:
            await self.bus.js.purge_stream(self.stream, subject=self.subject, keep=_KEPT)
        except (NatsError, APIError, TimeoutError) as error:
            # They are small, and the stream's age takes them.
            _log.warning("probes not purged", stream=self.stream, reason=str(error) or type(error).__name__)
