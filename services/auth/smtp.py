"""The mail server: where it is, how it is spoken to, and what its answers mean."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPRecipientsRefused

from libs.chassis.tls import trusting

_PORTS: Final = {"smtp": 587, "smtps": 465}
_STEP: Final = 10.0
"""Seconds that a server may take for each of its answers until it is told of a mail."""
TAKES: Final = 90.0
"""Seconds for the mail itself, which filters read before they answer: whoever hangs up earlier sends it twice."""


class NoSuchMailbox(Exception):
    """The server will never take this mail: its recipient is none, or not one of its own."""


class NoAnswer(TimeoutError):
    """The server did not say in time whether it has taken the mail: it may have."""


def smtp_fault(url: str) -> str | None:
    """Beyond its form; None: nothing."""
    parts = urlsplit(url)
    if parts.path not in ("", "/") or "?" in url or "#" in url:
        return "must end with its port: smtp://user:password@host:587"
    if (parts.username is None) != (parts.password is None):
        return "has a user without a password, or a password without a user"
    return None


@dataclass(frozen=True)
class MailServer:
    """`smtps://` begins with TLS; `smtp://` asks for it before anything is said, but on this machine."""

    hostname: str
    port: int
    username: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext
    at_once: bool
    sender: str

    @classmethod
    def of(cls, url: str, sender: str, ca_file: str | None) -> Self:
        """Raises ValueError where `ca_file` holds no authority."""
        parts = urlsplit(url)
        return cls(
            hostname=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=trusting(ca_file),
            at_once=parts.scheme == "smtps",
            sender=sender,
        )

    async def send(self, message: EmailMessage) -> None:
        """Return when the server has taken it.

        Raises:
            NoSuchMailbox: it will never take it.
            NoAnswer: nobody knows whether it has.
            OSError, SMTPException: it may, later.
        """
        client = SMTP(
            hostname=self.hostname,
            port=self.port,
            username=self.username,
            password=self.password,
            use_tls=self.at_once,
            start_tls=not self.at_once and not _is_here(self.hostname),
            tls_context=self.tls,
            timeout=_STEP,
            # What the library would find out by itself is a question to a name server, which holds up everything.
            local_hostname=self.sender.rpartition("@")[2].encode("idna").decode("ascii"),
        )
        try:
            async with client:
                await _sent(client, message)
        except SMTPRecipientsRefused as error:
            if all(refused.code >= 500 for refused in error.recipients):
                raise NoSuchMailbox from None
            raise
        except SMTPDataError as error:
            # 5yz to the mail itself; to a greeting, a login or a sender it is the server that is set up wrongly.
            if error.code >= 500:
                raise NoSuchMailbox from None
            raise


async def _sent(client: SMTP, message: EmailMessage) -> None:
    """Raises NoAnswer."""
    try:
        async with asyncio.timeout(TAKES):
            await client.send_message(message, timeout=TAKES)
    except TimeoutError:  # the library's is one
        raise NoAnswer from None


def _is_here(hostname: str) -> bool:
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return hostname == "localhost"
