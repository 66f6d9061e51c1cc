"""What escalation takes from each upstream: one call into the application each."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer
from libs.contracts.auth import UserRegistered
from libs.contracts.incidents import IncidentAcknowledged, IncidentClosed, IncidentCreated, IncidentResolved
from libs.contracts.oncall import ScheduleCreated, ShiftsPlanned
from services.escalation.application import follow_incidents
from services.escalation.replicas import follow_people, follow_schedules


def consumers() -> list[Consumer]:
    """People and shifts are read to their end before incidents, so that a cold start never pages the wrong ones."""
    return [
        Consumer("auth", (UserRegistered,), follow_people, first=True),
        Consumer("oncall", (ScheduleCreated, ShiftsPlanned), follow_schedules, first=True),
        Consumer(
            "incidents", (IncidentCreated, IncidentAcknowledged, IncidentResolved, IncidentClosed), follow_incidents
        ),
    ]
