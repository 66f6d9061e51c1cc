"""What incidents takes from its upstreams."""

from __future__ import annotations

from libs.chassis.consume.follower import Consumer
from libs.contracts.envelope import Fact
from libs.contracts.escalation import ResponderUnreachable
from services.incidents import application
from services.incidents.references import FROM_AUTH, FROM_POLICIES, follow_people
from services.incidents.replicas import FROM_ESCALATION, FROM_NOTIFIER


def consumers() -> list[Consumer]:
    """Timeline, assignee, status and numbers are books: in a storm new alerts go first. No alert waits for people,
    teams and policies.

    All that ESCALATION says moves our place in it, so that whoever waits for a new policy knows when it is read.
    """
    every: tuple[type[Fact], ...] = (*FROM_ESCALATION, *FROM_POLICIES, ResponderUnreachable)
    return [
        Consumer("auth", FROM_AUTH, follow_people),
        Consumer("escalation", every, application.follow_escalation, patient=True),
        Consumer("notifier", FROM_NOTIFIER, application.follow_notifier, patient=True),
    ]
