"""What every route does before its handler: trace, callers, known parameters, and a body that is really JSON."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final, get_args

from fastapi import Depends, Security
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from opentelemetry.trace import SpanKind
from pydantic import TypeAdapter
from starlette.requests import Request
from starlette.responses import Response

from libs.chassis.measure import telemetry
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.matching import IF_MATCH, Match
from libs.chassis.requests.peers import Peer
from libs.contracts.clients import DECLARED, client_of
from libs.contracts.requests import Invalid
from services.gateway import accepting, cookies, device_doors
from services.gateway.addresses import peer_of
from services.gateway.body import JsonRequest
from services.gateway.callers import bearer
from services.gateway.conditions import conditional
from services.gateway.edge import trace_of
from services.gateway.envelope import Problem
from services.gateway.features import OF_OPERATION
from services.gateway.forwarding import Ask, Place, request_headers, unbounded
from services.gateway.front import front_of
from services.gateway.labels import PREFIX, read_labels
from services.gateway.limits import Limit, Share, of_person, of_stranger
from services.gateway.machines import is_for_machines
from services.gateway.selection import PARAMETER, Selection
from services.gateway.versions import OPERATIONS

V1 = "/api/v1"
ANSWERS: Final = frozenset(
    {"acknowledgeIncident", "resolveIncident", "closeIncident", "bulkIncidents", "recordReceipt"}
)
"""Operations that say that somebody is at it, or has seen it: counted by themselves."""
REPORTS: Final = frozenset({"sendClientReports"})
"""Operations by which an app tells of itself."""
BACKGROUND: Final = frozenset({"recordReceipt", "stream", *REPORTS})
"""Operations that no person asks for: they keep no browser's session going. Refreshing shows no access token."""
_KEY_LIMIT = 255
_WHOLE = re.compile(r"-?[0-9]{1,18}")

_BEARER = HTTPBearer(auto_error=False, scheme_name="accessToken", bearerFormat="JWT")
SIGNED_IN = Security(_BEARER)
"""In a router's `dependencies`: its routes need an access token, and the documentation says so."""


class PagerRoute(APIRoute):
    """A route of the API. Its order of refusals: token, parameters' names, body's form, fields."""

    selection: Selection | None = None
    """What may be left out of its answer, where somebody reads who is signed in."""
    strict = True
    """Whether it refuses parameters that it does not know."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        signed_in = any(dependency.dependency is _BEARER for dependency in self.dependencies)
        devices_too = any(d.dependency is device_doors.DEVICE_SCHEME for d in self.dependencies)
        cookie_too = any(dependency.dependency is cookies.COOKIE_SCHEME for dependency in self.dependencies)
        reads = signed_in and "GET" in (self.methods or ())
        commands = "GET" not in (self.methods or ()) and "auth" not in self.tags
        keyed = commands and "POST" in (self.methods or ())
        labelled = any(dependency.call is read_labels for dependency in self.dependant.dependencies)
        known = {
            field.alias: field.field_info.annotation
            for field in get_flat_params(self.dependant)
            if isinstance(field.field_info, Query)
        }
        done = self._done()
        selection = self.selection = Selection.of(done.get("model")) if reads else None
        known |= {} if selection is None else {PARAMETER: str}
        produced = tuple(done.get("content", ())) + ((accepting.JSON,) if "model" in done else ())
        deprecated = OPERATIONS.get(self.operation_id or "")
        taken: Any = self.dependant.body_params[0].field_info.annotation if self.dependant.body_params else None
        reading = TypeAdapter[Any](taken) if taken is not None else None

        async def serve(plain: Request) -> Response:
            request = JsonRequest(plain, reading)
            front = front_of(request)
            trace = trace_of(request.scope)
            trace.route = self.path_format
            if deprecated is not None:
                trace.headers.update(deprecated.headers)
            if produced:
                accepting.check(request, produced)
            called = f"{request.method} {self.path_format}"
            with telemetry.span("gateway", called, trace.traceparent, SpanKind.SERVER) as current:
                if not signed_in or (cookie_too and cookies.shown(request)):
                    _count(request, of_stranger(front.addresses.of(request)) if "auth" in self.tags else ())
                    return await answer(request, current, None, unbounded)
                shown = bearer(request.headers.get("authorization"))
                request.state.by_device = device_doors.PROOF in request.headers
                if request.state.by_device:
                    asking = Ask(front.forwarder, request_headers(current, None, None, None), _peer(request))
                    shown = await device_doors.exchanged(request, shown, asking, opens=devices_too)
                elif shown is not None and is_for_machines(shown):
                    return await _as_machine(request, shown, partial(answer, request, current))
                changes = commands and "incidents" in self.tags
                caller = await _admitted(request, shown, self.operation_id, changes=changes)
                return await answer(request, current, shown, _known(request, caller))

        async def answer(request: Request, trace: str, token: str | None, place: Place) -> Response:
            _check_open(request, self.operation_id, changes=commands)
            _check_parameters(request, known, strict=self.strict, labelled=labelled)
            fields = request.query_params.get(PARAMETER) if selection is not None else None
            wanted = selection.read(fields) if selection is not None and fields is not None else None
            key = _idempotency_key(request) if keyed else None
            match = _if_match(request) if commands else None
            headers = request_headers(trace, token, key, match)
            request.state.ask = Ask(front_of(request).forwarder, headers, _peer(request), place)
            response = await handle(request)
            if selection is not None and wanted is not None:
                response = selection.applied(response, wanted)
            return conditional(request, response) if reads else response

        return serve

    def _done(self) -> Mapping[str, Any]:
        """What is documented of its answer when all went well."""
        return next((said for status, said in self.responses.items() if str(status).startswith("2")), {})


class OpenRoute(PagerRoute):
    """One that somebody else's protocol calls, whose parameters grow without us."""

    strict = False


