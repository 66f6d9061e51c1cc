"""A superuser's look into PostgreSQL: who consumes, what the logs hold; it comes back when the server does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from libs.chassis.store.log import advisory_key

_HOLDER = (
    "SELECT a.application_name, a.pid FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
    " WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
    " AND ((l.classid::bigint << 32) | l.objid::bigint) = %s"
    " AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


@dataclass(frozen=True)
class Holder:
    """The session that holds a service's lock for the active replica."""

    instance: str
    session: int

    @property
    def process(self) -> str:
        """Its name in `run.json`: `incidents` of `incidents-1`, `incidents-2` of `incidents-2`."""
        return self.instance.removesuffix("-1")


@dataclass
class Probe:
    """One connection, made anew whenever it broke."""

    url: str
    _connection: psycopg.AsyncConnection[tuple[Any, ...]] | None = None

    async def ask(self, query: str, *values: object) -> Sequence[tuple[Any, ...]] | None:
        """The rows; None while PostgreSQL is away."""
        try:
            if self._connection is None:
                self._connection = await psycopg.AsyncConnection.connect(
                    self.url, autocommit=True, connect_timeout=2, row_factory=tuple_row, application_name="chaos"
                )
            return await (await self._connection.execute(query.encode(), values, binary=True)).fetchall()
        except (psycopg.OperationalError, psycopg.InterfaceError):
            await self.close()
            return None

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def holder(self, service: str) -> Holder | None:
        """The active replica's session; None while there is none."""
        rows = await self.ask(_HOLDER, advisory_key(f"pager/active/{service}"))
        if not rows:
            return None
        return Holder(str(rows[0][0]).split("/")[2], int(rows[0][1]))
