"""Signing in at an identity provider (OpenID Connect): what auth publishes, takes and answers."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import Field

from libs.contracts.auth import Platform
from libs.contracts.device_keys import DeviceKey
from libs.contracts.envelope import Fact
from libs.contracts.model import Contract, StrictContract
from libs.contracts.texts import ONE_LINE

CHALLENGE = r"^[A-Za-z0-9_-]{43}$"
"""Of PKCE (RFC 7636) with S256: base64url of a SHA-256."""
VERIFIER = r"^[A-Za-z0-9._~-]{43,128}$"


class LinkedBy(StrEnum):
    """Why an account of the provider's is somebody's."""

    ADDRESS = "address"
    """The provider has verified that the address is theirs, and they have it here."""
    REGISTERED = "registered"
    """They were registered by signing in with it."""


class IdentityLinked(Fact, type="pager.auth.IdentityLinked.v1"):
    """Somebody signs in with this account of an identity provider from now on.

    `identity_id` is made of the issuer's and the account's names under a key of auth's: it names nobody.
    """

    user_id: UUID
    identity_id: UUID
    issuer: str
    by: LinkedBy


class IdentityUnlinked(Fact, type="pager.auth.IdentityUnlinked.v1"):
    """An admin has parted somebody from an account of an identity provider."""

    user_id: UUID
    identity_id: UUID


class StartOidc(StrictContract):
    """`GET /auth/oidc/start`: `redirect_uri` is one of `PAGER_OIDC_REDIRECT_URIS`, `code_challenge` the app's own."""

    device_id: str = Field(min_length=1, max_length=255, pattern=ONE_LINE)
    redirect_uri: str = Field(min_length=1, max_length=512)
    code_challenge: str = Field(pattern=CHALLENGE)


class OidcStarted(Contract):
    """Where the browser goes, and what it brings back, sealed."""

    location: str = Field(repr=False)
    cookie: str = Field(repr=False)
    lasts: int
    """Seconds."""


class OidcReturn(StrictContract):
    """`GET /auth/oidc/callback`: what the provider says by the browser, and what the browser has kept for us."""

    state: str | None = Field(default=None, max_length=255, repr=False)
    code: str | None = Field(default=None, max_length=4096, repr=False)
    error: str | None = Field(default=None, max_length=255)
    iss: str | None = Field(default=None, max_length=2048)
    cookie: str | None = Field(default=None, max_length=4096, repr=False)


class OidcReturned(Contract):
    """Where the browser goes: to the app, with a `code` that is good once, or an `error`."""

    location: str = Field(repr=False)


class OidcToken(StrictContract):
    """`POST /auth/oidc/token`; what concerns the device is as at `POST /auth/login`."""

    code: str = Field(min_length=1, max_length=255, repr=False)
    code_verifier: str = Field(pattern=VERIFIER, repr=False)
    device_id: str | None = Field(default=None, min_length=1, max_length=255, pattern=ONE_LINE)
    """Where it is said again, it is the one that the sign-in was begun with."""
    device_name: str = Field(default="unnamed device", max_length=255, pattern=ONE_LINE)
    push_token: str | None = Field(
        default=None, max_length=4096, repr=False, json_schema_extra={"format": "push-token"}
    )
    platform: Platform | None = None
    replace: str | None = Field(default=None, min_length=1, max_length=255)
    totp: str | None = Field(default=None, min_length=1, max_length=64, repr=False)
    device_key: DeviceKey | None = None
