"""Health: what everybody says of themselves, judged in one place and put into the specification's shape."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from libs.chassis.bus.connection import Bus
from libs.chassis.clock import Clock
from libs.chassis.measure.metrics import version
from libs.chassis.monitor.verdict import Silent, Status, Verdict, judge, look
from libs.contracts.health import BUS, DATABASE, PUSH, Effect, Health, Trouble, in_public
from libs.contracts.model import Contract, Moment

_LEAVING = Trouble(culprit="gateway", problem="is about to stop", effect=Effect.OUTAGE)
_FRESH = 1.0
"""Seconds for which an answer is given again: the door is public and each look asks every service."""


class Parts(Contract):
    """`healthy` or `unhealthy`, and `unknown` where whoever knows is away.

    `bus` is `unhealthy` also when NATS is there and does not store; `push` is `simulated` where vendor credentials are
    missing, `degraded` while one of two vendors is away; `storage` is `low` when a disk or a limit is about to be full;
    `people` is `unreachable` when there is a policy of which nobody has a device.
    """

    database: str
    bus: str
    push: str
    storage: str
    people: str


class HealthView(Contract):
    """The specification's bare shape, and `troubles`: each culprit by name, the worst first. Of a team's policy not its
    name: that tells `pager doctor`.

    `unavailable`: nobody can be paged; `degraded`: something is wrong, and pages are sent.
    """

    status: Status
    timestamp: Moment
    version: str
    uptime: int
    """Seconds."""
    services: Parts
    troubles: tuple[Trouble, ...]
    maintenance: bool | None = None
    """Only present when true: people change nothing now, and pages go out."""


class ReadyView(Contract):
    """The same truth by service: `healthy`, `stopped`, `hanging` (no answer), `away` (no process) or `unknown`."""

    status: Status
    services: dict[str, str]
    troubles: tuple[Trouble, ...]


@dataclass
class HealthCheck:
    bus: Bus
    clock: Clock
    push: str | None = None
    leaving: bool = False
    """This gateway is asked for nothing new: it finishes what is under way, and goes."""
    started: datetime = field(init=False)
    _verdict: Verdict | None = None
    _found_at: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    async def view(self) -> HealthView:
        verdict = await self.verdict()
        now = self.clock.now()
        return HealthView(
            status=verdict.status,
            timestamp=now,
            version=version(),
            uptime=int((now - self.started).total_seconds()),
            services=Parts(
                database=_database(verdict),
                bus="unhealthy" if verdict.of(BUS) else "healthy",
                push=self._push(verdict),
                storage=_said(verdict, "incidents", "storage"),
                people=_said(verdict, "escalation", "people"),
            ),
            troubles=in_public(verdict.troubles),
        )

    async def ready(self) -> tuple[ReadyView, bool]:
        """And whether it is so: bus, database and every service do their work."""
        verdict = await self.verdict()
        troubles = in_public(verdict.troubles) + ((_LEAVING,) if self.leaving else ())
        states = {name: _state(verdict, name) for name in verdict.found.words}
        view = ReadyView(status=verdict.status, services=states, troubles=troubles)
        return view, verdict.is_ready and not self.leaving

    async def verdict(self) -> Verdict:
        """Of now, or of a moment ago."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if self._verdict is None or now - self._found_at >= _FRESH or not self.bus.connected:
                self._verdict = judge(await look(self.bus.client))
                self._found_at = asyncio.get_running_loop().time()
            return self._verdict

    def _push(self, verdict: Verdict) -> str:
        notifier = _healthy(verdict.found.words, "notifier")
        if notifier is None:
            return "unknown"
        effects = {t.effect for t in verdict.troubles if t.culprit.startswith(PUSH)} - {Effect.WARNING}
        if effects:
            return "unhealthy" if Effect.SILENCE in effects else "degraded"
        return str(notifier.extra.get("push") or self.push or "healthy")


def _healthy(words: Mapping[str, object], service: str) -> Health | None:
    word = words[service]
    return word if isinstance(word, Health) and word.ready else None


def _state(verdict: Verdict, service: str) -> Literal["healthy", "stopped", "hanging", "away", "unknown"]:
    match verdict.found.words[service]:
        case Silent() as why:
            return why.value
        case word:
            return "healthy" if word.ready else "stopped"


def _said(verdict: Verdict, service: str, what: str) -> str:
    word = verdict.found.words[service]
    return str(word.extra.get(what, "unknown")) if isinstance(word, Health) else "unknown"


def _database(verdict: Verdict) -> str:
    """Known only through the services: each asks its database for itself."""
    if verdict.of(DATABASE):
        return "unhealthy"
    return "healthy" if any(isinstance(word, Health) for word in verdict.found.words.values()) else "unknown"
