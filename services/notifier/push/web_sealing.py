"""Sealing a push for one browser (RFC 8291), and saying who sends it (VAPID, RFC 8292)."""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from libs.contracts.web_push import Subscription, base64url

if TYPE_CHECKING:
    from libs.chassis.clock import Clock

LIFE: Final = timedelta(hours=12)
"""Of a signature; a push service refuses one that lives longer than a day (RFC 8292 section 2)."""
_RENEWED: Final = timedelta(hours=1)
"""So long one is used again: a clock that is wrong by hours still makes one that is good."""
_ORIGINS: Final = 100
"""For how many push services signatures are kept: there are a handful of origins, and WNS has many."""


def read_vapid_key(pem: str) -> ec.EllipticCurvePrivateKey:
    """Of the text of a PEM file. Raises ValueError, without the key in it, if it is not one."""
    try:
        loaded = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        loaded = None
    if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
        raise ValueError("is not an unencrypted P-256 private key (PEM)")
    return loaded


def public_key(key: ec.EllipticCurvePrivateKey) -> str:
    """What browsers subscribe with: the uncompressed point in base64url."""
    return base64url(key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def sealed(subscription: Subscription, payload: bytes) -> bytes:
    """A body of `Content-Encoding: aes128gcm` that this browser alone opens, under a key that is used once."""
    from pywebpush import WebPusher  # brings a whole HTTP client along, which nothing uses

    keys = {"p256dh": subscription.p256dh, "auth": subscription.auth}
    pusher = WebPusher({"endpoint": subscription.endpoint, "keys": keys})
    body: bytes = pusher.encode(payload, "aes128gcm")["body"]
    return body


class Vapid:
    """Signs for push services, each origin by itself."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, subject: str, clock: Clock) -> None:
        from py_vapid import Vapid02

        self._signer = Vapid02(key, {"no-strict": True})  # the settings have looked at the subject
        self._subject = subject
        self._clock = clock
        self._made: OrderedDict[str, tuple[int, str]] = OrderedDict()

    def authorization(self, origin: str) -> str:
        """The header's value: `vapid t=…, k=…`."""
        now = int(self._clock.now().timestamp())
        made_at, value = self._made.get(origin, (0, ""))
        # A clock that was set back leaves one from the future, which lives too long.
        if not value or not 0 <= now - made_at < _RENEWED.total_seconds():
            claims = {"aud": origin, "sub": self._subject, "exp": now + int(LIFE.total_seconds())}
            value = self._signer.sign(claims)["Authorization"]
            self._made[origin] = now, value
            while len(self._made) > _ORIGINS:
                self._made.popitem(last=False)
        return value
