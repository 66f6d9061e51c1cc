"""Apple's push service: one page to one device token, one outcome."""

from __future__ import annotations

import asyncio
import math
import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import structlog
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from libs.chassis.tls import trusting
from services.notifier.push.apns_answers import EXPIRED_TOKEN, NEW_CONNECTION, TOO_MANY_UPDATES, read_apns
from services.notifier.push.apns_connection import ConnectionLost
from services.notifier.push.apns_pool import ApnsPool, ConnectFailed
from services.notifier.push.message import Page, apns_headers, apns_minimal_payload, apns_payload, encode
from services.notifier.push.outcome import Outcome, Verdict
from services.notifier.push.provider_token import ProviderToken

if TYPE_CHECKING:
    from libs.chassis.clock import Clock

log = structlog.get_logger(__name__)

# Apple: hexadecimal, of no promised length. Anything else could write into the request's path.
_TOKEN = re.compile(r"[0-9A-Fa-f]{1,1024}")
# The same in every request of a connection, hence worth a place in HPACK's table; ids and paths would only push
# them out of it (Apple, "Sending notification requests to APNs", names the same split).
_REPEATED = frozenset({"apns-topic", "apns-push-type", "apns-priority"})
_MINIMAL_HEADERS = frozenset({"apns-topic", "apns-push-type", "apns-priority", "apns-id"})


class ApnsClient:
    """Sends pages to APNs over `connections` warm HTTP/2 connections; make it anywhere, `start` it in the loop.

    `key`: text of the .p8 file. `url`: `https://host:port`. `ca_file`: PEM of an own authority instead of the
    system's. `timeout`: seconds that one `send` may take, waiting and its one repeat included.
    Raises ValueError for a key or URL that can never work.
    """

    def __init__(
        self,
        *,
        key: str,
        key_id: str,
        team_id: str,
        topic: str,
        url: str,
        ca_file: str | None,
        clock: Clock,
        timeout: float = 4.0,
        connections: int = 2,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise ValueError("the APNs URL must be https://host[:port]")
        self._host, self._port = parts.hostname, parts.port or 443
        self._authority = parts.netloc
        self._token = ProviderToken(key=key, key_id=key_id, team_id=team_id, clock=clock)
        self._topic = topic
        self._clock = clock
        self._timeout = timeout
        self._size = connections
        self._ssl = trusting(ca_file)
        self._ssl.set_alpn_protocols(["h2"])
        self._pool: ApnsPool | None = None
        self.credentials = ("apns", key_id, team_id, topic, self._authority)
        """What makes a token ours or a stranger's."""

    @property
    def trouble(self) -> str | None:
        """Why it cannot be reached; an idle connection is asked every few seconds whether it lives."""
        said = self._pool.trouble if self._pool is not None else None
        return said and f"cannot be reached: {said}"

    async def start(self) -> None:
        """Begin to connect. Never fails: an unreachable vendor shows in the outcomes."""
        self._pool = ApnsPool(
            host=self._host, port=self._port, topic=self._topic, size=self._size, ssl_context=self._ssl
        )
        self._pool.start()

    async def close(self) -> None:
        """Close all connections; sends in flight end as transient."""
        if self._pool is not None:
            await self._pool.aclose()

    async def send(self, token: str, page: Page, limit: float = math.inf) -> Outcome:
        """One attempt at one device, within the time-out and `limit` seconds. Raises nothing but CancelledError.

        A connection lost under the request is tried once more, as is an expired provider token: the same `apns-id`
        and collapse id make a repeat replace the notification on the phone.
        """
        if _TOKEN.fullmatch(token) is None:
            return Outcome(Verdict.RETIRE, "BadDeviceToken")
        try:
            async with asyncio.timeout(min(self._timeout, limit)):
                return await self._send(token, page)
        except TimeoutError:
            return Outcome(Verdict.TRANSIENT, "timeout")
        except ConnectFailed as error:
            return Outcome(Verdict.TRANSIENT, str(error), everybodys=True)
        except Exception as error:  # one page's surprise must not stop the others
            log.exception("apns.send_failed", notification_id=str(page.notification_id))
            return Outcome(Verdict.TRANSIENT, f"internal: {type(error).__name__}")

    async def _send(self, token: str, page: Page) -> Outcome:
        outcome = await self._deliver(token, apns_headers(page, topic=self._topic, now=self._clock.now()), page)
        if outcome.verdict is not Verdict.OURS:
            return outcome
        log.error("apns.refused_as_malformed", reason=outcome.reason, notification_id=str(page.notification_id))
        if outcome.status not in (400, 413) or page.is_quiet:
            return outcome
        # Our bug must not keep a phone silent: the least that can wake it, once.
        retried = await self._deliver(token, self._minimal_headers(page), page, minimal=True)
        if retried.verdict is Verdict.ACCEPTED:
            return Outcome(Verdict.ACCEPTED, f"minimal after {outcome.reason}", 200, retried.vendor_id)
        return outcome

    def _minimal_headers(self, page: Page) -> dict[str, str]:
        headers = apns_headers(page, topic=self._topic, now=self._clock.now())
        return {name: value for name, value in headers.items() if name in _MINIMAL_HEADERS}

    async def _deliver(self, token: str, headers: dict[str, str], page: Page, *, minimal: bool = False) -> Outcome:
        """Exchange until there is an answer to report, repeating once per cause."""
        body = encode(apns_minimal_payload(page) if minimal else apns_payload(page))
        lost = renewed = False
        while True:
            authorization = self._token.get_header()
            try:
                outcome = await self._exchange(self._request(token, headers, authorization), body)
            except ConnectionLost as error:
                if lost:
                    return Outcome(Verdict.TRANSIENT, error.reason)
                lost = True
                continue
            if renewed or outcome.reason not in (EXPIRED_TOKEN, TOO_MANY_UPDATES):
                return outcome
            renewed = True
            if outcome.reason == EXPIRED_TOKEN:
                self._token.renew(authorization)
            else:
                self._token.revert(authorization)

    async def _exchange(self, headers: list[HeaderTuple], body: bytes) -> Outcome:
        if self._pool is None:
            raise ConnectFailed("not started")
        connection, answer = await self._pool.exchange(headers, body)
        outcome = read_apns(answer, self._clock.now())
        if outcome.reason in NEW_CONNECTION:
            self._pool.retire(connection)
        return outcome

    def _request(self, token: str, headers: dict[str, str], authorization: str) -> list[HeaderTuple]:
        return [
            HeaderTuple(":method", "POST"),
            HeaderTuple(":scheme", "https"),
            HeaderTuple(":authority", self._authority),
            NeverIndexedHeaderTuple(":path", f"/3/device/{token}"),
            HeaderTuple("authorization", authorization),
            *(
                (HeaderTuple if name in _REPEATED else NeverIndexedHeaderTuple)(name, value)
                for name, value in headers.items()
            ),
        ]
