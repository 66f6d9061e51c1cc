"""The push providers as they are configured: a client each, and a circuit breaker for each service behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Protocol

from libs.chassis.clock import Clock
from libs.chassis.environment import text_of
from libs.chassis.settings import SettingsError
from libs.contracts.web_push import PushServices
from services.notifier.push.apns import ApnsClient
from services.notifier.push.breaker import Breaker, BreakerState
from services.notifier.push.fcm import FcmClient
from services.notifier.push.message import Page
from services.notifier.push.outcome import Outcome
from services.notifier.push.web import WebPushClient
from services.notifier.settings import Settings

OPEN_FOR = timedelta(seconds=2)
"""The specification's breaker stays open for a minute; a critical page must not wait that long for a vendor that
is back, and two probes every two seconds burden nobody."""


class PushClient(Protocol):
    """A vendor."""

    @property
    def trouble(self) -> str | None:
        """Why nothing could be sent there now, in a few words of ours; None while nothing speaks against it."""
        ...

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    async def send(self, token: str, page: Page, limit: float) -> Outcome:
        """One attempt at one device, of at most `limit` seconds and the client's own time-out; never raises."""
        ...


@dataclass
class Provider:
    """`client` is None when its credentials are missing: then every attempt fails at once and says so."""

    name: str
    client: PushClient | None
    credentials: str = ""
    """Their fingerprint: with others, or for another topic or project, other tokens are good."""
    breaker: Breaker = field(default_factory=lambda: Breaker(open_for=OPEN_FOR))
    """The only one, or what those of its services are made like."""
    service_of: Callable[[str], str] | None = None
    """Which service takes a token, where there are several: one that is away holds back no page to another."""
    key: str | None = None
    """What devices are registered with, where they need to know it."""
    _of_services: dict[str, Breaker] = field(default_factory=dict)

    def breaker_of(self, token: object) -> Breaker:
        """The breaker of the service that takes this token; one that is sealed may be of any."""
        if self.service_of is None or not isinstance(token, str):
            return self.breaker
        service = self.service_of(token)
        if service not in self._of_services:
            self._of_services[service] = self.breaker.fresh()
        return self._of_services[service]

    def called(self, token: object) -> str:
        """What operators are told of: with the service that takes this token, where there are several."""
        service = self.service_of(token) if self.service_of is not None and isinstance(token, str) else ""
        return f"{self.name} ({service})" if service else self.name

    @property
    def is_closed(self) -> bool:
        """Whether nothing is held back."""
        return all(breaker.is_closed for breaker in self._breakers)

    @property
    def retry_at(self) -> datetime | None:
        """When the next probe may pass; None where nothing is held back."""
        return min((b.retry_at for b in self._breakers if b.retry_at is not None), default=None)

    def state_at(self, now: datetime) -> BreakerState:
        """That of the service which is the worst."""
        states = {breaker.state_at(now) for breaker in self._breakers}
        return next(s for s in (BreakerState.OPEN, BreakerState.HALF_OPEN, BreakerState.CLOSED) if s in states)

    def trouble(self, now: datetime) -> str | None:
        """Why pages do not get there; also of a vendor that answers, and takes none."""
        if self.client is None:
            return None
        if self.client.trouble is not None:
            return self.client.trouble
        away = [name for name, breaker in self._of_services.items() if breaker.state_at(now) is BreakerState.OPEN]
        if away:
            return f"has taken none of the last pages at {', '.join(sorted(away))}"
        return "has taken none of the last pages" if self.breaker.state_at(now) is BreakerState.OPEN else None

    @property
    def _breakers(self) -> Sequence[Breaker]:
        return (self.breaker, *self._of_services.values())


def providers(settings: Settings, clock: Clock) -> dict[str, Provider]:
    """APNs, FCM and Web Push by name; their clients are not started yet.

    Raises:
        SettingsError: a key, file or URL that can never work; one line without the secret.
    """
    apns = _apns(settings, clock) if settings.has_apns else None
    fcm = _fcm(settings, clock) if settings.has_fcm else None
    web = _web(settings, clock) if settings.has_webpush else None
    return {
        "apns": Provider("apns", apns, fingerprint(apns.credentials) if apns else "", _breaker(settings)),
        "fcm": Provider("fcm", fcm, fingerprint(fcm.credentials) if fcm else "", _breaker(settings)),
        "webpush": Provider(
            "webpush",
            web,
            fingerprint(web.credentials) if web else "",
            _breaker(settings),
            service_of=web.service_of if web else None,
            key=web.public_key if web else None,
        ),
    }


def _breaker(settings: Settings) -> Breaker:
    return Breaker(is_on=settings.enable_circuit_breaker, open_for=OPEN_FOR)


def fingerprint(credentials: Sequence[str]) -> str:
    """Of what makes a token ours; a few characters of it, to be kept beside each accepted page."""
    return sha256(json.dumps(list(credentials)).encode()).hexdigest()[:12]


# What the settings have judged is read here once more, and may be another file by now.
def _apns(settings: Settings, clock: Clock) -> ApnsClient:
    try:
        return ApnsClient(
            key=text_of(settings.apns_key_file or ""),
            key_id=settings.apns_key_id or "",
            team_id=settings.apns_team_id or "",
            topic=settings.apns_topic or "",
            url=settings.apns_url,
            ca_file=settings.apns_ca_file,
            clock=clock,
        )
    except ValueError as error:
        raise SettingsError(f"PAGER_APNS_KEY_FILE or PAGER_APNS_CA_FILE: {error}") from None


def _fcm(settings: Settings, clock: Clock) -> FcmClient:
    try:
        return FcmClient(
            credentials_file=settings.fcm_credentials_file or "",
            url=settings.fcm_url,
            token_url=settings.fcm_token_url,
            clock=clock,
        )
    except ValueError as error:
        raise SettingsError(f"PAGER_FCM_CREDENTIALS_FILE: {error}") from None


def _web(settings: Settings, clock: Clock) -> WebPushClient:
    try:
        return WebPushClient(
            key=text_of(settings.vapid_key_file or ""),
            subject=settings.vapid_subject or "",
            services=PushServices.parse(settings.web_push_hosts),
            clock=clock,
        )
    except ValueError as error:
        raise SettingsError(f"PAGER_VAPID_KEY_FILE: {error}") from None
