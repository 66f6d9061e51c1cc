"""Whether PostgreSQL takes new connections: open ones may go on for a while when it does not."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

_PATIENCE = 2
"""Seconds."""
_SELDOM = 5.0
"""Seconds for which it is believed to take more: each look costs the server a process."""


@dataclass
class Door:
    """`url`: of the database. A login; libpq's `PQping` would be cheaper, and holds the interpreter's lock."""

    url: str
    _open_at: float = float("-inf")

    async def look(self) -> None:
        """Returns when it takes connections, or has a moment ago.

        Raises:
            psycopg.OperationalError: nobody lets us in within two seconds.
        """
        if asyncio.get_running_loop().time() - self._open_at < _SELDOM:
            return
        connection = await AsyncConnection.connect(make_conninfo(self.url, connect_timeout=_PATIENCE))
        await connection.close()
        self._open_at = asyncio.get_running_loop().time()
