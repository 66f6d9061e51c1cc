"""What the routes share: the way to the services, identity, health and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from services.gateway.forwarding import Forwarder
    from services.gateway.health import HealthCheck
    from services.gateway.identity import Identity
    from services.gateway.metrics import GatewayMetrics


@dataclass(frozen=True, slots=True)
class Front:
    """The parts of a running gateway."""

    forwarder: Forwarder
    identity: Identity
    health: HealthCheck
    metrics: GatewayMetrics


def front_of(connection: HTTPConnection) -> Front:
    front: Front = connection.app.state.front
    return front
