"""Reading a stream for ever: whatever goes wrong in the surroundings, begin again from what has taken effect."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from nats.errors import Error as NatsError
from nats.js.errors import APIError

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.store.cursors import Overtaken
from libs.chassis.store.store import Contended, is_away

_log = structlog.get_logger()
_SOON = 0.02
_LATER = 0.5
_STABLE = 5.0
"""Seconds after which a reading that broke counts as a new misfortune, not as the old one going on."""


class BeginAgain(Exception):
    """What is here cannot be gone on with: it has to be read anew."""


async def follow_for_ever(bus: Bus, follow: Callable[[], Awaitable[None]], service: str, what: str) -> None:
    """Call `follow` again and again, soon and then less often, while bus, database or a rival make it fail.

    Anything else that it raises is a fault, and leaves.
    """
    loop = asyncio.get_running_loop()
    pause = 0.0
    while True:
        await bus.until_connected()
        begun = loop.time()
        try:
            await follow()
        except Exception as error:
            expected = BusAway | BeginAgain | NatsError | APIError | TimeoutError | Overtaken | Contended
            if not (isinstance(error, expected) or is_away(error)):
                raise
            _log.warning("reading again", service=service, what=what, reason=f"{type(error).__name__}: {error}")
        pause = _SOON if loop.time() - begun > _STABLE else min(max(pause * 2, _SOON), _LATER)
        await asyncio.sleep(pause)
