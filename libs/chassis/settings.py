"""Settings from the environment: prefix `PAGER_`, `.env` is read, `_FILE` variants for secrets (README, Settings)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.chassis.tls import tls_options
from libs.contracts.subjects import SERVICES

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

S = TypeVar("S", bound="ServiceSettings")
LogLevel = Annotated[
    Literal["debug", "info", "warning", "error", "critical"], BeforeValidator(lambda value: str(value).lower())
]


class SettingsError(Exception):
    """Settings are missing, cannot be read or contradict each other; each fault is one line that names them."""

    def __init__(self, *faults: str) -> None:
        self.faults = faults
        super().__init__("; ".join(faults))


def readable(path: str | None) -> str | None:
    """For fields that are files. Raises `ValueError` where nobody could read one there."""
    if path:
        try:
            with Path(path).open("rb") as file:
                file.read(1)
        except OSError as error:
            raise ValueError(f"{error.strerror or error}: {path}") from None
    return path or None


def url_fault(url: str, *schemes: str) -> str | None:
    """What is wrong with the URL of a server, in words without its password; None: nothing."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in schemes:
            return f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes)}"
        if any(character.isspace() for character in url):
            return "is no URL: it has spaces"
        if not parts.netloc.rpartition("@")[2]:
            return "names no host"
        if "," not in parts.netloc:  # PostgreSQL may have several
            _ = parts.port
    except ValueError:
        return "is no URL: special characters of a password are written as %xx, ports are numbers up to 65535"
    return None


def _has_scheme(*schemes: str) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and (fault := url_fault(text, *schemes)):
            raise ValueError(fault)
        return value

    return check


HttpUrl = Annotated[str, AfterValidator(_has_scheme("http", "https"))]
NatsUrl = Annotated[SecretStr, AfterValidator(_has_scheme("nats", "tls"))]
PostgresUrl = Annotated[SecretStr, AfterValidator(_has_scheme("postgresql", "postgres"))]
ReadableFile = Annotated[str, AfterValidator(readable)]


class ServiceSettings(BaseSettings):
    """What every service reads; a service adds its own in its `settings.py`."""

    model_config = SettingsConfigDict(
        env_prefix="PAGER_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True
    )

    database_url: PostgresUrl
    """PostgreSQL, as the role `pager_<service>`."""
    nats_url: NatsUrl
    """`nats://user:password@host:port`; the user is the service's own NATS account user."""
    nats_ca_file: str | None = None
    """PEM of an own authority for `tls://`; the system's authorities are not believed then."""
    instance: str = Field(default_factory=lambda: uuid4().hex[:8])
    """Names this replica in logs, sessions and traces."""
    log_level: LogLevel = "info"
    log_format: Literal["json", "text"] = "json"
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
            SettingsError: all faults that there are, never with a value.
        """
        given, faults = _from_files(cls)
        given |= overrides
        while True:
            try:
                settings = cls(**given)
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False)
                # A default that stands in for a wrong value contradicts nothing.
                named = [fault.partition(":")[0] for fault in faults]
                faults += [fault for one in found for fault in _faults(one) if not any(n in fault for n in named)]
                wrong = {str(one["loc"][0]) for one in found if one["loc"]} - given.keys()
                # What contradicts each other shows only where each by itself is right: once more, with the defaults.
                given |= _defaults(cls, wrong)
                if not wrong or not wrong <= given.keys():
                    raise SettingsError(*dict.fromkeys(faults)) from None
            else:
                if faults:
                    raise SettingsError(*dict.fromkeys(faults))
                return settings


def _defaults(settings: type[ServiceSettings], names: set[str]) -> dict[str, Any]:
    """Of those fields that have a default; the specification's own are named by their variables."""
    fields = {name: settings.model_fields.get(name.lower()) for name in names}
    known = {name: field for name, field in fields.items() if field is not None and not field.is_required()}
    return {name: field.get_default(call_default_factory=True, validated_data={}) for name, field in known.items()}


_WORDS: Final = {
    "missing": "is missing",
    "int_parsing": "must be a whole number",
    "float_parsing": "must be a number",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "string_too_short": "must have at least {min_length} characters",
    "too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "literal_error": "must be one of {expected}",
}


def _faults(error: ErrorDetails) -> list[str]:
    """An error of pydantic's in our words; a check of several settings names them itself, a fault a line."""
    context = error.get("ctx", {})
    if error["type"] == "value_error":
        texts = str(context["error"]).splitlines()
    else:
        texts = [_WORDS.get(error["type"], "{message}").format(message=error["msg"], **context)]
    return [f"{_variable(error['loc'])}: {text}" if error["loc"] else text for text in texts]


def _variable(location: tuple[int | str, ...]) -> str:
    """The environment variable at fault; the specification's own names have no prefix."""
    name = str(location[0])
    return name if name.isupper() else f"PAGER_{name.upper()}"


def _from_files(settings: type[ServiceSettings]) -> tuple[dict[str, Any], list[str]]:
    """What stands in the files of `…_FILE` variables, and what is wrong with them."""
    values: dict[str, Any] = {}
    faults = []
    for name in settings.model_fields:
        variable = f"PAGER_{name.upper()}"
        path = os.environ.get(f"{variable}_FILE")
        # Fields that are files themselves (`…_FILE`) have their own names and no `_FILE_FILE`.
        if path is None or f"{name}_file" in settings.model_fields:
            continue
        if variable in os.environ:
            faults.append(f"{variable} and {variable}_FILE are both set: keep one")
            continue
        try:
            values[name] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            faults.append(f"{variable}_FILE: {error.strerror}")
        except UnicodeDecodeError:
            faults.append(f"{variable}_FILE: is no text")
    return values, faults


def load_or_exit(settings: type[S]) -> S:
    """For `main`: bad settings stop a service at once, with a line for each fault."""
    try:
        return settings.load()
    except SettingsError as error:
        sys.stderr.writelines(f"pager: {fault}\n" for fault in error.faults)
        raise SystemExit(2) from None


def check_service(name: str) -> str:
    """Guards the places where a service's name becomes part of SQL or of a module path."""
    if name not in SERVICES:
        raise SettingsError(f"unknown service {name!r}: expected one of {', '.join(SERVICES)}")
    return name
