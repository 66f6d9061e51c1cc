"""The signed token that tells APNs who we are: one per key, shared by every connection, replica and restart."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aioapns.connection import AuthorizationHeaderProvider
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

if TYPE_CHECKING:
    from libs.chassis.clock import Clock

# Apple, "Establishing a token-based connection to APNs": a new token at most every 20 minutes, and never one over 60.
LIFE = 50 * 60
SHORTEST_LIFE = 20 * 60
LONGEST_LIFE = 60 * 60


@dataclass(frozen=True, slots=True)
class _Token:
    header: str
    issued_at: int
    renew_at: int


class ProviderToken(AuthorizationHeaderProvider):
    """Makes and keeps the `authorization` header of one APNs key.

    The issue time is the start of a 50-minute grid and the signature deterministic (RFC 6979), so that restarts and
    replicas make the very same token: each with one of its own is how others earned 429 TooManyProviderTokenUpdates.
    """

    def __init__(self, *, key: str, key_id: str, team_id: str, clock: Clock) -> None:
        """`key` is the text of Apple's .p8 file. Raises ValueError as `read_key` does."""
        self._key = read_key(key)
        self._key_id = key_id
        self._team_id = team_id
        self._clock = clock
        self._current: _Token | None = None
        self._previous: _Token | None = None
        self._forced_at: int | None = None

    def get_header(self) -> str:
        """The header's value: `bearer <token>`, at most 50 minutes old."""
        now = self._now()
        token = self._current
        # A clock that was set back leaves a token from the future, which Apple refuses.
        if token is None or now >= token.renew_at or now < token.issued_at:
            grid = now - now % LIFE
            token = self._replace(grid, grid + LIFE)
        return token.header

    def renew(self, refused: str) -> None:
        """Answer to ExpiredProviderToken for `refused`: one new token, however many sends were refused with the old."""
        now = self._now()
        if self._current is None or self._current.header != refused:
            return
        if self._forced_at is not None and 0 <= now - self._forced_at < SHORTEST_LIFE:
            return
        self._forced_at = now
        border = now - now % LIFE + LIFE
        self._replace(now, border if border - now >= SHORTEST_LIFE else border + SHORTEST_LIFE)

    def revert(self, refused: str) -> None:
        """Answer to TooManyProviderTokenUpdates for `refused`: back to the token before it while that one lives."""
        token, now = self._previous, self._now()
        if self._current is None or self._current.header != refused or token is None:
            return
        if now - token.issued_at < LONGEST_LIFE - 60:
            renew_at = min(now + SHORTEST_LIFE, token.issued_at + LONGEST_LIFE - 60)
            self._current, self._previous = _Token(token.header, token.issued_at, renew_at), None

    def _now(self) -> int:
        return int(self._clock.now().timestamp())

    def _replace(self, issued_at: int, renew_at: int) -> _Token:
        self._previous = self._current
        self._current = _Token(f"bearer {self._sign(issued_at)}", issued_at, renew_at)
        return self._current

    def _sign(self, issued_at: int) -> str:
        head = _segment({"alg": "ES256", "kid": self._key_id})
        claims = _segment({"iss": self._team_id, "iat": issued_at})
        signed = f"{head}.{claims}"
        der = self._key.sign(signed.encode(), ec.ECDSA(SHA256(), deterministic_signing=True))
        # JWS wants r and s side by side, not DER (RFC 7518 section 3.4).
        r, s = decode_dss_signature(der)
        return f"{signed}.{_base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def read_key(key: str) -> ec.EllipticCurvePrivateKey:
    """Of the text of Apple's .p8 file. Raises ValueError, without the key in it, if it is not one."""
    try:
        loaded = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        loaded = None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
        raise ValueError("is not an unencrypted P-256 private key (.p8)")
    return loaded


def _segment(value: Mapping[str, str | int]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
