"""The handshake: what is refused before anybody has said who they are, and what the logs know of a stream."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl
from uuid import uuid4

import structlog
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.contracts.streaming import LONGEST_POSITION
from services.gateway.addresses import networks_of
from services.gateway.cors import APP
from services.gateway.edge import HEADERS, HSTS, Trace
from services.gateway.envelope import Problem, failure
from services.gateway.front import Front
from services.gateway.streaming.connection import Connection
from services.gateway.streaming.crowd import Place
from services.gateway.streaming.identity import Identity
from services.gateway.streaming.protocol import PATHS
from services.gateway.streaming.socket import LEFT, Socket
from services.gateway.versions import Versions

_log = structlog.get_logger()
_SWITCHED: Final = 101


@dataclass
class Door:
    """Wraps the application: WebSockets are served here, everything else there."""

    app: ASGIApp
    front: Front
    https: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            await self.app(scope, receive, send)
            return
        began, connection = time.perf_counter(), HTTPConnection(scope)
        trace = Trace(uuid4().hex, PATHS[0], address=self.front.addresses.of(connection))
        await receive()  # websocket.connect
        try:
            await Versions(_served)(scope, receive, send)
            after = self._check(connection)
            place = self.front.streams.crowd.enter(networks_of(trace.address)[0])
        except Problem as problem:
            trace.status = problem.status_code
            self._count(trace, connection, began)
            self._keep(trace, connection, began)
            await _refuse(send, self._headed(failure(problem), trace))
            return
        try:
            trace.status = _SWITCHED
            self._count(trace, connection, began)
            named = [(b"x-request-id", trace.request_id.encode())]
            await send({"type": "websocket.accept", "headers": named})
            await self._serve(trace, connection, Socket(receive, send), place, after)
        finally:
            self.front.streams.crowd.leave(place)
            self._keep(trace, connection, began)

    def _check(self, connection: HTTPConnection) -> str | None:
        """What its address says of where it stands. Raises Problem."""
        if connection.url.path not in PATHS:
            raise Problem("NOT_FOUND", "no such path")
        origin = connection.headers.get("origin")
        if origin is not None and origin not in APP:
            # Browsers always say whose page it is; no cookie is looked at, so that others need none.
            self.front.origins.check(connection)
        given = parse_qsl(connection.url.query, keep_blank_values=True)
        for name, _ in given:
            if name != "after":
                reason = "unknown query parameter; a token belongs into the first frame, never into an address"
                raise Problem.invalid(name[:100], reason)
        if len(given) > 1:
            raise Problem.invalid("after", "is given twice")
        if given and not 0 < len(given[0][1]) <= LONGEST_POSITION:
            raise Problem.invalid("after", f"must have 1 to {LONGEST_POSITION} characters")
        if self.front.streams.draining:
            raise Problem("UNAVAILABLE", "this replica goes: try again", headers={"Retry-After": "1"})
        return given[0][1] if given else None

    async def _serve(
        self, trace: Trace, connection: HTTPConnection, socket: Socket, place: Place, after: str | None
    ) -> None:
        streams, began = self.front.streams, time.perf_counter()
        identity = Identity(streams.tokens, trace.address)
        stream = Connection(streams, socket, identity, place, after)
        code = LEFT
        try:
            code = await stream.serve()
        except Exception:  # noqa: BLE001 - a client waits: it is told that it is not its fault
            code = 1011
            _log.exception("stream failed", request_id=trace.request_id)
            await socket.close(code, "internal error", within=1.0)
        finally:
            trace.user_id, trace.key_id = identity.user_id, identity.key_id
            streams.measures.closed(code)
            _log.info(
                "stream",
                request_id=trace.request_id,
                code=int(code),
                frames=stream.frames,
                seconds=round(time.perf_counter() - began, 1),
                user_id=None if identity.user_id is None else str(identity.user_id),
            )

    def _count(self, trace: Trace, connection: HTTPConnection, began: float) -> None:
        """The handshake is a request as others are; how long a stream lasts says nothing of how fast we are."""
        seconds = time.perf_counter() - began
        self.front.metrics.answered(trace, connection.headers, "GET", PATHS[0], seconds)

    def _keep(self, trace: Trace, connection: HTTPConnection, began: float) -> None:
        """In the access log, when it is over: by then it is known whose it was."""
        self.front.access.answered(trace, connection.headers, "GET", PATHS[0], time.perf_counter() - began)

    def _headed(self, answer: Response, trace: Trace) -> Response:
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        if self.https:
            answer.headers.setdefault("Strict-Transport-Security", HSTS)
        answer.headers["X-Request-ID"] = trace.request_id
        return answer


async def _served(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """There is one version of the stream; whoever asks for another one is refused before this."""


async def _refuse(send: Send, answer: Response) -> None:
    """An HTTP answer in the place of a stream (ASGI, Websocket Denial Response)."""
    start = {"type": "websocket.http.response.start", "status": answer.status_code, "headers": answer.raw_headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": bytes(answer.body)})
