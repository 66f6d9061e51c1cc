"""Keys of devices: with what a phone shows that it is the one that somebody signed in on."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Annotated, Final, Literal

from pydantic import Field

from libs.contracts.model import Contract, StrictContract

PROOF_TYPE: Final = "pager-proof+jwt"
"""`typ` of a proof: a JWT (RFC 7519) that the device's key has signed with ES256."""
PROOF_AUDIENCE: Final = "pager"
"""`aud` of a proof. What it is about is in `ath`, which no other installation knows: an address may change."""
LONGEST_PROOF: Final = 2048
"""Characters."""

_Coordinate = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9_-]{43}$", examples=["f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"])
]
"""32 bytes in base64url."""


class DeviceKey(StrictContract):
    """A public key as a JWK (RFC 7517), of the curve P-256, for ES256.

    What browsers and phones write beside the key itself is taken where it is right, and not kept; anything private is
    refused.
    """

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: _Coordinate
    y: _Coordinate
    alg: Literal["ES256"] | None = None
    use: Literal["sig"] | None = None
    key_ops: tuple[Literal["verify"], ...] | None = Field(default=None, alias="key_ops", max_length=1)
    kid: str | None = Field(default=None, max_length=255)
    ext: bool | None = None

    @property
    def public(self) -> dict[str, str]:
        """The key and nothing beside it."""
        return {"kty": self.kty, "crv": self.crv, "x": self.x, "y": self.y}


Proof = Annotated[str, Field(min_length=1, max_length=LONGEST_PROOF)]
"""A JWT of the device's key. Header: `typ` = `pager-proof+jwt`, `alg` = `ES256`. Claims: `aud` = `pager`; `ath` =
base64url of the SHA-256 of what it is shown with; `jti` = anything that was not used before; `iat` = seconds, as the
device's clock shows them, which may be wrong. One that is sent for `Pager-Proof` says `htm` and `htu` as well, the
method and the path."""


def ath_of(shown_with: str) -> str:
    """`ath` of what a proof is shown with (as in RFC 9449, section 4.2)."""
    return urlsafe_b64encode(sha256(shown_with.encode()).digest()).rstrip(b"=").decode("ascii")


class ExchangeDevice(StrictContract):
    """`pager.rpc.auth.exchange_device`, by the gateway: a device credential that somebody has shown at one of its
    doors, and the proof beside it."""

    credential: str = Field(min_length=1, max_length=4096, repr=False)
    proof: Proof | None = Field(default=None, repr=False)
    method: str = Field(max_length=16)
    path: str = Field(max_length=2048)


class ScopedToken(Contract):
    """An access token for a few actions, which is shown to services and to nobody else."""

    access_token: str = Field(repr=False)
