"""Every request gets an answer, whatever happens to it (promise 12)."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import pytest
from nats.errors import NoRespondersError
from pydantic import Field

from libs.chassis.bus.connection import Bus, BusAway
from libs.chassis.bus.sending import has_sent
from libs.chassis.bus.wire import Broker
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import _REPLY_LIMIT, Requests, RequestServer
from libs.chassis.store.commit import TooSlow
from libs.chassis.store.store import Store
from libs.chassis.store.work import Work
from libs.chassis.testing.deadline import DEADLINE, in_time
from libs.chassis.tests.ledger import SCHEMA, Ledger, add
from libs.contracts.codec import EVENT_LIMIT
from libs.contracts.model import Contract, Role, StrictContract
from libs.contracts.permissions import Action
from libs.contracts.requests import (
    ErrorKind,
    EventsPage,
    Forbidden,
    NotFound,
    Rejected,
    Reply,
    StoredEventView,
    Unauthenticated,
)
from libs.contracts.subjects import Header, rpc_subject

_ANA = UUID(int=1)


class _Body(StrictContract):
    count: int = Field(default=1, ge=0)
    nested: dict[str, int] = {}


class _View(Contract):
    seen_by: str
    count: int


class _Tokens:
    """Anybody whose token is a number is the person of that number; `1/7` is an API key that person 1 has made."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    async def verify(self, token: str | None) -> Caller:
        if token is None or not token.replace("/", "").isdigit():
            raise Unauthenticated
        person, _, key = token.partition("/")
        key_id = UUID(int=int(key)) if key else None
        return Caller(
            UUID(int=int(person)), frozenset({Role.USER}), uuid4(), "phone", self.ledger.clock.now(), key_id=key_id
        )


def _requests() -> Requests:
    requests = Requests(SCHEMA)

    @requests.handle("add", _Body, action=Action.ME)
    def add_(work: Work, body: _Body, caller: Caller) -> _View:
        for _ in range(body.count):
            add(work, uuid4())
        return _View(seen_by=str(caller.user_id), count=body.count)

    @requests.handle("public", _Body, public=True)
    def public(_work: Work, body: _Body, caller: None) -> _View:
        return _View(seen_by=str(caller), count=body.count)

    def fails(operation: str, error: Exception) -> None:
        @requests.handle(operation, _Body, public=True)
        async def fail(_body: _Body, _caller: None) -> _View:
            raise error

        @requests.handle(f"{operation}_inside", _Body, public=True)
        def fail_inside(work: Work, _body: _Body, _caller: None) -> _View:
            add(work, uuid4())
            raise error

    fails("missing", NotFound("there is no such thing", field="id"))
    fails("forbidden", Forbidden())
    fails("conflict", Rejected("already over"))
    fails("away", BusAway("no answer"))
    fails("slow", TooSlow("the decision computed for 2.1 s"))
    fails("broken", ZeroDivisionError("a secret of the inside: hunter2"))
    return requests


@pytest.fixture
def server(ledger: Ledger) -> RequestServer:
    verifier: Any = _Tokens(ledger)
    return RequestServer(_requests(), ledger.store, ledger.queries(), verifier)


async def _ask(
    server: RequestServer, operation: str, raw: bytes = b"{}", *, who: str | None = "1", key: str | None = None
) -> Reply:
    headers = ({Header.TOKEN: who} if who else {}) | ({Header.IDEMPOTENCY_KEY: key} if key else {})
    reply = await server.answer(operation, raw, headers)
    return Reply.model_validate_json(reply.to_json())


async def test_a_command_answers_with_its_view_and_the_position_of_its_events(
    server: RequestServer, ledger: Ledger
) -> None:
    reply = await _ask(server, "add", b'{"count": 2}')
    assert (reply.ok, reply.data, reply.position) == (True, {"seenBy": str(_ANA), "count": 2}, 2)
    assert (await _ask(server, "add", b'{"count": 0}')).position is None, "a query moves nothing"
    assert (await _ask(server, "public", b"", who=None)).data == {"seenBy": "None", "count": 1}
    assert len(await ledger.events()) == 2


