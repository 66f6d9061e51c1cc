"""Access tokens (signed, 15 minutes) and refresh tokens (opaque, 7 days, one use)."""

from __future__ import annotations

import binascii
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Self
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.jwk import RSAKey

from libs.chassis.requests.callers import AUDIENCE, ISSUER
from libs.contracts.auth import Tokens, UserView

_ID = 16
_SECRET = 32
_BITS = 2048


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """URL-safe base64 of the session's id, the family's secret (the same in all its tokens) and this token's own.

    Whoever shows the right family with a used-up secret holds an old token of the session: it was stolen, or
    its owner's newer one was (RFC 9700, 4.14.2). The family tells that apart from a guess without a row for
    every token ever used; and a session's id alone, which is in events, ends nobody's session.
    """

    session_id: UUID
    family: bytes = field(repr=False)
    secret: bytes = field(repr=False)

    @classmethod
    def issue(cls, session_id: UUID) -> Self:
        return cls(session_id, secrets.token_bytes(_SECRET), secrets.token_bytes(_SECRET))

    def next(self, key: bytes) -> RefreshToken:
        """The one that follows this one: always the same, and nobody without auth's key can tell which.

        So it can be given again to whoever did not hear the answer, and is stored nowhere.
        """
        secret = hmac.digest(key, self.session_id.bytes + self.secret, sha256)
        return RefreshToken(self.session_id, self.family, secret)

    def seen_from(self, key: bytes, network: str | None) -> bytes | None:
        """What is kept of the place where a token of this session is shown: it tells two apart, and names none.

        Its first byte is the version of IP: a phone of two has a place in each.
        """
        if network is None:
            return None
        version = b"6" if ":" in network else b"4"
        return version + hmac.digest(key, b"seen from " + self.session_id.bytes + network.encode(), sha256)

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None: this was never a token of ours."""
        try:
            raw = urlsafe_b64decode(text)
        except (ValueError, binascii.Error):
            return None
        if len(raw) != _ID + 2 * _SECRET:
            return None
        return cls(UUID(bytes=raw[:_ID]), raw[_ID : _ID + _SECRET], raw[_ID + _SECRET :])

    @property
    def text(self) -> str:
        return urlsafe_b64encode(self.session_id.bytes + self.family + self.secret).decode("ascii")

    # 256 random bits need no slow hash: nobody can try them out.
    @property
    def family_hash(self) -> bytes:
        return sha256(self.family).digest()

    @property
    def secret_hash(self) -> bytes:
        return sha256(self.secret).digest()


def same(one: bytes, other: bytes) -> bool:
    """Compares hashes in constant time."""
    return hmac.compare_digest(one, other)


@dataclass(frozen=True)
class SigningKey:
    """`kid` is the public key's thumbprint (RFC 7638)."""

    kid: str
    private: RSAKey = field(repr=False)

    @classmethod
    def generate(cls) -> Self:
        return cls._of(RSAKey.generate_key(_BITS))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        return cls._of(RSAKey.import_key(pem))

    @classmethod
    def _of(cls, key: RSAKey) -> Self:
        return cls(key.thumbprint(), key)

    @property
    def pem(self) -> bytes:
        return self.private.as_pem(private=True)

    @property
    def public_jwk(self) -> dict[str, Any]:
        """RFC 7517, without anything private."""
        return self.private.as_dict(private=False, use="sig", alg="RS256", kid=self.kid)


@dataclass(frozen=True)
class AccessTokens:
    """Issues what `libs.chassis.requests.callers.Verifier` checks: RS256, with the key's id in the header."""

    key: Callable[[], Awaitable[SigningKey]]
    lifetime: timedelta

    @property
    def expires_in(self) -> int:
        """Seconds."""
        return int(self.lifetime.total_seconds())

    async def beside(
        self,
        token: RefreshToken,
        user: UserView,
        device_id: str,
        now: datetime,
        *,
        until: datetime,
        is_web: bool = False,
    ) -> Tokens:
        """What a session goes on with, which expires `until` then unless it does go on."""
        access = await self.issue(user, token.session_id, device_id, now, until=until, is_web=is_web)
        expires_in = min(self.expires_in, int((until - now).total_seconds()))
        return Tokens(access_token=access, refresh_token=token.text, expires_in=expires_in)

    async def issue(
        self,
        user: UserView,
        session_id: UUID,
        device_id: str,
        now: datetime,
        *,
        until: datetime | None = None,
        scopes: Collection[str] | None = None,
        is_web: bool = False,
    ) -> str:
        """`until`: it is good no longer than that. `scopes`: the actions that it is for; None: all of the person's."""
        claims: dict[str, Any] = {
            "sub": str(user.id),
            "roles": [str(role) for role in user.roles],
            "teams": {str(team.id): str(team.role) for team in user.teams},
            "ver": user.version,
            "sid": str(session_id),
            "did": device_id,
        }
        if scopes is not None:
            claims["scopes"] = sorted(scopes)
        if is_web:
            claims["web"] = True
        ends = now + self.lifetime
        return await self.signed(claims, now, ends if until is None else min(ends, until))

    async def signed(self, claims: dict[str, Any], now: datetime, until: datetime) -> str:
        """A token of these claims, good from now on."""
        key = await self.key()
        claims = claims | {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "use": "access",
            "jti": str(uuid4()),
            "iat": int(now.timestamp()),
            "nbf": int(now.timestamp()),
            "exp": int(until.timestamp()),
        }
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key.private)

    async def device_credential(self, credential_id: UUID, now: datetime) -> str:
        """No access token, as its `use` says; whose it is, and how long it is good, auth has to be asked."""
        key = await self.key()
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "use": "device",
            "jti": str(credential_id),
            "iat": int(now.timestamp()),
        }
        return jwt.encode({"alg": "RS256", "kid": key.kid}, claims, key.private)
