"""What auth reads from the environment."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Final, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from libs.chassis.requests.callers import LONGEST
from libs.chassis.settings import AuthoritiesFile, HttpUrl, PushHosts, ServiceSettings, SmtpUrl, file_of, text_like
from libs.contracts.requests import Invalid
from libs.contracts.texts import EmailAddress
from services.auth.geoip import open_countries
from services.auth.oidc.configuration import CALLBACK, Configuration, provider_fault, redirect_uris, scopes
from services.auth.oidc.grants import group_roles
from services.auth.passwords import MIN_ROUNDS, check_form, check_password
from services.auth.smtp import MailServer, smtp_fault

LONGEST_REFRESH = timedelta(days=365)
"""A phone that nobody has used for a year is nobody's any more."""
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def duration(value: Any) -> Any:
    """`90s`, `15m`, `12h`, `7d`, as the specification writes them; a bare number would be a guess at the unit."""
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([1-9]\d{0,8})([smhd])", str(value))
    if match is None:
        raise ValueError("expected a number and a unit (s, m, h or d), such as 15m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


CountriesFile = Annotated[str, file_of(open_countries)]
_READ: Final[Mapping[str, Callable[[str], object]]] = {
    "oidc_redirect_uris": redirect_uris,
    "oidc_group_roles": group_roles,
    "oidc_scopes": scopes,
}
Duration = Annotated[timedelta, BeforeValidator(duration)]


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(populate_by_name=True)

    master_key: SecretStr = Field(min_length=32)
    """32 characters or more, the same in every replica; the keys that seal secrets at rest are derived from it."""
    master_key_previous: SecretStr | None = Field(default=None, min_length=32)
    """The one before, while the master key is replaced: what it has sealed is opened, and sealed anew."""
    admin_email: EmailAddress | None = None
    admin_password: SecretStr | None = None
    """The first start makes this admin; later starts leave an existing account as it is."""
    jwt_access_expires: Duration = Field(
        default=timedelta(minutes=15), validation_alias=AliasChoices("JWT_ACCESS_EXPIRES", "jwt_access_expires")
    )
    jwt_refresh_expires: Duration = Field(
        default=timedelta(days=7), validation_alias=AliasChoices("JWT_REFRESH_EXPIRES", "jwt_refresh_expires")
    )
    admins_need_totp: bool = False
    """Whether an admin signs in only with a second factor; whoever has none sets it up by signing in."""
    captcha: bool = False
    """Whether sign-ins to an account that many wrong passwords were tried for need a captcha; else answers wait."""
    public_url: HttpUrl = "http://localhost:3000"
    """Where people reach us: links begin with it."""
    smtp_url: SmtpUrl | None = None
    """`smtp://user:password@host:587` (STARTTLS) or `smtps://…:465`; unset: no mails are sent."""
    smtp_from: EmailAddress | None = None
    geoip_file: CountriesFile | None = None
    """Which country an address is in (MaxMind's format, .mmdb); unset: new countries are not noticed."""
    smtp_ca_file: AuthoritiesFile | None = None
    """PEM of an own authority for the mail server; the system's authorities are not believed then."""
    web_push_hosts: PushHosts = ""
    """Push services beside those of browsers, as `PushServices.parse` reads them; the notifier has the same."""
    erasure_ledger_file: str | None = None
    """The ledger of erasures, which no backup of the database holds and all replicas share; unset: nobody is erased."""
    oidc_issuer: str | None = Field(default=None, max_length=1024)
    """The identity provider, as it calls itself; unset: people sign in with passwords alone."""
    oidc_client_id: Annotated[str, text_like(r"[ -~]+", "must be characters of ASCII")] | None = Field(
        default=None, max_length=255
    )
    oidc_client_secret: SecretStr | None = Field(default=None, max_length=1024)
    """None: we are a public client there, and PKCE alone shows who redeems a code."""
    oidc_redirect_uris: str = ""
    """Where apps are told how a sign-in went, separated by commas, compared to the letter."""
    oidc_group_roles: str = "{}"
    """JSON: what the provider's groups give."""
    oidc_groups_claim: str = Field(default="groups", max_length=255)
    oidc_scopes: str = "openid email profile"
    oidc_ca_file: AuthoritiesFile | None = None
    """PEM of an own authority for the provider; the system's authorities are not believed then."""
    bcrypt_rounds: int = Field(default=MIN_ROUNDS, ge=4, le=16)
    insecure_test_hashing: bool = False
    """Tests only: allows fewer bcrypt rounds than the specification."""

    @field_validator("admin_password")
    @classmethod
    def _good_password(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value is not None:
                check_form(value.get_secret_value())
        except Invalid as error:
            raise ValueError(str(error)) from None
        return value

    @field_validator("smtp_url")
    @classmethod
    def _nothing_but_a_server(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and (fault := smtp_fault(value.get_secret_value())):
            raise ValueError(fault)
        return value

    def secret(self) -> str:
        return self.master_key.get_secret_value()

    def master_keys(self) -> tuple[str, str | None]:
        """The present one, and the one before while it is replaced."""
        previous = self.master_key_previous
        return self.master_key.get_secret_value(), previous.get_secret_value() if previous is not None else None

    @field_validator("oidc_issuer")
    @classmethod
    def _is_a_provider(cls, value: str | None) -> str | None:
        if value is not None and (fault := provider_fault(value)):
            raise ValueError(fault)
        return value

    @field_validator("oidc_redirect_uris", "oidc_group_roles", "oidc_scopes")
    @classmethod
    def _can_be_read(cls, value: str, info: ValidationInfo) -> str:
        _READ[str(info.field_name)](value)
        return value

    def oidc(self) -> Configuration | None:
        if self.oidc_issuer is None or self.oidc_client_id is None:
            return None
        return Configuration(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id,
            secret=self.oidc_client_secret.get_secret_value() if self.oidc_client_secret else None,
            callback=self.public_url.rstrip("/") + CALLBACK,
            redirect_uris=redirect_uris(self.oidc_redirect_uris),
            groups=group_roles(self.oidc_group_roles),
            groups_claim=self.oidc_groups_claim,
            scopes=self.oidc_scopes,
            ca_file=self.oidc_ca_file,
        )

    def mail_server(self) -> MailServer | None:
        if self.smtp_url is None or self.smtp_from is None:
            return None
        return MailServer.of(self.smtp_url.get_secret_value(), self.smtp_from.strip(), self.smtp_ca_file)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        faults = []
        if self.master_key_previous == self.master_key:
            faults.append("PAGER_MASTER_KEY_PREVIOUS must be another one than PAGER_MASTER_KEY: leave it out")
        if (self.admin_email is None) != (self.admin_password is None):
            faults.append("PAGER_ADMIN_EMAIL and PAGER_ADMIN_PASSWORD go together: set both or neither")
        if self.admin_email is not None and self.admin_password is not None:
            try:
                check_password(self.admin_password.get_secret_value(), (self.admin_email,))
            except Invalid as error:
                faults.append(f"PAGER_ADMIN_PASSWORD: {error}")
        if (self.smtp_url is None) != (self.smtp_from is None):
            faults.append("PAGER_SMTP_URL and PAGER_SMTP_FROM go together: set both or neither")
        if self.smtp_ca_file is not None and self.smtp_url is None:
            faults.append("PAGER_SMTP_CA_FILE needs a PAGER_SMTP_URL")
        needed = (self.oidc_issuer, self.oidc_client_id, redirect_uris(self.oidc_redirect_uris) or None)
        if None in needed and set(needed) != {None}:
            names = "PAGER_OIDC_ISSUER, PAGER_OIDC_CLIENT_ID and PAGER_OIDC_REDIRECT_URIS"
            faults.append(f"{names} go together: set all of them or none")
        if self.oidc_issuer is None:
            alone = {
                "PAGER_OIDC_CLIENT_SECRET": self.oidc_client_secret is not None,
                "PAGER_OIDC_GROUP_ROLES": bool(group_roles(self.oidc_group_roles)),
                "PAGER_OIDC_CA_FILE": self.oidc_ca_file is not None,
            }
            faults += [f"{name} needs a PAGER_OIDC_ISSUER" for name, is_set in alone.items() if is_set]
        if self.bcrypt_rounds < MIN_ROUNDS and not self.insecure_test_hashing:
            faults.append(f"PAGER_BCRYPT_ROUNDS must be at least {MIN_ROUNDS}")
        if self.jwt_access_expires > LONGEST:
            faults.append("JWT_ACCESS_EXPIRES must be at most 1h: who is signed out is remembered for that long")
        if self.jwt_refresh_expires > LONGEST_REFRESH:
            faults.append("JWT_REFRESH_EXPIRES must be at most 365d")
        if self.jwt_refresh_expires <= self.jwt_access_expires:
            faults.append("JWT_REFRESH_EXPIRES must be longer than JWT_ACCESS_EXPIRES")
        if faults:
            raise ValueError("\n".join(faults))
        return self
