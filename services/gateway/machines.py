"""Machines at the door: what they show, an API key, against the access token that goes on from here in its place."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from pydantic import ValidationError

from libs.chassis.clock import Clock, wait_at_most
from libs.chassis.consume.owner import NoRequest
from libs.chassis.requests.callers import Caller
from libs.contracts.api_keys import PREFIX, ExchangeKey, KeyMarks, KeyToken, is_key, mark_of
from libs.contracts.requests import ErrorKind, Refusal
from services.gateway.brake import Brake
from services.gateway.callers import Callers
from services.gateway.envelope import Problem
from services.gateway.forwarding import Forwarder
from services.gateway.limits import Limit, Limits, of_person
from services.gateway.metrics import GatewayMetrics

V = TypeVar("V")
FRESH = timedelta(minutes=1)
"""So long a token is used before another one is asked for, beside the requests: auth notes by that when a key was used
last. Auth being away, it is used to its end."""
_AGAIN = timedelta(seconds=1)
"""Between two questions about a key for which auth did not answer."""
_REFUSED = timedelta(minutes=1)
"""So long a key that auth has refused is refused here: a machine goes on showing one that is over."""
_KEPT = 10_000
"""Keys, good ones and others, of each the last ones."""
_ASKING = 4
"""Questions about keys that are not known here, at a time: strangers who make some up cannot keep auth busy. As many
about those that are keys, by their marks: they wait for no stranger."""
_WAITING = 100
_MARKED_AT = timedelta(minutes=1)
"""So often auth is asked which keys there are; a newer one waits among strangers until then."""
_MARKS_AGAIN = timedelta(seconds=1)
_NOT_VALID = "the API key is not valid"


@dataclass
class _Held:
    """The token of a key that was good, and when auth is asked again."""

    token: str = field(repr=False)
    ask_at: datetime


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a key was not good, and until when it is not asked about again."""

    refusal: Refusal
    until: datetime


@dataclass(frozen=True, slots=True)
class Admitted:
    """A machine that was let in: the token in the place of its key, whom that names, and what its answer says."""

    token: str = field(repr=False)
    caller: Caller
    headers: Mapping[str, str]


@dataclass
class _Queue:
    """Places for questions, and how many wait for one."""

    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_ASKING))
    waiting: int = 0


