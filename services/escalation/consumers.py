"""What escalation takes from each upstream: one call into the application each."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    PagingRequested,
)
from libs.contracts.notifier import PersonUnreachable, PushTokenRetired
from services.escalation.application import follow_incidents, follow_notifier, follow_people
from services.escalation.replicas import FROM_AUTH, FROM_INTEGRATIONS, FROM_ONCALL, follow_schedules

_ANSWERS = (IncidentAcknowledged, IncidentResolved, IncidentClosed, IncidentSnoozed, IncidentSuppressed)


def consumers() -> list[Consumer]:
    """People and shifts are read to their end before incidents, so that a cold start never pages the wrong ones.

    Of what became of pages only one event in many hundred matters here, and not each page may wake this process for it.
    That a level could not be reached lets it be passed early: its time-out still stands where that message is lost.
    """
    return [
        Consumer("auth", FROM_AUTH, follow_people, first=True),
        Consumer("oncall", FROM_ONCALL, follow_schedules, first=True),
        Consumer("incidents", (IncidentCreated, PagingRequested, *_ANSWERS, *FROM_INTEGRATIONS), follow_incidents),
        Consumer("notifier", (PersonUnreachable, PushTokenRetired), follow_notifier, sparse=True),
    ]
