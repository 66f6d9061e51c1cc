"""What incidents takes from its upstreams."""

from __future__ import annotations

from libs.chassis.consume import Consumer
from services.incidents import application
from services.incidents.replicas import FROM_ESCALATION, FROM_NOTIFIER


def consumers() -> list[Consumer]:
    return [
        Consumer("escalation", FROM_ESCALATION, application.follow_escalation),
        Consumer("notifier", FROM_NOTIFIER, application.follow_notifier),
    ]
