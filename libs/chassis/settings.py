"""Settings from the environment: prefix `PAGER_`, `_FILE` variants for secrets (README, Settings)."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar
from uuid import uuid4

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from libs.chassis.environment import (
    OUR_PREFIXES,
    TRACES,
    TRACES_ALONE,
    merged,
    read_env_file,
    text_of,
    value_of,
)
from libs.chassis.tls import tls_options, trusting
from libs.chassis.urls import base_fault, url_fault
from libs.contracts.subjects import SERVICES
from libs.contracts.web_push import PushServices

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


def file_of(judge: Callable[[str], object]) -> AfterValidator:
    """For fields that are files. `judge` raises `ValueError` where one cannot be what it should."""

    def check(path: str | None) -> str | None:
        if path:
            try:
                judge(path)
            except ValueError as error:
                raise ValueError(f"{error}: {path}") from None
        return path or None

    return AfterValidator(check)


def text_like(pattern: str, expected: str) -> AfterValidator:
    """For fields of a form that only their own service knows; `expected` is what a person is told."""

    def check(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and not re.fullmatch(pattern, text):
            raise ValueError(expected)
        return value

    return AfterValidator(check)


def _push_hosts(text: str) -> str:
    PushServices.parse(text)
    return text


def _url(judge: Callable[..., str | None], *schemes: str) -> AfterValidator:
    def check(value: Any) -> Any:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        if text and (fault := judge(text, *schemes)):
            raise ValueError(fault)
        return value or None

    return AfterValidator(check)


HttpUrl = Annotated[str, _url(base_fault, "http", "https")]
"""One that others are made of, by what is added at its end."""
HttpsUrl = Annotated[str, _url(base_fault, "https")]
NatsUrl = Annotated[SecretStr, _url(url_fault, "nats", "tls")]
PostgresUrl = Annotated[SecretStr, _url(url_fault, "postgresql", "postgres")]
SmtpUrl = Annotated[SecretStr, _url(url_fault, "smtp", "smtps")]
TextFile = Annotated[str, file_of(text_of)]
AuthoritiesFile = Annotated[str, file_of(trusting)]
PushHosts = Annotated[str, AfterValidator(_push_hosts)]
"""Push services, as `PushServices.parse` reads them."""


class ServiceSettings(BaseSettings):
    """What every service reads; a service adds its own in its `settings.py`."""

    model_config = SettingsConfigDict(env_prefix="PAGER_", env_ignore_empty=True, extra="ignore", frozen=True)

    database_url: PostgresUrl
    """PostgreSQL, as the role `pager_<service>`."""
    nats_url: NatsUrl
    """`nats://user:password@host:port`; the user is the service's own NATS account user."""
    nats_ca_file: TextFile | None = None
    """PEM of an own authority for `tls://`; the system's authorities are not believed then."""
    instance: Annotated[str, text_like(r"[^/\s]+", "must be without spaces and slashes")] = Field(
        default_factory=lambda: uuid4().hex[:8], max_length=36
    )
    """Names this replica in logs, sessions (whose names PostgreSQL cuts at 63 bytes) and traces; no other has it."""
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

    def secret(self) -> str | None:
        """What every replica of this service has and nobody else, if anything: keys are derived from it."""
        return None

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment.

        Raises:
            SettingsError: all faults that there are, never with a value.
        """
        given, faults = _given(cls)
        given |= overrides
        while True:
            try:
                settings = cls(**given)
            except ValidationError as error:
                found = error.errors(include_url=False, include_input=False)
                # A default that stands in for a wrong value contradicts nothing.
                wrong_ones = [fault.partition(":")[0] for fault in faults]
                named = {name for one in wrong_ones for name in (one, one.removesuffix("_FILE"))}
                faults += [fault for one in found for fault in _faults(one) if named.isdisjoint(_NAME.findall(fault))]
                wrong = {str(one["loc"][0]) for one in found if one["loc"]} - given.keys()
                # What contradicts each other shows only where each by itself is right: once more, with the defaults.
                given |= _defaults(cls, wrong)
                if not wrong or not wrong <= given.keys():
                    raise SettingsError(*dict.fromkeys(faults)) from None
            else:
                if faults:
                    raise SettingsError(*dict.fromkeys(faults))
                return settings


class SealingSettings(ServiceSettings):
    """Of a service that keeps keys of persons itself."""

    sealing_key: SecretStr = Field(min_length=32)
    """32 characters or more, the same in every replica, and no other service's; the key that seals persons' keys at
    rest is derived from it. Where it is another one, they are fetched from auth again."""
    sealing_key_previous: SecretStr | None = Field(default=None, min_length=32)
    """The one before, while it is replaced: what it has sealed is opened, and sealed anew once all have both."""

    def sealing_keys(self) -> tuple[str, ...]:
        """The present one, then the one before."""
        given = (self.sealing_key, self.sealing_key_previous)
        return tuple(key.get_secret_value() for key in given if key is not None)

    @model_validator(mode="after")
    def _two_keys(self) -> Self:
        if self.sealing_key_previous == self.sealing_key:
            raise ValueError("PAGER_SEALING_KEY_PREVIOUS must be another one than PAGER_SEALING_KEY: leave it out")
        return self

    def secret(self) -> str:
        return self.sealing_key.get_secret_value()


def _defaults(settings: type[ServiceSettings], names: set[str]) -> dict[str, Any]:
    """Of those fields that have a default; the specification's own are named by their variables."""
    fields = {name: settings.model_fields.get(name.lower()) for name in names}
    known = {name: field for name, field in fields.items() if field is not None and not field.is_required()}
    return {name: field.get_default(call_default_factory=True, validated_data={}) for name, field in known.items()}


