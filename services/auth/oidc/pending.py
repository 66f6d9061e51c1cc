"""A sign-in that is under way at the provider: its browser keeps it, sealed, and nothing is kept here."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final, Self

from pydantic import Field, ValidationError

from libs.contracts.model import Contract, Moment
from libs.contracts.oidc import StartOidc
from services.auth.sealing import Seal, WrongKey
from services.auth.tokens import same

LASTS: Final = timedelta(minutes=10)
"""Somebody signs in at the provider meanwhile, with a second factor perhaps."""
_APART: Final = timedelta(minutes=1)
"""How far the clocks of two replicas may be apart."""
_NAME: Final = "a sign-in at the provider"


class Pending(Contract):
    """`state`, `nonce` and `verifier` are random, and nobody but this browser and we know the last."""

    state: str = Field(repr=False)
    nonce: str = Field(repr=False)
    verifier: str = Field(repr=False)
    device_id: str
    redirect_uri: str
    code_challenge: str
    until: Moment

    @classmethod
    def begin(cls, body: StartOidc, now: datetime) -> Self:
        return cls(
            state=secrets.token_urlsafe(32),
            nonce=secrets.token_urlsafe(32),
            verifier=secrets.token_urlsafe(32),
            device_id=body.device_id,
            redirect_uri=body.redirect_uri,
            code_challenge=body.code_challenge,
            until=now + LASTS,
        )

    @property
    def challenge(self) -> str:
        """Of our own verifier, for the provider."""
        return challenge_of(self.verifier)

    def is_good(self, state: str, now: datetime) -> bool:
        """Whether it is this browser that was sent to the provider, lately; by whatever clock it was made."""
        return same(self.state.encode(), state.encode()) and now < self.until <= now + LASTS + _APART


@dataclass(frozen=True)
class PendingSignIns:
    """As cookies. `key`: from which their seal is made, the same in every replica."""

    key: Callable[[], bytes]

    def close(self, pending: Pending) -> str:
        return urlsafe_b64encode(self._seal().close(_NAME, pending.to_json())).decode("ascii")

    def open(self, cookie: str) -> Pending | None:
        """None: it is none of ours."""
        try:
            return Pending.model_validate_json(self._seal().open(_NAME, urlsafe_b64decode(cookie)))
        except (ValueError, WrongKey, ValidationError):
            return None

    def _seal(self) -> Seal:
        # Strangers have as many sealed as they like: not under the key that seals what we keep.
        return Seal(self.key().hex())


def challenge_of(verifier: str) -> str:
    """S256 (RFC 7636, section 4.2)."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).decode("ascii").rstrip("=")
