"""What the routes share: the way to the services, callers, health and metrics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection

if TYPE_CHECKING:
    from services.gateway.access import AccessLog
    from services.gateway.addresses import Addresses
    from services.gateway.brake import Brake
    from services.gateway.bulk import Bulks
    from services.gateway.callers import Callers
    from services.gateway.client_reports import Reports
    from services.gateway.exporting import Exports
    from services.gateway.features import Features
    from services.gateway.forwarding import Forwarder
    from services.gateway.health import HealthCheck
    from services.gateway.heard import Heard
    from services.gateway.limits import Limits
    from services.gateway.machines import Machines
    from services.gateway.maintenance import Maintenance
    from services.gateway.metrics import GatewayMetrics
    from services.gateway.origins import Origins
    from services.gateway.places import Places
    from services.gateway.presence import Presences
    from services.gateway.streaming.streams import Streams


@dataclass(frozen=True, slots=True)
class Front:
    """The parts of a running gateway."""

    forwarder: Forwarder
    callers: Callers
    machines: Machines
    health: HealthCheck
    metrics: GatewayMetrics
    brake: Brake
    addresses: Addresses
    places: Places
    access: AccessLog
    exports: Exports
    origins: Origins
    presences: Presences
    limits: Limits
    streams: Streams
    heard: Heard
    maintenance: Maintenance
    bulks: Bulks
    features: Features
    reports: Reports


def front_of(connection: HTTPConnection) -> Front:
    front: Front = connection.app.state.front
    return front
