"""What every route does before its handler: trace, callers, known parameters, and a body that is really JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Security
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from opentelemetry.trace import SpanKind
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.measure import telemetry
from libs.chassis.requests.matching import IF_MATCH, Match
from libs.contracts.requests import Invalid
from services.gateway.callers import bearer
from services.gateway.edge import trace_of
from services.gateway.envelope import Problem
from services.gateway.forwarding import Ask, request_headers
from services.gateway.front import front_of

V1 = "/api/v1"
BODY_LIMIT = 1024 * 1024
"""Bytes of a body for people's API."""
DRAIN_LIMIT = 8 * BODY_LIMIT
"""Bytes that are read, and thrown away, before a 413: closing on a sender makes most clients lose the answer."""
_KEY_LIMIT = 255
_JSON = re.compile(r"^application/([a-z0-9!#$&^_.+-]+\+)?json\s*(;|$)", re.IGNORECASE)
_TRACEPARENT = re.compile(r"^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$")

_BEARER = HTTPBearer(auto_error=False, scheme_name="accessToken", bearerFormat="JWT")
SIGNED_IN = Security(_BEARER)
"""In a router's `dependencies`: its routes need an access token, and the documentation says so."""


class PagerRoute(APIRoute):
    """A route of the API. Its order of refusals: token, parameters' names, body's form, fields."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        signed_in = any(dependency.dependency is _BEARER for dependency in self.dependencies)
        known = {field.alias for field in get_flat_params(self.dependant) if isinstance(field.field_info, Query)}
        commands = "GET" not in (self.methods or ()) and "auth" not in self.tags
        keyed = commands and "POST" in (self.methods or ())

        async def serve(plain: Request) -> Response:
            request = JsonRequest(plain.scope, plain.receive)
            front = front_of(request)
            trace = trace_of(request.scope)
            trace.route = self.path_format
            traceparent = request.headers.get("traceparent")
            parent = traceparent if traceparent and _TRACEPARENT.match(traceparent) else None
            with telemetry.span("gateway", f"{request.method} {self.path_format}", parent, SpanKind.SERVER) as current:
                token = None
                if signed_in:
                    token = bearer(request.headers.get("authorization"))
                    trace.user_id = str((await front.callers.caller(token)).user_id)
                _check_parameters(request, known)
                key = _idempotency_key(request) if keyed else None
                match = _if_match(request) if commands else None
                request.state.ask = Ask(front.forwarder, request_headers(current, token, key, match))
                return await handle(request)

        return serve


async def _ask(request: Request) -> Ask:
    # A plain function would be run in a worker thread.
    ask: Ask = request.state.ask
    return ask


Asking = Annotated[Ask, Depends(_ask)]
"""A handler's way to the services."""


class JsonRequest(Request):
    """A request whose body is small, UTF-8 and JSON, or a Problem that says which it is not."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            self._body = await self._read()
            if self._body and not _JSON.match(self.headers.get("content-type", "")):
                raise Problem("UNSUPPORTED_MEDIA_TYPE", "send the body as Content-Type: application/json")
        return self._body

    async def json(self) -> Any:
        raw = await self.body()
        try:
            # Strict, unlike the standard library: no NaN, no lone surrogates, bounded depth.
            value = from_json(raw, allow_inf_nan=False)
        except ValueError as error:
            raise Problem.invalid("body", f"not valid JSON: {error}") from error
        if b"\\u0000" in raw and _has_nul(value):
            raise Problem.invalid("body", "text must not contain U+0000")
        return value

    async def _read(self) -> bytes:
        length = self.headers.get("content-length", "")
        if length.isdigit() and int(length) > DRAIN_LIMIT:
            raise _too_large()
        body, size = bytearray(), 0
        async for chunk in self.stream():
            size += len(chunk)
            if size <= BODY_LIMIT:
                body += chunk
            elif size > DRAIN_LIMIT:
                raise _too_large()
        if size > BODY_LIMIT:
            raise _too_large()
        return bytes(body)


def _too_large() -> Problem:
    return Problem("PAYLOAD_TOO_LARGE", "the body is longer than 1 MiB", headers={"Connection": "close"})


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(child) for key, child in value.items())
    return isinstance(value, list) and any(_has_nul(child) for child in value)


def _check_parameters(request: Request, known: set[str]) -> None:
    """An unknown parameter is an error that names it: a mistyped filter would silently list everything."""
    for name, value in request.query_params.items():
        if name not in known:
            raise Problem.invalid(name, "unknown query parameter")
        if "\0" in value:
            raise Problem.invalid(name, "text must not contain U+0000")
    for name, value in request.path_params.items():
        if "\0" in str(value):
            raise Problem.invalid(name, "text must not contain U+0000")


def _if_match(request: Request) -> Match | None:
    """Lines of one header are one list (RFC 9110, section 5.3)."""
    lines = request.headers.getlist(IF_MATCH)
    try:
        return Match.read(", ".join(lines)) if lines else None
    except Invalid as error:
        raise Problem.of(error.refusal()) from error


def _idempotency_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= _KEY_LIMIT and key.isascii() and key.isprintable()):
        raise Problem.invalid("Idempotency-Key", f"1 to {_KEY_LIMIT} printable ASCII characters")
    return key
