"""Auth's operations about sessions and the devices that they are on: begun, renewed, seen and ended."""

from __future__ import annotations

from uuid import UUID

from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.peers import Peer
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.auth import (
    CaptchaChallenge,
    DeviceQuery,
    DevicesView,
    DeviceView,
    EndOthers,
    EndSession,
    LeaveBrowser,
    Login,
    Logout,
    LoseDevice,
    Refresh,
    RegisterDevice,
    RemoveDevice,
    SessionsOf,
    SessionsPage,
    SignedInView,
    SignInMethods,
    Tokens,
)
from libs.contracts.device_keys import ExchangeDevice, ScopedToken
from libs.contracts.model import Contract
from libs.contracts.oidc import OidcReturn, OidcReturned, OidcStarted, OidcToken, StartOidc
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, ListPage, NotFound
from libs.contracts.web_push import PushServices
from libs.contracts.web_sessions import Present
from services.auth import leaving, signed_in, web_sessions
from services.auth.device_credentials import DeviceCredentials
from services.auth.domain import devices
from services.auth.oidc.people import part
from services.auth.oidc.sign_in import OidcSignIns
from services.auth.queries import DEVICES_OF, OWN_DEVICES
from services.auth.sign_in import SignIns
from services.auth.views import device_view


def add_session_operations(requests: Requests, sign_ins: SignIns) -> None:
    """Signed in, refreshed, seen and ended."""

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
        signed_in.revoke_token(work, caller, caller.cause(work))

    @requests.handle("logout", Logout, action=Action.ME, turn=_own)
    def logout(work: Work, body: Logout, caller: Caller) -> None:
        signed_in.log_out(work, caller.user_id, None if body.all_devices else body.device_id, caller.cause(work))


def add_oidc_operations(requests: Requests, oidc: OidcSignIns) -> None:
    """Signed in at the identity provider; `part_identities` is an admin's."""

    @requests.handle("oidc_start", StartOidc, public=True)
    async def oidc_start(body: StartOidc, _caller: None) -> OidcStarted:
        return await oidc.start(body)

    @requests.handle("sign_in_methods", NoRequest, public=True)
    async def sign_in_methods(_body: NoRequest, _caller: None) -> SignInMethods:
        return oidc.methods()

    @requests.handle("oidc_return", OidcReturn, public=True, peer=True)
    async def oidc_return(body: OidcReturn, peer: Peer) -> OidcReturned:
        return await oidc.come_back(body, peer)

    @requests.handle("oidc_token", OidcToken, public=True, peer=True)
    async def oidc_token(body: OidcToken, peer: Peer) -> SignedInView:
        return await oidc.exchange(body, peer)

    @requests.handle("part_identities", ById, action=Action.PEOPLE_ACCESS)
    def part_identities(work: Work, body: ById, caller: Caller) -> None:
        part(work, body.id, caller.cause(work))


def add_device_operations(requests: Requests, credentials: DeviceCredentials, services: PushServices) -> None:
    """Phones to page, and what they show when their session has ended."""

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
            services=services,
        )
        return signed_in.add_device(work, command, body.replace, caller.cause(work))

    @requests.handle("remove_device", RemoveDevice, action=Action.ME, turn=_own)
    def remove_device(work: Work, body: RemoveDevice, caller: Caller) -> None:
        signed_in.remove_device(work, caller.user_id, body.device_id, caller.cause(work))

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
