"""Refusals are audited, and whoever is refused again and again makes neither the log long nor an answer late.

What is refused alike, by account and place, is counted for an hour; 1, 2, 5, 10, 20, 50 … are told (as repeats are,
docs/adr/0035). Of all together so many are told in a minute, and of the others how many they were. Strangers who try
accounts that nobody has, those who try somebody's, and who is signed in have a part of that each: none of them hides
what the others do. The counts are in this process's memory: of what it had not told when it died, others say nothing.
So are first uses of API keys.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID, uuid4

import structlog

from libs.chassis.clock import Clock
from libs.chassis.parts import Engine
from libs.chassis.requests.peers import Peer, network_of
from libs.chassis.store.store import Store
from libs.chassis.store.work import Decider, Work
from libs.contracts.audit import AccessRefused, ApiKeyUsed, RefusalsCounted, UnknownAccountRefused
from libs.contracts.envelope import Actor, Fact
from services.auth import entities, signed_in
from services.auth.links import BadLink, Purpose
from services.auth.measures import measures

_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)
_KINDS: Final = 10_000
"""Of refusals that are told apart, the last ones; of each part."""
A_MINUTE: Final = 20
"""Refusals that are told, of each of three parts: together some 30 KiB of log a minute."""
_UNDER_WAY: Final = 16
"""Transactions that write them: a database that is slow is asked for no more."""
_log = structlog.get_logger()

TELLING: Final[Decider[None, Fact]] = Decider(lambda: None, lambda state, _fact: state, lambda fact, _state: [fact])
"""What is a fact by itself, in a stream of its own."""


@dataclass(slots=True)
class _Count:
    since: datetime
    times: int = 0


def is_told(times: int) -> bool:
    """1, 2, 5, 10, 20, 50 …"""
    return str(times).rstrip("0") in ("1", "2", "5")


@dataclass
class Counts:
    """How often what is alike was refused within an hour, and what of it is told. In memory, and bounded."""

    _counts: OrderedDict[Hashable, _Count] = field(default_factory=OrderedDict)
    _told: deque[datetime] = field(default_factory=deque)
    _untold: _Count | None = None

    def add(self, key: Hashable, now: datetime) -> int | None:
        """How many times it is now, if that is to be told."""
        count = self._counts.pop(key, None)
        if count is None or not timedelta(0) <= now - count.since < _HOUR:
            count = _Count(now)
        self._counts[key] = count
        if len(self._counts) > _KINDS:
            self._counts.popitem(last=False)
        count.times += 1
        if not is_told(count.times):
            return None
        if self.take(now):
            return count.times
        self.untold(1, now)
        return None

    def take(self, now: datetime) -> bool:
        """One of those that are told in a minute."""
        while self._told and not timedelta(0) <= now - self._told[0] < _MINUTE:
            self._told.popleft()
        if len(self._told) >= A_MINUTE:
            return False
        self._told.append(now)
        return True

    def untold(self, times: int, now: datetime) -> None:
        self._untold = self._untold or _Count(now)
        self._untold.times += times

    def rest(self, now: datetime, *, at_once: bool = False) -> RefusalsCounted | None:
        """What was not told, a minute after the first of it."""
        rest = self._untold
        if rest is None or not (at_once or abs(now - rest.since) >= _MINUTE):
            return None
        self._untold = None
        return RefusalsCounted(times=rest.times, since=rest.since)


@dataclass
class Refusals(Engine):
    """`key`: under which accounts that nobody has are named in the log."""

    store: Store
    clock: Clock
    key: Callable[[], bytes]
    _unknown: Counts = field(default_factory=Counts)
    """Of accounts that nobody has."""
    _people: Counts = field(default_factory=Counts)
    """Of people's."""
    _signed_in: Counts = field(default_factory=Counts)
    """Of whoever is signed in, and of keys."""
    _recording: set[asyncio.Task[None]] = field(default_factory=set)

    def of_sign_in(self, account: bytes, user_id: UUID | None, reason: str, peer: Peer) -> None:
        """Somebody was not let in; `account`: whose, as it is counted. Beside the answer, and never waited for."""
        measures().refused(reason)
        counts = self._unknown if user_id is None else self._people
        times = counts.add((account, peer.networks[:1], reason), self.clock.now())
        if times is None:
            self._rest()
        elif user_id is not None:
            self._tell(counts, lambda work: signed_in.refuse_sign_in(work, uuid4(), user_id, reason, times, peer))
        else:
            name = hmac.digest(self.key(), account, sha256)[:16].hex()
            self._tell_fact(
                counts,
                UnknownAccountRefused(
                    account=name,
                    month=f"{self.clock.now():%Y-%m}",
                    reason=reason,
                    times=times,
                    ip_address=peer.address,
                    user_agent=peer.agent,
                ),
            )

    @contextmanager
    def of_links(self, purpose: Purpose, peer: Peer) -> Iterator[None]:
        """Somebody shows a link; one that is not good is refused, as an account that nobody has."""
        try:
            yield
        except BadLink:
            self.of_sign_in(f"a link: {purpose}".encode(), None, f"{purpose} link refused", peer)
            raise

    def of_access(self, fact: AccessRefused) -> None:
        """Somebody who is signed in has asked for what they may not do, once more; `times` is set here."""
        key = (fact.user_id, fact.key_id, fact.method, fact.route, network_of(fact.ip_address))
        times = self._signed_in.add(key, self.clock.now())
        if times is None:
            self._rest()
        else:
            self._tell_fact(self._signed_in, fact.model_copy(update={"times": times}))

    def of_key(self, fact: ApiKeyUsed) -> None:
        """A key was used from somewhere, the first time within an hour as far as a gateway knows."""
        if self._signed_in.add((fact.key_id, network_of(fact.ip_address)), self.clock.now()) == 1:
            self._tell_fact(self._signed_in, fact)

    async def lead(self) -> None:
        """In the active replica, for ever. Elsewhere the next refusal, or the end, tells what is left."""
        while True:
            await self.clock.wait_until(self.clock.now() + _MINUTE)
            self._rest()

    async def close(self) -> None:
        self._rest(at_once=True)
        await asyncio.gather(*self._recording)

    def _rest(self, *, at_once: bool = False) -> None:
        for counts in (self._unknown, self._people, self._signed_in):
            if (rest := counts.rest(self.clock.now(), at_once=at_once)) is not None:
                self._tell_fact(counts, rest)

    def _tell_fact(self, counts: Counts, fact: Fact) -> None:
        actor = entities.AUTH
        if isinstance(fact, AccessRefused | ApiKeyUsed):
            actor = Actor.user(fact.user_id) if fact.key_id is None else Actor.key(fact.key_id)
        stands_for = fact.times if isinstance(fact, RefusalsCounted) else 1
        self._tell(counts, lambda work: work.decide(TELLING, uuid4(), fact, work.begin(actor)), stands_for)

    def _tell(self, counts: Counts, handler: Callable[[Work], object], stands_for: int = 1) -> None:
        """`stands_for`: so many are counted again where it is not written."""
        if len(self._recording) >= _UNDER_WAY:
            counts.untold(stands_for, self.clock.now())
            return
        task = asyncio.ensure_future(self._record(counts, handler, stands_for))
        self._recording.add(task)
        task.add_done_callback(self._recording.discard)

    async def _record(self, counts: Counts, handler: Callable[[Work], object], stands_for: int) -> None:
        try:
            await self.store.transact(handler)
        except Exception:  # noqa: BLE001 - they were answered; what is not written now is counted
            _log.exception("a refusal was not recorded")
            counts.untold(stands_for, self.clock.now())
