"""How a link reaches whom it is for: by mail, or in the hand of the admin who asked for it where no mails are sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from libs.chassis.store.changes import Gone, Row
from libs.chassis.store.work import Work
from libs.contracts.invites import LinkView
from libs.contracts.requests import ErrorKind, Rejected
from services.auth.links import Links, Purpose, end_links
from services.auth.queries import MAILS_OF, MAILS_WAIT
from services.auth.tables.passwords import mails

WAITS: Final = {
    Purpose.INVITE: timedelta(days=1),
    Purpose.RESET: timedelta(hours=1),
    Purpose.VERIFY: timedelta(days=1),
}
"""For so long a mail is tried: later nobody waits for it any more."""
MOST: Final = 1000
"""Mails that wait; each costs a server of somebody else's a connection."""


class MailsWait(Rejected):
    """Too many mails wait to be sent: try again later."""

    kind = ErrorKind.UNAVAILABLE


@dataclass(frozen=True)
class Post:
    """`mails`: whether a mail server is known."""

    links: Links
    mails: bool

    def deliver(self, work: Work, purpose: Purpose, subject: UUID) -> LinkView | None:
        """The one link of this kind that is good from now on, to be handed over; None: it goes by mail."""
        withdraw(work, purpose, subject)
        if not self.mails:
            return self.links.make(work, purpose, subject)
        self.send(work, purpose, subject)
        return None

    def send(self, work: Work, purpose: Purpose, subject: UUID) -> None:
        """A mail, beside the links that there are. Raises MailsWait."""
        if work.fetch(MAILS_WAIT, most=MOST):
            raise MailsWait
        waits = {"attempts": 0, "next_at": work.now, "give_up_at": work.now + WAITS[purpose]}
        row = {"id": work.new_id(), "purpose": str(purpose), "subject": subject}
        work.put(Row(mails, row | waits))


def withdraw(work: Work, purpose: Purpose, subject: UUID) -> None:
    """No link of this kind is good any more, and none is on its way."""
    cancel(work, purpose, subject)  # first: it waits for a mail that is just given its link
    end_links(work, purpose, subject)


def cancel(work: Work, purpose: Purpose, subject: UUID) -> None:
    """No mail of this kind is sent any more."""
    for row in work.fetch(MAILS_OF, subject=subject, purpose=str(purpose)):
        work.put(Gone(mails, {"id": row["id"]}))
