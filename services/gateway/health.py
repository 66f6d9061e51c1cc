"""Health: what the services answer, put together in the specification's shape (Health Endpoints)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import ValidationError

from libs.chassis.clock import Clock
from libs.chassis.consume.owner import NoRequest
from libs.chassis.measure.metrics import version
from libs.chassis.requests.operations import Health
from libs.contracts.model import Contract, Moment
from libs.contracts.requests import ErrorKind
from libs.contracts.subjects import SERVICES
from services.gateway.envelope import Problem
from services.gateway.forwarding import Forwarder

PAGING = ("incidents", "escalation", "notifier")
"""Without one of these nobody is paged; people and shifts live on as replicas when auth or oncall is away."""
_TIMEOUT = 1.0
_FRESH = 1.0
"""Seconds for which an answer is given again: the door is public and each look asks every service."""


class Parts(Contract):
    """`push` is `simulated` where vendor credentials are missing; `bus` is `unhealthy` also when NATS is there and does
    not store; `storage` is `low` when a disk or a limit is about to be full, `unknown` where nobody can see it."""

    database: str
    bus: str
    push: str
    storage: str


class HealthView(Contract):
    """The specification's bare shape; `degraded`: something is away that paging can do without."""

    status: Literal["ok", "degraded", "unavailable"]
    timestamp: Moment
    version: str
    uptime: int
    """Seconds."""
    services: Parts


class ReadyView(Contract):
    """Whether this gateway can serve, and how each service does: `healthy`, `stopped` or `away`.

    `degraded`: it serves, but alerts or events are not stored.
    """

    status: Literal["ok", "degraded", "unavailable"]
    services: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Found:
    """`database_away`: a service answered that it cannot reach PostgreSQL."""

    health: Health | None
    database_away: bool = False

    @property
    def state(self) -> str:
        if self.health is None:
            return "away"
        return "healthy" if self.health.ready else "stopped"


@dataclass
class HealthCheck:
    forwarder: Forwarder
    clock: Clock
    push: str | None = None
    started: datetime = field(init=False)
    _found: dict[str, _Found] = field(default_factory=dict)
    _found_at: float = float("-inf")
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.started = self.clock.now()

    async def view(self) -> HealthView:
        found = await self._look()
        paging = all(found[service].state == "healthy" for service in PAGING)
        storage = _storage(found["incidents"])
        well = storage != "low" and all(one.state == "healthy" for one in found.values())
        now = self.clock.now()
        return HealthView(
            status="ok" if well else "degraded" if paging else "unavailable",
            timestamp=now,
            version=version(),
            uptime=int((now - self.started).total_seconds()),
            services=Parts(
                database=_database(found),
                bus="healthy" if self.forwarder.bus.connected and _stores(found) else "unhealthy",
                push=self._push(found["notifier"]),
                storage=storage,
            ),
        )

    async def ready(self) -> ReadyView:
        """Ready while the bus is there: a gateway taken away for a sick service could not even say so."""
        found = await self._look()
        states = {service: one.state for service, one in found.items()}
        serves = "ok" if _stores(found) else "degraded"
        return ReadyView(status=serves if self.forwarder.bus.connected else "unavailable", services=states)

    def _push(self, notifier: _Found) -> str:
        if notifier.health is None or not notifier.health.ready:
            return "unhealthy"
        return str(notifier.health.extra.get("push") or self.push or "healthy")

    async def _look(self) -> dict[str, _Found]:
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._found_at >= _FRESH or not self.forwarder.bus.connected:
                answers = await asyncio.gather(*(self._ask(service) for service in SERVICES))
                self._found = dict(zip(SERVICES, answers, strict=True))
                self._found_at = asyncio.get_running_loop().time()
            return self._found

    async def _ask(self, service: str) -> _Found:
        try:
            reply = await self.forwarder.ask(service, "health", NoRequest(), {}, _TIMEOUT)
            if reply.ok:
                return _Found(Health.model_validate(reply.data))
        except (Problem, ValidationError):
            return _Found(None)
        return _Found(None, reply.error is not None and reply.error.kind is ErrorKind.UNAVAILABLE)


def _stores(found: dict[str, _Found]) -> bool:
    """Known only through the services: each looks whether its events are published, incidents writes into ALERTS."""
    return not any(one.health is not None and one.health.unstored for one in found.values())


def _storage(incidents: _Found) -> str:
    return "unknown" if incidents.health is None else str(incidents.health.extra.get("storage", "unknown"))


def _database(found: dict[str, _Found]) -> str:
    """Known only through the services: each reads its database to answer."""
    if any(one.database_away for one in found.values()):
        return "unhealthy"
    return "healthy" if any(one.health is not None for one in found.values()) else "unknown"
