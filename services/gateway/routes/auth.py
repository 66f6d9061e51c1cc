"""Sign-in, refresh and sign-out (specification, Authentication Endpoints)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Path, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.consume.owner import NoRequest
from libs.contracts.auth import (
    CaptchaChallenge,
    ChangePassword,
    EndOthers,
    EndSession,
    LeaveBrowser,
    Login,
    Logout,
    Platform,
    Refresh,
    SessionsOf,
    SessionView,
    SignedInView,
    SignInMethods,
    Tokens,
    UserView,
)
from libs.contracts.device_keys import Proof, ath_of
from libs.contracts.invites import AskedFor, ForgotPassword, JoinedView, Register, ResetPassword, Token
from libs.contracts.model import StrictContract
from libs.contracts.requests import Nothing
from services.gateway import cookies
from services.gateway.envelope import Problem, item, success
from services.gateway.forwarding import complete
from services.gateway.front import front_of
from services.gateway.listing import Paging, page
from services.gateway.responses import ANOTHERS_PAGE, TOO_MANY_DEVICES, Documented, answer, documented, one, several
from services.gateway.route import SIGNED_IN, V1, Asking, PagerRoute

router = APIRouter(prefix=f"{V1}/auth", tags=["auth"], route_class=PagerRoute)

_EXAMPLES = {
    "phone": {
        "summary": "From a phone",
        "value": {
            "email": "user@company.com",
            "password": "securePassword123!",
            "deviceId": "unique-device-identifier",
            "deviceName": "iPhone 14 Pro",
            "pushToken": "fcm-or-apns-token",
        },
    }
}
_REFRESH_TOKEN = HTTPBearer(auto_error=False, scheme_name="refreshToken", description="The refresh token.")
_LIMITED: Documented = {
    429: {
        "description": "RATE_LIMITED: five wrong passwords came from the caller's address within a minute, or for this "
        "account: then it is locked from there for 15 minutes, and each time in a row for twice as long. Whether "
        "anybody has the account is not said"
    }
}
_TOO_OFTEN: Documented = {
    429: {"description": "RATE_LIMITED: the session was renewed thirty times within a minute, and goes on"}
}
_GUESSED: Documented = {
    429: {
        "description": "RATE_LIMITED: five wrong passwords came from the caller's address within a minute, or in this "
        "session, which may not change it for 15 minutes then; or it was tried twenty times within these"
    }
}
_LINKS: Documented = {
    429: {"description": "RATE_LIMITED: five wrong links came from the caller's address within a minute"}
}
_ASKED: Documented = {
    429: {"description": "RATE_LIMITED: five links were asked for from the caller's address within a minute"}
}
_WRONG: Documented = {
    401: {
        "description": "UNAUTHENTICATED: invalid credentials. SECOND_FACTOR_REQUIRED: they are right, and a code is "
        "wanted as `totp`; with `details.totp` it is set up by that. CAPTCHA_REQUIRED: many wrong passwords were tried "
        "for the account, so `details.captcha` is to be solved first (`PAGER_CAPTCHA`)"
    }
}

_SOME_LINK = "a link"
"""Instead of an account: whose link it is only auth knows."""


class RefreshBody(StrictContract):
    device_id: str = Field(min_length=1, max_length=255)
    proof: Proof | None = Field(default=None, repr=False)
    """For a session that is bound to a device's key: by that key, its `ath` of the refresh token. A browser, which does
    not see its cookie, asks without one first: 401 with `details.field: "proof"` has it as `details.ath`."""


@router.post(
    "/login",
    operation_id="login",
    summary="Sign in",
    responses=documented(answer("SignedIn", SignedInView), conflict=TOO_MANY_DEVICES)
    | _LIMITED
    | _WRONG
    | ANOTHERS_PAGE,
)
async def login(body: Annotated[Login, Body(openapi_examples=_EXAMPLES)], ask: Asking, request: Request) -> Response:
    """`platform: "web"` begins a browser's session: its refresh token is in a cookie and not in the answer, it needs an
    `Origin`, and it ends when nothing was asked for in it for 30 minutes."""
    front = front_of(request)
    if body.platform is Platform.WEB:
        cookies.check_path(request)
        front.origins.check(request)
    address = front.addresses.of(request)
    if body.device_key is not None and body.proof is not None and front.brake.holds(address, body.email):
        # Auth knows whether somebody has signed in on this device before; of strangers it wants to hear no more.
        return _signed_in(await ask.command("auth", "login", body, peer=replace(ask.peer, held=True)), body)
    await front.brake.turn(address, body.email)
    with front.brake.attempt(address, body.email) as known:
        peer = replace(ask.peer, known=known)
        return _signed_in(await ask.command("auth", "login", body, peer=peer), body)


def _signed_in(data: Any, body: Login) -> Response:
    return success(data, headers=cookies.keep(data["tokens"]) if body.platform is Platform.WEB else None)


@router.get(
    "/methods",
    operation_id="getSignInMethods",
    summary="How one signs in here",
    responses=documented(answer("SignInMethods", SignInMethods)),
)
async def methods(ask: Asking) -> Response:
    return success(await ask.query("auth", "sign_in_methods", NoRequest()))


@router.get(
    "/captcha",
    operation_id="captcha",
    summary="A captcha for ALTCHA's widget",
    responses=documented(answer("Captcha", CaptchaChallenge), missing="no captchas are asked for here"),
)
async def captcha(ask: Asking) -> Response:
    """What solves it is good once, for ten minutes, as `captcha` at login."""
    return success(await ask.query("auth", "captcha", NoRequest()))


@router.post(
    "/refresh",
    operation_id="refresh",
    summary="Exchange a refresh token for new tokens",
    responses=documented(one("tokens", Tokens, "Tokens")) | _TOO_OFTEN,
)
async def refresh(
    body: RefreshBody,
    ask: Asking,
    request: Request,
    token: Annotated[HTTPAuthorizationCredentials | None, Security(_REFRESH_TOKEN)],
    _cookie: Annotated[str | None, cookies.OR_COOKIE] = None,
) -> Response:
    """A browser shows its cookie instead, and gets the next one."""
    front = front_of(request)
    kept = cookies.shown(request)
    if kept is not None:
        front.origins.check(request)
        shown = complete(Refresh, body, refresh_token=kept, by_cookie=True)
    elif token is not None:
        shown = complete(Refresh, body, refresh_token=token.credentials)
    else:
        raise Problem("UNAUTHENTICATED", "send the refresh token as Authorization: Bearer")
    try:
        tokens = await ask.command("auth", "refresh", shown)
    except Problem as problem:
        raise _over(problem, kept) if kept is not None else problem from None
    return success({"tokens": tokens}, headers=cookies.keep(tokens) if kept is not None else None)


def _over(problem: Problem, kept: str) -> Problem:
    """What a browser is told whose session is over: its cookie goes, unless all that it needs is a proof. What of, it
    is told as well: no script of its page sees the cookie, and whoever has sent that learns nothing new."""
    if problem.code == "UNAUTHENTICATED" and problem.field is None:
        problem.headers = {**(problem.headers or {}), **cookies.FORGET}
    elif problem.field == "proof":
        problem.more = {**problem.more, "ath": ath_of(kept)}
    return problem


@router.post(
    "/logout",
    operation_id="logout",
    summary="End the device's session, or all of them",
    responses=documented(answer("LoggedOut", Nothing)),
    dependencies=[SIGNED_IN, cookies.OR_COOKIE],
)
async def logout(body: Logout, ask: Asking, request: Request) -> Response:
    """A browser may show its cookie instead of an access token. The cookie goes."""
    if (kept := cookies.shown(request)) is None:
        await ask.command("auth", "logout", body, repeatable=True)
        return success({}, headers=cookies.FORGET if cookies.NAME in request.cookies else None)
    front_of(request).origins.check(request)
    try:
        await ask.command("auth", "leave_browser", complete(LeaveBrowser, body, refresh_token=kept), repeatable=True)
    except Problem as problem:
        raise _over(problem, kept) from None
    return success({}, headers=cookies.FORGET)


@router.delete(
    "/token",
    operation_id="revokeToken",
    summary="Give the access token up with which this is asked",
    responses=documented(answer("TokenRevoked", Nothing)),
    dependencies=[SIGNED_IN],
)
async def revoke_token(ask: Asking) -> Response:
    """For one that others may have seen: it opens nothing any more. The session goes on with the next one."""
    await ask.command("auth", "revoke_token", Nothing())
    return success({})


@router.get(
    "/sessions",
    operation_id="listSessions",
    summary="Where the caller is signed in",
    responses=documented(several("sessions", SessionView, "Sessions")),
    dependencies=[SIGNED_IN],
)
async def list_sessions(paging: Paging, ask: Asking) -> Response:
    return page(
        "sessions", await ask.query("auth", "sessions", SessionsOf(**paging.model_dump(exclude_unset=True))), paging
    )


@router.delete(
    "/sessions",
    operation_id="endOtherSessions",
    summary="Sign out everywhere but here",
    responses=documented(answer("SessionsEnded", Nothing)),
    dependencies=[SIGNED_IN],
)
async def end_other_sessions(ask: Asking) -> Response:
    """Devices are paged as before: one that is lost is removed with `DELETE /devices/{deviceId}`."""
    await ask.command("auth", "end_sessions", EndOthers(), repeatable=True)
    return success({})


@router.delete(
    "/sessions/{id}",
    operation_id="endSession",
    summary="Sign out somewhere",
    responses=documented(answer("SessionEnded", Nothing)),
    dependencies=[SIGNED_IN],
)
async def end_session(session_id: Annotated[UUID, Path(alias="id")], ask: Asking) -> Response:
    """Its device is paged as before, until it is removed. It may be the one that asks."""
    await ask.command("auth", "end_session", EndSession(id=session_id))
    return success({})


@router.post(
    "/register",
    operation_id="register",
    summary="Make one's account, by an invite",
    status_code=201,
    responses=documented(answer("Registered", JoinedView), 201, conflict="the address has an account meanwhile")
    | _LINKS
    | ANOTHERS_PAGE,
)
async def register(body: Register, ask: Asking, request: Request) -> Response:
    """With `deviceId` they are signed in there by it, as at login, unless a second factor is wanted of them.

    Said again with the same password, as by whoever did not hear the answer, it tells the same, and signs in anew.
    """
    if body.platform is Platform.WEB:
        cookies.check_path(request)
        front_of(request).origins.check(request)
    with await _link_attempt(request):
        user = await ask.command("auth", "register", body)
    tokens, credential = user.pop("tokens", None), user.pop("deviceCredential", None)
    kept = cookies.keep(tokens) if tokens is not None and body.platform is Platform.WEB else {}
    made = item("user", user, 201, tokens=tokens, deviceCredential=credential)
    made.headers.update(kept)
    return made


@router.post(
    "/password/change",
    operation_id="changePassword",
    summary="Give oneself another password",
    responses=documented(one("tokens", Tokens, "Tokens")) | _GUESSED,
    dependencies=[SIGNED_IN],
)
async def change_password(body: ChangePassword, ask: Asking, request: Request) -> Response:
    """The session goes on with the tokens of the answer, and its refresh token from before is good no longer.

    All other sessions of the person end; their devices are paged and their API keys let in as before. Repeated, it
    gives new tokens again.
    """
    front = front_of(request)
    address, person = front.addresses.of(request), str(request.state.user_id)
    await front.brake.turn(address, person)
    with front.brake.attempt(address, person):
        tokens = await ask.command("auth", "change_password", body)
        return success({"tokens": tokens}, headers=cookies.keep(tokens) if request.state.is_web else None)


@router.post(
    "/password/forgot",
    operation_id="forgotPassword",
    summary="Have a link sent with which one chooses another password",
    status_code=202,
    responses=documented(answer("AskedFor", AskedFor), 202, conflict="no mails are sent from here") | _ASKED,
)
async def forgot_password(body: ForgotPassword, ask: Asking, request: Request) -> Response:
    """Whether anybody has the address is not said. The link works once, for 15 minutes."""
    front = front_of(request)
    address = front.addresses.of(request)
    await front.brake.turn(address, body.email)
    with front.brake.attempt(address, body.email, spends=True):
        await ask.command("auth", "forgot_password", body)
        return success({}, 202)


@router.post(
    "/password/reset",
    operation_id="resetPassword",
    summary="Choose another password, by a link",
    responses=documented(answer("PasswordReset", Nothing)) | _LINKS,
)
async def reset_password(body: ResetPassword, ask: Asking, request: Request) -> Response:
    """All sessions of the person end; their devices are paged and their API keys let in as before."""
    with await _link_attempt(request):
        await ask.command("auth", "reset_password", body)
        return success({})


@router.post(
    "/email/verify",
    operation_id="verifyEmail",
    summary="Show that an address is one's own, by a link",
    responses=documented(one("user", UserView, "User")) | _LINKS,
)
async def verify_email(body: Token, ask: Asking, request: Request) -> Response:
    with await _link_attempt(request):
        return item("user", await ask.command("auth", "verify_email", body))


async def _link_attempt(request: Request) -> AbstractContextManager[bool]:
    """Around one use of a link; whoever tries tokens is braked as whoever tries passwords is."""
    front = front_of(request)
    address = front.addresses.of(request)
    await front.brake.turn(address, _SOME_LINK)
    return front.brake.attempt(address, _SOME_LINK)
