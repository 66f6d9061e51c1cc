"""Whether PostgreSQL takes new connections: open ones may go on for a while when it does not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from eventsourcing.persistence import OperationalError
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

_PATIENCE = 2
"""Seconds; libpq takes no fewer."""
_SELDOM = 5.0
"""Seconds for which it is believed to take more: each look costs the server a process."""


@dataclass
class Door:
    """`url`: of the database. As `pg_isready` looks: a greeting, and no login."""

    url: str
    _open_at: float = float("-inf")

    async def look(self) -> None:
        """Returns when it takes connections, or has a moment ago.

        Raises:
            OperationalError: nobody answers there within two seconds, or it refuses everybody.
        """
        if asyncio.get_running_loop().time() - self._open_at < _SELDOM:
            return
        asked = make_conninfo(self.url, connect_timeout=_PATIENCE).encode()
        if (found := await asyncio.to_thread(PGconn.ping, asked)) is not Ping.OK:
            raise OperationalError(f"no new connection: {Ping(found).name}")
        self._open_at = asyncio.get_running_loop().time()
