"""Web Push subscriptions as browsers give them (W3C Push API), and the push services that are believed to be some."""

from __future__ import annotations

import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, Self

LONGEST: Final = 4096
"""Characters of a subscription."""
_LONGEST_ENDPOINT: Final = 2048
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST: Final = rf"{_LABEL}(?:\.{_LABEL})*"
_ORIGIN: Final = re.compile(rf"(?P<scheme>https?)://(?P<host>{_HOST})(?::(?P<port>[1-9][0-9]{{0,4}}))?", re.IGNORECASE)
_PATH: Final = re.compile(r"/[A-Za-z0-9_.~!$&'()*+,;=:@%/?-]*")
_NAMED: Final = re.compile(rf"\.?{_HOST}|{_ORIGIN.pattern}", re.IGNORECASE)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_KNOWN: Final = {
    # Chromium, components/push_messaging/push_messaging_constants.cc.
    "fcm.googleapis.com": "google",
    # Mozilla, autopush-rs, configuration of autoendpoint.
    ".push.services.mozilla.com": "mozilla",
    # Apple, "Sending web push notifications in web apps and browsers".
    ".push.apple.com": "apple",
    # Microsoft, "Push notification service request and response headers": channel URIs.
    ".notify.windows.com": "microsoft",
}
"""Which service a host is; after a dot, any host below it."""
# Of P-256 (NIST SP 800-186, 3.2.1.3).
_P: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_POINT, _SECRET = 65, 16


@dataclass(frozen=True, slots=True)
class Subscription:
    """Where to push (`endpoint`, whose origin is `origin`), and the keys of the browser: secrets all of them."""

    endpoint: str = field(repr=False)
    p256dh: str = field(repr=False)
    auth: str = field(repr=False)
    scheme: str
    host: str
    port: int | None

    @classmethod
    def read(cls, text: str) -> Self:
        """Of the JSON of a `PushSubscription`. What else stands in it is left out.

        Raises:
            ValueError: what was expected, to follow the field's name; nothing of the text is in it.
        """
        document = _document(text)
        keys = document.get("keys")
        if not isinstance(keys, dict):
            raise ValueError('must be a subscription with "keys": {"p256dh", "auth"}')
        endpoint = document.get("endpoint")
        if not isinstance(endpoint, str) or len(endpoint) > _LONGEST_ENDPOINT:
            raise ValueError(
                f'must be a subscription whose "endpoint" is a URL of at most {_LONGEST_ENDPOINT} characters'
            )
        origin = _ORIGIN.match(endpoint)
        # Read here and nowhere else: what two readers take for different hosts is not let in.
        if origin is None or not _PATH.fullmatch(endpoint, origin.end()):
            raise ValueError(
                'must be a subscription whose "endpoint" is https://<host>/<path> in ASCII, without user and fragment'
            )
        point, secret = _key(keys, "p256dh"), _key(keys, "auth")
        if not _is_point(point):
            raise ValueError('must be a subscription whose "p256dh" is an uncompressed point of P-256')
        if len(secret) != _SECRET:
            raise ValueError(f'must be a subscription whose "auth" has {_SECRET} bytes')
        return cls(
            endpoint=origin[0].lower() + endpoint[origin.end() :],
            p256dh=base64url(point),
            auth=base64url(secret),
            scheme=origin["scheme"].lower(),
            host=origin["host"].lower(),
            port=None if origin["port"] is None else int(origin["port"]),
        )

    @property
    def origin(self) -> str:
        """`https://host` or `https://host:port`."""
        return f"{self.scheme}://{self.host}" + ("" if self.port is None else f":{self.port}")

    @property
    def text(self) -> str:
        """The one spelling of it."""
        keys = {"auth": self.auth, "p256dh": self.p256dh}
        return json.dumps({"endpoint": self.endpoint, "keys": keys}, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class PushServices:
    """Whose endpoints are pushed to: browsers' own, and those that an operator has named."""

    named: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Of hosts separated by commas: `push.example.com`, `.example.com` (any below it), or a whole origin such as
        `http://127.0.0.1:3001`, which alone may be without TLS or have a port.

        Raises:
            ValueError: which part of it is none of these.
        """
        named = [part.strip().lower() for part in text.split(",") if part.strip()]
        for part in named:
            if not _NAMED.fullmatch(part):
                raise ValueError("must be hosts (push.example.com, .example.com) or origins, separated by commas")
        return cls(frozenset(named))

    def service_of(self, subscription: Subscription) -> str | None:
        """What its service is called: the same for all of its hosts. None: it is none of those."""
        if subscription.origin in self.named:
            return subscription.origin
        if subscription.scheme != "https" or subscription.port is not None:
            return None
        rule = _rule_of(subscription.host, self.named)
        if rule is not None:
            return rule
        known = _rule_of(subscription.host, _KNOWN.keys())
        return None if known is None else _KNOWN[known]

    def exempts(self, host: str) -> bool:
        """Whether an operator has named this very host, and not what it is below: it may be of their own network."""
        return host in self.named or any(origin["host"] == host for origin in self._origins())

    def check(self, subscription: Subscription) -> None:
        """Raises ValueError for one of a service that is not believed."""
        if self.service_of(subscription) is None:
            raise ValueError("must be a subscription of a known push service (PAGER_WEB_PUSH_HOSTS names others)")

    @property
    def has_loopback(self) -> bool:
        """Whether a simulator is among them."""
        return any(origin["host"] in ("127.0.0.1", "localhost") for origin in self._origins())

    def _origins(self) -> list[re.Match[str]]:
        return [origin for part in self.named if (origin := _ORIGIN.fullmatch(part)) is not None]


BROWSERS: Final = PushServices()
"""Those of browsers' makers alone."""


def base64url(raw: bytes) -> str:
    """Without padding, as JWS and Web Push have it."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _rule_of(host: str, rules: Collection[str]) -> str | None:
    if host in rules:
        return host
    if host.rpartition(".")[2].isdigit():
        return None  # an address, which is below nothing
    return next((rule for rule in sorted(rules) if rule.startswith(".") and host.endswith(rule)), None)


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text) if len(text) <= LONGEST else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise ValueError(f"must be the JSON of a browser's push subscription, of at most {LONGEST} characters")
    return document


def _key(keys: dict[str, Any], name: str) -> bytes:
    value = keys.get(name)
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value):
        raise ValueError(f'must be a subscription whose "{name}" is base64url')
    bare = value.rstrip("=")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except ValueError:
        raise ValueError(f'must be a subscription whose "{name}" is base64url') from None


def _is_point(raw: bytes) -> bool:
    if len(raw) != _POINT or raw[0] != 4:
        return False
    x, y = int.from_bytes(raw[1:33], "big"), int.from_bytes(raw[33:], "big")
    return x < _P and y < _P and (y * y - (x * x * x - 3 * x + _B)) % _P == 0