_NAME: Final = re.compile(r"[A-Z][A-Z0-9_]+")
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


def variables(settings: type[ServiceSettings]) -> dict[str, str]:
    """The environment variable of each field; the specification's own names have no prefix."""
    aliases = {name: field.validation_alias for name, field in settings.model_fields.items()}
    return {
        name: str(alias.choices[0]) if isinstance(alias, AliasChoices) else f"PAGER_{name.upper()}"
        for name, alias in aliases.items()
    }


def _given(settings: type[ServiceSettings]) -> tuple[dict[str, Any], list[str]]:
    """What stands in the files of `…_FILE` variables, and what is wrong before anybody looks at values."""
    values: dict[str, Any] = {}
    faults = []
    for name, variable in variables(settings).items():
        # Fields that are files themselves (`…_FILE`) have their own names and no `_FILE_FILE`.
        given = {v: os.environ[v] for v in (variable, f"{variable}_FILE") if v in os.environ}
        if f"{name}_file" in settings.model_fields:
            given.pop(f"{variable}_FILE", None)
        try:
            value = value_of(given, variable)
        except ValueError as error:
            faults.append(str(error))
        else:
            if value is not None and not os.environ.get(variable):
                values[name] = value
    if os.environ.get(TRACES) or os.environ.get(TRACES_ALONE):
        from libs.chassis.measure import telemetry  # who sends no traces loads nothing of it here

        faults += telemetry.faults()
    return values, faults


def load_or_exit(settings: type[S]) -> S:
    """For `main`: what `.env` says becomes part of this process's environment; bad settings stop a service at once,
    with a line for each fault.
    """
    from_file, faults = read_env_file()
    ours = {name: value for name, value in from_file.items() if name.startswith(OUR_PREFIXES)}
    os.environ.update(merged(os.environ, ours))
    try:
        loaded = settings.load()
        if not faults:
            return loaded
    except SettingsError as error:
        faults += error.faults
    sys.stderr.writelines(f"pager: {fault}\n" for fault in faults)
    raise SystemExit(2)


def check_service(name: str) -> str:
    """Guards the places where a service's name becomes part of SQL or of a module path."""
    if name not in SERVICES:
        raise SettingsError(f"unknown service {name!r}: expected one of {', '.join(SERVICES)}")
    return name
