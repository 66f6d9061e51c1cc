"""The notifier's settings: the push providers' credentials and addresses (README, Settings)."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, model_validator
from pydantic_settings import SettingsConfigDict

from libs.chassis.environment import text_of
from libs.chassis.settings import AuthoritiesFile, HttpsUrl, HttpUrl, PushHosts, SealingSettings, file_of, text_like
from libs.contracts.web_push import PushServices
from services.notifier.domain.bundling import MOST

FCM_URL = "https://fcm.googleapis.com"
APNS_URL = "https://api.push.apple.com"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def _read_apns_key(path: str) -> None:
    from services.notifier.push.provider_token import read_key  # who has none loads nothing of it

    read_key(text_of(path))


def _read_service_account(path: str) -> None:
    from services.notifier.push.google_token import read_service_account

    read_service_account(text_of(path))


def _read_vapid_key(path: str) -> None:
    from services.notifier.push.web_sealing import read_vapid_key

    read_vapid_key(text_of(path))


ApnsKeyFile = Annotated[str, file_of(_read_apns_key)]
ServiceAccountFile = Annotated[str, file_of(_read_service_account)]
VapidKeyFile = Annotated[str, file_of(_read_vapid_key)]
VapidSubject = Annotated[
    str,
    text_like(
        r"mailto:[^@\s,]+@[^@\s,]+\.[^@\s,]+|https://[A-Za-z0-9.-]+(/[!-~]*)?",
        "must be mailto:somebody@example.com or https://…, where push services reach whoever runs this",
    ),
]
AppleId = Annotated[str, text_like(r"[A-Za-z0-9]{10}", "must be ten letters and digits, as Apple shows it")]
BundleId = Annotated[str, text_like(r"[A-Za-z0-9.-]{1,155}", "must be a bundle id: letters, digits, dots, hyphens")]


class Settings(SealingSettings):
    """A provider is configured when all its credentials are there; half of them is a mistake and stops the service."""

    model_config = SettingsConfigDict(populate_by_name=True)

    enable_circuit_breaker: bool = Field(
        default=True, validation_alias=AliasChoices("ENABLE_CIRCUIT_BREAKER", "enable_circuit_breaker")
    )
    """Whether a push provider that takes nothing is left alone for a moment; otherwise every page is tried at once."""
    public_url: HttpUrl = "http://localhost:3000"
    """Where people reach the gateway; links in pages begin with it."""
    pages_per_minute: int = Field(default=MOST, ge=1, le=1000)
    """Of one incident (or what comes of its dedup key again) to one person; what would be more is bundled."""
    fcm_credentials_file: ServiceAccountFile | None = None
    """JSON of a service account."""
    fcm_url: HttpUrl = FCM_URL
    fcm_token_url: HttpUrl | None = None
    """Replaces the `token_uri` of the service account."""
    apns_key_file: ApnsKeyFile | None = None
    """The .p8 file."""
    apns_key_id: AppleId | None = None
    apns_team_id: AppleId | None = None
    apns_topic: BundleId | None = None
    """The app's bundle id."""
    apns_url: HttpsUrl = APNS_URL
    apns_ca_file: AuthoritiesFile | None = None
    """PEM of an own authority instead of the system's, for simulators."""

    vapid_key_file: VapidKeyFile | None = None
    """PEM of the P-256 key by which push services know us; browsers subscribe with its public half."""
    vapid_subject: VapidSubject | None = Field(default=None, max_length=255)
    web_push_hosts: PushHosts = ""
    """Push services beside those of browsers, as `PushServices.parse` reads them; auth has the same."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed = ("apns_key_file", "apns_key_id", "apns_team_id", "apns_topic")
        missing = [name for name in needed if not getattr(self, name)]
        begun = len(missing) < len(needed) or self.apns_url != APNS_URL or self.apns_ca_file
        faults = [f"PAGER_{name.upper()}: is missing, APNs is half configured" for name in missing if begun]
        if not self.fcm_credentials_file and (self.fcm_url != FCM_URL or self.fcm_token_url):
            faults.append("PAGER_FCM_CREDENTIALS_FILE: is missing, FCM is half configured")
        if bool(self.vapid_key_file) != bool(self.vapid_subject):
            missing_one = "SUBJECT" if self.vapid_key_file else "KEY_FILE"
            faults.append(f"PAGER_VAPID_{missing_one}: is missing, Web Push is half configured")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    @property
    def has_apns(self) -> bool:
        return bool(self.apns_key_file)

    @property
    def has_fcm(self) -> bool:
        return bool(self.fcm_credentials_file)

    @property
    def has_webpush(self) -> bool:
        return bool(self.vapid_key_file)

    @property
    def push(self) -> str:
        """`healthy`, `simulated` (a provider on loopback) or `not configured`; what health says of push."""
        urls = [url for url, used in ((self.fcm_url, self.has_fcm), (self.apns_url, self.has_apns)) if used]
        if not urls and not self.has_webpush:
            return "not configured"
        simulates = self.has_webpush and PushServices.parse(self.web_push_hosts).has_loopback
        return "simulated" if simulates or any(urlsplit(url).hostname in _LOOPBACK for url in urls) else "healthy"