@pytest.mark.parametrize(
    ("operation", "kind", "field"),
    [
        ("missing", ErrorKind.NOT_FOUND, "id"),
        ("forbidden", ErrorKind.FORBIDDEN, None),
        ("conflict", ErrorKind.CONFLICT, None),
        ("away", ErrorKind.UNAVAILABLE, None),
        ("slow", ErrorKind.UNAVAILABLE, None),
        ("broken", ErrorKind.INTERNAL, None),
    ],
)
async def test_every_failure_is_an_answer_and_leaves_nothing_behind(
    server: RequestServer, ledger: Ledger, operation: str, kind: ErrorKind, field: str | None
) -> None:
    for name in (operation, f"{operation}_inside"):
        reply = await _ask(server, name)
        assert reply.error is not None
        assert (reply.ok, reply.data, reply.error.kind, reply.error.field) == (False, None, kind, field)
        assert "hunter2" not in reply.to_json().decode()
        assert (reply.error.retry_after is not None) == (kind is ErrorKind.UNAVAILABLE)
    assert await ledger.events() == []


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (b'{"count": "many"}', "count"),
        (b'{"count": "1"}', "count"),
        (b'{"count": true}', "count"),
        (b'{"count": -1}', "count"),
        (b'{"nested": {"a": "b"}}', "nested.a"),
        (b'{"cuont": 1}', "cuont"),
        (b"{", None),
        (b"\xff", None),
        (b"[]", None),
    ],
)
async def test_an_invalid_body_is_refused_by_the_name_of_its_field(
    server: RequestServer, raw: bytes, field: str | None
) -> None:
    reply = await _ask(server, "add", raw)
    assert reply.error is not None
    assert (reply.error.kind, reply.error.field) == (ErrorKind.VALIDATION, field)


async def test_without_a_valid_token_nothing_is_even_parsed(server: RequestServer) -> None:
    for who in (None, "", "mallory"):
        reply = await _ask(server, "add", b"{nonsense", who=who)
        assert reply.error is not None
        assert reply.error.kind is ErrorKind.UNAUTHENTICATED


async def test_a_key_repeats_its_answer_for_the_same_person_operation_and_body(
    server: RequestServer, ledger: Ledger
) -> None:
    first = await _ask(server, "add", b'{"count": 1}', key="k")
    again = await _ask(server, "add", b'{"nested": {}, "count": 1}', key="k")
    assert again.data == first.data
    assert len(await ledger.events()) == 1
    other = await _ask(server, "add", b'{"count": 2}', key="k")
    assert other.error is not None
    assert (other.error.kind, other.error.field) == (ErrorKind.CONFLICT, "Idempotency-Key")
    assert (await _ask(server, "add", b'{"count": 1}', who="2", key="k")).data["seenBy"] == str(UUID(int=2))
    ledger.clock.advance(minutes=24 * 60 + 1)
    assert (await _ask(server, "add", b'{"count": 2}', key="k")).ok
    assert len(await ledger.events()) == 4


async def test_no_machine_gets_the_answer_of_whoever_made_it(server: RequestServer, ledger: Ledger) -> None:
    for number, who in enumerate(("1", "1/7", "1/8"), start=1):
        assert (await _ask(server, "add", who=who, key="k")).ok
        assert (await _ask(server, "add", who=who, key="k")).ok
        assert len(await ledger.events()) == number
    assert {actor for (actor,) in await ledger.query("SELECT actor FROM incidents.answers")} == {
        *(str(_ANA), f"key:{UUID(int=7)}", f"key:{UUID(int=8)}")
    }


async def test_requests_that_share_a_key_and_run_side_by_side_are_one(server: RequestServer, ledger: Ledger) -> None:
    replies = await asyncio.gather(*(_ask(server, "add", key="tap") for _ in range(8)))
    assert {reply.ok for reply in replies} == {True}
    assert len(await ledger.events()) == 1


async def test_a_refused_command_keeps_no_answer(server: RequestServer, ledger: Ledger) -> None:
    refused = await _ask(server, "add", b'{"count": -1}', key="k")
    assert refused.ok is False
    assert (await _ask(server, "add", b'{"count": 1}', key="k")).ok
    assert len(await ledger.events()) == 1


class _Gate:
    """A `before` that lets nobody through until it is opened, and counts who came."""

    def __init__(self, requests: Requests) -> None:
        self.came = 0
        self.open = asyncio.Event()

        async def before(body: _Body, caller: Caller) -> int:
            self.came += 1
            await self.open.wait()
            return body.count * 10

        @requests.handle("gated", _Body, action=Action.ME, before=before)
        def gated(work: Work, _body: _Body, caller: Caller, prepared: int) -> _View:
            add(work, uuid4())
            return _View(seen_by=str(caller.user_id), count=prepared)


