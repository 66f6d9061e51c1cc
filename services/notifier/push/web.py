"""Web Push: one page to one browser's subscription, one outcome."""

from __future__ import annotations

import asyncio
import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import aiohttp
import structlog
from aiohttp.abc import AbstractResolver
from yarl import URL

from libs.contracts.web_push import PushServices, Subscription
from services.notifier.push.message import Page, encode, web_headers, web_minimal_payload, web_payload
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.push.reasons import connection_reason
from services.notifier.push.web_addresses import NotPublic, PublicResolver
from services.notifier.push.web_answers import TOO_LARGE, WebAnswer, read_web
from services.notifier.push.web_sealing import Vapid, public_key, read_vapid_key, sealed

if TYPE_CHECKING:
    from libs.chassis.clock import Clock

log = structlog.get_logger(__name__)

CONNECTIONS: Final = 100
"""As many as pages may be under way; half of them to one host, so that one that hangs leaves room for others."""
KEEPALIVE: Final = 240.0
NAMES_KEPT: Final = 300
"""Seconds for which what a name stood for is connected to again."""
MOST_READ: Final = 4096
"""Bytes of an answer: its status says nearly all."""
TRUSTED: Final = timedelta(hours=24)
"""For how long an accepted page shows that a push service takes our signature."""


class WebPushClient:
    """Sends pages to browsers; make it anywhere, `start` it in the loop.

    `key`: PEM of the VAPID key. `subject`: whom a push service may write to, `mailto:…` or `https://…`. `services`:
    whose endpoints are pushed to; an address that is not public only where they name its host. `timeout`: seconds that
    one `send` may take, its one repeat included. Raises ValueError for a key that is none.
    """

    def __init__(
        self,
        *,
        key: str,
        subject: str,
        services: PushServices,
        clock: Clock,
        timeout: float = 4.0,
        connections: int = CONNECTIONS,
        resolver: AbstractResolver | None = None,
    ) -> None:
        private = read_vapid_key(key)
        self.public_key = public_key(private)
        """What browsers subscribe with."""
        self._vapid = Vapid(private, subject, clock)
        self._services = services
        self._clock = clock
        self._timeout = timeout
        self._connections = connections
        self._resolver = resolver
        self._session: aiohttp.ClientSession | None = None
        self._taken: dict[str, datetime] = {}

    @property
    def credentials(self) -> tuple[str, ...]:
        """What makes a subscription ours or a stranger's."""
        return ("webpush", self.public_key)

    @property
    def trouble(self) -> str | None:
        """None: the services are browsers' own, and are asked only when there is something to say."""
        return None

    def service_of(self, token: str) -> str:
        """Which push service a subscription is of; "" for what is none that is believed."""
        try:
            return self._services.service_of(Subscription.read(token)) or ""
        except ValueError:
            return ""

    async def start(self) -> None:
        """Make ready to connect. Never fails: an unreachable service shows in the outcomes."""
        names = PublicResolver(self._resolver or aiohttp.ThreadedResolver(), self._services.exempts)
        connector = aiohttp.TCPConnector(
            resolver=names,
            limit=self._connections,
            limit_per_host=self._connections // 2,
            keepalive_timeout=KEEPALIVE,
            ttl_dns_cache=NAMES_KEPT,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),  # our own deadline bounds everything
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )

    async def close(self) -> None:
        """Close all connections; sends in flight end as transient."""
        if self._session is not None:
            await self._session.close()

    async def send(self, token: str, page: Page, limit: float = math.inf) -> Outcome:
        """One attempt at one browser, within the time-out and `limit` seconds. Raises nothing but CancelledError.

        A connection lost under the request is tried once more: its topic replaces what still waits, and the service
        worker shows a notification under its id.
        """
        if self._session is None:
            return Outcome(Verdict.TRANSIENT, "not started")
        try:
            subscription = Subscription.read(token)
            self._services.check(subscription)
        except ValueError:
            return Outcome(Verdict.RETIRE, "NoPushService")
        try:
            async with asyncio.timeout(min(self._timeout, limit)):
                return await self._send(self._session, subscription, page)
        except TimeoutError:
            return Outcome(Verdict.TRANSIENT, "timeout")
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, NotPublic):
                return Outcome(Verdict.TRANSIENT, "its host has no public address")
            # A name of somebody's own that is not there holds back no page to others of its service.
            unreached = not isinstance(error, aiohttp.ClientConnectorDNSError)
            return Outcome(Verdict.TRANSIENT, connection_reason(error), everybodys=unreached)
        except aiohttp.ClientError as error:
            return Outcome(Verdict.TRANSIENT, connection_reason(error))
        except Exception as error:  # noqa: BLE001 - one page's surprise must not stop the others
            # Without its words: they may quote the address, by which anybody could push.
            log.error("webpush.send_failed", notification_id=str(page.notification_id), error=type(error).__name__)
            return Outcome(Verdict.TRANSIENT, f"internal: {type(error).__name__}")

    async def _send(self, session: aiohttp.ClientSession, subscription: Subscription, page: Page) -> Outcome:
        outcome = await self._deliver(session, subscription, page, encode(web_payload(page)))
        if outcome.status != TOO_LARGE or page.is_quiet:
            return outcome
        log.error("webpush.refused_as_too_large", notification_id=str(page.notification_id))
        retried = await self._deliver(session, subscription, page, encode(web_minimal_payload(page)))
        if retried.verdict is Verdict.ACCEPTED:
            return Outcome(Verdict.ACCEPTED, f"minimal after {outcome.reason}", retried.status, retried.vendor_id)
        return outcome

    async def _deliver(
        self, session: aiohttp.ClientSession, subscription: Subscription, page: Page, payload: bytes
    ) -> Outcome:
        """Exchange until there is an answer to report, repeating once where the connection was lost."""
        body, lost = sealed(subscription, payload), False
        service = self._services.service_of(subscription) or ""
        while True:
            try:
                answer = await self._post(session, subscription, page, body)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # Most often a kept connection that the peer had closed meanwhile.
                if lost or isinstance(error, aiohttp.ClientConnectorError):
                    raise
                lost = True
                continue
            now = self._clock.now()
            known = self._taken.get(service)
            outcome = read_web(answer, now, trusted=known is not None and now - known < TRUSTED)
            if outcome.verdict is Verdict.ACCEPTED:
                self._taken[service] = now
            return outcome

    async def _post(
        self, session: aiohttp.ClientSession, subscription: Subscription, page: Page, body: bytes
    ) -> WebAnswer:
        headers = web_headers(page, self._clock.now()) | {
            "Authorization": self._vapid.authorization(subscription.origin),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
        }
        where = URL(subscription.endpoint, encoded=True)
        async with session.post(where, data=body, headers=headers, allow_redirects=False) as response:
            raw = await response.content.read(MOST_READ)
            said = response.headers
            return WebAnswer(response.status, said.get("Retry-After"), said.get("Location"), raw)
