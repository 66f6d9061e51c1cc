"""What the notifier keeps of its upstreams: devices, and since when an incident needs nobody. Pure, for rebuilds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libs.chassis.store.changes import Change, Gone, Row
from libs.contracts.auth import DeviceRegistered, DeviceRemoved
from libs.contracts.envelope import Envelope
from libs.contracts.incidents import IncidentAcknowledged, IncidentClosed, IncidentResolved
from services.notifier.domain.notification import Stop
from services.notifier.projections import DEVICES, STOPPED

_REASONS = {IncidentAcknowledged: "acknowledged", IncidentResolved: "resolved", IncidentClosed: "closed"}


def device_change(event: Envelope[Any], _state: Any = None) -> Iterable[Change]:
    """The row of a push device."""
    match event.data:
        case DeviceRegistered() as device:
            yield Row(
                DEVICES,
                {
                    "user_id": device.user_id,
                    "device_id": device.device_id,
                    "platform": str(device.platform),
                    "push_token": device.push_token,
                    "registered_at": device.registered_at,
                },
            )
        case DeviceRemoved() as device:
            yield Gone(DEVICES, {"user_id": device.user_id, "device_id": device.device_id})


def stop_of(event: Envelope[Any]) -> Stop:
    """What an acknowledgement, a resolution or a closing says."""
    return Stop(_REASONS[type(event.data)], event.time)


def later_stop(known: Stop | None, event: Envelope[Any]) -> Stop:
    """The stop that holds after one more event: a parked one that is tried again may be older than what is known."""
    stop = stop_of(event)
    return stop if known is None or known.at <= stop.at else known


def stop_change(event: Envelope[Any], state: Stop) -> Iterable[Change]:
    """The row of an incident's last stop."""
    yield Row(STOPPED, {"incident_id": event.data.incident_id, "at": state.at, "reason": state.reason})