async def test_what_waits_before_its_transaction_takes_nothing_from_the_others(
    server: RequestServer, ledger: Ledger
) -> None:
    gate = _Gate(server.requests)
    waiting = [asyncio.create_task(_ask(server, "gated", key=f"k{number % 9}")) for number in range(200)]
    while gate.came < len(waiting):
        await asyncio.sleep(0.01)
    async with in_time():
        for _ in range(20):
            assert (await _ask(server, "add")).ok
    assert not any(task.done() for task in waiting), "they wait while the others are served"
    gate.open.set()
    assert {(r.ok, r.data["count"]) for r in await asyncio.gather(*waiting)} == {(True, 10)}
    assert len(await ledger.events()) == 20 + 9


async def test_a_repeated_key_prepares_nothing_again_and_its_answer_has_a_position(server: RequestServer) -> None:
    gate = _Gate(server.requests)
    gate.open.set()
    first = await _ask(server, "gated", key="k")
    later = await _ask(server, "add")
    again = await _ask(server, "gated", key="k")
    assert (again.ok, again.data, gate.came) == (True, first.data, 1)
    assert first.position is not None
    assert later.position is not None
    assert again.position == later.position, "it covers the first command's events"
    other = await _ask(server, "gated", b'{"count": 2}', key="k")
    assert other.error is not None
    assert (other.error.kind, gate.came) == (ErrorKind.CONFLICT, 1)


class _Late:
    """A thing that is there once somebody has waited for it; `came`: how often somebody has."""

    def __init__(self, requests: Requests, *, exists: bool) -> None:
        self.came, self.there = 0, False

        async def arrives(_body: _Body, _caller: Caller) -> None:
            self.came += 1
            self.there = exists

        def look(body: _Body, caller: Caller) -> _View:
            if not self.there:
                raise NotFound
            return _View(seen_by=str(caller.user_id), count=body.count)

        @requests.handle("change_late", _Body, action=Action.ME, arrives=arrives)
        def change(work: Work, body: _Body, caller: Caller) -> _View:
            add(work, uuid4())
            return look(body, caller)

        @requests.query("find_late", _Body, action=Action.ME, arrives=arrives)
        def find(_work: Work, body: _Body, caller: Caller) -> _View:
            return look(body, caller)


@pytest.mark.parametrize("operation", ["find_late", "change_late"])
async def test_only_what_is_not_found_is_waited_for(server: RequestServer, ledger: Ledger, operation: str) -> None:
    late = _Late(server.requests, exists=True)
    first = await _ask(server, operation, key="k")
    assert (first.ok, late.came) == (True, 1), "it was looked for again"
    assert (await _ask(server, operation)).ok
    assert late.came == 1, "what is there is not waited for"
    assert len(await ledger.events()) == (2 if operation == "change_late" else 0), "what found nothing has done nothing"


@pytest.mark.parametrize("operation", ["find_late", "change_late"])
async def test_what_does_not_arrive_is_not_found(server: RequestServer, ledger: Ledger, operation: str) -> None:
    late = _Late(server.requests, exists=False)
    refused = (await _ask(server, operation)).error
    assert refused is not None
    assert (refused.kind, late.came) == (ErrorKind.NOT_FOUND, 1)
    assert not await ledger.events()


async def test_neither_a_key_nor_a_plain_hash_of_the_body_is_stored(server: RequestServer, ledger: Ledger) -> None:
    assert (await _ask(server, "add", b'{"count": 1}', key="the-key")).ok
    ((key, body_hash),) = await ledger.query("SELECT key, body_hash FROM incidents.answers")
    assert "the-key" not in key
    assert bytes(body_hash) != hashlib.sha256(_Body(count=1).to_json()).digest(), "a password in it could be tried"


async def test_a_database_that_is_away_is_said_to_be_away(server: RequestServer, ledger: Ledger) -> None:
    nowhere = Store(
        "postgresql://nobody:secret@127.0.0.1:1/none",
        SCHEMA,
        clock=ledger.clock,
        projector=lambda _event, _state: (),
        instance="x",
        role="rpc",
    )
    try:
        reply = await _ask(replace(server, store=nowhere), "add")
    finally:
        nowhere.close()
    assert reply.error is not None
    assert (reply.error.kind, reply.error.retry_after) == (ErrorKind.UNAVAILABLE, 1.0)
    assert "secret" not in reply.to_json().decode()


