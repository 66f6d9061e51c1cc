"""Has auth take a master key that was replaced while it runs: one replica after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cli.console.failure import Failure
from cli.console.report import Report

LOOK_SECONDS: Final = 1.0


@dataclass
class Renewing:
    """`told` says what auth would be told now; `ready` returns when all answer again."""

    told: Callable[[], Mapping[str, str]]
    replicas: Callable[[], Sequence[str]]
    renew: Callable[[str], Awaitable[None]]
    ready: Callable[[], Awaitable[None]]
    report: Report
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _known: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._known = self.told()

    async def run(self) -> None:
        """For ever. That a previous key has gone needs no other process: it is opened with by none."""
        while True:
            await self.sleep(LOOK_SECONDS)
            try:
                now = await asyncio.to_thread(self.told)
                if now["PAGER_MASTER_KEY"] != self._known["PAGER_MASTER_KEY"]:
                    for name in self.replicas():
                        await self.renew(name)
                        await self.ready()
                self._known = now
            except Failure as failure:
                self.report("warning", f"auth does not take the master key that was changed, tried again: {failure}")
