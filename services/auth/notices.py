"""Security events are mailed to whom they concern and to all admins, where a mail server is known.

A row is written with the event that it is about, and goes when its mail has gone: it says for whom and about whom, and
of which kind it is. Of one kind admins get one mail an hour and a person one an hour: whoever makes a thousand such
events fills no mailbox, and `GET /audit` has all of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

import structlog
from aiosmtplib import SMTPException

from libs.chassis.clock import Clock
from libs.chassis.parts import Engine
from libs.chassis.store.changes import Gone, Patch, Row
from libs.chassis.store.store import Store, passes
from libs.chassis.store.work import Work
from services.auth.letters import headed
from services.auth.mailing import LONGEST, PATIENCE, put_off
from services.auth.queries import ACTIVE_ADMINS, NOTICED, NOTICES_DUE, NOTICES_WAIT, USER
from services.auth.smtp import MailServer, NoAnswer, NoSuchMailbox
from services.auth.tables.watch import noticed, notices

_log = structlog.get_logger()
EACH: Final = timedelta(hours=1)
_GIVEN_UP: Final = timedelta(days=1)
_AT_ONCE: Final = 8
_MOST: Final = 1000
"""Notices that wait."""
_PAUSE: Final = timedelta(seconds=5)
_ADMINS: Final = UUID(int=0)
"""All of them together."""


class Kind(StrEnum):
    LOCKOUT = "lockout"
    REUSED = "refresh token reused"
    COUNTRY = "new country"


_SUBJECTS: Final = {
    Kind.LOCKOUT: "too many wrong passwords",
    Kind.REUSED: "a session was ended as stolen",
    Kind.COUNTRY: "a sign-in from a new country",
}
_TEXTS: Final = {
    Kind.LOCKOUT: "Somebody has tried too many wrong passwords of {whose} account. From there none is looked at for a"
    " while; elsewhere it works as before, and pages arrive.",
    Kind.REUSED: "A refresh token of {whose} account was used twice, or on another device: it may have been stolen. The"
    " session was ended, and its device has to sign in again; pages arrive.",
    Kind.COUNTRY: "Somebody has signed in to {whose} account from a country where it was not used within a year.",
}
_TO_OWNER: Final = """{what}

When: {at} UTC

If it was not you, choose another password, which signs everybody else out, and tell an admin.
"""
_TO_ADMIN: Final = """{what}

When: {at} UTC

Who, from where, and what else: {url}/api/v1/audit?resource=users/{person}
What to do: docs/runbooks/security-incident.md

Others of this kind are not mailed for an hour.
"""


@dataclass(frozen=True)
class Notices:
    """`mails`: whether a mail server is known; without one, alerts and the audit tell."""

    mails: bool

    def of(self, work: Work, kind: Kind, person: UUID) -> None:
        """Mail what is decided in this transaction, unless as much was mailed lately."""
        if not self.mails or work.fetch(NOTICES_WAIT, most=_MOST):
            return
        work.lock(f"pager/auth/notices/{kind}")
        if self._is_due(work, kind, person):
            self._send(work, kind, person, person)
        if self._is_due(work, kind, _ADMINS):
            for admin in work.fetch(ACTIVE_ADMINS):
                if admin["id"] != person:
                    self._send(work, kind, admin["id"], person)

    def _is_due(self, work: Work, kind: Kind, whom: UUID) -> bool:
        rows = work.fetch(NOTICED, kind=str(kind), whom=whom)
        if rows and timedelta(0) <= work.now - rows[0]["at"] < EACH:
            return False
        work.put(Row(noticed, {"kind": str(kind), "whom": whom, "at": work.now}))
        return True

    def _send(self, work: Work, kind: Kind, recipient: UUID, person: UUID) -> None:
        about = {"id": work.new_id(), "kind": str(kind), "recipient": recipient, "person": person}
        work.put(Row(notices, about | {"at": work.now, "attempts": 0, "next_at": work.now}))


@dataclass(frozen=True, slots=True)
class _Notice:
    id: UUID
    kind: Kind
    message: EmailMessage = field(repr=False)


@dataclass
class Noticing(Engine):
    """Sends them, in the active replica; a mail goes at least once, and one that does not go for a day is given up."""

    store: Store
    clock: Clock
    public_url: str
    server: MailServer | None

    async def lead(self) -> None:
        """For ever; a failure of the surroundings is tried again."""
        while (server := self.server) is not None:
            try:
                due = (await self.store.transact(lambda work: self._take(work, server))).result
                await asyncio.gather(*(self._deliver(server, notice) for notice in due))
            except Exception as error:
                if not passes(error):
                    raise
                _log.warning("notices are sent later", reason=str(error))
            await self.clock.wait_until(self.clock.now() + _PAUSE)

    def _take(self, work: Work, server: MailServer) -> list[_Notice]:
        taken = []
        for row in work.fetch(NOTICES_DUE, now=work.now, most=_AT_ONCE):
            message = self._message(work, server, row)
            if message is None or work.now - row["at"] > _GIVEN_UP:
                work.put(Gone(notices, {"id": row["id"]}))
                continue
            attempts = row["attempts"] + 1
            work.put(Row(notices, row | {"attempts": attempts, "next_at": work.now + put_off(attempts)}))
            taken.append(_Notice(row["id"], Kind(row["kind"]), message))
        return taken

    def _message(self, work: Work, server: MailServer, row: dict[str, Any]) -> EmailMessage | None:
        """None: nobody is to get it any more."""
        to, about = (work.fetch(USER, id=row[name]) for name in ("recipient", "person"))
        if not (to and about and to[0]["is_active"]):
            return None
        kind, is_owner = Kind(row["kind"]), row["recipient"] == row["person"]
        name = f"{about[0]['first_name']} {about[0]['last_name']}"
        what = _TEXTS[kind].format(whose="your" if is_owner else f"{name}'s")
        told = {"what": what, "at": f"{row['at']:%Y-%m-%d %H:%M}", "person": row["person"]}
        try:
            mail = headed(f"Pager: {_SUBJECTS[kind]}", server.sender, to[0]["email"], row["id"], work.now)
        except ValueError:
            _log.warning("a notice has an address that no mail can have", notice=str(row["id"]))
            return None
        text = _TO_OWNER if is_owner else _TO_ADMIN
        mail.set_content(text.format(url=self.public_url.rstrip("/"), **told), cte="8bit")
        return mail

    async def _deliver(self, server: MailServer, notice: _Notice) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await server.send(notice.message)
        except (NoSuchMailbox, ValueError):
            _log.warning("a notice was refused for good", kind=str(notice.kind), notice=str(notice.id))
        except (OSError, SMTPException) as error:  # TimeoutError is one
            _log.warning("a notice did not go", kind=str(notice.kind), reason=type(error).__name__)
            if isinstance(error, NoAnswer):
                later = {"id": notice.id, "next_at": self.clock.now() + LONGEST}
                await self.store.transact(lambda work: work.put(Patch(notices, later)))
            return
        await self.store.transact(lambda work: work.put(Gone(notices, {"id": notice.id})))
