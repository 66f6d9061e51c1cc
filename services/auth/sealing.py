"""What is secret at rest: sealed under a key that is derived from the master key, which may change while auth runs."""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.chassis.settings import SettingsError

_NONCE = 12
# What these say is part of what is stored: it is never changed.
_AT_REST = b"pager/auth/signing-keys/v1"
_NAME = b"pager/auth/master-key-name/v1"


class WrongKey(Exception):
    """It was sealed under a master key that is not known here, or changed since."""


def derived(master_key: str, purpose: bytes) -> bytes:
    """32 bytes for one purpose (HKDF-SHA256, RFC 5869)."""
    return HKDF(SHA256(), 32, salt=None, info=purpose).derive(master_key.encode())


def name_of(master_key: str) -> str:
    """Tells master keys apart, and says nothing else of them."""
    return derived(master_key, _NAME)[:8].hex()


def none_of_these(what: str) -> SettingsError:
    """What to say of master keys of which none opens what must be opened."""
    return SettingsError(
        f"PAGER_MASTER_KEY: is not the key under which {what} was sealed; give that one,"
        " here or as PAGER_MASTER_KEY_PREVIOUS"
    )


class Seal:
    """AES-256-GCM under the master key; a nonce of 96 bits goes first. What the previous one has sealed opens too.

    Which of them seals what goes into a table says that database: `master_keys.py`.
    """

    def __init__(self, master_key: str, previous: str | None = None) -> None:
        self._ciphers = {name_of(key): AESGCM(derived(key, _AT_REST)) for key in (master_key, previous) if key}
        self.name = name_of(master_key)
        """Of the present key."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of those that open what they have sealed, the present one first."""
        return tuple(self._ciphers)

    def knows(self, name: str | None) -> bool:
        """Whether it opens what this master key has sealed; None: that is not known, and may well be."""
        return name is None or name in self._ciphers

    def close(self, name: str, secret: bytes, by: str | None = None) -> bytes:
        """`name` is authenticated too, so that rows cannot be swapped. `by`: the name of a master key; the present."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._ciphers[by or self.name].encrypt(nonce, secret, name.encode())

    def open(self, name: str, sealed: bytes) -> bytes:
        """Raises WrongKey."""
        for cipher in self._ciphers.values():
            try:
                return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], name.encode())
            except (InvalidTag, ValueError):  # ValueError: it is too short to be sealed by anything
                continue
        raise WrongKey(name)
