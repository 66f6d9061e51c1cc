"""Machines at the door: an API key stands for a short token, which is kept, renewed and given up."""

from __future__ import annotations

import asyncio
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.testing.deadline import DEADLINE
from libs.contracts.api_keys import mark_of, new_key
from libs.contracts.requests import ErrorKind, Refusal, Reply
from libs.contracts.subjects import Header
from services.gateway import machines
from services.gateway.tests import views as v
from services.gateway.tests.stubs import Answer, World

PATH = f"/api/v1/incidents/{v.ID}"
NOT_VALID = Refusal(kind=ErrorKind.UNAUTHENTICATED, message="no key of ours")


@pytest.fixture(autouse=True)
def _nobody_is_braked(pager: World) -> None:
    pager.clock.advance(minutes=2)


def _token(pager: World, *, key: UUID | None = None, sid: UUID | None = None, minutes: float = 2) -> str:
    more: dict[str, Any] = {"key": str(key or UUID(int=5)), "scopes": ["incidents.read"], "sid": str(sid or uuid4())}
    return pager.token(minutes=minutes, **more)


async def _asks(pager: World, key: str) -> Answer:
    return await pager.call("GET", PATH, token=key)


async def _until(so: Any) -> None:
    until = asyncio.get_running_loop().time() + DEADLINE
    while not so():
        assert asyncio.get_running_loop().time() < until
        await asyncio.sleep(0.01)


def _asked(pager: World) -> int:
    return len(pager.stubs.asked.get("auth.exchange_key", []))


async def _exchanged(pager: World, token: str | None = None, refusal: Refusal | None = None) -> None:
    """What auth and incidents answer from now on."""
    await pager.stubs.forget()
    await pager.stubs.keys()
    await pager.stubs.answer("auth.exchange_key", None if token is None else {"accessToken": token}, refusal=refusal)
    await pager.stubs.answer("incidents.get", v.INCIDENT)


async def test_a_service_gets_the_token_and_never_the_key(pager: World) -> None:
    key, token = new_key(), _token(pager)
    await _exchanged(pager, token)
    answers = await asyncio.gather(*(_asks(pager, key) for _ in range(10)))
    assert {answer.status for answer in answers} == {200}
    assert _asked(pager) == 1, "one question for all who show it at once"
    assert pager.stubs.body("auth.exchange_key") == {"key": key}
    for asked in pager.stubs.asked["incidents.get"]:
        assert asked.headers[Header.TOKEN] == token
        assert key not in str(asked)
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"1000"}


async def test_a_token_is_renewed_beside_the_requests(pager: World) -> None:
    key, first = new_key(), _token(pager)
    await _exchanged(pager, first)
    assert (await _asks(pager, key)).status == 200
    pager.clock.advance(seconds=59)
    assert (await _asks(pager, key)).status == 200
    assert _asked(pager) == 1
    second = _token(pager)
    await _exchanged(pager, second)
    pager.clock.advance(seconds=1)
    assert (await _asks(pager, key)).status == 200

    async def renewed() -> bool:
        await _asks(pager, key)
        return bool(pager.stubs.asked["incidents.get"][-1].headers[Header.TOKEN] == second)

    await _until(lambda: _asked(pager) == 1)
    until = asyncio.get_running_loop().time() + DEADLINE
    while not await renewed():
        assert asyncio.get_running_loop().time() < until
    assert _asked(pager) == 1


async def test_while_auth_is_away_a_token_goes_on_to_its_end_and_then_nobody_says_401(pager: World) -> None:
    key = new_key()
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, key)).status == 200
    await pager.stubs.forget()
    await pager.stubs.answer("incidents.get", v.INCIDENT)
    pager.clock.advance(seconds=119)
    assert (await _asks(pager, key)).status == 200
    pager.clock.advance(seconds=1)
    answer = await _asks(pager, key)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, key)).status == 200


async def test_a_key_that_auth_refuses_is_asked_about_once_a_minute(pager: World) -> None:
    key = new_key()
    await _exchanged(pager, refusal=NOT_VALID)
    for _ in range(20):
        answer = await _asks(pager, key)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert _asked(pager) == 1
    await _exchanged(pager, _token(pager))
    pager.clock.advance(seconds=60)
    assert (await _asks(pager, key)).status == 200


async def test_whoever_shows_a_dead_key_at_once_is_wrong_once(pager: World) -> None:
    dead = new_key()
    await _exchanged(pager, refusal=NOT_VALID)
    assert {a.status for a in await asyncio.gather(*(_asks(pager, dead) for _ in range(20)))} == {401}
    assert _asked(pager) == 1
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, new_key())).status == 200, "another machine behind the same address gets in"


async def test_a_key_that_is_over_when_it_is_renewed_is_refused(pager: World) -> None:
    key = new_key()
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, key)).status == 200
    await _exchanged(pager, refusal=NOT_VALID)
    pager.clock.advance(seconds=61)

    async def status() -> int:
        return (await _asks(pager, key)).status

    until = asyncio.get_running_loop().time() + DEADLINE
    while await status() != 401:
        assert asyncio.get_running_loop().time() < until
    assert _asked(pager) == 1


