"""Invites, lost passwords and addresses, by mail: one link each, that works once and comes from nobody's Host."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from sqlalchemy import Table, select

from libs.contracts.invites import ForgotPassword
from services.auth import smtp
from services.auth.domain.lockout import MAILS
from services.auth.tables.passwords import mails
from services.auth.tables.schema import kept, metadata
from tests.attacks import Attack, Told
from tests.mailbox import Mailbox, link_of, token_of
from tests.phone import PASSWORD, Answer
from tests.servers import Servers
from tests.world import World

NEW = "Another-Battery-8-Staple"
EVA = "eva@pager.test"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
async def world(servers: Servers, mailbox: Mailbox) -> AsyncIterator[World]:
    async with World(servers, ("auth",), public_url="https://pager.example/", **mailbox.settings) as world:
        yield world


async def _mails(world: World, mailbox: Mailbox, email: str, count: int = 1) -> list[Any]:
    async def look() -> list[Any]:
        return mailbox.to(email)

    return list(await world.eventually(look, lambda mails: len(mails) >= count, f"{count} mails to {email}"))


async def _forgot(world: World, email: str, **headers: str) -> Answer:
    return await world.http("POST", "/auth/password/forgot", {"email": email}, **headers)


async def _reset(world: World, token: str, password: str = NEW) -> Answer:
    return await world.http("POST", "/auth/password/reset", {"token": token, "newPassword": password})


async def _sign_in(world: World, email: str, password: str) -> int:
    body = {"email": email, "password": password, "deviceId": "another"}
    return (await world.http("POST", "/auth/login", body)).status


async def _rows(world: World, table: Table) -> list[dict[str, Any]]:
    return list(await world.services["auth"].runtime.work.read(lambda work: work.fetch(select(table))))


async def _waiting(world: World) -> list[dict[str, Any]]:
    return await _rows(world, mails)


def _is_refused(answer: Answer, field: str = "token") -> bool:
    return answer.status == 400 and answer.body["error"]["details"]["field"] == field


async def test_whoever_is_invited_by_mail_is_verified(world: World, mailbox: Mailbox) -> None:
    answer = await world.admin.call("POST", "/invites", {"email": EVA})
    assert answer.data["invite"]["link"] is None
    (mail,) = await _mails(world, mailbox, EVA)
    assert link_of(mail).startswith("https://pager.example/app/register#invite_")
    assert mail["From"] == "Pager <pager@pager.test>"
    body = {"inviteToken": token_of(mail), "password": PASSWORD, "firstName": "Eva", "lastName": "Ek"}
    made = await world.http("POST", "/auth/register", body)
    assert (made.status, made.data["user"]["emailVerified"]) == (201, True)
    assert not await _waiting(world)


async def test_a_lost_password_is_replaced_by_mail_and_everybody_is_signed_out(
    world: World, mailbox: Mailbox, told: Told
) -> None:
    ana = await world.person("ana")
    assert (await _forgot(world, f" {ana.email.upper()} ", Host="evil.example")).status == 202
    (mail,) = await _mails(world, mailbox, ana.email)
    assert link_of(mail).startswith("https://pager.example/app/reset#reset_")
    told(Attack.FOREIGN_HOST, "a link to PAGER_PUBLIC_URL")
    assert (await _reset(world, token_of(mail), PASSWORD)).body["error"]["details"]["field"] == "newPassword"
    assert (await _reset(world, token_of(mail))).status == 200
    assert _is_refused(await _reset(world, token_of(mail), f"{NEW}-2"))
    told(Attack.LINK_TWICE, "400; the first use has signed everybody out")
    assert (await world.http("GET", "/users/me", token=ana.session["accessToken"])).status == 401
    refresh = await world.http("POST", "/auth/refresh", {"deviceId": ana.device_id}, ana.session["refreshToken"])
    assert refresh.status == 401
    assert (await _sign_in(world, ana.email, PASSWORD), await _sign_in(world, ana.email, NEW)) == (401, 200)
    names = [e.type.split(".")[2] for e in await world.log("auth", "ResetLinkIssued", "PasswordReset", "EmailVerified")]
    assert names == ["ResetLinkIssued", "PasswordReset", "EmailVerified"]


async def test_a_link_lasts_a_quarter_of_an_hour_and_a_changed_password_ends_it(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    await _forgot(world, ana.email)
    (late,) = await _mails(world, mailbox, ana.email)
    world.clock.advance(minutes=15)
    assert _is_refused(await _reset(world, token_of(late)))
    await _forgot(world, ana.email)
    _, mail = await _mails(world, mailbox, ana.email, 2)
    changed = await ana.call("POST", "/auth/password/change", {"currentPassword": PASSWORD, "newPassword": NEW})
    assert changed.status == 200
    assert _is_refused(await _reset(world, token_of(mail), f"{NEW}-2"))


async def test_a_clock_that_was_ahead_makes_no_link_last_and_no_mail_wait(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    mailbox.refuses = "451 try later"
    await _forgot(world, ana.email)

    async def asked() -> int:
        return mailbox.asked

    await world.eventually(asked, lambda n: n == 1, "a try")
    world.clock.advance(minutes=-120)
    mailbox.refuses = None
    (mail,) = await _mails(world, mailbox, ana.email)
    world.clock.advance(minutes=-120)
    assert _is_refused(await _reset(world, token_of(mail)))


async def test_a_token_is_good_for_nothing_else(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    await world.admin.call("POST", "/invites", {"email": EVA})
    assert (await ana.call("POST", "/users/me/email/verification")).status == 202
    await _forgot(world, ana.email)
    (invite,) = await _mails(world, mailbox, EVA)
    verify, reset = sorted((await _mails(world, mailbox, ana.email, 2)), key=lambda m: "reset" in link_of(m))
    for other in (invite, verify):
        assert _is_refused(await _reset(world, token_of(other)))
        assert _is_refused(await _reset(world, token_of(other).replace("invite", "reset").replace("verify", "reset")))
    assert _is_refused(await world.http("POST", "/auth/email/verify", {"token": token_of(reset)}))
    assert (await _reset(world, "x" * 10_000)).status == 400
    assert (await ana.call("GET", "/users/me")).data["user"]["emailVerified"] is False
    world.clock.advance(minutes=1)  # the brake lets go
    shown = await world.http("POST", "/auth/email/verify", {"token": token_of(verify)})
    assert (shown.status, shown.data["user"]["emailVerified"]) == (200, True)
    assert _is_refused(await world.http("POST", "/auth/email/verify", {"token": token_of(verify)}))


async def test_nobodys_address_gets_the_same_answer_by_the_same_work(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    mailbox.hangs.clear()
    statements: dict[str, list[str]] = {}
    store = world.services["auth"].runtime.rpc
    told = []
    for email in (ana.email, "nobody@pager.test"):
        told.append(await _forgot(world, email))
        statements[email] = await _work_of(world, store, email)
    known, unknown = told
    assert (known.status, known.body) == (unknown.status, unknown.body) == (202, {"success": True, "data": {}})
    assert statements[ana.email] == statements["nobody@pager.test"]
    mailbox.hangs.set()
    await _mails(world, mailbox, ana.email)
    assert not mailbox.to("nobody@pager.test")


async def _work_of(world: World, store: Any, email: str) -> list[str]:
    """What is read and written in the transaction of `forgot`, statement by statement."""
    recovery, seen = _recovery_of(world), list[str]()
    transact = store.transact

    async def watched(handler: Any, *more: Any, **named: Any) -> Any:
        def watching(work: Any) -> Any:
            fetch = work.fetch

            class Watching:
                def __getattr__(self, name: str) -> Any:
                    return getattr(work, name)

                def fetch(self, statement: Any, **parameters: Any) -> Any:
                    seen.append(str(statement))
                    return fetch(statement, **parameters)

                def put(self, *changes: Any) -> None:
                    seen.extend(f"{type(c).__name__} {c.table} {sorted(c.values)}" for c in changes)
                    work.put(*changes)

            return handler(Watching())

        return await transact(watching, *more, **named)

    await replace(recovery, store=Mock(transact=watched)).forgot(ForgotPassword(email=email))
    return seen


def _recovery_of(world: World) -> Any:
    handler = world.services["auth"].parts.answers.requests.operations["forgot_password"].handle
    return next(cell.cell_contents for cell in handler.__closure__ or ())


async def test_whoever_is_deactivated_gets_no_link_and_none_lets_them_in(world: World, mailbox: Mailbox) -> None:
    ana, bo = await world.person("ana"), await world.person("bo")
    await _forgot(world, ana.email)
    (mail,) = await _mails(world, mailbox, ana.email)
    assert (await world.admin.call("POST", f"/users/{ana.user_id}/deactivate")).status == 200
    assert _is_refused(await _reset(world, token_of(mail)))
    assert (await world.admin.call("POST", f"/users/{ana.user_id}/password/reset-link")).status == 409
    assert (await _forgot(world, ana.email)).status == 202
    await _forgot(world, bo.email)
    await _mails(world, mailbox, bo.email)
    assert len(mailbox.to(ana.email)) == 1


async def test_an_admins_link_goes_by_mail_and_ends_the_one_before(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    await _forgot(world, ana.email)
    (first,) = await _mails(world, mailbox, ana.email)
    answer = await world.admin.call("POST", f"/users/{ana.user_id}/password/reset-link")
    assert (answer.status, answer.data) == (200, {"link": None})
    second = (await _mails(world, mailbox, ana.email, 2))[1]
    assert _is_refused(await _reset(world, token_of(first)))
    assert (await _reset(world, token_of(second))).status == 200


async def test_an_address_gets_a_few_mails_an_hour_and_never_a_different_answer(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    for _ in range(3):
        for _ in range(4):
            assert (await _forgot(world, ana.email)).status == 202
        world.clock.advance(minutes=1)
    await world.settle()
    assert len(mailbox.to(ana.email)) == MAILS
    world.clock.advance(minutes=20)
    assert (await _forgot(world, ana.email)).status == 202
    await _mails(world, mailbox, ana.email, MAILS + 1)


async def test_a_place_asks_for_five_links_a_minute(world: World, mailbox: Mailbox) -> None:
    statuses = [(await _forgot(world, f"nobody-{n}@pager.test")).status for n in range(6)]
    assert statuses == [202] * 5 + [429]
    await world.settle()
    assert not mailbox.mails


async def test_a_mail_that_did_not_go_goes_later_with_a_link_of_its_own(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    mailbox.refuses = "451 try later"
    await _forgot(world, ana.email)

    async def troubles() -> list[Any]:
        return list((await world.health("auth"))["troubles"])

    (trouble,) = await world.eventually(troubles, bool, "that mails do not go")
    assert trouble["culprit"] == "mail"
    assert ana.email not in str(trouble)
    mailbox.refuses = None
    world.clock.advance(seconds=10)
    (mail,) = await _mails(world, mailbox, ana.email)
    await world.eventually(troubles, lambda found: not found, "that they go")
    assert (await _reset(world, token_of(mail))).status == 200


async def test_a_mailbox_that_is_none_is_tried_once(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    mailbox.refuses = "550 no such mailbox"
    await _forgot(world, ana.email)

    async def waiting() -> list[Any]:
        return await _waiting(world)

    await world.eventually(waiting, lambda rows: mailbox.asked == 1 and not rows, "that it is given up")


async def test_whoever_dies_between_commit_and_send_sends_after_it(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    mailbox.hangs.clear()
    await _forgot(world, ana.email)

    async def asked() -> int:
        return mailbox.asked

    await world.eventually(asked, lambda n: n == 1, "that a mail is under way")
    await world.stop("auth")  # what is under way is not written down as sent
    mailbox.hangs.set()
    await world.start("auth")
    world.clock.advance(seconds=10)
    arrived = await _mails(world, mailbox, ana.email)
    assert (await _reset(world, token_of(arrived[-1]))).status == 200


async def test_a_server_that_hangs_keeps_nobody(world: World, mailbox: Mailbox) -> None:
    ana = await world.person("ana")
    mailbox.hangs.clear()
    await _forgot(world, ana.email)
    assert (await _sign_in(world, ana.email, PASSWORD)) == 200
    assert (await _forgot(world, ana.email)).status == 202


async def test_a_server_that_takes_its_time_over_a_mail_gets_it_once(world: World, mailbox: Mailbox) -> None:
    """Filters read mails before they answer; whoever asks again meanwhile fills mailboxes with links."""
    ana = await world.person("ana")
    mailbox.reads.clear()
    await _forgot(world, ana.email)
    await _mails(world, mailbox, ana.email)
    world.clock.advance(minutes=1)
    mailbox.reads.set()

    async def waiting() -> list[Any]:
        return await _waiting(world)

    await world.eventually(waiting, lambda rows: not rows, "that it is taken")
    assert len(mailbox.to(ana.email)) == 1


async def test_a_mail_of_which_nobody_knows_whether_it_went_waits_for_long(
    world: World, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smtp, "TAKES", 0.0)
    ana = await world.person("ana")
    await _forgot(world, ana.email)

    async def put_off() -> list[Any]:
        return [row["next_at"] - world.clock.now() for row in await _waiting(world)]

    await world.eventually(put_off, lambda waits: waits == [timedelta(minutes=15)], "that it waits")


async def test_no_table_and_no_event_has_a_token_and_no_row_of_a_mail_an_address(
    world: World, mailbox: Mailbox
) -> None:
    ana = await world.person("ana")
    mailbox.refuses = "451 try later"
    await _forgot(world, ana.email)
    await world.admin.call("POST", "/invites", {"email": EVA})

    async def waiting() -> list[Any]:
        return await _waiting(world)

    rows = await world.eventually(waiting, lambda rows: len(rows) == 2 and all(r["attempts"] for r in rows), "tries")
    assert ana.email not in str(rows)
    assert EVA not in str(rows)
    mailbox.refuses = None
    world.clock.advance(seconds=10)
    tokens = [token_of((await _mails(world, mailbox, email))[0]) for email in (ana.email, EVA)]
    for table in [*metadata.sorted_tables, *kept.sorted_tables]:
        rows = await _rows(world, table)
        assert not any(token in str(rows) for token in tokens), table.name
    events = str([event.data for event in await world.log("auth")])
    assert not any(token in events for token in tokens)
