"""Signing in at an identity provider: the browser goes there and comes back, the app fetches its session."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from libs.contracts.auth import Platform, SignedInView
from libs.contracts.oidc import CHALLENGE, OidcReturn, OidcToken, StartOidc
from libs.contracts.requests import ById, Nothing
from libs.contracts.texts import ONE_LINE
from services.gateway import cookies
from services.gateway.envelope import Problem, success
from services.gateway.front import front_of
from services.gateway.responses import ANOTHERS_PAGE, TOO_MANY_DEVICES, Documented, answer, documented
from services.gateway.route import SIGNED_IN, V1, Asking, OpenRoute, PagerRoute

router = APIRouter(prefix=V1, route_class=PagerRoute)
returning = APIRouter(prefix=V1, route_class=OpenRoute)
"""What a provider adds to its answer is its own affair (RFC 6749, section 4.1.2)."""

_SOME_SIGN_IN: Final = "a sign-in at the provider"
"""Instead of an account: whose it is only auth knows."""
_COOKIE: Final = "pager-sign-in"
_LONGEST_COOKIE: Final = 4096
_REDIRECT: Final[Documented] = {302: {"description": "Location says where to"}}
_LIMITED: Final[Documented] = {
    429: {"description": "RATE_LIMITED: five sign-ins from the caller's address were refused within a minute"}
}
_AWAY: Final[Documented] = {503: {"description": "UNAVAILABLE: the identity provider does not answer, or auth"}}
_NONE: Final = "there is no identity provider"


@router.get(
    "/auth/oidc/start",
    operation_id="startOidc",
    summary="Sign in at the identity provider: for a browser",
    tags=["auth"],
    status_code=302,
    response_class=RedirectResponse,
    responses=_REDIRECT | _AWAY | {404: {"description": f"NOT_FOUND: {_NONE}"}},
)
async def start(
    ask: Asking,
    request: Request,
    device_id: Annotated[str, Query(alias="deviceId", min_length=1, max_length=255, pattern=ONE_LINE)],
    redirect_uri: Annotated[
        str, Query(alias="redirectUri", min_length=1, max_length=512, description="One of PAGER_OIDC_REDIRECT_URIS.")
    ],
    code_challenge: Annotated[
        str, Query(alias="codeChallenge", pattern=CHALLENGE, description="S256 of the app's verifier (RFC 7636).")
    ],
) -> Response:
    """The browser comes back to `redirectUri` with a `code`, which is good once, for a minute; or with an `error` and
    its `error_description`."""
    body = StartOidc(device_id=device_id, redirect_uri=redirect_uri, code_challenge=code_challenge)
    started = await ask.command("auth", "oidc_start", body, repeatable=True)
    response = RedirectResponse(started["location"], 302)
    secure = _https(request)
    # Lax: the browser brings it along when the provider sends it back. With this prefix no other host may set it.
    response.set_cookie(
        _cookie(secure=secure),
        started["cookie"],
        max_age=started["lasts"],
        path="/",
        secure=secure,
        httponly=True,
        samesite="lax",
    )
    return response


@returning.get(
    "/auth/oidc/callback",
    operation_id="returnFromOidc",
    summary="Where the identity provider sends the browser back to",
    tags=["auth"],
    status_code=302,
    response_class=RedirectResponse,
    responses=_REDIRECT
    | _AWAY
    | _LIMITED
    | {
        401: {
            "description": "UNAUTHENTICATED: the sign-in was not begun in this browser, or took more than ten minutes"
        },
        404: {"description": f"NOT_FOUND: {_NONE}"},
    },
)
async def come_back(
    ask: Asking,
    request: Request,
    state: Annotated[str | None, Query(max_length=255)] = None,
    code: Annotated[str | None, Query(max_length=4096)] = None,
    error: Annotated[str | None, Query(max_length=255)] = None,
    iss: Annotated[str | None, Query(max_length=2048)] = None,
) -> Response:
    front, name = front_of(request), _cookie(secure=_https(request))
    cookie = request.cookies.get(name)
    kept = cookie if cookie is not None and len(cookie) <= _LONGEST_COOKIE else None
    body = OidcReturn(state=state, code=code, error=error, iss=iss, cookie=kept)
    address = front.addresses.of(request)
    await front.brake.turn(address, _SOME_SIGN_IN)
    try:
        with front.brake.attempt(address, _SOME_SIGN_IN):
            location = (await ask.command("auth", "oidc_return", body))["location"]
    except Problem as problem:
        if (location := problem.more.get("location")) is None:
            raise
    response = RedirectResponse(location, 302)
    response.delete_cookie(name, path="/", secure=_https(request), httponly=True, samesite="lax")
    return response


@router.post(
    "/auth/oidc/token",
    operation_id="oidcToken",
    summary="Fetch the session of a sign-in at the identity provider",
    tags=["auth"],
    responses=documented(answer("SignedIn", SignedInView), conflict=TOO_MANY_DEVICES, missing=_NONE)
    | _LIMITED
    | ANOTHERS_PAGE
    | {
        401: {
            "description": "UNAUTHENTICATED: the code or the verifier is not good. SECOND_FACTOR_REQUIRED: as at "
            "login, where the provider has not said that it asked for several factors; the code is good for its minute"
        }
    },
)
async def token(body: OidcToken, ask: Asking, request: Request) -> Response:
    """The same answer as at login. The session is that of the `deviceId` which the sign-in was begun with."""
    front = front_of(request)
    if body.platform is Platform.WEB:
        cookies.check_path(request)
        front.origins.check(request)
    address = front.addresses.of(request)
    await front.brake.turn(address, _SOME_SIGN_IN)
    with front.brake.attempt(address, _SOME_SIGN_IN):
        data = await ask.command("auth", "oidc_token", body)
        return success(data, headers=cookies.keep(data["tokens"]) if body.platform is Platform.WEB else None)


@router.delete(
    "/users/{id}/identities",
    operation_id="partIdentities",
    summary="Part somebody from their accounts at the identity provider (admin)",
    tags=["users"],
    responses=documented(answer("IdentitiesParted", Nothing)),
    dependencies=[SIGNED_IN],
)
async def part_identities(user_id: Annotated[UUID, Path(alias="id")], ask: Asking) -> Response:
    """Whoever signs in there next with their verified address is linked anew. Their sessions go on."""
    await ask.command("auth", "part_identities", ById(id=user_id), repeatable=True)
    return success({})


def _https(request: Request) -> bool:
    return bool(request.app.state.https)


def _cookie(*, secure: bool) -> str:
    return f"__Host-{_COOKIE}" if secure else _COOKIE
