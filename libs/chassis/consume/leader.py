"""Which replica consumes: an advisory lock, held by a session that cannot outlive a frozen process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from psycopg import AsyncConnection
from psycopg import errors as pg

from libs.chassis.store.commit import TooSlow
from libs.chassis.store.connections import session
from libs.chassis.store.log import advisory_key
from libs.chassis.store.store import is_away

_log = structlog.get_logger()
_HEARTBEAT = 0.5
_SESSION_TIMEOUT_MS = 2000
"""The server ends a lock session that was idle for this long: TCP cannot see a stopped process, its kernel answers."""


def begins_again(error: BaseException) -> bool:
    """Whether what ended with this, a term or a start, is tried again in the same process.

    What computed for too long may have done so because a machine gives us a tenth of a processor, and much of it was
    work that is done once: a new process would do all of it again.
    """
    if isinstance(error, BaseExceptionGroup):
        return all(begins_again(one) for one in error.exceptions)
    return is_away(error) or isinstance(error, TimeoutError | TooSlow)


@dataclass
class Leader:
    """`run(lead)` calls `lead` whenever this replica is the active one and cancels it when it no longer is.

    The lock is an optimisation: what keeps two active replicas apart are the cursors' compare-and-set and the
    stream's expected sequence.
    """

    url: str
    service: str
    instance: str
    active: bool = False

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await self._term(lead)
            except Exception as error:
                # The database went away under the lock or under one of the tasks: begin again with all of them.
                if not begins_again(error):
                    raise
                _log.warning(
                    "no longer active", service=self.service, instance=self.instance, reason=str(error).strip()
                )
            await asyncio.sleep(0.1)

    async def _term(self, lead: Callable[[], Awaitable[None]]) -> None:
        connection = await AsyncConnection.connect(
            self.url,
            autocommit=True,
            **session(
                self.url,
                f"pager/{self.service}/{self.instance}/lock",
                f"idle_session_timeout={_SESSION_TIMEOUT_MS}",
                "lock_timeout=2000",
            ),
        )
        try:
            await self._acquire(connection)
            await self._end_predecessor(connection)
            _log.info("active", service=self.service, instance=self.instance)
            self.active = True
            leading = asyncio.ensure_future(lead())
            try:
                while not leading.done():
                    await asyncio.wait((leading,), timeout=_HEARTBEAT)
                    async with asyncio.timeout(_SESSION_TIMEOUT_MS / 1000):
                        await connection.execute("SELECT 1")
                leading.result()
            finally:
                self.active = False
                leading.cancel()
                await asyncio.gather(leading, return_exceptions=True)
        finally:
            await connection.close()

    async def _acquire(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        # In a loop with a lock time-out: one long wait would hold back the database's oldest snapshot.
        while True:
            try:
                await connection.execute("SELECT pg_advisory_lock(%s)", (advisory_key(f"pager/active/{self.service}"),))
                return
            except pg.LockNotAvailable:
                continue

    async def _end_predecessor(self, connection: AsyncConnection[tuple[object, ...]]) -> None:
        """End the old active consumer's sessions: frozen inside a commit, one would block every append."""
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = current_user AND application_name LIKE %s AND application_name <> %s",
            (f"pager/{self.service}/%/work", f"pager/{self.service}/{self.instance}/work"),
        )
