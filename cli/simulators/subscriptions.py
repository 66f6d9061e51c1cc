"""Browsers that nobody has to keep: a subscription's id carries all that its keys are made of."""

import hashlib
import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

PUSH_PATH = "/webpush/push/"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of P-256's group (NIST SP 800-186, 3.2.1.3)."""
_CURVE = ec.SECP256R1()


def base64url(raw: bytes) -> str:
    """Without padding."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Browser:
    """One subscription; `server_key`: the only key that it takes pushes of, "" where it was not told one."""

    id: str
    server_key: str
    secret: bytes

    def document(self, url: str) -> dict[str, Any]:
        """As `PushSubscription.toJSON` gives it, at a simulator at `url`."""
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": base64url(point), "auth": base64url(self._auth)}
        return {"endpoint": f"{url}{PUSH_PATH}{self.id}", "expirationTime": None, "keys": keys}

    def opened(self, body: bytes) -> bytes | None:
        """What was sealed for it (RFC 8291), if it is JSON; else None."""
        try:
            plain: bytes = http_ece.decrypt(body, private_key=self._key, auth_secret=self._auth, version="aes128gcm")
            json.loads(plain)
        except Exception:  # noqa: BLE001 - whatever it stumbles over: it cannot be opened
            return None
        return plain

    @property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        number = int.from_bytes(_mac(self.secret, f"key/{self.id}"), "big")
        return ec.derive_private_key(number % (_ORDER - 1) + 1, _CURVE)

    @property
    def _auth(self) -> bytes:
        return _mac(self.secret, f"auth/{self.id}")[:16]


class Browsers:
    """Makes them and knows them again, also after a restart: `secret` is kept in the home folder."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, server_key: str) -> Browser:
        """Another one, for pushes of this key."""
        text = f"{secrets.token_hex(8)}.{server_key}"
        return Browser(f"{text}.{self._sign(text)}", server_key, self._secret)

    def find(self, name: str) -> Browser | None:
        """The one of this id; None: there never was."""
        text, _, mark = name.rpartition(".")
        if not name.isascii() or not hmac.compare_digest(mark, self._sign(text)):
            return None
        return Browser(name, text.partition(".")[2], self._secret)

    def _sign(self, text: str) -> str:
        return base64url(_mac(self._secret, f"id/{text}")[:12])


def _mac(secret: bytes, text: str) -> bytes:
    return hmac.new(secret, text.encode(), hashlib.sha256).digest()
