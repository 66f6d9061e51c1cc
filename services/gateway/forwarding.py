"""Forwarding: one request to the service that owns the resource, and its answer or a problem."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeVar

import structlog
from nats.errors import NoRespondersError
from pydantic import ValidationError

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.requests.deadlines import deadline_header
from libs.chassis.requests.matching import Match
from libs.chassis.requests.peers import Peer
from libs.contracts.model import Contract
from libs.contracts.requests import Reply
from libs.contracts.subjects import Header, rpc_subject
from services.gateway.envelope import Problem

_log = structlog.get_logger()

COMMAND_TIMEOUT = 5.0
"""Seconds; a sign-in hashes for up to a second on a busy core (bcrypt with 12 rounds: 0.24 s of a free one)."""
_WAY_BACK = 0.5
"""Seconds: what is not committed when so much is left never will be."""
_TRIES = 10
"""Of a command to say that its caller still waits: each replica of a service asks for itself."""
QUERY_TIMEOUT = 2.0
_HEADERS_ROOM = 16 * 1024
"""Bytes of a NATS message kept for our headers: its limit counts them too."""
_RETRY = {"Retry-After": "1"}
_UNKNOWN = "it may have been done all the same; look before you repeat it, or send it with an Idempotency-Key"

C = TypeVar("C", bound=Contract)
Place = Callable[..., AbstractAsyncContextManager[None]]
"""`async with place(urgent=…):` around what a service is asked."""


@dataclass
class Forwarder:
    """Asks services over the bus; commands outlive the HTTP request that brought them."""

    bus: Bus
    public_url: str
    """Where people reach us, as the settings say: nothing that a request says of itself gets into a link."""
    _under_way: set[asyncio.Task[Reply]] = field(default_factory=set)

    async def ask(
        self, service: str, operation: str, body: Contract, headers: Mapping[str, str], timeout: float
    ) -> Reply:
        """One request; the reply may be a refusal.

        Only the fields that the caller gave are sent, so that an absent field of a PATCH stays absent.

        Raises:
            Problem: 503 when nobody answers in `timeout` seconds, 413 when the bus would not carry the body.
        """
        raw = body.model_dump_json(by_alias=True, exclude_unset=True).encode()
        if len(raw) > self.bus.client.max_payload - _HEADERS_ROOM:
            raise Problem("PAYLOAD_TOO_LARGE", "the body is too large", headers={"Connection": "close"})
        if not self.bus.connected:
            # The client would keep the request and send it long after the caller was told that it failed.
            raise _away("bus", "the message bus is away")
        try:
            answer = await self.bus.request(rpc_subject(service, operation), raw, headers=headers, timeout=timeout)
            return Reply.model_validate_json(answer)
        except BusAway as error:
            if isinstance(error.__cause__, NoRespondersError):
                raise _away(service, f"{service} is away") from error
            doubt = f": {_UNKNOWN}" if Header.DEADLINE in headers else ""
            raise _away(service, f"{service} did not answer in time{doubt}") from error
        except ValidationError as error:
            _log.error("unreadable answer", service=service, operation=operation)
            raise Problem("INTERNAL", "internal error") from error

    async def command(
        self, service: str, operation: str, body: Contract, headers: Mapping[str, str], *, repeatable: bool
    ) -> Reply:
        """A request that changes something: once sent it is seen through, also when the caller hangs up.

        One that is not `repeatable` is not carried out any more when its caller has been told that it failed.
        """
        asked = (
            self.ask(service, operation, body, headers, COMMAND_TIMEOUT)
            if repeatable
            else self._in_time(service, operation, body, headers)
        )
        task = asyncio.create_task(asked)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def _in_time(self, service: str, operation: str, body: Contract, headers: Mapping[str, str]) -> Reply:
        """A command with its deadline, said again to whoever cannot tell whether we still wait."""
        until, clock = monotonic() + COMMAND_TIMEOUT, None
        for _ in range(_TRIES):
            left = until - monotonic()
            deadline = deadline_header(left - _WAY_BACK, clock)
            reply = await self.ask(service, operation, body, {**headers, Header.DEADLINE: deadline}, left)
            clock = reply.error.clock if reply.error is not None else None
            if clock is None or until - monotonic() <= _WAY_BACK:
                break
        return reply

    async def query(self, service: str, operation: str, body: Contract, headers: Mapping[str, str]) -> Reply:
        return await self.ask(service, operation, body, headers, QUERY_TIMEOUT)

    async def drain(self) -> None:
        """Wait for the commands that are under way."""
        await asyncio.gather(*self._under_way, return_exceptions=True)


def unbounded(*, urgent: bool) -> AbstractAsyncContextManager[None]:
    """Nobody is signed in."""
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Ask:
    """Asks on behalf of one HTTP request: with its token, trace and idempotency key."""

    forwarder: Forwarder
    headers: Mapping[str, str]
    peer: Peer
    """Where they are: said to every service, which believes nothing of it but that the gateway says so."""
    place: Place = unbounded
    """Kept until the service has answered, or not in time: it may be at work for them until then."""

    async def query(self, service: str, operation: str, body: Contract) -> Any:
        """The data of the answer; raises Problem for a refusal."""
        async with self.place(urgent=False):
            return _data(await self.forwarder.query(service, operation, body, dict(self.headers) | self.peer.headers))

    async def command(
        self,
        service: str,
        operation: str,
        body: Contract,
        *,
        repeatable: bool = False,
        urgent: bool = False,
        peer: Peer | None = None,
    ) -> Any:
        """The data of the answer; raises Problem for a refusal.

        `repeatable`: doing it twice, or late, is as good as once: an acknowledgement is never dropped for its age.
        `urgent`: it has places of its own, whatever else its caller asks for.
        `peer`: more of where they are than is said of everybody.
        """
        headers = dict(self.headers) | (peer or self.peer).headers
        async with self.place(urgent=urgent):
            return _data(await self.forwarder.command(service, operation, body, headers, repeatable=repeatable))


def request_headers(
    traceparent: str, token: str | None, idempotency_key: str | None, match: Match | None
) -> dict[str, str]:
    headers: dict[str, str] = {Header.TRACEPARENT: traceparent}
    if token is not None:
        headers[Header.TOKEN] = token
    if idempotency_key is not None:
        headers[Header.IDEMPOTENCY_KEY] = idempotency_key
    if match is not None:
        headers[Header.IF_MATCH] = match.header
    return headers


def _away(who: str, message: str) -> Problem:
    return Problem("UNAVAILABLE", message, more={"services": [who]}, headers=_RETRY)


def complete(contract: type[C], body: Contract, **from_path: Any) -> C:
    """A service's request from an HTTP body and what its path says; fields that were not given stay unset."""
    return contract.model_validate(body.model_dump(exclude_unset=True) | from_path)


def _data(reply: Reply) -> Any:
    if reply.ok:
        return reply.data
    if reply.error is None:
        raise Problem("INTERNAL", "internal error")
    raise Problem.of(reply.error)
