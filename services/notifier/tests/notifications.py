"""What the notifier's tests share: a moment, an incident, and one intention to page somebody about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from libs.contracts.auth import Platform
from libs.contracts.escalation import IncidentBrief
from libs.contracts.model import Lane, Priority
from libs.contracts.notifier import NotificationKind
from services.notifier.domain.ids import notification_id
from services.notifier.domain.notification import IntendNotification, RecordAccepted, RecordFailure, Stop
from services.notifier.domain.notification import StopNotification as StopIt

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INCIDENT = UUID(int=1)
BO = UUID(int=2)
BRIEF = IncidentBrief(
    incident_id=INCIDENT, number=7, title="db down", description="no answer", priority=Priority.CRITICAL
)
INTEND = IntendNotification(
    notification_id=notification_id(UUID(int=3), BO, "phone"),
    user_id=BO,
    device_id="phone",
    platform=Platform.ANDROID,
    level=1,
    round=1,
    lane=Lane.URGENT,
    brief=BRIEF,
    decided_at=NINE,
    next_due_at=NINE + timedelta(minutes=5),
    stop=None,
    now=NINE,
)


def after(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def intend(lane: Lane = Lane.URGENT, platform: Platform = Platform.ANDROID) -> IntendNotification:
    """Another notification of its own."""
    return replace(INTEND, notification_id=uuid4(), lane=lane, platform=platform)


def stop(reason: str = "acknowledged", at: float = 10) -> StopIt:
    return StopIt(Stop(reason, after(at)), after(at))


def accepted(attempt: int = 1, kind: str = "page", at: float = 1) -> RecordAccepted:
    return RecordAccepted(attempt, NotificationKind(kind), "fcm", "vendor-1", after(at))


def failed(
    attempt: int = 1,
    *,
    kind: str = "page",
    again: bool = True,
    retry_after: float | None = None,
    chance: float = 0.5,
    at: float = 1,
) -> RecordFailure:
    return RecordFailure(
        attempt, NotificationKind(kind), "fcm", "transient", "timeout", again, retry_after, chance, after(at)
    )