class _Slow:
    """Operations on the bus, of which one waits until it is told to go on."""

    def __init__(self) -> None:
        self.begun, self.go_on, self.requests = asyncio.Semaphore(0), asyncio.Event(), Requests(SCHEMA)

        @self.requests.handle("position", _Body, public=True)
        async def slow(body: _Body, _caller: None) -> _View:
            self.begun.release()
            if body.count:
                await self.go_on.wait()
            seen_by = {2: "x" * 1_100_000, 3: "half of a letter: \ud800"}.get(body.count, "nobody")
            return _View(seen_by=seen_by, count=body.count)

    @asynccontextmanager
    async def serving(self, ledger: Ledger) -> AsyncIterator[tuple[RequestServer, Broker, Bus]]:
        verifier: Any = _Tokens(ledger)
        server = RequestServer(self.requests, ledger.store, ledger.queries(), verifier)
        broker = Broker(servers=[ledger.servers.nats_url(SCHEMA)], inbox_prefix=f"_INBOX_{SCHEMA}", logger=None)
        asks = await ledger.bus("gateway")
        client = await broker.connect()
        server.attach(broker)
        await broker.start()
        await has_sent(client)
        try:
            yield server, broker, asks
        finally:
            self.go_on.set()
            await broker.stop()


def _asked(bus: Bus, count: int) -> asyncio.Task[bytes]:
    body = _Body(count=count).to_json()
    return asyncio.create_task(bus.request(rpc_subject(SCHEMA, "position"), body, timeout=DEADLINE))


async def test_requests_of_one_operation_do_not_wait_for_each_other(ledger: Ledger) -> None:
    slow = _Slow()
    async with slow.serving(ledger) as (_, _, bus), in_time():
        waiting = _asked(bus, 1)
        await slow.begun.acquire()
        assert Reply.model_validate_json(await _asked(bus, 0)).data["count"] == 0
        assert not waiting.done()
        slow.go_on.set()
        assert Reply.model_validate_json(await waiting).data["count"] == 1


async def test_an_operation_takes_no_more_than_it_has_places(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.chassis.requests.server._PLACES", 2)
    slow = _Slow()
    async with slow.serving(ledger) as (server, _, bus), in_time():
        asked = [_asked(bus, 1) for _ in range(5)]
        await slow.begun.acquire()
        await slow.begun.acquire()
        await bus.client.flush()
        assert len(server._under_way) == 2
        slow.go_on.set()
        assert all(Reply.model_validate_json(raw).ok for raw in await asyncio.gather(*asked))


async def test_who_stops_answers_what_is_under_way_and_takes_nothing_new(ledger: Ledger) -> None:
    slow = _Slow()
    async with slow.serving(ledger) as (server, broker, bus), in_time():
        asked = _asked(bus, 1)
        await slow.begun.acquire()
        stopping = asyncio.create_task(server.stop(broker))
        async with in_time():
            while True:
                try:
                    await bus.request(rpc_subject(SCHEMA, "position"), _Body(count=0).to_json(), timeout=0.2)
                except BusAway as away:
                    if isinstance(away.__cause__, NoRespondersError):
                        break
        assert not stopping.done()
        slow.go_on.set()
        await stopping
        assert Reply.model_validate_json(await asked).ok


async def test_an_answer_that_the_bus_would_not_carry_is_said_to_be_too_large(ledger: Ledger) -> None:
    slow = _Slow()
    slow.go_on.set()
    async with slow.serving(ledger) as (_, _, bus), in_time():
        reply = Reply.model_validate_json(await _asked(bus, 2))
        assert reply.error is not None
        assert reply.error.kind is ErrorKind.INTERNAL
        assert "too large" in reply.error.message


def test_the_largest_event_is_told_to_whoever_asks_for_it_whatever_is_in_it() -> None:
    """A quote in it takes two bytes here; nothing in JSON takes more."""
    told = StoredEventView(position=2**62, previous=2**62, type="t" * 200, raw='"' * EVENT_LIMIT)
    page = EventsPage(epoch=2**31, epoch_after=2**62, last=2**62, events=(told,))
    assert 2 * EVENT_LIMIT < len(Reply(ok=True, data=page).to_json()) < _REPLY_LIMIT


async def test_an_answer_that_cannot_be_written_is_answered_all_the_same(ledger: Ledger) -> None:
    slow = _Slow()
    slow.go_on.set()
    async with slow.serving(ledger) as (_, _, bus), in_time():
        reply = Reply.model_validate_json(await _asked(bus, 3))
        assert reply.error is not None
        assert (reply.error.kind, reply.error.message) == (ErrorKind.INTERNAL, "internal error")
