"""The keys that sign access tokens: RSA 2048, sealed at rest under the master key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import RSAKey
from sqlalchemy import BigInteger, bindparam, func, select

from libs.chassis.settings import SettingsError
from libs.chassis.store.changes import Row
from libs.chassis.store.log import advisory_key
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.contracts.auth import KeySet
from services.auth.projections import SIGNING_KEYS, signing_keys

_BITS = 2048
_NONCE = 12
_SIGNING_KEYS = b"pager/auth/signing-keys/v1"
_REFRESH_TOKENS = b"pager/auth/refresh-tokens/v1"
_GUESSES = b"pager/auth/guesses/v1"
_ONE_AT_A_TIME = select(func.pg_advisory_xact_lock(bindparam("key", type_=BigInteger)))


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


def _derived(master_key: str, purpose: bytes) -> bytes:
    """32 bytes for one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(master_key.encode())


def refresh_key(master_key: str) -> bytes:
    """The key from which refresh tokens follow one another; the same in every replica."""
    return _derived(master_key, _REFRESH_TOKENS)


def guesses_key(master_key: str) -> bytes:
    """The key under which accounts and places are kept that passwords are tried at."""
    return _derived(master_key, _GUESSES)


class Seal:
    """AES-256-GCM under a key derived from the master key; a nonce of 96 bits goes first."""

    def __init__(self, master_key: str) -> None:
        self._cipher = AESGCM(_derived(master_key, _SIGNING_KEYS))

    def close(self, key: SigningKey) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        # The id is authenticated too, so that rows cannot be swapped.
        return nonce + self._cipher.encrypt(nonce, key.pem, key.kid.encode())

    def open(self, kid: str, sealed: bytes) -> SigningKey:
        """Raises SettingsError when the master key is not the one that sealed it."""
        try:
            return SigningKey.from_pem(self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], kid.encode()))
        except InvalidTag:
            raise SettingsError("PAGER_MASTER_KEY: is not the key under which the signing key was sealed") from None


class SigningKeys:
    """The stored keys: the newest signs, every one verifies. Call `prepare` before `current`."""

    def __init__(self, store: Store, seal: Seal) -> None:
        self._store = store
        self._seal = seal
        self._current: SigningKey | None = None

    async def prepare(self) -> None:
        """Make the first key where there is none, also when two replicas start at once; read the newest.

        Raises:
            SettingsError: the master key does not open it.
        """
        if not await self._store.read(stored_keys):
            fresh = SigningKey.generate()
            await self._store.transact(lambda work: self._keep_first(work, fresh))
        newest = (await self._store.read(stored_keys))[-1]
        self._current = self._seal.open(newest["kid"], bytes(newest["sealed"]))

    def current(self) -> SigningKey:
        if self._current is None:
            raise RuntimeError("the signing keys are not prepared")
        return self._current

    async def public(self) -> KeySet:
        """Read afresh each time, so that a key made by another replica is known at once."""
        return await self._store.read(public_keys)

    def _keep_first(self, work: Work, key: SigningKey) -> None:
        work.fetch(_ONE_AT_A_TIME, key=advisory_key("pager/auth/signing-keys"))
        if stored_keys(work):
            return
        row = {"kid": key.kid, "sealed": self._seal.close(key), "public_jwk": key.public_jwk, "created_at": work.now}
        work.put(Row(signing_keys, row))


def stored_keys(work: Work) -> list[dict[str, Any]]:
    """Oldest first."""
    return work.fetch(SIGNING_KEYS)


def public_keys(work: Work) -> KeySet:
    return KeySet(keys=tuple(row["public_jwk"] for row in stored_keys(work)))
