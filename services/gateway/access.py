"""The access log: each request is told to auth, which keeps it for 90 days; off the path of requests, and bounded."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from time import monotonic
from typing import Final
from uuid import UUID

import structlog
from uuid_utils.compat import uuid7

from libs.chassis.clock import Clock
from libs.chassis.requests.peers import network_of, read_agent
from libs.contracts.audit import Access, KeepAccesses
from libs.contracts.requests import ErrorKind
from services.gateway.addresses import shown_address
from services.gateway.edge import Trace, is_file
from services.gateway.envelope import Problem
from services.gateway.forwarding import COMMAND_TIMEOUT, Forwarder

_log = structlog.get_logger()
_BATCH: Final = 500
"""Of all kinds together: with the longest programs and addresses that is half of what the bus carries."""
_PAUSE: Final = 1.0
"""Seconds between two batches."""
_WAITING: Final = 10_000
"""Requests that wait to be told, some 5 MiB: while auth is away the later ones are counted and not kept."""
PER_SECOND: Final = 20.0
"""What is kept of a replica's requests on average; 90 days of that are 155 million rows, or some 40 GB."""
BURST: Final = 5_000.0
STRANGERS: Final = 4
"""That part of either is for whoever is not signed in: a flood of theirs hides nobody else's requests."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
_FORBIDDEN: Final = 403
_HOUR: Final = timedelta(hours=1)

Dropped = Callable[[str], None]
"""`dropped(why)`: a request that is not kept."""


@dataclass(slots=True)
class _Bucket:
    """Fills at `rate` a second, to `size`."""

    rate: float
    size: float
    left: float
    at: float

    @classmethod
    def of(cls, share: int = 1) -> _Bucket:
        return cls(PER_SECOND / share, BURST / share, BURST / share, monotonic())

    def take(self) -> bool:
        now = monotonic()
        self.left = min(self.size, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass
class AccessLog:
    """`enabled`: whether requests are kept. Those that were forbidden or asked for what is hidden, and where an API key
    is used from, are told in either case, for the audit.
    """

    forwarder: Forwarder
    clock: Clock
    enabled: bool
    dropped: Dropped
    _kept: deque[Access] = field(default_factory=deque)
    _refused: deque[Access] = field(default_factory=deque)
    _used: deque[Access] = field(default_factory=deque)
    _seen: OrderedDict[tuple[UUID, str | None], datetime] = field(default_factory=OrderedDict)
    """When keys were last told of, by the network that they were used from: of IPv6 anybody has 2^64 addresses."""
    _telling: asyncio.Lock = field(default_factory=asyncio.Lock)
    _known: _Bucket = field(default_factory=_Bucket.of)
    _strangers: _Bucket = field(default_factory=lambda: _Bucket.of(STRANGERS))

    def answered(self, trace: Trace, headers: Mapping[str, str], method: str, route: str, seconds: float) -> None:
        """One request is over. It takes microseconds, and never fails for what strangers have sent."""
        forbidden = (trace.status == _FORBIDDEN or trace.is_refused) and trace.user_id is not None
        if _is_probe(route) or is_file(trace, route) or not (self.enabled or forbidden or trace.key_id is not None):
            return
        access = Access.model_construct(
            id=uuid7(),
            at=self.clock.now(),
            method=method if method in _METHODS else "other",
            route=route[:255],
            status=trace.status,
            ms=round(seconds * 1000, 1),
            user_id=trace.user_id,
            key_id=trace.key_id,
            ip_address=shown_address(trace.address),
            user_agent=read_agent(headers.get("user-agent")),
            request_id=trace.request_id,
        )
        if forbidden and len(self._refused) < _WAITING:
            self._refused.append(access)
        if trace.key_id is not None and len(self._used) < _WAITING and self._is_news(trace.key_id, access):
            self._used.append(access)
        if not self.enabled:
            return
        if len(self._kept) >= _WAITING:
            self.dropped("auth away")
        elif not (self._strangers if trace.user_id is None else self._known).take():
            self.dropped("too many")
        else:
            self._kept.append(access)

    def _is_news(self, key_id: UUID, access: Access) -> bool:
        """Whether it is an hour since this key was told of from there."""
        here = (key_id, network_of(access.ip_address))
        told = self._seen.get(here)
        if told is not None and timedelta(0) <= access.at - told < _HOUR:
            return False
        self._seen[here] = access.at
        self._seen.move_to_end(here)
        if len(self._seen) > _WAITING:
            self._seen.popitem(last=False)
        return True

    async def run(self) -> None:
        """For ever: tell auth, once a second at most."""
        while True:
            await asyncio.sleep(_PAUSE)
            await self.tell()

    async def tell(self) -> None:
        """What waits, batch by batch, until there is nothing or auth does not take it: then it waits on."""
        async with self._telling:
            await self._tell()

    async def _tell(self) -> None:
        while self._kept or self._refused or self._used:
            refused = _first(self._refused, _BATCH)
            used = _first(self._used, _BATCH - len(refused))
            kept = _first(self._kept, _BATCH - len(refused) - len(used))
            try:
                body = KeepAccesses(kept=kept, refused=refused, used=used)
                reply = await self.forwarder.ask("auth", "keep_accesses", body, {}, COMMAND_TIMEOUT)
            except Problem as problem:
                _log.debug("the access log waits", reason=problem.message)
                return
            if reply.error is not None and reply.error.kind is ErrorKind.UNAVAILABLE:
                return  # its database is away
            if reply.error is not None:
                # It will not take these another time either.
                _log.warning("the access log is not kept", reason=reply.error.message, requests=len(kept))
                for _ in kept:
                    self.dropped("refused")
            for _ in kept:
                self._kept.popleft()
            for _ in refused:
                self._refused.popleft()
            for _ in used:
                self._used.popleft()


def _first(waiting: deque[Access], most: int) -> tuple[Access, ...]:
    return tuple(islice(waiting, most))


def _is_probe(route: str) -> bool:
    """What machines ask every few seconds says nothing of anybody."""
    return "/health" in route or route.endswith("/metrics")
