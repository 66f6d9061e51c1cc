"""Links, mails and their limits, without servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from libs.contracts.auth import RegisterUser
from libs.contracts.invites import LinkView
from libs.contracts.model import Role
from libs.contracts.requests import NotFound
from services.auth import smtp
from services.auth.domain import invites, lockout
from services.auth.domain.invites import AcceptInvite, InviteIsOver, IssueInvite, ResendInvite, RevokeInvite
from services.auth.domain.lockout import MAILS, Record
from services.auth.letters import Letter, message
from services.auth.links import Purpose
from services.auth.mailing import put_off
from services.auth.smtp import MailServer, smtp_fault

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ID = UUID("00000000-0000-4000-8000-000000000001")
ISSUE = IssueInvite(ID, " Eva@Example.com", (Role.USER, Role.USER), (), NOW)


def _after(*commands: invites.Command) -> invites.State:
    state = invites.initial()
    for command in commands:
        for fact in invites.decide(command, state):
            state = invites.evolve(state, fact)
    return state


def test_an_invite_is_for_one_form_of_an_address_and_each_role_once() -> None:
    assert _after(ISSUE) == invites.Open(ID, "eva@example.com", (Role.USER,), ())
    assert not invites.decide(ISSUE, _after(ISSUE))


@pytest.mark.parametrize("end", [AcceptInvite(ID, ID), RevokeInvite(ID)])
@pytest.mark.parametrize("command", [AcceptInvite(ID, ID), ResendInvite(ID, NOW)])
def test_an_invite_that_is_over_is_neither_accepted_nor_sent_again(
    end: invites.Command, command: invites.Command
) -> None:
    with pytest.raises(InviteIsOver):
        invites.decide(command, _after(ISSUE, end))
    with pytest.raises(NotFound):
        invites.decide(command, invites.initial())


def test_an_invite_is_revoked_once_and_not_after_it_was_accepted() -> None:
    assert not invites.decide(RevokeInvite(ID), _after(ISSUE, RevokeInvite(ID)))
    with pytest.raises(InviteIsOver):
        invites.decide(RevokeInvite(ID), _after(ISSUE, AcceptInvite(ID, ID)))


def test_whoever_asks_on_and_on_keeps_nobody_from_the_next_mail() -> None:
    record, sent = Record(), 0
    for minute in range(120):
        record, may = lockout.mailed(record, NOW + timedelta(minutes=minute))
        sent += may
    assert sent == MAILS + 5, "three at once, and one each twenty minutes"
    assert lockout.mailed(record, NOW - timedelta(days=1))[1], "a clock that was ahead keeps nobody from theirs"


def test_a_mail_is_tried_again_after_a_while_that_grows_to_a_quarter_of_an_hour() -> None:
    assert [put_off(n).total_seconds() for n in (1, 2, 3, 7, 8, 100)] == [10, 20, 40, 640, 900, 900]


def test_a_mail_has_its_link_in_one_line_and_a_form_that_no_robot_answers() -> None:
    url = f"https://pager.example/{'a' * 200}/app/reset#reset_{'x' * 43}"
    mail = message(Letter(ID, Purpose.RESET, "jö@example.com", LinkView(url=url, expires_at=NOW)), "p@pager.test", NOW)
    assert url in mail.get_content().splitlines()
    assert url.encode() in mail.as_bytes().splitlines()
    assert (mail["Auto-Submitted"], mail["To"]) == ("auto-generated", "jö@example.com")
    assert mail["Message-ID"] == f"<{ID}@pager.test>"


def test_an_address_that_breaks_a_header_is_no_mail() -> None:
    letter = Letter(ID, Purpose.RESET, "a@b.example\nBcc: c@d.example", LinkView(url="https://x", expires_at=NOW))
    with pytest.raises(ValueError, match=r"linefeed|newline"):
        message(letter, "p@pager.test", NOW)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("smtp://mail.example", True),
        ("smtps://u:p%40@mail.example:465/", True),
        ("smtp://mail.example/inbox", False),
        ("smtp://mail.example?tls=none", False),
        ("smtp://user@mail.example", False),
    ],
)
def test_a_mail_servers_url_says_where_it_is_and_nothing_else(url: str, good: bool) -> None:
    assert (smtp_fault(url) is None) == good


@pytest.mark.parametrize("address", ["=?utf-8?q?eve?=@pager.test", "=?utf-8?q?eve=40evil.test=2C?=@pager.test"])
def test_an_address_that_a_header_reads_as_another_gets_no_mail(address: str) -> None:
    """RFC 2047 has encoded words in front of addresses, and Python reads them in addresses as well."""
    link = LinkView(url="https://pager.test/app/reset#x", expires_at=NOW)
    with pytest.raises(ValueError, match="somebody else"):
        message(Letter(ID, Purpose.RESET, address, link), "pager@pager.test", NOW)
    with pytest.raises(ValidationError, match="valid email"):
        RegisterUser(email=address, password="x", first_name="Eve", last_name="Ek")


async def test_a_server_has_longer_for_a_mail_than_for_its_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, float] = {}

    class Server:
        def __init__(self, *, timeout: float, **_more: Any) -> None:
            asked["answers"] = timeout

        async def __aenter__(self) -> Server:
            return self

        async def __aexit__(self, *_error: object) -> None:
            pass

        async def send_message(self, _mail: EmailMessage, *, timeout: float = 0) -> None:
            asked["mail"] = timeout

    monkeypatch.setattr(smtp, "SMTP", Server)
    await MailServer.of("smtp://127.0.0.1", "pager@pager.test", None).send(EmailMessage())
    assert asked["answers"] <= 10
    assert asked["mail"] >= 60
