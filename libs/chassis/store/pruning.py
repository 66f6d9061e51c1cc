"""Rows that matter only for a while are forgotten: a few at a time, seldom, in the active replica."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy import Table, text

from libs.chassis.clock import Clock
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work

_log = structlog.get_logger()
_BATCH = 1000
"""Rows a transaction: some ten milliseconds of one connection, so that nothing on the paging path waits for it."""
_EVERY = timedelta(hours=1)
_AGAIN = 5.0


@dataclass(frozen=True)
class Retention:
    """Rows of this table matter no more `after` the moment in their column `moment`, which an index has to lead to."""

    table: Table
    moment: str
    after: timedelta


@dataclass
class Pruning:
    """Deletes what is to be forgotten: at once, and then every hour."""

    service: str
    store: Store
    clock: Clock
    rules: Sequence[Retention]

    async def run(self) -> None:
        """For ever; a failure of the surroundings is tried again."""
        while True:
            try:
                for rule in self.rules:
                    await self.prune(rule)
                await self.clock.wait_until(self.clock.now() + _EVERY)
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("pruning starts again", service=self.service, reason=str(error))
                await asyncio.sleep(_AGAIN)

    async def prune(self, rule: Retention) -> int:
        """Forget all that is old enough; returns how many rows that were."""
        gone = last = await self._some(rule)
        while last == _BATCH:
            last = await self._some(rule)
            gone += last
        if gone:
            _log.info("forgotten", service=self.service, table=rule.table.name, rows=gone)
        return gone

    async def _some(self, rule: Retention) -> int:
        name = f"{rule.table.schema}.{rule.table.name}"
        # By the rows' places: the plan reads the oldest end of the index, and nothing of the table but what it deletes.
        statement = text(
            f"DELETE FROM {name} WHERE ctid = ANY (ARRAY(SELECT ctid FROM {name}"  # noqa: S608 - names of our own
            f" WHERE {rule.moment} < :horizon ORDER BY {rule.moment} LIMIT {_BATCH}))"
        )

        def delete(work: Work) -> int:
            work.fetch(statement, horizon=work.now - rule.after)
            return work.cursor.rowcount

        return (await self.store.transact(delete)).result
