"""Which identity provider people sign in at, where they come back to, and what its groups give them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from libs.chassis.urls import base_fault
from services.auth.oidc.grants import Grants, together

CALLBACK: Final = "/api/v1/auth/oidc/callback"
_MOST_URIS: Final = 20
_LONGEST_URI: Final = 512
_LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*")
_NO_APPS: Final = frozenset(
    {"javascript", "data", "vbscript", "file", "blob", "about", "ftp", "ws", "wss", "view-source"}
)
"""Schemes that a browser reads itself."""
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+( [!#-\[\]-~]+)*")


@dataclass(frozen=True)
class Configuration:
    """`secret`: None for a public client. `callback`: as it is registered at the provider."""

    issuer: str
    client_id: str
    secret: str | None = field(repr=False)
    callback: str
    redirect_uris: tuple[str, ...]
    groups: Mapping[str, Grants]
    """What they give."""
    groups_claim: str
    scopes: str
    ca_file: str | None = None

    @property
    def managed(self) -> Grants:
        """What the provider gives and takes."""
        return together(self.groups.values())

    def given_by(self, groups: Iterable[str]) -> Grants:
        return together(self.groups[group] for group in groups if group in self.groups)


def provider_fault(url: str) -> str | None:
    """Of an address of the provider's: who is there learns secrets, and says who people are."""
    if fault := base_fault(url, "https", "http"):
        return fault
    return None if is_safe(url) else "must begin with https:// (http:// is for this machine)"


def is_safe(url: str) -> bool:
    """Whether nobody between hears what is said there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)


def redirect_uris(text: str) -> tuple[str, ...]:
    """Separated by commas. Raises ValueError."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if len(found) > _MOST_URIS:
        raise ValueError(f"must be at most {_MOST_URIS}")
    for uri in found:
        if fault := _redirect_fault(uri):
            raise ValueError(f"{uri[:100]!r} {fault}")
    return found


def _redirect_fault(uri: str) -> str | None:
    if len(uri) > _LONGEST_URI or not uri.isascii() or not uri.isprintable() or " " in uri:
        return f"must be at most {_LONGEST_URI} characters of ASCII, without spaces"
    scheme, colon, rest = uri.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme) or scheme in _NO_APPS or not rest.strip("/"):
        return (
            "is no address of an app, such as https://pager.example.com/app/signed-in or com.example.pager:/signed-in"
        )
    if "#" in uri:
        return "must not have a #"
    if scheme in ("http", "https"):
        try:
            parts = urlsplit(uri)
            if not parts.hostname or parts.username is not None or parts.port == 0:
                return "names no host, or more than a host"
        except ValueError:
            return "is no URL"
        if not is_safe(uri):
            return "must begin with https:// (http:// is for this machine)"
    return None


def scopes(text: str) -> str:
    """Separated by spaces. Raises ValueError."""
    if len(text) > 1000 or not _SCOPE.fullmatch(text) or "openid" not in text.split(" "):
        raise ValueError("must be scopes separated by spaces, openid among them")
    return text
