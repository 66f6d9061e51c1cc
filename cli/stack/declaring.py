"""Streams that somebody has deleted under a NATS of ours are declared again: services only wait for them.

What is made anew is empty. The relays fill it from the logs, readers ask the owners for what they miss, and an ALERTS
that is another one is known by what was taken of it: as when NATS comes back without its files (docs/adr/0007, 0036).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from cli.stack.ready import get_json
from libs.contracts.subjects import STREAMS

EVERY: Final = 5.0
"""Seconds between two looks; what both miss is declared. Whoever puts a backup in its place at once may do so."""


async def missing(port: int | None) -> frozenset[str]:
    """Streams of ours that NATS does not have, by its monitoring port; none while it is not well, or does not answer.

    A server that could not recover a stream says so on `/healthz`: its files are there, and are a person's to look at.
    """
    if port is None:
        return frozenset()
    health, listed = await get_json(port, "/healthz"), await get_json(port, "/jsz?accounts=true&streams=true")
    if health is None or health[0] != 200 or listed is None or listed[0] != 200 or not isinstance(listed[1], dict):
        return frozenset()
    accounts = listed[1].get("account_details") or ()
    there = {stream["name"] for account in accounts for stream in account.get("stream_detail") or ()}
    return frozenset(spec.name for spec in STREAMS) - there


@dataclass
class Declaring:
    """`run` for ever beside the supervisor; `sleep` is injected for tests."""

    ask: Callable[[], Awaitable[frozenset[str]]]
    declare: Callable[[], Awaitable[None]]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _missed: frozenset[str] = field(default_factory=frozenset)

    async def run(self) -> None:
        while True:
            await self.sleep(EVERY)
            await self.look()

    async def look(self) -> None:
        """Look once, and declare what was not there the last time either."""
        missed = await self.ask()
        if missed & self._missed:
            await self.declare()
            missed = frozenset()
        self._missed = missed
