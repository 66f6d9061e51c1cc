"""Google's push service over HTTP v1: one page to one registration token, one outcome."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import aiohttp
import structlog

from libs.chassis.environment import text_of
from services.notifier.push.fcm_answers import UNAUTHENTICATED, FcmAnswer, read_fcm
from services.notifier.push.google_token import (
    GoogleToken,
    TokenRefused,
    TokenUnavailable,
    read_service_account,
    read_some,
)
from services.notifier.push.message import Page, encode, fcm_message
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.push.reasons import connection_reason

if TYPE_CHECKING:
    from libs.chassis.clock import Clock

log = structlog.get_logger(__name__)

# 64 in flight gave the best rate (measured against an FCM on loopback); idle connections are kept, so that a page pays
# no handshake.
CONNECTIONS = 64
KEEPALIVE = 240.0
# Well inside the token's margin of 5 minutes, so that no page has to wait for a token.
TOUCH_EVERY = 30.0
LOOK_EVERY = 15.0
LOOK_LIMIT = 3.0
"""Seconds between two looks at whether FCM answers at all, and for each: pages are rare, and none must be the first to
find out."""


class FcmClient:
    """Sends pages to FCM; make it anywhere, `start` it in the loop.

    `credentials_file`: JSON of a service account. `url`: `https://fcm.googleapis.com` or a simulator's.
    `token_url`: replaces the account's own. `timeout`: seconds that one `send` may take, waiting for a token and its
    one repeat included. Raises ValueError for a file or URL that can never work.
    """

    def __init__(
        self,
        *,
        credentials_file: str,
        url: str,
        token_url: str | None,
        clock: Clock,
        timeout: float = 4.0,
        connections: int = CONNECTIONS,
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise ValueError("the FCM URL must be http(s)://host[:port]")
        self._account = read_service_account(text_of(credentials_file), token_url)
        self._endpoint = f"{url.rstrip('/')}/v1/projects/{self._account.project_id}/messages:send"
        self._clock = clock
        self._timeout = timeout
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None
        self._token: GoogleToken | None = None
        self._url = url
        self._keepers: list[asyncio.Task[None]] = []
        self._unreachable: str | None = None

    @property
    def credentials(self) -> tuple[str, ...]:
        """What makes a token ours or a stranger's."""
        return ("fcm", self._endpoint, self._account.email)

    @property
    def trouble(self) -> str | None:
        """Why nothing could be sent now: it does not answer, or gives us no token."""
        if self._unreachable is not None:
            return f"cannot be reached: {self._unreachable}"
        return self._token.trouble if self._token is not None else None

    async def start(self) -> None:
        """Begin to fetch the token. Never fails: an unreachable vendor shows in the outcomes."""
        connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=KEEPALIVE, ttl_dns_cache=300)
        # Our own deadline bounds everything; a second timer per request would only cost.
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        self._token = GoogleToken(account=self._account, session=self._session, clock=self._clock)
        loop = asyncio.get_running_loop()
        self._keepers = [loop.create_task(self._keep_token()), loop.create_task(self._keep_looking(self._session))]

    async def close(self) -> None:
        """Close all connections; sends in flight end as transient."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        if self._token is not None:
            await self._token.close()
        if self._session is not None:
            await self._session.close()

    async def send(self, token: str, page: Page, limit: float = math.inf) -> Outcome:
        """One attempt at one device, within the time-out and `limit` seconds. Raises nothing but CancelledError.

        A connection lost under the request is tried once more, as is a refused OAuth token: the phone knows the
        message by `data.notificationId`.
        """
        if self._session is None or self._token is None:
            return Outcome(Verdict.TRANSIENT, "not started")
        try:
            async with asyncio.timeout(min(self._timeout, limit)):
                return await self._send(self._session, self._token, token, page)
        except TimeoutError:
            return Outcome(Verdict.TRANSIENT, "timeout")
        except TokenRefused as error:
            return Outcome(Verdict.CREDENTIALS, f"OAuth: {error}")
        except TokenUnavailable as error:
            return Outcome(Verdict.TRANSIENT, f"OAuth: {error}", everybodys=True)
        except aiohttp.ClientError as error:
            unreached = isinstance(error, aiohttp.ClientConnectorError)
            return Outcome(Verdict.TRANSIENT, connection_reason(error), everybodys=unreached)
        except Exception as error:  # one page's surprise must not stop the others
            log.exception("fcm.send_failed", notification_id=str(page.notification_id))
            return Outcome(Verdict.TRANSIENT, f"internal: {type(error).__name__}")

    async def _send(self, session: aiohttp.ClientSession, oauth: GoogleToken, token: str, page: Page) -> Outcome:
        body = encode(fcm_message(page, token, self._clock.now()))
        lost = refreshed = False
        while True:
            bearer = await oauth.get()
            try:
                answer = await self._post(session, bearer, body)
            except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
                # Most often a kept connection that the peer had closed meanwhile.
                if lost or isinstance(error, aiohttp.ClientConnectorError):
                    raise
                lost = True
                continue
            outcome = read_fcm(answer, self._clock.now())
            if outcome.status != 401 or outcome.reason not in (UNAUTHENTICATED, "HTTP 401") or refreshed:
                return outcome
            refreshed = True
            oauth.invalidate(bearer)

    async def _post(self, session: aiohttp.ClientSession, bearer: str, body: bytes) -> FcmAnswer:
        headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
        async with session.post(self._endpoint, data=body, headers=headers, allow_redirects=False) as response:
            return FcmAnswer(response.status, response.headers.get("Retry-After"), await read_some(response))

    async def _keep_looking(self, session: aiohttp.ClientSession) -> None:
        while True:
            await self._look(session)
            await asyncio.sleep(LOOK_EVERY)

    async def _look(self, session: aiohttp.ClientSession) -> None:
        """Any answer will do: it is about whether anybody is there."""
        try:
            async with asyncio.timeout(LOOK_LIMIT), session.get(self._url, allow_redirects=False):
                self._unreachable = None
        except TimeoutError:
            self._unreachable = "timeout"
        except aiohttp.ClientError as error:
            self._unreachable = connection_reason(error)

    async def _keep_token(self) -> None:
        while self._token is not None:
            self._token.touch()
            await asyncio.sleep(TOUCH_EVERY)
