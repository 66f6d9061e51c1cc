"""The outermost layer: request ids, security headers, the access log, and an answer when everything else fails."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.chassis.measure.telemetry import new_traceparent
from services.gateway.envelope import Problem, failure

_log = structlog.get_logger()

_REQUEST_ID = re.compile(r"^[A-Za-z0-9._~-]{1,128}$")
_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$")
_HOST = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]{1,300}")
_SECRET = re.compile(r"[A-Za-z0-9_.~-]{32,}")
_UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")
_STATE = "pager.trace"
UNMATCHED = "unmatched"
FILES = "/app/{path:path}"
"""The route of the app's files: each browser asks for some forty, which says nothing of anybody."""

Answered = Callable[["Trace", Mapping[str, str], str, str, float], None]
"""`answered(trace, headers, method, endpoint, seconds)`; a status of 0: the caller hung up before there was one."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "no-store",
}
"""On every answer that does not set its own (OWASP REST Security Cheat Sheet, Security Headers)."""
HSTS = "max-age=31536000; includeSubDomains"


@dataclass(slots=True)
class Trace:
    """What the access log says about a request."""

    request_id: str
    """Its caller's, if that can be used; else the id of its trace, which stands in every event that it causes."""
    route: str | None = None
    user_id: UUID | None = None
    key_id: UUID | None = None
    status: int = 0
    address: str = ""
    """As in `addresses.py`: a proxy's word only where it is trusted."""
    traceparent: str = ""
    """Its caller's, or the root of a trace of its own (W3C Trace Context)."""
    headers: dict[str, str] = field(default_factory=dict)
    """What its answer says besides, whatever it is: an error as well."""
    is_refused: bool = False
    """Whether they have asked for what they do not see."""


def trace_of(scope: Scope) -> Trace:
    trace: Trace = scope[_STATE]
    return trace


@dataclass
class Edge:
    """Wraps the whole application, so that no answer leaves without these headers and this log line."""

    app: ASGIApp
    https: bool
    answered: Sequence[Answered] = ()
    """Called after each request: for counting, and for the access log."""
    leaving: Callable[[], bool] = lambda: False
    """Whether this process is about to stop: then no connection waits for another request."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        client = scope.get("client")
        parent = headers.get("traceparent", "")
        parent = parent if _TRACEPARENT.match(parent) else new_traceparent()
        request_id = given if _REQUEST_ID.fullmatch(given) else _trace_id(parent)
        trace = Trace(request_id, traceparent=parent, address=client[0] if client else "")
        scope[_STATE] = trace

        async def send_out(message: Message) -> None:
            if message["type"] == "http.response.start":
                trace.status = message["status"]
                self._complete(MutableHeaders(raw=message["headers"]), trace)
            await send(message)

        # A HEAD is a GET whose body the server does not send (RFC 9110, section 9.3.2).
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        began = time.perf_counter()
        try:
            if _names_a_host(scope, headers):
                await self.app(inner, receive, send_out)
            else:
                await failure(Problem.invalid("Host", "must name this server, once"))(scope, receive, send_out)
        except Exception:  # noqa: BLE001 - a caller waits: every request gets an answer
            _log.exception("request failed", request_id=trace.request_id, route=trace.route)
            if trace.status == 0:
                await failure(Problem("INTERNAL", "internal error"))(scope, receive, send_out)
        finally:
            seconds, endpoint = time.perf_counter() - began, _endpoint(inner, trace)
            _write_log(scope, trace, endpoint, seconds)
            for tell in self.answered:
                tell(trace, headers, scope["method"], endpoint, seconds)

    def _complete(self, headers: MutableHeaders, trace: Trace) -> None:
        for name, value in trace.headers.items():
            headers.setdefault(name, value)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        if self.https:
            headers.setdefault("Strict-Transport-Security", HSTS)
        headers["X-Request-ID"] = trace.request_id
        if self.leaving():
            headers["Connection"] = "close"


def _names_a_host(scope: Scope, headers: Headers) -> bool:
    """Whether it says whom it is for, as HTTP/1.1 has to (RFC 9112, section 3.2)."""
    hosts = headers.getlist("host")
    return (len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None) or (not hosts and scope["http_version"] == "1.0")


def _trace_id(traceparent: str) -> str:
    return traceparent.split("-", 2)[1]


def _endpoint(scope: Scope, trace: Trace) -> str:
    """The route's template, never a path: strangers choose those. What is served twice (`/health`) has no prefix."""
    return trace.route or str(getattr(scope.get("route"), "path", UNMATCHED))


def masked(path: str) -> str:
    """A path without what may be a secret: a long run of key characters that is no UUID."""
    return "/".join("***" if _SECRET.search(part) and not _UUID.match(part) else part for part in path.split("/"))


def is_file(trace: Trace, endpoint: str) -> bool:
    """Whether a file of the app was asked for, and is one."""
    return endpoint == FILES and 0 < trace.status < 400


def _write_log(scope: Scope, trace: Trace, endpoint: str, seconds: float) -> None:
    """One line a request: no query and no header values, which may hold secrets.

    Nor where somebody is: that is in the access log (`access.py`) and nowhere else, so that it ends when it has to.
    """
    quiet = (trace.route is not None and "/health" in trace.route) or is_file(trace, endpoint)
    (_log.debug if quiet else _log.info)(
        "request",
        request_id=trace.request_id,
        trace_id=_trace_id(trace.traceparent),
        method=scope["method"],
        path=masked(scope["path"]),
        route=trace.route,
        status=trace.status,
        ms=round(seconds * 1000, 1),
        user_id=None if trace.user_id is None else str(trace.user_id),
    )
