"""What incidents takes from its upstreams."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer
from services.incidents import application
from services.incidents.replicas import FROM_ESCALATION, FROM_NOTIFIER


def consumers() -> list[Consumer]:
    """Timeline, assignee and status are books: in a storm new alerts go first."""
    return [
        Consumer("escalation", FROM_ESCALATION, application.follow_escalation, patient=True),
        Consumer("notifier", FROM_NOTIFIER, application.follow_notifier, patient=True),
    ]
