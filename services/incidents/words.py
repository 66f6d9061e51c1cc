"""What happened, in words: one sentence for each event of the paging path, for timelines and explanations."""

from __future__ import annotations

from libs.contracts.envelope import Fact
from libs.contracts.escalation import EscalationCancelled, EscalationDue, EscalationExhausted, EscalationStarted
from libs.contracts.incidents import (
    AlertsGrouped,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEscalated,
    IncidentResolved,
)
from libs.contracts.notifier import (
    AttemptFailed,
    NotificationAccepted,
    NotificationIntended,
    NotificationReplaced,
    NotificationWithdrawn,
    PersonUnreachable,
)


def summary_of(fact: Fact) -> str:
    """A sentence without personal fields: people are named by id, and shown by whoever may see names."""
    match fact:
        case IncidentCreated():
            return f"{fact.priority} incident #{fact.number} from {fact.source}: {fact.title}"
        case AlertsGrouped():
            return f"{fact.count} more alert{'s' if fact.count != 1 else ''} of the same kind"
        case IncidentAcknowledged():
            return "acknowledged" + (f": {fact.notes}" if fact.notes else "")
        case IncidentEscalated():
            people = f"{len(fact.user_ids)} {'person' if len(fact.user_ids) == 1 else 'people'}"
            return f"level {fact.level} pages {people}" + (" after every level" if fact.exhausted else "")
        case IncidentResolved():
            return "resolved" + (f": {fact.notes}" if fact.notes else "")
        case IncidentClosed():
            return "closed" + (f": {fact.notes}" if fact.notes else "")
        case EscalationStarted():
            return f"escalation policy {fact.policy_id} version {fact.policy_version} started"
        case EscalationDue():
            found = ", ".join(dict.fromkeys(p.via for p in fact.people)) or "nobody"
            return f"level {fact.level} is due: {found}" + (f" ({fact.reason})" if fact.reason else "")
        case EscalationExhausted():
            return "every level has been paged; admins are paged until somebody acknowledges"
        case EscalationCancelled():
            return f"escalation stopped: {fact.cause}"
        case NotificationIntended():
            return f"to be paged by {fact.method} on device {fact.device_id} ({fact.platform})"
        case NotificationAccepted():
            return f"{fact.provider} accepted the push (attempt {fact.attempt})"
        case AttemptFailed():
            again = f", again at {fact.retry_at:%H:%M:%S} UTC" if fact.retry_at else ", not tried again"
            return f"{fact.provider} did not take the push (attempt {fact.attempt}): {fact.reason}{again}"
        case NotificationReplaced():
            return f"the page on the phone is replaced: {fact.kind}"
        case NotificationWithdrawn():
            return f"not pushed: {fact.reason}"
        case PersonUnreachable():
            return f"cannot be reached: {fact.reason}"
        case _:
            return type(fact).__name__
