"""Auth's operations about what people show to sign in: passwords, the links to others, second factors."""

from __future__ import annotations

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.auth import (
    BeginTotp,
    ChangePassword,
    ConfirmTotp,
    RecoveryCodes,
    RemoveTotp,
    SecondFactorView,
    Tokens,
    TotpSecret,
    UserView,
)
from libs.contracts.invites import (
    AskedFor,
    ForgotPassword,
    ResetLinkView,
    ResetPassword,
    Token,
)
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Nothing
from services.auth import application
from services.auth.links import Purpose
from services.auth.lost_factors import take_from_another
from services.auth.password_change import PasswordChanges
from services.auth.recovery import Recovery
from services.auth.refusals import Refusals
from services.auth.second_factors import SecondFactors


def add_password_operations(requests: Requests, changes: PasswordChanges) -> None:
    """One's own password."""

    @requests.handle("change_password", ChangePassword, action=Action.ME)
    async def change_password(body: ChangePassword, caller: Caller) -> Tokens:
        return await changes.change(body, caller)

    @requests.handle("unlock", ById, action=Action.PEOPLE_ACCESS)
    def unlock(work: Work, body: ById, caller: Caller) -> None:
        application.unlock(work, changes.attempts.guesses, body.id, caller.cause(work))


def add_recovery_operations(requests: Requests, recovery: Recovery, refusals: Refusals) -> None:
    """Links to another password, and to a verified address."""

    @requests.handle("forgot_password", ForgotPassword, public=True)
    async def forgot_password(body: ForgotPassword, _caller: None) -> AskedFor:
        return await recovery.forgot(body)

    @requests.handle("reset_password", ResetPassword, public=True, peer=True)
    async def reset_password(body: ResetPassword, peer: Peer) -> None:
        with refusals.of_links(Purpose.RESET, peer):
            await recovery.reset(body, peer)

    @requests.handle("reset_link", ById, action=Action.PEOPLE_ACCESS)
    def reset_link(work: Work, body: ById, caller: Caller) -> ResetLinkView:
        return recovery.reset_link(work, body.id, caller)

    @requests.handle("ask_to_verify", NoRequest, action=Action.ME)
    def ask_to_verify(work: Work, _body: NoRequest, caller: Caller) -> AskedFor:
        return recovery.ask_to_verify(work, caller.user_id)

    @requests.handle("verify_email", Token, public=True, peer=True)
    async def verify_email(body: Token, peer: Peer) -> UserView:
        with refusals.of_links(Purpose.VERIFY, peer):
            return await recovery.verify(body, peer)


def add_second_factor_operations(requests: Requests, factors: SecondFactors) -> None:
    """One's own second factor; an admin takes it from whoever has lost theirs."""

    @requests.query("second_factor", NoRequest, action=Action.ME)
    def second_factor(work: Work, _body: NoRequest, caller: Caller) -> SecondFactorView:
        return factors.view(work, caller)

    # What these show is shown once, and kept under no key.
    @requests.handle("begin_totp", BeginTotp, action=Action.ME)
    async def begin_totp(body: BeginTotp, caller: Caller) -> TotpSecret:
        return await factors.begin(body, caller)

    @requests.handle("confirm_totp", ConfirmTotp, action=Action.ME)
    async def confirm_totp(body: ConfirmTotp, caller: Caller) -> RecoveryCodes:
        return await factors.confirm(body, caller)

    @requests.handle("remove_totp", RemoveTotp, action=Action.ME)
    async def remove_totp(body: RemoveTotp, caller: Caller) -> Nothing:
        return await factors.remove(body, caller)

    @requests.handle("take_totp", ById, action=Action.PEOPLE_ACCESS)
    def take_totp(work: Work, body: ById, caller: Caller) -> None:
        take_from_another(work, body.id, caller, caller.cause(work))
