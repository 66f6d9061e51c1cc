"""Settings from the environment: prefix `PAGER_`, `.env` is read, `_FILE` variants for secrets (README, Settings)."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Self, TypeVar
from uuid import uuid4

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.chassis.tls import tls_options
from libs.contracts.subjects import SERVICES

S = TypeVar("S", bound="ServiceSettings")


class SettingsError(Exception):
    """A setting is missing or contradicts another; the text is one line that names it."""


class ServiceSettings(BaseSettings):
    """What every service reads; a service adds its own in its `settings.py`."""

    model_config = SettingsConfigDict(env_prefix="PAGER_", env_file=".env", extra="ignore", frozen=True)

    database_url: SecretStr
    """PostgreSQL, as the role `pager_<service>`."""
    nats_url: SecretStr
    """`nats://user:password@host:port`; the user is the service's own NATS account user."""
    nats_ca_file: str | None = None
    """PEM of an own authority for `tls://`; the system's authorities are not believed then."""
    instance: str = Field(default_factory=lambda: uuid4().hex[:8])
    """Names this replica in logs, sessions and traces."""
    log_level: str = "info"
    log_format: str = Field(default="json", pattern="^(json|text)$")
    monitor_port: int | None = Field(default=None, ge=0, le=65535)
    """Where `/live`, `/ready` and `/metrics` are answered; unset: nowhere, 0: any free port, named in the log."""
    monitor_host: str = "127.0.0.1"
    """Whoever reaches it may read the metrics: another address than loopback belongs behind a network policy."""

    @model_validator(mode="after")
    def _usable_tls(self) -> Self:
        self.nats_tls()
        return self

    def nats_tls(self) -> dict[str, Any]:
        """Options of the NATS client for TLS; none for a URL without."""
        return tls_options(self.nats_url.get_secret_value(), self.nats_ca_file)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment.

        Raises:
            SettingsError: one line that names the setting at fault, never its value.
        """
        try:
            return cls(**(_from_files(cls) | overrides))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise SettingsError(f"{_variable(first['loc'])}: {first['msg']}") from None


def _variable(location: tuple[int | str, ...]) -> str:
    """The environment variable at fault; the specification's own names have no prefix."""
    if not location:
        return "the settings"
    name = str(location[0])
    return name if name.isupper() else f"PAGER_{name.upper()}"


def _from_files(settings: type[ServiceSettings]) -> dict[str, str]:
    values = {}
    for name in settings.model_fields:
        variable = f"PAGER_{name.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        # Fields that are files themselves (`…_FILE`) have their own names and no `_FILE_FILE`.
        if path is None or f"{name}_file" in settings.model_fields:
            continue
        if variable in os.environ:
            raise SettingsError(f"{variable} and {variable}_FILE are both set: keep one")
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{variable}_FILE: {error.strerror}") from None
    return values


def load_or_exit(settings: type[S]) -> S:
    """For `main`: a bad setting stops a service at once with one line."""
    try:
        return settings.load()
    except SettingsError as error:
        sys.stderr.write(f"pager: {error}\n")
        raise SystemExit(2) from None


def check_service(name: str) -> str:
    """Guards the places where a service's name becomes part of SQL or of a module path."""
    if name not in SERVICES:
        raise SettingsError(f"unknown service {name!r}: expected one of {', '.join(SERVICES)}")
    return name