class Machines:
    """In this process's memory, so each replica of us has its own. Of a key only its hash is kept."""

    def __init__(
        self, forwarder: Forwarder, callers: Callers, clock: Clock, metrics: GatewayMetrics, limits: Limits
    ) -> None:
        self._forwarder = forwarder
        self._callers = callers
        self._clock = clock
        self._count = metrics.machine
        self._brake = Brake(clock, what="API keys")
        self._limits = limits
        self._held: OrderedDict[bytes, _Held] = OrderedDict()
        self._refused: OrderedDict[bytes, _Refused] = OrderedDict()
        self._asked: dict[bytes, asyncio.Task[str]] = {}
        self._marks: frozenset[str] = frozenset()
        self._queues = {is_marked: _Queue() for is_marked in (False, True)}

    async def run(self) -> None:
        """For ever: know which keys there are, so that those that are made up keep none of them out."""
        while True:
            pause = _MARKS_AGAIN
            with suppress(Problem, ValidationError):
                reply = await self._forwarder.query("auth", "key_marks", NoRequest(), {})
                self._marks = frozenset(KeyMarks.model_validate(reply.data).marks)
                pause = _MARKED_AT
            await wait_at_most(self._clock, pause)

    async def admitted(self, key: str, address: str) -> Admitted:
        """Let a machine in that shows this key, from this address.

        Raises:
            Problem: 401 where it is not, or no longer, good; 429 after too many wrong ones from there, or more
                requests than a key has; 503 where auth has to be asked and does not answer.
        """
        outcome = "refused"
        try:
            token, caller = await self._verified(key, address)
            assert caller.key_id is not None  # noqa: S101 - auth gives keys no other tokens
            outcome = "limited"
            headers = self._limits.take([of_person(Limit.GENERAL, caller.key_id)])
            outcome = "let in"
            return Admitted(token, caller, headers)
        except Problem as problem:
            if problem.code not in ("UNAUTHENTICATED", "RATE_LIMITED"):
                outcome = "unavailable"
            raise
        finally:
            self._count(outcome)

    def forget(self, key: str) -> None:
        """A service has refused its token, which was good here a moment ago: ask auth about the key again."""
        self._held.pop(_hash(key), None)

    async def _verified(self, key: str, address: str) -> tuple[str, Caller]:
        """Raises Problem."""
        if not is_key(key):
            raise Problem("UNAUTHENTICATED", _NOT_VALID)
        token = await self._token(key, address)
        try:
            return token, await self._callers.caller(token)
        except Problem as problem:
            if problem.code != "UNAUTHENTICATED":
                raise
        # Its rights have changed since then, or it has run out: auth knows what is left of them.
        self.forget(key)
        token = await self._token(key, address)
        return token, await self._callers.caller(token)

    async def _token(self, key: str, address: str) -> str:
        """Raises Problem."""
        hashed = _hash(key)
        account = hashed.hex()
        for waited in (False, True):
            if (token := self._known(hashed, key)) is not None:
                return token
            if (asked := self._asked.get(hashed)) is not None:
                return await asyncio.shield(asked)
            if not waited:
                await self._brake.turn(address, account)
        with self._brake.attempt(address, account):
            return await asyncio.shield(await self._in_turn(hashed, key))

    def _known(self, hashed: bytes, key: str) -> str | None:
        """The token of a key that was good a moment ago; None: auth has to be asked. Raises Problem for a wrong one."""
        now = self._clock.now()
        if (held := self._held.get(hashed)) is not None:
            self._held.move_to_end(hashed)
            if held.ask_at <= now:
                held.ask_at = now + _AGAIN
                self._ask(hashed, key)
            return held.token
        if (refused := self._refused.get(hashed)) is not None and now < refused.until:
            raise Problem.of(refused.refusal)
        return None

    async def _in_turn(self, hashed: bytes, key: str) -> asyncio.Task[str]:
        """Begin to ask about a key that is not known here, when it has a place. Raises Problem."""
        queue = self._queues[mark_of(hashed) in self._marks]
        if queue.waiting >= _WAITING:
            raise Problem("UNAVAILABLE", "too many keys are looked at: try again", headers={"Retry-After": "1"})
        queue.waiting += 1
        try:
            await queue.places.acquire()
        finally:
            queue.waiting -= 1
        task = self._ask(hashed, key)
        task.add_done_callback(lambda _: queue.places.release())
        return task

    def _ask(self, hashed: bytes, key: str) -> asyncio.Task[str]:
        """For all who show the key meanwhile."""
        task = self._asked.get(hashed)
        if task is None:
            task = self._asked[hashed] = asyncio.create_task(self._exchange(hashed, key), name="API key")
            task.add_done_callback(lambda done: self._answered(hashed, done))
        return task

    def _answered(self, hashed: bytes, task: asyncio.Task[str]) -> None:
        del self._asked[hashed]
        if not task.cancelled():
            task.exception()  # seen: whoever renews beside a request waits for nothing

    async def _exchange(self, hashed: bytes, key: str) -> str:
        """Raises Problem."""
        reply = await self._forwarder.query("auth", "exchange_key", ExchangeKey(key=key), {})
        now = self._clock.now()
        if reply.error is not None:
            if reply.error.kind is ErrorKind.UNAUTHENTICATED:
                self._held.pop(hashed, None)
                _keep(self._refused, hashed, _Refused(reply.error, now + _REFUSED))
            raise Problem.of(reply.error)
        token = KeyToken.model_validate(reply.data).access_token
        _keep(self._held, hashed, _Held(token, now + FRESH))
        return token


def is_for_machines(token: str | None) -> bool:
    """Whether somebody shows an API key and not an access token, or at least means to."""
    return token is not None and token.startswith(PREFIX)


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()


def _keep(kept: OrderedDict[bytes, V], key: bytes, value: V) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > _KEPT:
        kept.popitem(last=False)
