"""What mails say: plain text, and one link."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final
from uuid import UUID

from libs.contracts.invites import LinkView
from services.auth.links import Purpose

_SUBJECTS: Final = {
    Purpose.INVITE: "You are invited to Pager",
    Purpose.RESET: "Your Pager password",
    Purpose.VERIFY: "Is this your address?",
}
_TEXTS: Final = {
    Purpose.INVITE: """You are invited to Pager, which calls people when something breaks.

Make your account here:

{url}

The link works once, until {until} UTC.
If you do not know who invites you, ignore this mail.
""",
    Purpose.RESET: """Somebody has asked for another password for your Pager account.

If it was you, choose it here:

{url}

The link works once, until {until} UTC. You will be signed out everywhere.
If it was not you, ignore this mail: nothing has changed.
""",
    Purpose.VERIFY: """This address belongs to an account of Pager. If it is yours, say so here:

{url}

The link works once, until {until} UTC.
If you have no account, ignore this mail.
""",
}


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as it is now: each attempt has a link of its own, since only hashes of those before are known."""

    id: UUID
    purpose: Purpose
    to: str = field(repr=False)
    link: LinkView = field(repr=False)


def message(letter: Letter, sender: str, now: datetime) -> EmailMessage:
    """Raises ValueError for an address that no mail can have."""
    mail = headed(_SUBJECTS[letter.purpose], sender, letter.to, letter.id, now)
    until = f"{letter.link.expires_at:%Y-%m-%d %H:%M}"
    # No line is wrapped: a link in two pieces is none.
    mail.set_content(_TEXTS[letter.purpose].format(url=letter.link.url, until=until), cte="8bit")
    return mail


def headed(subject: str, sender: str, to: str, mail_id: UUID, now: datetime) -> EmailMessage:
    """A mail without a text. Raises ValueError for an address that no mail can have."""
    mail = EmailMessage()
    mail["Subject"] = subject
    mail["From"] = f"Pager <{sender}>"
    mail["To"] = to
    if [address.addr_spec for address in mail["To"].addresses] != [to]:
        raise ValueError("this would go to somebody else")  # an encoded word, which the header has read
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{mail_id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence note answers it
    return mail
