"""Requests over NATS: every one gets an answer, whatever happens (promise 12)."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter
from typing import Any, TypeVar, cast
from uuid import UUID

import structlog
from faststream.nats import NatsBroker, NatsMessage
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from libs.chassis.bus.connection import BusAway
from libs.chassis.measure import telemetry
from libs.chassis.measure.meters import meters
from libs.chassis.requests.callers import Caller, Verifier
from libs.chassis.requests.cursors import Cursors
from libs.chassis.requests.deadlines import Deadlines, TooLate
from libs.chassis.requests.idempotency import KeyedRequest
from libs.chassis.requests.matching import Match
from libs.chassis.requests.peers import Peer
from libs.chassis.requests.turns import Turns
from libs.chassis.store.commit import TooSlow
from libs.chassis.store.queries import Queries
from libs.chassis.store.store import AlreadyTaken, Committed, Contended, PastDeadline, Store, is_away
from libs.chassis.store.work import Decider, Work
from libs.contracts.faults import first_fault
from libs.contracts.model import Contract
from libs.contracts.permissions import Action
from libs.contracts.requests import ErrorKind, NotFound, Refusal, Rejected, Reply
from libs.contracts.subjects import Header, rpc_subject

_log = structlog.get_logger()
_PLACES = 512
"""Requests of one operation at a time: many more than threads, since those that wait for their turn keep none."""
_REPLY_LIMIT = 1_000_000
"""Bytes: a larger one is refused by the server, and the caller would wait in vain."""
_TOO_LARGE = Reply(ok=False, error=Refusal(kind=ErrorKind.INTERNAL, message="the answer is too large: ask for less"))
_FAILED = Reply(ok=False, error=Refusal(kind=ErrorKind.INTERNAL, message="internal error"))

B = TypeVar("B", bound=Contract)
T = TypeVar("T")
Before = Callable[[Any, Any], Awaitable[Any]]
After = Callable[[Any, Any], Awaitable[None]]
Turn = Callable[[Any, Any], Hashable | None]
"""What a command is about, from its body and its caller."""


Entity = Callable[[Any, Any], UUID]
"""Which entity a command changes, from its body and its caller."""


def _nothing(_body: Any, _caller: Any) -> None:
    return None


def _entity(body: Any, _caller: Any) -> UUID:
    entity: UUID = body.id
    return entity


async def _as_it_came(message: NatsMessage) -> Msg:
    """FastStream decodes a body before it calls us, and answers nothing when that fails: what it hands over is this."""
    raw: Msg = message.raw_message
    return raw


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    body: type[Contract]
    handle: Callable[..., Any]
    action: Action | None
    """None: it is public."""
    peer: bool = False
    before: Before | None = None
    arrives: Before | None = None
    after: After | None = None
    versioned: Decider[Any, Any] | None = None
    entity: Entity = _entity
    turn: Turn = _nothing
    query: bool = False

    def run(self, work: Work, match: Match | None, body: Any, *more: Any) -> Any:
        """The handler's answer.

        A precondition is looked at last: whatever would be refused without it is refused for that (RFC 9110, section
        13.2.1). It is compared with what the handler decides on, and the append finds out whoever decides meanwhile.
        """
        if match is None:
            return self.handle(work, body, *more)
        version = None if self.versioned is None else work.shown_version(self.versioned, self.entity(body, more[0]))
        answer = self.handle(work, body, *more)
        match.check(version)
        return answer


@dataclass
class Requests:
    """The operations of one service; `api.py` fills it, the chassis serves it.

    A plain function runs inside a transaction: `handler(work, body, caller) -> view`. What must not hold a connection,
    such as hashing or waiting for other services, is the async step `before(body, caller)` of its command; what that
    returns, if anything, is the handler's fourth argument. `after(body, caller)` runs between commit and answer. An
    async handler (`handler(body, caller) -> view`) has no transaction, so its answer has no position and is kept under
    no key: it is for `/auth/*`, and between services. What only reads is registered as a `query`: those have places of
    their own (`store/queries.py`).
    """

    service: str
    operations: dict[str, _Operation] = field(default_factory=dict)

    def handle(
        self,
        operation: str,
        body: type[B],
        *,
        action: Action | None = None,
        public: bool = False,
        peer: bool = False,
        before: Before | None = None,
        arrives: Before | None = None,
        after: After | None = None,
        versioned: Decider[Any, Any] | None = None,
        entity: Entity = _entity,
        turn: Turn | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a handler.

        `action`: whoever may not do this to anything is refused before anything else is looked at; to what exactly one
        may do it, the handler asks its caller. `public`: no access token is asked for; the bus's permissions guard it
        instead, and `caller` is None, or with `peer` a `Peer`. `before` runs ahead of the transaction; it does not run
        for a key whose answer is kept. `arrives`: where the handler finds nothing (`NotFound`), this is waited for, and
        it looks once more: somebody else may have written it a moment ago.
        `after` is for what must be so when the answer is given, and may be done twice:
        what it raises is the answer, though all is committed.
        `versioned`: this command changes the entity that its body's `id` names, or `entity(body, caller)` says, and
        `If-Match` is about its version.
        Where no operation says so nothing has a version, and an `If-Match` that names one fails.
        `turn(body, caller)`: what many may want to change at once; commands about the same are decided one after the
        other. For what is `versioned` it is the entity.
        """
        if versioned is not None and entity is _entity and "id" not in body.model_fields:
            raise TypeError(f"{operation}: which entity is versioned? its body has no id")
        _check_guarded(operation, action, public)
        about = turn or (_nothing if versioned is None else entity)

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.operations[operation] = _Operation(
                operation, body, handler, action, peer, before, arrives, after, versioned, entity, about
            )
            return handler

        return register

    def query(
        self,
        operation: str,
        body: type[B],
        *,
        action: Action | None = None,
        public: bool = False,
        before: Before | None = None,
        arrives: Before | None = None,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a handler that only reads: `handler(work, body, caller) -> view`.

        `action`, `public` and `arrives` as in `handle`; `before` too, but what it returns is nobody's.
        """
        _check_guarded(operation, action, public)

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.operations[operation] = _Operation(
                operation, body, handler, action, before=before, arrives=arrives, query=True
            )
            return handler

        return register


@dataclass(repr=False)  # FastStream asks for it once an operation: it would tell of all of them each time
class RequestServer:
    """Serves a service's operations on `pager.rpc.<service>.<operation>`, in every replica, in a queue group."""

    requests: Requests
    store: Store
    queries: Queries
    verifier: Verifier
    deadlines: Deadlines = field(default_factory=Deadlines)
    turns: Turns = field(default_factory=Turns)
    cursors: Cursors = field(default_factory=Cursors)
    _places: dict[str, asyncio.Semaphore] = field(default_factory=dict)
    """Of each operation."""
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def attach(self, broker: NatsBroker) -> None:
        """Subscribe to each operation by itself: while versions differ, only replicas that know it are asked."""
        self.deadlines.parted = meters(self.requests.service).clocks_parted
        service, take = self.requests.service, cast("Any", self._take)
        for operation in self.requests.operations:
            self._places[operation] = asyncio.Semaphore(_PLACES)
            # What it returns is taken again: wrapping a function for each operation was a third of a start.
            take = broker.subscriber(
                rpc_subject(service, operation),
                queue=service,
                decoder=_as_it_came,
                # FastStream's own workers and its way back cost more than all else of a short answer (docs/adr/0083).
                no_reply=True,
                title=operation,
            )(take)

    async def stop(self, broker: NatsBroker) -> None:
        """Take nothing new, and answer what is under way: the broker's own stop closes the connection."""
        await asyncio.gather(*(subscriber.stop() for subscriber in broker.subscribers))
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _take(self, message: Msg) -> None:
        """Begin with a request; the next one is not kept waiting for it, unless there are too many."""
        operation = message.subject.removeprefix(rpc_subject(self.requests.service, ""))
        places = self._places[operation]
        await places.acquire()
        task = asyncio.create_task(self._serve(operation, message))
        self._under_way.add(task)

        def over(done: asyncio.Task[None]) -> None:
            places.release()
            self._under_way.discard(done)

        task.add_done_callback(over)

    async def _serve(self, operation: str, message: Msg) -> None:
        service = self.requests.service
        answer = self.answer(operation, bytes(message.data), message.headers or {})
        reply = self._written(operation, await meters(service).request(operation, answer))
        if len(reply) >= _REPLY_LIMIT:
            reply = _TOO_LARGE.to_json()
        try:
            await message._client.publish(message.reply, reply)
        except NatsError as error:
            # It named nowhere to answer to, or the bus is away: whoever waits hears that from their own connection.
            _log.debug("not answered", service=service, operation=operation, reason=str(error))

    def _written(self, operation: str, reply: Reply) -> bytes:
        try:
            return reply.to_json()
        except PydanticSerializationError:  # it holds what JSON cannot say, such as half of a surrogate pair
            _log.exception("unwritable answer", service=self.requests.service, operation=operation)
            return _FAILED.to_json()

    async def answer(self, operation: str, raw: bytes, headers: Mapping[str, str]) -> Reply:
        """Run one request and turn whatever happens into an answer."""
        try:
            return await self._run(self.requests.operations[operation], raw, headers)
        except Rejected as error:
            refusal = error.refusal()
        except ValidationError as error:
            refusal = invalid(error)
        except PastDeadline:
            refusal = TooLate().refusal()
        except AlreadyTaken as error:
            _log.warning("already taken", service=self.requests.service, operation=operation, constraint=str(error))
            refusal = Refusal(kind=ErrorKind.CONFLICT, message="already taken")
        except Contended as error:
            refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message=str(error), retry_after=1.0)
        except BusAway as error:
            _log.warning("bus away", service=self.requests.service, operation=operation, reason=str(error))
            refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message="who is needed for it is away", retry_after=1.0)
        except TooSlow as error:
            _log.warning("too slow", service=self.requests.service, operation=operation, reason=str(error))
            refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message="it took too long: try again", retry_after=1.0)
        except Exception as error:  # noqa: BLE001 - a caller waits: every request gets an answer
            if is_away(error):
                refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message="the database is away", retry_after=1.0)
            else:
                _log.exception("request failed", service=self.requests.service, operation=operation)
                return _FAILED
        return Reply(ok=False, error=refusal)

    async def _run(self, operation: _Operation, raw: bytes, headers: Mapping[str, str]) -> Reply:
        began, left = perf_counter(), self.deadlines.left(headers.get(Header.DEADLINE))
        caller = None
        if operation.action is not None:
            caller = await self.verifier.verify(headers.get(Header.TOKEN))
            caller.require_somewhere(operation.action)
        body = operation.body.model_validate_json(raw or b"{}", strict=True)
        title = f"{self.requests.service} {operation.name}"
        with telemetry.span(self.requests.service, title, headers.get(Header.TRACEPARENT)) as traceparent:
            if caller is not None:
                caller = replace(caller, traceparent=traceparent, peer=Peer.read(headers))
            match = Match.read(headers[Header.IF_MATCH]) if Header.IF_MATCH in headers else None
            if inspect.iscoroutinefunction(operation.handle):
                if match is not None:
                    match.check(None)  # first: what it does cannot be taken back
                asking = Peer.read(headers) if operation.peer else caller
                return Reply(ok=True, data=await operation.handle(body, asking))
            if operation.query:
                asked = self.cursors.open(operation.name, body)
                if operation.before is not None:
                    await operation.before(asked, caller)
                look = partial(self.queries.read, lambda work: operation.handle(work, asked, caller))
                found = await _found(look, operation, asked, caller)
                return Reply(ok=True, data=self.cursors.close(operation.name, found))
            key = headers.get(Header.IDEMPOTENCY_KEY)
            keyed = None
            if key is not None and caller is not None:
                keyed = KeyedRequest(self.requests.service, caller.actor, operation.name, key, body)
            prepared = await self._before(operation, body, caller, keyed)
            if isinstance(prepared, Reply):
                return prepared
            until = None if left is None else began + left

            async def decide() -> Committed[Reply]:
                async with self.turns.of(operation.turn(body, caller)):
                    return await self.store.transact(
                        lambda work: _once(
                            work, keyed, lambda work: operation.run(work, match, body, caller, *prepared)
                        ),
                        until=until,
                    )

            committed = await _found(decide, operation, body, caller)
            if operation.after is not None:
                await operation.after(body, caller)
            return committed.result.model_copy(update={"position": committed.position or committed.result.position})

    async def _before(
        self, operation: _Operation, body: Contract, caller: Caller | None, keyed: KeyedRequest | None
    ) -> Reply | tuple[Any, ...]:
        """What the handler takes beside the body, or an answer that was given before: nothing is prepared for it."""
        if operation.before is None:
            return ()
        if keyed is not None and (kept := await self.store.read(keyed.kept)) is not None:
            return kept
        prepared = await operation.before(body, caller)
        return () if prepared is None else (prepared,)


async def _found(look: Callable[[], Awaitable[T]], operation: _Operation, body: Any, caller: Caller | None) -> T:
    """What `look` finds. Most of what is asked for is there: who finds nothing waits for what may be on its way."""
    try:
        return await look()
    except NotFound:
        if operation.arrives is None:
            raise
    await operation.arrives(body, caller)
    return await look()


def _check_guarded(operation: str, action: Action | None, public: bool) -> None:
    if public is (action is not None):
        raise TypeError(f"{operation}: it is public, or it names the action that it is")


def _once(work: Work, keyed: KeyedRequest | None, handle: Callable[[Work], Any]) -> Reply:
    """The handler's answer; with a key, the one that it gave before."""
    if keyed is None:
        return Reply(ok=True, data=handle(work))
    kept = keyed.kept(work)
    if kept is not None:
        return kept
    reply = Reply(ok=True, data=handle(work))
    keyed.keep(work, reply)
    return reply


def invalid(error: ValidationError) -> Refusal:
    """The first fault of a body: its field as the caller wrote it, and what was expected."""
    path, sentence = first_fault(error.errors(include_url=False, include_input=False))
    return Refusal(kind=ErrorKind.VALIDATION, message=sentence, field=path or None)
