"""The cookie in which a browser keeps its refresh token: no script reads it, and no other site's page sends it.

It is always `Secure`. Most browsers take such a cookie over plain HTTP from their own machine, which is all that
development needs; Safari does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import Security
from fastapi.security import APIKeyCookie
from starlette.requests import Request

from services.gateway.envelope import Problem
from services.gateway.versions import MOVED

NAME: Final = "__Secure-pager-refresh"
"""Not `__Host-`, which would be sent to every path (RFC 6265bis, section 4.1.3)."""
PATH: Final = "/api/v1/auth"
_LONGEST: Final = 1024
_ATTRIBUTES: Final = f"Path={PATH}; HttpOnly; Secure; SameSite=Strict"

COOKIE_SCHEME: Final = APIKeyCookie(
    name=NAME, auto_error=False, scheme_name="refreshCookie", description="A browser's refresh token; with an Origin."
)
OR_COOKIE: Final = Security(COOKIE_SCHEME)
"""In a route's `dependencies` beside `SIGNED_IN`: without an access token a browser's cookie will do."""


def shown(request: Request) -> str | None:
    """The refresh token of a browser that shows no other token, under the path that it is sent to."""
    kept = None if MOVED in request.scope else request.cookies.get(NAME)
    return kept if kept and len(kept) <= _LONGEST and "authorization" not in request.headers else None


def check_path(request: Request) -> None:
    """Raises Problem: a browser would never send the cookie back to where this is asked."""
    if MOVED in request.scope:
        raise Problem.invalid("platform", f"a browser signs in under {PATH}, where alone its cookie is sent")


def keep(tokens: dict[str, Any]) -> Mapping[str, str]:
    """The header that puts the refresh token into the cookie; it is taken out of `tokens`."""
    return {"Set-Cookie": f"{NAME}={tokens.pop('refreshToken')}; {_ATTRIBUTES}"}


FORGET: Final[Mapping[str, str]] = {"Set-Cookie": f"{NAME}=; Max-Age=0; {_ATTRIBUTES}"}
