"""What escalation takes from each upstream: one call into the application each."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer
from libs.contracts.auth import UserRegistered
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentResolved,
    IncidentSnoozed,
    PagingRequested,
)
from libs.contracts.notifier import PersonUnreachable
from libs.contracts.oncall import ScheduleCreated, ShiftsPlanned
from services.escalation.application import follow_incidents, follow_notifier
from services.escalation.replicas import follow_people, follow_schedules

_ANSWERS = (IncidentAcknowledged, IncidentResolved, IncidentClosed, IncidentSnoozed)


def consumers() -> list[Consumer]:
    """People and shifts are read to their end before incidents, so that a cold start never pages the wrong ones.

    In a storm new incidents go before what became of pages: a level that is passed early may wait a few seconds.
    """
    return [
        Consumer("auth", (UserRegistered,), follow_people, first=True),
        Consumer("oncall", (ScheduleCreated, ShiftsPlanned), follow_schedules, first=True),
        Consumer("incidents", (IncidentCreated, PagingRequested, *_ANSWERS), follow_incidents),
        Consumer("notifier", (PersonUnreachable,), follow_notifier, patient=True),
    ]
