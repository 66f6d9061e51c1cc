"""What the notifier takes from its upstreams."""

from __future__ import annotations

from functools import partial

from libs.chassis.consume.follower import Consumer
from libs.contracts.auth import DeviceRegistered, DeviceRemoved
from services.notifier.application import follow_devices, page_people, stop_incidents
from services.notifier.domain.bundling import MOST
from services.notifier.replicas import ANSWERS, DUES


def consumers(pages_per_minute: int = MOST) -> list[Consumer]:
    """Devices are read to their end first: a cold start must not call people unreachable."""
    return [
        Consumer("auth", (DeviceRegistered, DeviceRemoved), follow_devices, first=True),
        Consumer("incidents", ANSWERS, stop_incidents),
        Consumer("escalation", DUES, partial(page_people, most=pages_per_minute)),
    ]
