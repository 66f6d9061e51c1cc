"""Proofs: what a device signs with its key to show that it is there. Each is good once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pydantic import BaseModel, ConfigDict, Field

from libs.chassis.store.changes import Row
from libs.chassis.store.work import Work
from libs.contracts.device_keys import LONGEST_PROOF, PROOF_AUDIENCE, PROOF_TYPE, DeviceKey, ath_of
from libs.contracts.requests import Invalid, Unauthenticated
from services.auth.queries import PROOF_USED
from services.auth.tables.sessions import used_proofs

_HEADER: Final = {"typ", "alg", "kid"}
"""Not `jwk`: whose key it has to be is known."""

Jwk = Mapping[str, Any]


class BadProof(Unauthenticated):
    """this needs a fresh proof by the device's key: make another one and try again"""

    def __init__(self) -> None:
        super().__init__(field="proof")


class _Claims(BaseModel):
    """`iat` is what the device's clock shows. Clocks are wrong, so it is kept and nothing is refused for it."""

    model_config = ConfigDict(frozen=True)

    aud: Literal["pager"]
    ath: str = Field(max_length=64)
    jti: str = Field(pattern=r"^[!-~]{1,128}$")
    iat: Annotated[int, Field(strict=True, ge=0, lt=253_402_300_800)]
    htm: str | None = Field(default=None, max_length=16)
    htu: str | None = Field(default=None, max_length=2048)


@dataclass(frozen=True, slots=True)
class Shown:
    """A proof that this key has signed, for this use; whether it was used before is not known yet."""

    hash: bytes
    """Of key and `jti`."""
    issued_at: int
    """Seconds, by the device's clock."""


def key_of(given: DeviceKey | None) -> dict[str, str] | None:
    """What is kept of a key that somebody signs in with. Raises Invalid: it is no point of the curve."""
    if given is None:
        return None
    try:
        ECKey.import_key({**given.public})
    except (ValueError, JoseError):
        raise Invalid("must be a public key of the curve P-256", field="deviceKey") from None
    return given.public


def thumbprint(key: Jwk) -> bytes:
    """RFC 7638, as bytes: the name of a key."""
    return ECKey.import_key(dict(key)).thumbprint().encode("ascii")


def read(text: str | None, key: Jwk, of: str, *, method: str | None = None, path: str | None = None) -> Shown:
    """`of`: what it is shown with, as text; `method` and `path`: where, if that counts.

    Raises:
        BadProof: it is none by this key for this use.
    """
    if text is None or len(text) > LONGEST_PROOF:
        raise BadProof
    signer = ECKey.import_key(dict(key))
    try:
        token = jwt.decode(text, signer, algorithms=["ES256"])
        claims = _Claims.model_validate(token.claims)
    except (ValueError, TypeError, JoseError, RecursionError):  # a header may hold anything where the library reads it
        raise BadProof from None
    if token.header.get("typ") != PROOF_TYPE or not token.header.keys() <= _HEADER or claims.aud != PROOF_AUDIENCE:
        raise BadProof
    if claims.ath != ath_of(of) or (method, path) not in ((None, None), (claims.htm, claims.htu)):
        raise BadProof
    return Shown(sha256(signer.thumbprint().encode() + b"." + claims.jti.encode()).digest(), claims.iat)


def spend(work: Work, shown: Shown, forget_at: datetime) -> None:
    """It is good no longer; `forget_at`: when what it was shown with is surely good no longer either.

    Raises:
        BadProof: it was used before.
    """
    # Two may show it at once: the second waits here and sees the first one's row.
    work.lock(f"pager/auth/proof/{shown.hash.hex()}")
    if work.fetch(PROOF_USED, hash=shown.hash):
        raise BadProof
    row = {"hash": shown.hash, "issued_at": shown.issued_at, "used_at": work.now, "forget_at": forget_at}
    work.put(Row(used_proofs, row))
