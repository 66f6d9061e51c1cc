"""Auth's operations on `pager.rpc.auth.*`, and who may call them."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.auditing import add_audit
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.work import Work
from libs.contracts.audit import ACCESSES, KeepAccesses
from libs.contracts.auth import (
    CaptchaChallenge,
    ChangePassword,
    ChangeUser,
    ConfirmTotp,
    DeviceQuery,
    DevicesView,
    DeviceView,
    EndOthers,
    EndSession,
    KeySet,
    LeaveBrowser,
    Login,
    Logout,
    LoseDevice,
    ProfileChange,
    RecoveryCodes,
    Refresh,
    RegisterDevice,
    RegisterUser,
    RemoveDevice,
    RemoveTotp,
    RotateKeys,
    SecondFactorView,
    SessionsOf,
    SessionsPage,
    SignedInView,
    SigningKeysView,
    Tokens,
    TotpSecret,
    UsersPage,
    UserView,
)
from libs.contracts.device_keys import ExchangeDevice, ScopedToken
from libs.contracts.erasure import EraseUser, ExportPage, ExportQuery
from libs.contracts.invites import (
    AskedFor,
    ForgotPassword,
    Invite,
    InvitesPage,
    InviteView,
    Register,
    ResetLinkView,
    ResetPassword,
    Token,
)
from libs.contracts.model import Contract, Role
from libs.contracts.oidc import OidcReturn, OidcReturned, OidcStarted, OidcToken, StartOidc
from libs.contracts.permissions import Action
from libs.contracts.person_keys import PersonKeys, PersonKeysOf
from libs.contracts.requests import ById, Forbidden, ListPage, NotFound, Nothing
from libs.contracts.web_sessions import Present
from services.auth import access, application, leaving, web_sessions
from services.auth.device_credentials import DeviceCredentials
from services.auth.directory import Directory
from services.auth.domain import devices
from services.auth.erasing import Erasures
from services.auth.export import exported
from services.auth.invitations import Invitations
from services.auth.key_api import add_key_operations
from services.auth.key_exchange import KeyExchange
from services.auth.key_room import KeyRoom
from services.auth.links import Purpose
from services.auth.lost_factors import take_from_another
from services.auth.maintenance import add_maintenance_operations
from services.auth.oidc.people import part
from services.auth.oidc.sign_in import OidcSignIns
from services.auth.password_change import PasswordChanges
from services.auth.queries import DEVICES_OF, OWN_DEVICES
from services.auth.recovery import Recovery
from services.auth.refusals import Refusals
from services.auth.registration import Prepared, Registration
from services.auth.second_factors import SecondFactors
from services.auth.sign_in import SignIns
from services.auth.subject_keys import keys_for
from services.auth.tables.watch import audit
from services.auth.team_api import add_team_operations
from services.auth.team_uses import TeamUses
from services.auth.views import device_view, user_view


def api(
    sign_ins: SignIns,
    registration: Registration,
    changes: PasswordChanges,
    invitations: Invitations,
    recovery: Recovery,
    factors: SecondFactors,
    room: KeyRoom,
    refusals: Refusals,
    team_uses: TeamUses,
    erasures: Erasures,
    directory: Directory,
    oidc: OidcSignIns,
    exchange: KeyExchange,
    credentials: DeviceCredentials,
) -> Requests:
    """Signing in, what is done with a link, and `keys` are public, and as the bus permits the keys' ages and rotation
    for operators, `person_keys` for services, and `keep_accesses` and `exchange_key` for the gateway; all else needs an
    access token."""
    requests = Requests("auth")
    _sessions(requests, sign_ins)
    _oidc(requests, oidc)
    _people(requests, registration, directory)
    _passwords(requests, changes)
    _changes(requests)
    _invites(requests, invitations, refusals)
    _recovery(requests, recovery, refusals)
    _second_factors(requests, factors)
    _devices(requests, credentials)
    add_team_operations(requests, team_uses)
    add_key_operations(requests, exchange)
    add_maintenance_operations(requests)
    _keys(requests, room)
    _audit(requests, refusals)
    _erasures(requests, erasures)
    return requests


def _audit(requests: Requests, refusals: Refusals) -> None:
    add_audit(requests, Trail(audit), {ACCESSES: access.page})

    @requests.handle("keep_accesses", KeepAccesses, public=True)
    async def keep_accesses(body: KeepAccesses, _caller: None) -> Nothing:
        return await access.keep(refusals.store, refusals, body)


def _keys(requests: Requests, room: KeyRoom) -> None:
    @requests.handle("keys", NoRequest, public=True)
    async def public_keys(_body: NoRequest, _caller: None) -> KeySet:
        return await room.keys.public()

    @requests.handle("signing_keys", NoRequest, public=True)
    async def signing_keys(_body: NoRequest, _caller: None) -> SigningKeysView:
        return await room.view()

    @requests.handle("rotate_keys", RotateKeys, public=True)
    async def rotate_keys(body: RotateKeys, _caller: None) -> SigningKeysView:
        return await room.rotate(compromised=body.compromised)

    @requests.query("person_keys", PersonKeysOf, public=True)
    def person_keys(work: Work, body: PersonKeysOf, _caller: None) -> PersonKeys:
        return keys_for(work, body.user_ids)


def _erasures(requests: Requests, erasures: Erasures) -> None:
    async def can(_body: EraseUser, _caller: Caller) -> None:
        erasures.check()

    # The ledger is written after the commit: what nobody has decided must never erase anybody.
    async def recorded(body: EraseUser, _caller: Caller) -> None:
        await erasures.record(body.id)

    @requests.handle(
        "erase_user",
        EraseUser,
        action=Action.PEOPLE_WRITE,
        before=can,
        after=recorded,
        versioned=application.USERS,
    )
    def erase_user(work: Work, body: EraseUser, caller: Caller) -> Nothing:
        erasures.erase(work, body, caller.cause(work))
        return Nothing()

    @requests.query("export", ExportQuery, action=Action.ME)
    def export(work: Work, body: ExportQuery, caller: Caller) -> ExportPage:
        return exported(work, body, caller)


def _sessions(requests: Requests, sign_ins: SignIns) -> None:
    @requests.handle("login", Login, public=True, peer=True)
    async def login(body: Login, peer: Peer) -> SignedInView:
        return await sign_ins.log_in(body, peer)

    @requests.handle("captcha", NoRequest, public=True)
    async def captcha(_body: NoRequest, _caller: None) -> CaptchaChallenge:
        return sign_ins.attempts.captchas.challenge()

    @requests.handle("refresh", Refresh, public=True, peer=True)
    async def refresh(body: Refresh, peer: Peer) -> Tokens:
        return await sign_ins.refresh(body, peer)

    @requests.handle("leave_browser", LeaveBrowser, public=True)
    def leave_browser(work: Work, body: LeaveBrowser, _caller: None) -> None:
        leaving.leave_browser(work, body)

    @requests.handle("present", Present, public=True)
    def present(work: Work, body: Present, _caller: None) -> None:
        web_sessions.present(work, body)

    @requests.query("sessions", SessionsOf, action=Action.ME)
    def sessions(work: Work, body: SessionsOf, caller: Caller) -> SessionsPage:
        return leaving.listed(work, body, caller)

    @requests.handle("end_session", EndSession, action=Action.ME, turn=_whose)
    def end_session(work: Work, body: EndSession, caller: Caller) -> None:
        leaving.end_session(work, body, caller, caller.cause(work))

    @requests.handle("end_sessions", EndOthers, action=Action.ME, turn=_whose)
    def end_sessions(work: Work, body: EndOthers, caller: Caller) -> None:
        leaving.end_sessions(work, body, caller, caller.cause(work))

    @requests.handle("revoke_token", NoRequest, action=Action.ME)
    def revoke_token(work: Work, _body: NoRequest, caller: Caller) -> None:
        application.revoke_token(work, caller, caller.cause(work))

    @requests.handle("logout", Logout, action=Action.ME, turn=_own)
    def logout(work: Work, body: Logout, caller: Caller) -> None:
        application.log_out(work, caller.user_id, None if body.all_devices else body.device_id, caller.cause(work))


def _oidc(requests: Requests, oidc: OidcSignIns) -> None:
    @requests.handle("oidc_start", StartOidc, public=True)
    async def oidc_start(body: StartOidc, _caller: None) -> OidcStarted:
        return await oidc.start(body)

    @requests.handle("oidc_return", OidcReturn, public=True, peer=True)
    async def oidc_return(body: OidcReturn, peer: Peer) -> OidcReturned:
        return await oidc.come_back(body, peer)

    @requests.handle("oidc_token", OidcToken, public=True, peer=True)
    async def oidc_token(body: OidcToken, peer: Peer) -> SignedInView:
        return await oidc.exchange(body, peer)

    @requests.handle("part_identities", ById, action=Action.PEOPLE_ACCESS)
    def part_identities(work: Work, body: ById, caller: Caller) -> None:
        part(work, body.id, caller.cause(work))


def _people(requests: Requests, registration: Registration, directory: Directory) -> None:
    async def prepare(body: RegisterUser, caller: Caller) -> Prepared:
        _check_gives(caller, body.roles)
        return await registration.prepare(body)

    @requests.handle("register_user", RegisterUser, action=Action.PEOPLE_WRITE, before=prepare)
    def register_user(work: Work, _body: RegisterUser, caller: Caller, prepared: Prepared) -> UserView:
        return registration.register(work, prepared, caller.cause(work))

    @requests.query("users", ListPage, action=Action.PEOPLE_READ)
    def users(work: Work, body: ListPage, caller: Caller) -> UsersPage:
        page = directory.page(work, body)
        views = (_seen_by(caller, user_view(row)) for row in page.rows)
        return UsersPage(**page.told("users", views))

    @requests.query("user", ById, action=Action.PEOPLE_READ)
    def user(work: Work, body: ById, caller: Caller) -> UserView:
        return _seen_by(caller, application.user(work, body.id))

    @requests.query("me", NoRequest, action=Action.ME)
    def me(work: Work, _body: NoRequest, caller: Caller) -> UserView:
        return application.user(work, caller.user_id)


def _passwords(requests: Requests, changes: PasswordChanges) -> None:
    @requests.handle("change_password", ChangePassword, action=Action.ME)
    async def change_password(body: ChangePassword, caller: Caller) -> Tokens:
        return await changes.change(body, caller)

    @requests.handle("unlock", ById, action=Action.PEOPLE_ACCESS)
    def unlock(work: Work, body: ById, caller: Caller) -> None:
        application.unlock(work, changes.attempts.guesses, body.id, caller.cause(work))


def _changes(requests: Requests) -> None:
    @requests.handle("change_me", ProfileChange, action=Action.ME, versioned=application.USERS, entity=_own)
    def change_me(work: Work, body: ProfileChange, caller: Caller) -> UserView:
        return application.change_user(work, caller.user_id, body, caller.cause(work))

    @requests.handle("change_user", ChangeUser, action=Action.PEOPLE_WRITE, versioned=application.USERS)
    def change_user(work: Work, body: ChangeUser, caller: Caller) -> UserView:
        _check_gives(caller, body.roles or ())
        return application.change_user(work, body.id, body, caller.cause(work))

    @requests.handle("deactivate_user", ById, action=Action.PEOPLE_WRITE, versioned=application.USERS)
    def deactivate_user(work: Work, body: ById, caller: Caller) -> UserView:
        return application.deactivate(work, body.id, caller.cause(work))

    @requests.handle("reactivate_user", ById, action=Action.PEOPLE_WRITE, versioned=application.USERS)
    def reactivate_user(work: Work, body: ById, caller: Caller) -> UserView:
        return application.reactivate(work, body.id, caller.cause(work))


def _invites(requests: Requests, invitations: Invitations, refusals: Refusals) -> None:
    @requests.handle("invite", Invite, action=Action.PEOPLE_WRITE)
    def invite(work: Work, body: Invite, caller: Caller) -> InviteView:
        _check_gives(caller, body.roles)
        return invitations.invite(work, body, caller.cause(work))

    @requests.query("invites", ListPage, action=Action.PEOPLE_WRITE)
    def invites(work: Work, body: ListPage, caller: Caller) -> InvitesPage:
        return invitations.page(work, body)

    @requests.query("get_invite", ById, action=Action.PEOPLE_WRITE)
    def get_invite(work: Work, body: ById, _caller: Caller) -> InviteView:
        return invitations.one(work, body.id)

    @requests.handle("resend_invite", ById, action=Action.PEOPLE_WRITE)
    def resend_invite(work: Work, body: ById, caller: Caller) -> InviteView:
        sent = invitations.resend(work, body.id, caller.cause(work))
        _check_gives(caller, sent.roles)  # the link may be in the answer
        return sent

    @requests.handle("revoke_invite", ById, action=Action.PEOPLE_WRITE)
    def revoke_invite(work: Work, body: ById, caller: Caller) -> None:
        invitations.revoke(work, body.id, caller.cause(work))

    @requests.handle("register", Register, public=True, peer=True)
    async def register(body: Register, peer: Peer) -> UserView:
        with refusals.of_links(Purpose.INVITE, peer):
            return await invitations.register(body, peer)


def _recovery(requests: Requests, recovery: Recovery, refusals: Refusals) -> None:
    @requests.handle("forgot_password", ForgotPassword, public=True)
    async def forgot_password(body: ForgotPassword, _caller: None) -> AskedFor:
        return await recovery.forgot(body)

    @requests.handle("reset_password", ResetPassword, public=True, peer=True)
    async def reset_password(body: ResetPassword, peer: Peer) -> None:
        with refusals.of_links(Purpose.RESET, peer):
            await recovery.reset(body, peer)

    @requests.handle("reset_link", ById, action=Action.PEOPLE_ACCESS)
    def reset_link(work: Work, body: ById, caller: Caller) -> ResetLinkView:
        return recovery.reset_link(work, body.id, caller.cause(work))

    @requests.handle("ask_to_verify", NoRequest, action=Action.ME)
    def ask_to_verify(work: Work, _body: NoRequest, caller: Caller) -> AskedFor:
        return recovery.ask_to_verify(work, caller.user_id)

    @requests.handle("verify_email", Token, public=True, peer=True)
    async def verify_email(body: Token, peer: Peer) -> UserView:
        with refusals.of_links(Purpose.VERIFY, peer):
            return await recovery.verify(body, peer)


def _second_factors(requests: Requests, factors: SecondFactors) -> None:
    @requests.query("second_factor", NoRequest, action=Action.ME)
    def second_factor(work: Work, _body: NoRequest, caller: Caller) -> SecondFactorView:
        return factors.view(work, caller)

    # What these show is shown once, and kept under no key.
    @requests.handle("begin_totp", NoRequest, action=Action.ME)
    async def begin_totp(_body: NoRequest, caller: Caller) -> TotpSecret:
        return await factors.begin(caller)

    @requests.handle("confirm_totp", ConfirmTotp, action=Action.ME)
    async def confirm_totp(body: ConfirmTotp, caller: Caller) -> RecoveryCodes:
        return await factors.confirm(body, caller)

    @requests.handle("remove_totp", RemoveTotp, action=Action.ME)
    async def remove_totp(body: RemoveTotp, caller: Caller) -> Nothing:
        return await factors.remove(body, caller)

    @requests.handle("take_totp", ById, action=Action.PEOPLE_ACCESS)
    def take_totp(work: Work, body: ById, caller: Caller) -> None:
        take_from_another(work, body.id, caller, caller.cause(work))


def _devices(requests: Requests, credentials: DeviceCredentials) -> None:
    @requests.handle("exchange_device", ExchangeDevice, public=True)
    async def exchange_device(body: ExchangeDevice, _caller: None) -> ScopedToken:
        return await credentials.exchange(body)

    @requests.handle("register_device", RegisterDevice, action=Action.ME, turn=_own)
    def register_device(work: Work, body: RegisterDevice, caller: Caller) -> DeviceView:
        command = devices.RegisterDevice(
            user_id=caller.user_id,
            device_id=body.device_id,
            name=body.device_name,
            platform=body.platform,
            push_token=body.push_token,
            now=work.now,
        )
        return application.add_device(work, command, body.replace, caller.cause(work))

    @requests.handle("remove_device", RemoveDevice, action=Action.ME, turn=_own)
    def remove_device(work: Work, body: RemoveDevice, caller: Caller) -> None:
        application.remove_device(work, caller.user_id, body.device_id, caller.cause(work))

    @requests.handle("lose_device", LoseDevice, action=Action.PEOPLE_ACCESS, turn=_whose)
    def lose_device(work: Work, body: LoseDevice, caller: Caller) -> None:
        leaving.lose_device(work, body, caller, caller.cause(work))

    @requests.query("device", DeviceQuery, action=Action.ME)
    def own_device(work: Work, body: DeviceQuery, caller: Caller) -> DeviceView:
        for row in work.fetch(DEVICES_OF, user_id=caller.user_id):
            if row["device_id"] == body.device_id:
                return device_view(row)
        raise NotFound("you have no such device", field="deviceId")

    @requests.query("devices", ListPage, action=Action.ME)
    def own_devices(work: Work, body: ListPage, caller: Caller) -> DevicesView:
        page = OWN_DEVICES.page(work, body, user_id=caller.user_id)
        return DevicesView(**page.told("devices", map(device_view, page.rows)))


def _own(_body: Contract, caller: Caller) -> UUID:
    """One's sessions and devices are changed one after the other."""
    return caller.user_id


def _whose(body: EndSession | EndOthers | LoseDevice, caller: Caller) -> UUID:
    """The same, of another person."""
    return body.user_id or caller.user_id


def _check_gives(caller: Caller, roles: Collection[Role]) -> None:
    """A machine makes nobody more than everybody is: as a person of its own making it would do what no scope names.

    Raises:
        Forbidden: it is an API key, and would give the role lead or admin.
    """
    if caller.key_id is not None and not {Role.USER}.issuperset(roles):
        raise Forbidden("the roles lead and admin are given by people, and by no API key")


def _seen_by(caller: Caller, user: UserView) -> UserView:
    """Colleagues choose each other by name and address; a number is for leads, admins and oneself.

    It is not for a team's managers: they put whom they like into their team.
    """
    if caller.person == user.id or caller.may(Action.PEOPLE_CONTACT):
        return user
    return user.model_copy(update={"phone": None})