async def _as_machine(request: Request, key: str, answer: Callable[[str, Place], Awaitable[Response]]) -> Response:
    """An API key stands for a short token."""
    front = front_of(request)
    admitted = await front.machines.admitted(key, front.addresses.of(request))
    trace_of(request.scope).headers |= admitted.headers
    try:
        return await answer(admitted.token, _known(request, admitted.caller))
    except Problem as problem:
        if problem.code == "UNAUTHENTICATED":
            # The service knew it a moment earlier than we: of the key itself that says nothing, and nothing was done.
            front.machines.forget(key)
            again = "the rights of this API key have just changed: try again"
            raise Problem("UNAVAILABLE", again, headers={"Retry-After": "1"}) from problem
        raise


async def _admitted(request: Request, token: str | None, operation: str | None, *, changes: bool) -> Caller:
    """The person behind a token, as far as they may ask for one more. Raises Problem."""
    front = front_of(request)
    try:
        caller = await front.callers.caller(token)
    except Problem as problem:
        if problem.code == "UNAUTHENTICATED":
            _count(request, of_stranger(front.addresses.of(request)))
        raise
    _count(request, _shares(caller, operation, changes=changes))
    if caller.is_web and operation not in BACKGROUND:
        front.presences.asked(caller.session_id)
    return caller


def _count(request: Request, shares: Iterable[Share]) -> None:
    """Raises Problem (429). Whatever the answer is, it says how many more there may be."""
    trace_of(request.scope).headers |= front_of(request).limits.take(shares)


def _shares(caller: Caller, operation: str | None, *, changes: bool) -> list[Share]:
    """What a request of a person takes from."""
    if operation in ANSWERS:
        return [of_person(Limit.ANSWERS, caller.user_id)]
    if operation in REPORTS:
        return [of_person(Limit.REPORTS, caller.user_id)]
    general = [of_person(Limit.GENERAL, caller.user_id)]
    return [*general, of_person(Limit.INCIDENTS, caller.user_id)] if changes else general


def _check_open(request: Request, operation: str | None, *, changes: bool) -> None:
    """Neither maintenance nor a feature flag stops it. Raises Problem (503, 403)."""
    front, trace = front_of(request), trace_of(request.scope)
    if changes:
        front.maintenance.check(operation)
    feature = OF_OPERATION.get(operation or "")
    if feature is not None:
        front.features.check(feature, trace.key_id or trace.user_id)


def _peer(request: Request) -> Peer:
    agent = request.headers.get("user-agent")
    state = request.state
    client = client_of(
        request.headers.get(DECLARED),
        agent,
        by_key=getattr(state, "by_key", False),
        by_device=getattr(state, "by_device", False),
        is_web=getattr(state, "is_web", False),
    )
    return replace(peer_of(front_of(request).addresses.of(request), agent), client=client)


def _known(request: Request, caller: Caller) -> Place:
    """Write down who is asking; the places that they have."""
    trace = trace_of(request.scope)
    trace.user_id, trace.key_id = caller.user_id, caller.key_id
    request.state.user_id, request.state.is_web = caller.user_id, caller.is_web
    request.state.by_key = caller.key_id is not None
    return partial(front_of(request).places.of, caller.key_id or caller.user_id, request.is_disconnected)


async def _ask(request: Request) -> Ask:
    # A plain function would be run in a worker thread.
    ask: Ask = request.state.ask
    return ask


Asking = Annotated[Ask, Depends(_ask)]
"""A handler's way to the services."""


def _check_parameters(request: Request, known: Mapping[str, Any], *, strict: bool, labelled: bool = False) -> None:
    """An unknown parameter is an error that names it: a mistyped filter would silently list everything.

    So is one that is given twice: one of its values would silently count for nothing.
    """
    given = request.query_params.multi_items()
    for name, value in given:
        is_label = labelled and name.startswith(PREFIX)
        if name not in known and not is_label:
            if not strict:
                continue
            raise Problem.invalid(name[:100], "unknown query parameter")
        if sum(name == other for other, _ in given) > 1:
            raise Problem.invalid(name[:100], "is given twice")
        if "\0" in value or "\0" in name:
            raise Problem.invalid(name.replace("\0", "")[:100], "text must not contain U+0000")
        if is_label:
            continue
        if int in (known[name], *get_args(known[name])) and not _WHOLE.fullmatch(value):
            raise Problem.invalid(name, "must be a whole number")
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
