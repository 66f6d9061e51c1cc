"""What incidents takes from its upstreams."""

from __future__ import annotations

from libs.chassis.consume import Consumer
from libs.contracts.escalation import EscalationCancelled, EscalationDue, EscalationExhausted, EscalationStarted
from libs.contracts.notifier import (
    AttemptFailed,
    NotificationAccepted,
    NotificationIntended,
    NotificationReplaced,
    NotificationWithdrawn,
    PersonUnreachable,
)
from services.incidents import application


def consumers() -> list[Consumer]:
    """Timeline, assignee and status are books: in a storm new alerts go first."""
    return [
        Consumer(
            "escalation",
            (EscalationStarted, EscalationDue, EscalationExhausted, EscalationCancelled),
            application.follow_escalation,
            patient=True,
        ),
        Consumer(
            "notifier",
            (
                NotificationIntended,
                NotificationAccepted,
                AttemptFailed,
                NotificationReplaced,
                NotificationWithdrawn,
                PersonUnreachable,
            ),
            application.follow_notifier,
            patient=True,
        ),
    ]
