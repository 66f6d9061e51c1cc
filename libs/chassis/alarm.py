"""Pager pages about itself: alarms are alerts like any other, published on `pager.alerts.pager` (design, rule 8)."""

from __future__ import annotations

import json

from libs.chassis.bus import Bus
from libs.chassis.wire import Outgoing
from libs.contracts.model import Priority
from libs.contracts.subjects import alert_subject


async def raise_alarm(bus: Bus, summary: str, dedup_key: str, description: str) -> None:
    """Page the people of the Default policy; the same `dedup_key` folds into one incident.

    Raises:
        BusAway: it was not accepted; try again.
    """
    body = {"summary": summary, "priority": "critical", "dedupKey": dedup_key, "description": description}
    subject = alert_subject("pager", Priority.CRITICAL)
    await bus.publish_all([Outgoing(subject, json.dumps(body).encode(), {})])
