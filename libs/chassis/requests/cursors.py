"""Cursors of lists as callers see them: sealed, so that nobody reads one, makes one, or takes it to another list."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from secrets import token_bytes
from typing import Any, Final, Self, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.contracts.model import Contract
from libs.contracts.requests import Invalid

B = TypeVar("B", bound=Contract)

_BYTES: Final = 64
"""AES-256-SIV (RFC 5297): the same place is the same cursor, and the same page so has the same `ETag`."""


class ForeignCursor(Invalid):
    """must be the nextCursor of another page of this list"""

    def __init__(self) -> None:
        super().__init__(field="cursor")


class Cursors:
    """Of one service's lists, the same in all its replicas. A cursor is of one operation, whose name is authenticated.

    `secret`: of 64 bytes; without one it holds only as long as this process.
    """

    def __init__(self, secret: bytes | None = None) -> None:
        self._cipher = AESSIV(secret or token_bytes(_BYTES))

    @classmethod
    def of(cls, service: str, secret: str | None) -> Self:
        """Under a key that is derived from a secret of the service's (HKDF-SHA256, RFC 5869)."""
        if secret is None:
            return cls()
        return cls(
            HKDF(SHA256(), _BYTES, salt=None, info=f"pager/{service}/cursors/v1".encode()).derive(secret.encode())
        )

    def close(self, operation: str, answer: Any) -> Any:
        """An answer whose cursor, if it has one, only we can read; and those of its rows, where several are merged."""
        sealed: dict[str, Any] = {}
        if (inside := getattr(answer, "next_cursor", None)) is not None:
            sealed["next_cursor"] = self._sealed(operation, inside)
        if each := getattr(answer, "cursors", ()):
            sealed["cursors"] = tuple(self._sealed(operation, one) for one in each)
        return answer.model_copy(update=sealed) if sealed else answer

    def _sealed(self, operation: str, inside: str) -> str:
        return _text(self._cipher.encrypt(inside.encode(), [operation.encode()]))

    def open(self, operation: str, body: B) -> B:
        """A request with the cursor as the list has made it.

        Raises:
            ForeignCursor: it was not made here for this list.
        """
        shown = getattr(body, "cursor", None)
        if shown is None:
            return body
        try:
            inside = self._cipher.decrypt(_bytes(shown), [operation.encode()])
            # Base64 has several spellings of the same bytes: only ours is one that we have made.
            if _text(_bytes(shown)) != shown:
                raise ForeignCursor
        except (InvalidTag, ValueError):
            raise ForeignCursor from None
        return body.model_copy(update={"cursor": inside.decode()})


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
