"""What is sealed under the key of a month, about nobody who is known, ends 90 days after that month."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from libs.chassis.clock import Clock
from libs.chassis.parts import Engine
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work
from libs.contracts.audit import month_subject
from services.auth.queries import SUBJECT_KEYS
from services.auth.subject_keys import destroy

KEPT: Final = timedelta(days=90)
_LOOK: Final = timedelta(hours=1)
_BACK: Final = 120
"""Months: so long auth may have been switched off."""
_log = structlog.get_logger()


def ended(now: datetime) -> Iterator[str]:
    """The months that were over for `KEPT`, the last one first: `2026-08`, `2026-07` …"""
    month = (now - KEPT).replace(day=1)
    for _ in range(_BACK):
        month = (month - timedelta(days=1)).replace(day=1)
        yield f"{month:%Y-%m}"


@dataclass
class Months(Engine):
    store: Store
    clock: Clock

    async def lead(self) -> None:
        """In the active replica, for ever; a failure of the surroundings is tried again."""
        while True:
            try:
                await self.end()
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("months are ended later", reason=str(error))
            await self.clock.wait_until(self.clock.now() + _LOOK)

    async def end(self) -> int:
        """Destroy the keys whose time is over; how many these were."""

        def end(work: Work) -> int:
            rows = work.fetch(SUBJECT_KEYS, ids=[month_subject(month) for month in ended(work.now)])
            for row in rows:
                destroy(work, row["subject"])
            return len(rows)

        done = (await self.store.transact(end)).result
        if done:
            _log.info("keys of months destroyed", months=done)
        return done
