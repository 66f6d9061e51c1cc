"""A real mail server for tests: what it has taken, and what it answers instead."""

from __future__ import annotations

import asyncio
import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.smtp import SMTP, Envelope, Session

SENDER = "pager@pager.test"


class Mailbox:
    """`async with Mailbox() as mailbox`: `url` is where it listens."""

    def __init__(self, *, at_once: ssl.SSLContext | None = None, **server: Any) -> None:
        """`at_once`: it begins with TLS."""
        self._at_once = at_once
        self.mails: list[EmailMessage] = []
        self.refuses: str | None = None
        """Answered to each recipient from now on, such as `550 no such mailbox`."""
        self.hangs = asyncio.Event()
        """Set while it answers; cleared, it says nothing to whoever sends."""
        self.hangs.set()
        self.reads = asyncio.Event()
        """The same, once it has a mail."""
        self.reads.set()
        self.asked = 0
        self._server = server

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(
            lambda: SMTP(self, hostname="mail.test", enable_SMTPUTF8=True, loop=loop, **self._server),
            "127.0.0.1",
            0,
            ssl=self._at_once,
        )
        self.port = self._listening.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *error: object) -> None:
        self.hangs.set()
        self.reads.set()
        self._listening.close()

    @property
    def url(self) -> str:
        return f"{'smtp' if self._at_once is None else 'smtps'}://127.0.0.1:{self.port}"

    @property
    def settings(self) -> dict[str, str]:
        return {"smtp_url": self.url, "smtp_from": SENDER}

    def to(self, email: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == email]

    # --- What the server calls -----------------------------------------------------------------------------------

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self.asked += 1
        await self.hangs.wait()
        if self.refuses is not None:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        await self.reads.wait()
        return "250 taken"


def link_of(mail: EmailMessage) -> str:
    """The one that stands in it."""
    (link,) = [line for line in mail.get_content().splitlines() if line.startswith("http")]
    return str(link)


def token_of(mail: EmailMessage) -> str:
    return link_of(mail).partition("#")[2]
