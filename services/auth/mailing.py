"""Mails are sent beside everything else, from rows that say for whom and what for, and not what (docs/adr/0055)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from aiosmtplib import SMTPException

from libs.chassis.clock import Clock
from libs.chassis.parts import Engine
from libs.chassis.store.changes import Gone, Patch, Row
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work
from libs.contracts.health import Effect, Trouble
from services.auth import entities
from services.auth.domain.users import IssueResetLink
from services.auth.letters import Letter, message
from services.auth.links import Links, Purpose
from services.auth.queries import INVITE, MAILS_DUE, MAILS_NEXT, USER
from services.auth.smtp import TAKES, MailServer, NoAnswer, NoSuchMailbox
from services.auth.tables.passwords import mails

_log = structlog.get_logger()
_AT_ONCE: Final = 8
"""Connections to the mail server."""
PATIENCE: Final = 60.0 + TAKES
"""Seconds for one mail: a server that hangs keeps nobody but the other mails."""
_NET: Final = 5.0
"""Seconds between looks that nobody woke us for."""
_FIRST: Final = timedelta(seconds=10)
LONGEST: Final = timedelta(minutes=15)
"""Between two attempts; also after one of which nobody knows whether it went, so that a slow server sends few twice."""


def put_off(attempts: int) -> timedelta:
    """How long after its attempt of this number, from 1, a mail is tried again: it did not go, or nobody knows."""
    return min(_FIRST * float(2 ** min(attempts - 1, 10)), LONGEST)


@dataclass
class Mailing(Engine):
    """Runs in the active replica. `server` is None where no mails are sent.

    An attempt is written down before it is made: whoever dies in between has it made again, so a mail goes at least
    once. Its link is made for the attempt and is good beside those of the attempts before, which may have arrived.
    """

    store: Store
    clock: Clock
    links: Links
    server: MailServer | None
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _failing: str | None = None

    async def lead(self) -> None:
        """For ever; a failure of the surroundings is tried again."""
        while self.server is not None:
            self._wake.clear()
            try:
                letters, next_at = (await self.store.transact(self._take)).result
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("mailing starts again", reason=str(error))
                letters, next_at = [], None
            if letters:
                await asyncio.gather(*(self._deliver(self.server, letter) for letter in letters))
            else:
                await self._sleep(next_at)

    def committed(self, rows: Sequence[Row] | None) -> None:
        if rows is None or any(row.table is mails for row in rows):
            self._wake.set()

    def health(self) -> dict[str, Any]:
        return {"mail": "off" if self.server is None else "on"}

    def troubles(self) -> tuple[Trouble, ...]:
        if self._failing is None:
            return ()
        return (
            Trouble(culprit="mail", problem=f"the mail server takes no mails: {self._failing}", effect=Effect.FAULT),
        )

    async def _sleep(self, until: datetime | None) -> None:
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._wake.wait())]
        if until is not None:
            waits.append(asyncio.create_task(self.clock.wait_until(until)))
        try:
            await asyncio.wait(waits, timeout=_NET, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    def _take(self, work: Work) -> tuple[list[Letter], datetime | None]:
        """What is due, each with a link that is good once this is committed; or when the next one is.

        What would be due later than any pause was put off by a clock that was ahead.
        """
        letters = []
        rows = work.fetch(MAILS_DUE, now=work.now, never=work.now + 2 * LONGEST, most=_AT_ONCE)
        for row in rows:
            letter = self._letter(work, row)
            if letter is None:
                work.put(Gone(mails, {"id": row["id"]}))
                continue
            attempts = row["attempts"] + 1
            work.put(Row(mails, row | {"attempts": attempts, "next_at": work.now + put_off(attempts)}))
            letters.append(letter)
        if rows and not letters:
            return [], work.now
        ahead = work.fetch(MAILS_NEXT)
        return letters, ahead[0]["next_at"] if ahead else None

    def _letter(self, work: Work, row: dict[str, Any]) -> Letter | None:
        """None: nobody is to get it, or it is too late."""
        purpose = Purpose(row["purpose"])
        if row["give_up_at"] <= work.now:
            _log.warning("a mail was given up", purpose=str(purpose), mail=str(row["id"]), attempts=row["attempts"])
            return None
        found = work.fetch(INVITE if purpose is Purpose.INVITE else USER, id=row["subject"])
        if not found or (purpose is not Purpose.INVITE and not found[0]["is_active"]):
            return None  # somebody asked for an address that nobody has, or who had it is gone meanwhile
        link = self.links.make(work, purpose, row["subject"], mailed=True)
        if purpose is Purpose.RESET and not row["attempts"]:
            command = IssueResetLink(row["subject"])
            work.decide(entities.USERS, row["subject"], command, work.begin(entities.AUTH))
        return Letter(row["id"], purpose, found[0]["email"], link)

    async def _deliver(self, server: MailServer, letter: Letter) -> None:
        """What servers say is in no log: they quote addresses."""
        try:
            async with asyncio.timeout(PATIENCE):
                await server.send(message(letter, server.sender, self.clock.now()))
        except (NoSuchMailbox, ValueError):
            _log.warning("a mail was refused for good", purpose=str(letter.purpose), mail=str(letter.id))
        except (OSError, SMTPException) as error:  # TimeoutError is one
            self._failing = type(error).__name__
            _log.warning("a mail did not go", purpose=str(letter.purpose), mail=str(letter.id), reason=self._failing)
            if isinstance(error, NoAnswer):
                later = {"id": letter.id, "next_at": self.clock.now() + LONGEST}
                await self._write_down(letter, lambda work: work.put(Patch(mails, later)))
            return
        else:
            self._failing = None
        await self._write_down(letter, lambda work: work.put(Gone(mails, {"id": letter.id})))

    async def _write_down(self, letter: Letter, what: Callable[[Work], None]) -> None:
        try:
            await self.store.transact(what)
        except Exception as error:
            if not passes(error):
                raise
            _log.warning("what became of a mail is not written down: it goes again", mail=str(letter.id))
