"""ID tokens: what of them is checked (OpenID Connect Core, section 3.1.3.7)."""

from __future__ import annotations

import hashlib
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, RSAKey
from pydantic_core import from_json

from libs.contracts.requests import Unauthenticated
from services.auth.tokens import same

LEEWAY: Final = timedelta(minutes=1)
"""How far the provider's clock and ours may be apart."""
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Of key pairs alone: whoever knows a public key, or our client's secret, must not be able to sign."""
_HASHES: Final = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}
_CURVES: Final = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_LONGEST_TOKEN: Final = 64 * 1024
_LONGEST_HEADER: Final = 4096
_LONGEST_NAME: Final = 255
_MOST_KEYS: Final = 100
_WEAKEST: Final = 2048
"""Bits of an RSA key."""
_LAST: Final = 253_402_300_800
"""Unix seconds of the year 10000, before which a `datetime` ends."""


class BadToken(Unauthenticated):
    """The identity provider's word for who you are cannot be believed: sign in again."""

    reason = "identity token refused"

    def __init__(self, why: str) -> None:
        super().__init__()
        self.why = why
        """For the log: it names no person."""


class NoSuchKey(BadToken):
    """None of the keys that are known: the provider may have another one by now."""


@dataclass(frozen=True, slots=True)
class Expected:
    """For whom the token must be, and which sign-in it ends."""

    issuer: str
    client_id: str
    nonce: str
    access_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Header:
    algorithm: str
    kid: str | None


def keys_of(answer: Mapping[str, Any]) -> tuple[Key, ...]:
    """The keys of a JWK set that may sign ID tokens; those that nobody here understands are left out."""
    found = answer.get("keys")
    keys: list[Key] = []
    for jwk in found[:_MOST_KEYS] if isinstance(found, list) else ():
        if not isinstance(jwk, dict) or jwk.get("kty") not in ("RSA", "EC") or jwk.get("use", "sig") != "sig":
            continue
        try:
            (key,) = KeySet.import_key_set({"keys": [jwk]})
            if not isinstance(key, RSAKey) or key.raw_value.key_size >= _WEAKEST:
                keys.append(key)
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return tuple(keys)


def header_of(token: str) -> Header:
    """Raises BadToken for what no key could make good."""
    part = token.partition(".")[0]
    if len(token) > _LONGEST_TOKEN or len(part) > _LONGEST_HEADER or token.count(".") != 2 or not token.isascii():
        raise BadToken("it is no signed token")
    header = _object(part)
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise BadToken("its algorithm is not one of a key pair")
    if "crit" in header:
        raise BadToken("it has critical extensions")
    # Of keys that it brings along, or says where to get them (`jwk`, `jku`, `x5c`, `x5u`), nothing is believed.
    if kid is not None and not (isinstance(kid, str) and 0 < len(kid) <= _LONGEST_NAME):
        raise BadToken("its kid names no key")
    return Header(algorithm, kid)


def signed_by(header: Header, keys: Iterable[Key]) -> Key:
    """The key that it names. Where it names none there must be but one that can have signed it. Raises NoSuchKey."""
    fitting = [key for key in keys if _fits(key, header.algorithm) and header.kid in (None, key.kid)]
    if len(fitting) != 1:
        raise NoSuchKey("no key of the provider's, or several, can have signed it")
    return fitting[0]


def claims_of(token: str, key: Key, expected: Expected, now: datetime) -> dict[str, Any]:
    """What it says, once everything is checked. Raises BadToken."""
    header, claims = header_of(token), _object(token.split(".")[1])
    try:
        jwt.decode(token, key, algorithms=[header.algorithm])
    except (JoseError, ValueError, TypeError) as error:
        raise BadToken("its signature is not good") from error
    if claims.get("iss") != expected.issuer:
        raise BadToken("it is another issuer's")
    _check_audience(claims, expected.client_id)
    _check_times(claims, now.timestamp())
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not same(nonce.encode(), expected.nonce.encode()):
        raise BadToken("it has no nonce, or another sign-in's")
    if "at_hash" in claims:
        _check_access_token(claims["at_hash"], expected.access_token, header.algorithm)
    if not isinstance(subject := claims.get("sub"), str) or not 0 < len(subject) <= _LONGEST_NAME:
        raise BadToken("it names nobody")
    return claims


def _check_audience(claims: Mapping[str, Any], client_id: str) -> None:
    audience = claims.get("aud")
    if client_id != audience and not (isinstance(audience, list) and client_id in audience):
        raise BadToken("it is for another client")
    several = isinstance(audience, list) and len(audience) > 1
    if claims.get("azp", None if several else client_id) != client_id:
        raise BadToken("it was issued to another client")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    leeway = LEEWAY.total_seconds()
    begins = [_seconds(claims, "iat"), *((_seconds(claims, "nbf"),) if "nbf" in claims else ())]
    if _seconds(claims, "exp") + leeway <= now:
        raise BadToken("it has expired")
    if max(begins) - leeway > now:
        raise BadToken("it begins later")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BadToken(f"its {name} is no time")
    if not 0 <= value < _LAST:
        raise BadToken(f"its {name} is no time")
    return float(value)


def _check_access_token(at_hash: Any, access_token: str | None, algorithm: str) -> None:
    digest = _HASHES[algorithm[-3:]]((access_token or "").encode()).digest()
    made = urlsafe_b64encode(digest[: len(digest) // 2]).decode("ascii").rstrip("=")
    if access_token is None or not isinstance(at_hash, str) or not same(made.encode(), at_hash.encode()):
        raise BadToken("it belongs to another access token")


def _fits(key: Key, algorithm: str) -> bool:
    if getattr(key, "alg", None) not in (None, algorithm):
        return False
    if isinstance(key, ECKey):
        return key.curve_name == _CURVES.get(algorithm)
    return isinstance(key, RSAKey) and algorithm[0] in "RP"


def _object(part: str) -> dict[str, Any]:
    try:
        read = from_json(urlsafe_b64decode(part + "=" * (-len(part) % 4)), allow_inf_nan=False)
    except ValueError:
        raise BadToken("it is no signed token") from None
    if not isinstance(read, dict):
        raise BadToken("it is no signed token")
    return read
