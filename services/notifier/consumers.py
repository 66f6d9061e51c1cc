"""What the notifier takes from its upstreams."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer
from libs.contracts.auth import DeviceRegistered, DeviceRemoved
from libs.contracts.escalation import EscalationDue, EscalationExhausted
from libs.contracts.incidents import IncidentAcknowledged, IncidentClosed, IncidentResolved
from services.notifier.application import follow_devices, page_people, stop_incidents


def consumers() -> list[Consumer]:
    """Devices are read to their end first: a cold start must not call people unreachable (rule 12)."""
    return [
        Consumer("auth", (DeviceRegistered, DeviceRemoved), follow_devices, first=True),
        Consumer("incidents", (IncidentAcknowledged, IncidentResolved, IncidentClosed), stop_incidents),
        Consumer("escalation", (EscalationDue, EscalationExhausted), page_people),
    ]
