"""The gateway's settings: where it listens, its bus, and whom browsers may load it from (README, Settings)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import SettingsConfigDict

from libs.chassis.settings import HttpUrl, text_like
from libs.chassis.urls import url_fault
from services.gateway import app_links
from services.gateway.feature_settings import FeatureSettings

_ORIGIN = re.compile(r"^[a-z][a-z0-9+.-]*://[^/\s*,]+$")


BearerToken = Annotated[
    SecretStr, text_like(r"[!-~]*", "must be letters, digits and signs of ASCII without spaces: a header carries it")
]


class Settings(FeatureSettings):
    """Read from `PAGER_…`; `port` 0 takes any free one."""

    model_config = SettingsConfigDict(populate_by_name=True)

    database_url: SecretStr = Field(default=SecretStr(""), exclude=True, repr=False)
    """Not used: the gateway owns nothing."""
    host: str = Field(default="127.0.0.1", min_length=1)
    port: int = Field(default=3000, ge=0, le=65535)
    public_url: HttpUrl | None = None
    """Where people reach it; `https://…` turns on HSTS."""
    cors_origins: str = ""
    """Origins that browsers may call from, separated by commas; none by default."""
    trusted_proxies: str = ""
    """Addresses or networks whose `X-Forwarded-For` and `-Proto` are believed, separated by commas."""
    app_apple_ids: str = ""
    """iOS apps that open this server's links, `TEAMID.bundle`, separated by commas."""
    app_android: str = ""
    """The same for Android: `package=fingerprint`, separated by commas, or JSON."""
    metrics_token: BearerToken | None = Field(default=None, min_length=16)
    """Whoever sends it as a bearer token may read `/api/metrics`; without it only this machine may."""
    enable_audit_logging: bool = Field(
        default=True, validation_alias=AliasChoices("ENABLE_AUDIT_LOGGING", "enable_audit_logging")
    )
    """Whether requests are kept in the access log; what is audited otherwise always is."""
    enable_rate_limiting: bool = Field(
        default=True, validation_alias=AliasChoices("ENABLE_RATE_LIMITING", "enable_rate_limiting")
    )
    """Whether people and API keys may only ask so often; the brake on guesses holds in any case."""
    idle_seconds: int = Field(default=75, ge=1, le=3600)
    """So long a connection without a request is kept: longer than a proxy in front keeps its own, or what the proxy
    sends in that moment is lost and its client gets a 502. nginx and AWS keep theirs 60 s, Google Cloud 600 s."""
    drain_seconds: float = Field(default=0.0, ge=0, le=60)
    """So long a gateway that is told to stop still answers, while its `/ready` says no, until whoever sends requests
    has noticed. Kubernetes waits by itself (`preStop`)."""
    enable_maintenance_mode: bool = Field(
        default=False, validation_alias=AliasChoices("ENABLE_MAINTENANCE_MODE", "enable_maintenance_mode")
    )
    """Maintenance from the start, which nobody can end over the API."""
    push: str | None = None
    """What health says about push when notifier does not say it itself."""

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        for origin in _split(value):
            if not _ORIGIN.match(origin) or url_fault(origin, origin.partition("://")[0]):
                raise ValueError("expected origins such as https://pager.example, by name and without a path")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for network in _split(value):
            try:
                ip_network(network)
            except ValueError:
                raise ValueError("expected addresses or networks such as 10.0.0.7, 10.0.0.0/8") from None
        return value

    @field_validator("app_apple_ids")
    @classmethod
    def _are_apple_ids(cls, value: str) -> str:
        app_links.apple_ids(value)
        return value

    @field_validator("app_android")
    @classmethod
    def _are_android_apps(cls, value: str) -> str:
        app_links.android_apps(value)
        return value

    @property
    def apple_apps(self) -> tuple[str, ...]:
        return app_links.apple_ids(self.app_apple_ids)

    @property
    def android_apps(self) -> Mapping[str, tuple[str, ...]]:
        """The certificates' fingerprints, by packages."""
        return app_links.android_apps(self.app_android)

    @property
    def address(self) -> str:
        """Where people reach it; without a public URL only this machine does."""
        return self.public_url or f"http://localhost:{self.port or 3000}"

    @property
    def origins(self) -> tuple[str, ...]:
        return _split(self.cors_origins)

    @property
    def proxies(self) -> tuple[str, ...]:
        return _split(self.trusted_proxies)

    @property
    def is_local(self) -> bool:
        """Whether people reach it on this machine only, so far as the settings say."""
        return self.public_url is None or is_loopback(urlsplit(self.public_url).hostname or "")

    @property
    def https(self) -> bool:
        return self.public_url is not None and self.public_url.startswith("https://")


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _split(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())
