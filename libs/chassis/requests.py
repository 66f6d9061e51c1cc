"""Requests over NATS: every one gets an answer, whatever happens (design, rule 12)."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import structlog
from faststream.nats import NatsBroker
from faststream.nats.annotations import NatsMessage
from pydantic import ValidationError
from sqlalchemy import bindparam, delete, insert, select
from sqlalchemy.sql import Executable

from libs.chassis import telemetry
from libs.chassis.bus import BusAway
from libs.chassis.identity import Caller, Verifier
from libs.chassis.meters import meters
from libs.chassis.store import AlreadyTaken, Contended, Store, is_away
from libs.chassis.tables import chassis_tables
from libs.chassis.work import Work
from libs.contracts.model import Contract
from libs.contracts.requests import ErrorKind, Refusal, Rejected, Reply
from libs.contracts.subjects import Header, rpc_subject

_log = structlog.get_logger()
_WORKERS = 32
_KEPT = timedelta(hours=24)
_REPLY_LIMIT = 1_000_000
"""Bytes: a larger one is refused by the server, and the caller would wait in vain."""
_TOO_LARGE = Reply(ok=False, error=Refusal(kind=ErrorKind.INTERNAL, message="the answer is too large: ask for less"))

B = TypeVar("B", bound=Contract)


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    body: type[Contract]
    handle: Callable[..., Any]
    public: bool


@dataclass
class Requests:
    """The operations of one service; `api.py` fills it, the chassis serves it.

    A plain function runs inside a transaction: `handler(work, body, caller) -> view`. An async one runs outside
    (`handler(body, caller) -> view`), for what must not hold a connection: hashing, other services.
    """

    service: str
    operations: dict[str, _Operation] = field(default_factory=dict)

    def handle(
        self, operation: str, body: type[B], *, public: bool = False
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a handler. `public`: no access token is asked for; the bus's permissions guard it instead."""

        def register(handler: Callable[..., Any]) -> Callable[..., Any]:
            self.operations[operation] = _Operation(operation, body, handler, public)
            return handler

        return register


@dataclass
class RequestServer:
    """Serves a service's operations on `pager.rpc.<service>.<operation>`, in every replica, in a queue group."""

    requests: Requests
    store: Store
    verifier: Verifier

    def attach(self, broker: NatsBroker) -> None:
        for operation in self.requests.operations:
            self._subscribe(broker, operation)

    def _subscribe(self, broker: NatsBroker, operation: str) -> None:
        async def undecoded(message: Any) -> Any:
            # FastStream decodes bodies before it calls us, and answers nothing when that fails.
            return message.body

        service, measured = self.requests.service, meters(self.requests.service).request

        @broker.subscriber(
            rpc_subject(service, operation), queue=service, max_workers=_WORKERS, decoder=undecoded, title=operation
        )
        async def serve(body: bytes, message: NatsMessage) -> bytes:
            headers = {str(k): str(v) for k, v in message.headers.items()}
            reply = (await measured(operation, self.answer(operation, bytes(body), headers))).to_json()
            return reply if len(reply) < _REPLY_LIMIT else _TOO_LARGE.to_json()

    async def answer(self, operation: str, raw: bytes, headers: Mapping[str, str]) -> Reply:
        """Run one request and turn whatever happens into an answer."""
        try:
            return await self._run(self.requests.operations[operation], raw, headers)
        except Rejected as error:
            refusal = error.refusal()
        except ValidationError as error:
            refusal = invalid(error)
        except AlreadyTaken as error:
            refusal = Refusal(kind=ErrorKind.CONFLICT, message=f"already taken ({error})")
        except (Contended, BusAway) as error:
            refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message=str(error), retry_after=1.0)
        except Exception as error:  # noqa: BLE001 - a caller waits: every request gets an answer
            if is_away(error):
                refusal = Refusal(kind=ErrorKind.UNAVAILABLE, message="the database is away", retry_after=1.0)
            else:
                _log.exception("request failed", service=self.requests.service, operation=operation)
                refusal = Refusal(kind=ErrorKind.INTERNAL, message="internal error")
        return Reply(ok=False, error=refusal)

    async def _run(self, operation: _Operation, raw: bytes, headers: Mapping[str, str]) -> Reply:
        caller = None if operation.public else await self.verifier.verify(headers.get(Header.TOKEN))
        body = operation.body.model_validate_json(raw or b"{}")
        title = f"{self.requests.service} {operation.name}"
        with telemetry.span(self.requests.service, title, headers.get(Header.TRACEPARENT)) as traceparent:
            if caller is not None:
                caller = replace(caller, traceparent=traceparent)
            if inspect.iscoroutinefunction(operation.handle):
                return Reply(ok=True, data=await operation.handle(body, caller))
            key = headers.get(Header.IDEMPOTENCY_KEY)
            committed = await self.store.transact(lambda work: self._once(work, operation, body, caller, key))
            return committed.result.model_copy(update={"position": committed.position})

    def _once(self, work: Work, operation: _Operation, body: Contract, caller: Caller | None, key: str | None) -> Reply:
        """The handler's answer; with a key, the same answer for 24 h (front doors, Idempotency-Key)."""
        if key is None or caller is None:
            return Reply(ok=True, data=operation.handle(work, body, caller))
        table = chassis_tables(self.requests.service).answers
        identity = {"actor": str(caller.user_id), "operation": operation.name, "key": key[:255]}
        body_hash = hashlib.sha256(body.to_json()).digest()
        work.fetch(delete(table).where(table.c.answered_at < bindparam("horizon")), horizon=work.now - _KEPT)
        for row in work.fetch(
            select(table).where(*(table.c[column] == bindparam(column) for column in identity)), **identity
        ):
            if bytes(row["body_hash"]) != body_hash:
                raise Rejected("this Idempotency-Key was used with another body", field="Idempotency-Key")
            return Reply.model_validate_json(bytes(row["answer"]))
        reply = Reply(ok=True, data=operation.handle(work, body, caller))
        answer = {"body_hash": body_hash, "answer": reply.to_json(), "answered_at": work.now}
        # Now, and not an upsert: a second request under way with this key fails here, runs again and finds the answer.
        work.fetch(_keep_answer(self.requests.service), **identity, **answer)
        return reply


@cache
def _keep_answer(service: str) -> Executable:
    return insert(chassis_tables(service).answers)


def invalid(error: ValidationError) -> Refusal:
    """The first fault of a body: its field as the caller wrote it, and what was expected."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ".".join(str(part) for part in first["loc"])
    return Refusal(kind=ErrorKind.VALIDATION, message=first["msg"], field=path or None)
