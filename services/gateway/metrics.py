"""The gateway's metrics, and everybody's: on one machine nobody scrapes six processes."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from prometheus_client import Counter, Histogram
from pydantic import ValidationError
from starlette.requests import Request

from libs.chassis.bus.connection import Bus
from libs.chassis.consume.owner import NoRequest
from libs.chassis.measure.metrics import API, DENIED, FORGED, GaugeValue, Metrics, merged
from libs.chassis.monitor.monitoring import BusWatch
from libs.chassis.monitor.port import Readiness
from libs.contracts.requests import MetricsView, Reply
from libs.contracts.subjects import SERVICES, rpc_subject
from services.gateway.callers import bearer
from services.gateway.client_reports import ReportMeasures
from services.gateway.edge import Trace
from services.gateway.envelope import Problem
from services.gateway.settings import Settings, is_loopback
from services.gateway.streaming.measures import StreamMeasures

_log = structlog.get_logger()

COLLECT: Final = 0.5
"""Seconds that the services' replicas have to answer. How many there are is not known, so it is always waited for."""
_FRESH = 1.0
"""Seconds for which an answer is given again."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_HUNG_UP = 499
"""What nginx calls a caller that left before there was an answer."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
_LOCAL_ONLY: Final = "metrics are for this machine; set PAGER_METRICS_TOKEN to read them from elsewhere"


class GatewayMetrics:
    """Counts requests, says whether this replica is ready, and asks all others for what they count."""

    def __init__(self, bus: Bus, settings: Settings) -> None:
        self._bus = bus
        self._settings = settings
        self._watch = BusWatch(bus)
        self._metrics = Metrics("gateway")
        labels = ("method", "endpoint", "status")
        self._requests = self._metrics.counter("http_requests", "HTTP requests by route.", *labels)
        self._seconds = self._metrics.histogram(
            "api_request_duration_seconds", "From a request's first byte to its answer's last.", *labels, buckets=API
        )
        self._machines = self._metrics.counter(
            "pager_api_key_requests",
            "Requests with an API key: let in, refused, limited (too many, or too many wrong ones), or unavailable.",
            "outcome",
        )
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._forged = self._metrics.counter("pager_forged_tokens", FORGED)
        self._unkept = self._metrics.counter(
            "pager_access_log_dropped", "Requests that the access log does not keep.", "reason"
        )
        for reason in ("auth away", "too many", "refused"):
            self._unkept.labels(reason)  # a series that begins with its first one would not be seen to grow
        self.streams = StreamMeasures(self._metrics)
        self.reports = ReportMeasures(self._metrics)
        self._collecting = asyncio.Lock()
        self._collected: tuple[str, ...] = ()
        self._collected_at = float("-inf")

    def answered(self, trace: Trace, _headers: Mapping[str, str], method: str, endpoint: str, seconds: float) -> None:
        """One request has been answered, or was given up (status 0). Every label has few values."""
        key = (method if method in _METHODS else "other", endpoint, trace.status or _HUNG_UP)
        if key not in self._children:
            values = (key[0], endpoint, str(key[2]))
            self._children[key] = self._requests.labels(*values), self._seconds.labels(*values)
        count, duration = self._children[key]
        count.inc()
        duration.observe(seconds)

    def unkept(self, reason: str) -> None:
        """A request that the access log does not keep."""
        self._unkept.labels(reason).inc()

    def forged(self) -> None:
        """Somebody has shown an access token that auth has not made."""
        self._forged.inc()

    def machine(self, outcome: str) -> None:
        """What became of an API key at the door."""
        self._machines.labels(outcome).inc()

    async def ready(self) -> Readiness:
        """Ready while the bus is there: a gateway taken away for a sick service could not even say so."""
        reasons = tuple(self._watch.reasons())
        return Readiness(
            status="unavailable" if reasons else "ok",
            service="gateway",
            instance=self._settings.instance,
            reasons=reasons,
        )

    def check(self, request: Request) -> None:
        """Raises Problem when the caller may not read metrics (`check_reader`)."""
        check_reader(request, self._settings)

    async def own(self, **labels: str) -> bytes:
        """This replica's, in Prometheus' text format."""
        ready = (await self.ready()).status == "ok"
        self._metrics.read(
            (
                GaugeValue("pager_bus_connected", "Whether there is a connection to NATS.", self._bus.connected),
                GaugeValue("pager_bus_denied", DENIED, self._bus.client.denied),
                GaugeValue("pager_ready", "Whether the monitor port's /ready says so.", ready),
                *self.streams.gauges(),
            )
        )
        return self._metrics.text(**labels)

    async def everything(self) -> str:
        """This replica's, and those of every replica of a service that answers in time, each with its instance."""
        async with self._collecting:
            now = asyncio.get_running_loop().time()
            if now - self._collected_at >= _FRESH:
                self._collected = await self._ask_all()
                self._collected_at = asyncio.get_running_loop().time()
        own = await self.own(instance=self._settings.instance)
        return merged((own.decode(), *self._collected))

    async def _ask_all(self) -> tuple[str, ...]:
        if not self._bus.connected:
            return ()
        answers: list[bytes] = []

        async def take(message: Msg) -> None:
            # An empty one with a status says that a service has no replica.
            if message.data:
                answers.append(message.data)

        inbox = self._bus.client.new_inbox()
        try:
            subscription = await self._bus.client.subscribe(inbox, cb=take)
            for service in SERVICES:
                await self._bus.client.publish(rpc_subject(service, "metrics"), NoRequest().to_json(), reply=inbox)
            await asyncio.sleep(COLLECT)
            await subscription.unsubscribe()
        except NatsError as error:
            _log.warning("services not asked for their metrics", reason=str(error) or type(error).__name__)
        return tuple(text for raw in answers if (text := _text(raw)))


def _text(raw: bytes) -> str:
    try:
        return MetricsView.model_validate(Reply.model_validate_json(raw).data).text
    except ValidationError:
        _log.error("unreadable metrics")
        return ""


def check_reader(request: Request, settings: Settings) -> None:
    """Metrics tell strangers what runs here and how it does: with a token, or from this very machine.

    Without a token everything must say that nobody stands between: the peer's address, the name under which we were
    asked (a page in a browser may point its own name at us), no trace of a proxy, and our own public URL.

    Raises:
        Problem: 401 for a wrong or missing token, 403 where none is set and the caller is not on this machine.
    """
    if settings.metrics_token is not None:
        given = bearer(request.headers.get("authorization")) or ""
        if not hmac.compare_digest(given.encode(), settings.metrics_token.get_secret_value().encode()):
            raise Problem("UNAUTHENTICATED", "the metrics token is needed")
        return
    peer = request.client.host if request.client is not None else ""
    asked = _host(request)
    if not (settings.is_local and is_loopback(peer) and is_loopback(asked) and not _is_forwarded(request.headers)):
        raise Problem("FORBIDDEN", _LOCAL_ONLY)


def _host(request: Request) -> str:
    try:
        return urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    except ValueError:
        return ""


def _is_forwarded(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in _FORWARDED)
