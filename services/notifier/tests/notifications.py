"""What the notifier's tests share: a moment, an incident, and one intention to page somebody about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Lane, Priority
from libs.contracts.notifier import Method, MethodKind, NotificationKind
from services.notifier.domain.ids import notification_id
from services.notifier.domain.notification import IntendNotification, RecordAccepted, RecordFailure, Stop
from services.notifier.domain.notification import StopNotification as StopIt
from services.notifier.domain.place import LOWEST, Place

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
INCIDENT = UUID(int=1)
BO = UUID(int=2)
BRIEF = IncidentBrief(
    incident_id=INCIDENT, number=7, title="db down", description="no answer", priority=Priority.CRITICAL
)
PHONE = Method(id="phone", kind=MethodKind.FCM)
INTEND = IntendNotification(
    notification_id=notification_id(INCIDENT, LOWEST, BO, PHONE),
    user_id=BO,
    method=PHONE,
    place=LOWEST,
    lane=Lane.URGENT,
    brief=BRIEF,
    decided_at=NINE,
    next_due_at=NINE + timedelta(minutes=5),
    stop=None,
    now=NINE,
)


def after(seconds: float) -> datetime:
    return NINE + timedelta(seconds=seconds)


def intend(lane: Lane = Lane.URGENT, kind: MethodKind = MethodKind.FCM, run: int = 1) -> IntendNotification:
    """Another notification of its own."""
    method = Method(id="phone", kind=kind)
    return replace(INTEND, notification_id=uuid4(), lane=lane, method=method, place=Place(run, 1, 1))


def stop(reason: str = "acknowledged", at: float = 10, run: int = 1) -> StopIt:
    return StopIt(Stop(reason, run), after(at))


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