async def test_whoever_makes_keys_up_is_braked_and_a_known_key_is_not(pager: World) -> None:
    good = new_key()
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, good)).status == 200
    await _exchanged(pager, refusal=NOT_VALID)
    statuses = [(await _asks(pager, new_key())).status for _ in range(8)]
    assert statuses == [401] * 5 + [429] * 3
    assert _asked(pager) == 5, "auth is not asked about the others"
    assert (await _asks(pager, good)).status == 200
    pager.clock.advance(seconds=121)  # its token is over, and has to be had anew
    assert [(await _asks(pager, new_key())).status for _ in range(6)] == [401] * 5 + [429]
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, good)).status == 200


async def test_only_a_few_unknown_keys_are_looked_at_at_a_time(pager: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_WAITING", 1)
    front = pager.gateway.front.machines
    held = await pager.stubs.hold("auth.exchange_key")
    tries = [asyncio.create_task(front._in_turn(n.to_bytes(1, "big"), new_key())) for n in range(6)]
    await _until(lambda: sum(one.done() for one in tries) == 5)
    refused = [one for one in tries if one.done() and one.exception()]
    assert len(refused) == 1, "one waits, and there is room for no other"
    await _until(lambda: len(held) == 4)
    for one in tries:
        one.cancel()
    for message in held:  # or the places stay taken for whoever comes next, as long as an answer is waited for
        await message.respond(Reply(ok=False, error=NOT_VALID).to_json())
    await _until(lambda: not front._asked)


async def test_keys_that_are_made_up_keep_no_key_out_that_is_one(pager: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many strangers there are, from as many addresses; this replica of us has not seen the key before."""
    monkeypatch.setattr(machines, "_WAITING", 3)
    good = new_key()
    hashed = sha256(good.encode()).digest()
    front = pager.gateway.front.machines
    monkeypatch.setattr(front, "_marks", frozenset({mark_of(hashed)}))
    monkeypatch.setattr(front, "_queues", {is_marked: machines._Queue() for is_marked in (False, True)})
    held = await pager.stubs.hold("auth.exchange_key")
    made_up = [asyncio.create_task(front._in_turn(n.to_bytes(1, "big"), new_key())) for n in range(100, 120)]
    await _until(lambda: len(held) == 4 and sum(one.done() for one in made_up) == 17)
    assert sum(bool(one.done() and one.exception()) for one in made_up) == 13, (
        "three wait, and there is room for no other"
    )
    await front._in_turn(hashed, good)
    await _until(lambda: len(held) == 5)
    for one in made_up:
        one.cancel()


async def test_which_keys_there_are_is_asked_every_minute(pager: World) -> None:
    front = pager.gateway.front.machines
    await pager.stubs.answer("auth.key_marks", {"marks": ["0123456789abcdef"]})
    pager.clock.advance(seconds=61)
    await _until(lambda: front._marks == {"0123456789abcdef"})
    await pager.stubs.forget()
    await pager.stubs.keys()
    pager.clock.advance(seconds=61)
    assert front._marks == {"0123456789abcdef"}, "the last answer holds while auth is away"


async def test_a_401_of_a_service_is_no_401_of_the_key(pager: World) -> None:
    """It heard of other rights a moment before us. A machine that sees 401 gives its key up."""
    key = new_key()
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, key)).status == 200
    await pager.stubs.forget()
    await pager.stubs.answer("incidents.get", refusal=Refusal(kind=ErrorKind.UNAUTHENTICATED, message="others"))
    answer = await _asks(pager, key)
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    await _exchanged(pager, _token(pager))
    assert (await _asks(pager, key)).status == 200
    assert _asked(pager) == 1, "auth is asked what is left of them"


async def test_a_token_whose_session_has_ended_is_exchanged_anew_in_the_same_request(pager: World) -> None:
    key, session = new_key(), uuid4()  # the other tests of this process go on in theirs
    await _exchanged(pager, _token(pager, sid=session))
    assert (await _asks(pager, key)).status == 200
    after = _token(pager)
    await _exchanged(pager, after)
    await pager.stubs.end_session(pager.clock, session)

    async def token() -> str:
        assert (await _asks(pager, key)).status == 200
        return pager.stubs.asked["incidents.get"][-1].headers[Header.TOKEN]

    until = asyncio.get_running_loop().time() + DEADLINE
    while await token() != after:
        assert asyncio.get_running_loop().time() < until


async def test_a_key_has_places_of_its_own(pager: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await _exchanged(pager, _token(pager))
    taken: list[UUID] = []
    places = pager.gateway.front.places
    of = type(places).of

    def seen(self: Any, person: UUID, *given: Any, **more: Any) -> Any:
        taken.append(person)
        return of(self, person, *given, **more)

    monkeypatch.setattr(type(places), "of", seen)
    assert (await _asks(pager, new_key())).status == 200
    assert taken == [UUID(int=5)]
