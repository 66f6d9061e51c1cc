"""Links and the mail server's password leave this machine over TLS only, to a server that is who it says."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from aiosmtplib import SMTPException

from cli.simulators.certificates import CA_CERTIFICATE, server_context
from services.auth import smtp
from services.auth.smtp import MailServer
from tests.mailbox import SENDER, Mailbox


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the server were not on this machine."""
    monkeypatch.setattr(smtp, "_is_here", lambda _hostname: False)


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    return server_context(tmp_path, datetime.now(UTC).timestamp())


def _mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = SENDER, "eva@pager.test", "hello"
    mail.set_content("a link")
    return mail


@pytest.mark.usefixtures("elsewhere")
async def test_a_server_without_tls_is_told_nothing() -> None:
    async with Mailbox() as mailbox:
        server = MailServer.of(mailbox.url.replace("//", "//user:secret@"), SENDER, None)
        with pytest.raises(SMTPException):
            await server.send(_mail())
        assert not mailbox.asked


@pytest.mark.usefixtures("elsewhere")
async def test_starttls_goes_to_whom_the_authority_knows(context: ssl.SSLContext, tmp_path: Path) -> None:
    async with Mailbox(tls_context=context, require_starttls=True) as mailbox:
        with pytest.raises((OSError, SMTPException)):
            await MailServer.of(mailbox.url, SENDER, None).send(_mail())
        assert not mailbox.asked
        await MailServer.of(mailbox.url, SENDER, str(tmp_path / CA_CERTIFICATE)).send(_mail())
        assert len(mailbox.to("eva@pager.test")) == 1


async def test_smtps_begins_with_tls(context: ssl.SSLContext, tmp_path: Path) -> None:
    async with Mailbox(at_once=context) as mailbox:
        with pytest.raises((OSError, SMTPException)):
            await MailServer.of(mailbox.url, SENDER, None).send(_mail())
        await MailServer.of(mailbox.url, SENDER, str(tmp_path / CA_CERTIFICATE)).send(_mail())
        assert len(mailbox.to("eva@pager.test")) == 1
