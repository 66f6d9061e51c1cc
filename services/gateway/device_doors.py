"""Doors that a device credential opens, each time with a proof: it is exchanged for a token that services know."""

from __future__ import annotations

from typing import Final

from fastapi import Security
from fastapi.security import HTTPBearer
from starlette.requests import Request

from libs.contracts.device_keys import LONGEST_PROOF, ExchangeDevice, ScopedToken
from services.gateway.envelope import Problem
from services.gateway.forwarding import Ask

PROOF: Final = "Pager-Proof"
_LONGEST: Final = 4096
DEVICE_SCHEME: Final = HTTPBearer(
    auto_error=False,
    scheme_name="deviceCredential",
    description=f"The `deviceCredential` of a sign-in, with a proof by the device's key as `{PROOF}`: a JWT of "
    '`typ: "pager-proof+jwt"` and `alg: "ES256"`; `aud: "pager"`, `ath` = base64url of the SHA-256 of the credential, '
    "`htm` and `htu` = the request's method and path, `jti` never used before, `iat`.",
)
DEVICES_TOO: Final = Security(DEVICE_SCHEME)
"""In a route's `dependencies`: beside an access token, a device's credential opens it."""


async def exchanged(request: Request, credential: str | None, ask: Ask, *, opens: bool) -> str:
    """An access token for what this credential may do; `opens`: whether it opens this door.

    Raises:
        Problem: 403 where it does not; 401 for a credential or a proof that is not good; 429 in a loop.
    """
    if not opens:
        raise Problem("FORBIDDEN", "a device's credential does not open this: sign in")
    proofs = request.headers.getlist(PROOF)
    if credential is None or len(credential) > _LONGEST or len(proofs) != 1 or not 0 < len(proofs[0]) <= LONGEST_PROOF:
        raise Problem("UNAUTHENTICATED", f"send the device's credential as Authorization: Bearer, and one {PROOF}")
    method, path = str(request.scope["method"]), str(request.scope["path"])
    shown = ExchangeDevice(credential=credential, proof=proofs[0], method=method, path=path)
    return ScopedToken.model_validate(await ask.command("auth", "exchange_device", shown)).access_token
