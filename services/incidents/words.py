"""What happened, in words: one sentence for each event of the paging path, for timelines and explanations."""

from __future__ import annotations

from datetime import timedelta

from libs.contracts.envelope import Fact
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    PagingSuppressed,
)
from libs.contracts.incident_alerts import AlertAdded, AlertResolved, AlertsOverflowed
from libs.contracts.incidents import (
    AcknowledgementLimited,
    AcknowledgementTimedOut,
    AlertsGrouped,
    EscalationRequested,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEdited,
    IncidentEscalated,
    IncidentReassigned,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    NoteAdded,
    PagingReason,
    PagingRequested,
    PriorityLowered,
    PriorityRaised,
    ResolutionPlanned,
    RespondersAdded,
    SnoozeEnded,
    SuppressionEnded,
)
from libs.contracts.notifier import (
    AttemptFailed,
    NotificationAccepted,
    NotificationIntended,
    NotificationReplaced,
    NotificationWithdrawn,
    PersonUnreachable,
    ReceiptRecorded,
)
from libs.contracts.reviews import ReviewChanged, ReviewDeleted, ReviewDrafted, ReviewPublished, ReviewWithdrawn


def summary_of(fact: Fact) -> str:
    """A sentence without personal fields: people are named by id, and shown by whoever may see names."""
    match fact:
        # What a storm is full of stands first: a case that does not match costs as much as one that does.
        case IncidentCreated():
            return f"{fact.priority} incident #{fact.number} from {fact.source}: {fact.title}"
        case EscalationStarted():
            again = f" again (run {fact.run})" if fact.run > 1 else ""
            return f"escalation policy {fact.policy_id} version {fact.policy_version} started{again}"
        case EscalationDue():
            found = ", ".join(dict.fromkeys(p.via for p in fact.people)) or "nobody"
            return f"level {fact.level} is due: {found}" + (f" ({fact.reason})" if fact.reason else "")
        case NotificationIntended():
            # Not on which device: its id is what a phone signs in with, and everybody reads this.
            return f"to be paged by {fact.method.kind.shown} ({fact.method.kind}){_bundle(fact)}"
        case NotificationAccepted():
            return f"{fact.provider} accepted the push (attempt {fact.attempt})"
        case AlertsGrouped():
            return _grouped(fact)
        case AlertAdded() | AlertResolved() | AlertsOverflowed():
            return _of_an_alert(fact)
        case IncidentAcknowledged():
            return "acknowledged" + (f": {fact.notes}" if fact.notes else "")
        case IncidentEscalated():
            people = f"{len(fact.user_ids)} {'person' if len(fact.user_ids) == 1 else 'people'}"
            return f"level {fact.level} pages {people}" + (" after every level" if fact.exhausted else "")
        case IncidentResolved():
            return "resolved" + (f": {fact.notes}" if fact.notes else "")
        case IncidentClosed():
            return "closed" + (f": {fact.notes}" if fact.notes else "")
        case PagingSuppressed():
            return f"nobody is paged by policy {fact.policy_id} version {fact.policy_version}: it is suppressed"
        case EscalationExhausted():
            return "every level has been paged; admins are paged until somebody acknowledges"
        case EscalationCancelled():
            return f"escalation stopped: {fact.cause}"
        case AttemptFailed():
            again = f", again at {fact.retry_at:%H:%M:%S} UTC" if fact.retry_at else ", not tried again"
            return f"{fact.provider} did not take the push (attempt {fact.attempt}): {fact.reason}{again}"
        case ReceiptRecorded():
            return f"{fact.state} on the device at {fact.seen_at:%H:%M:%S} UTC"
        case NotificationReplaced():
            return f"the page on the phone is replaced: {fact.kind}"
        case NotificationWithdrawn(reason="bundled"):
            return "not pushed by itself: a newer page speaks for it"
        case NotificationWithdrawn():
            return f"not pushed: {fact.reason}"
        case PersonUnreachable():
            return f"cannot be reached: {fact.reason}"
        case _:
            return _of_a_run(fact)


def span(time: timedelta) -> str:
    """`2 hours`, `1 minute`, `90 minutes`, `3 seconds`: in the largest unit that it is a whole number of."""
    seconds = time.total_seconds()
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds % size == 0:
            return f"{seconds / size:g} {unit}{'s' if seconds != size else ''}"
    return f"{seconds:g} seconds"


def _grouped(fact: AlertsGrouped) -> str:
    if fact.alert_count is None:
        return f"{fact.count} more alert{'s' if fact.count != 1 else ''} of the same kind"
    return f"at least {fact.alert_count} alerts of the same kind" + (f"; now: {fact.title}" if fact.title else "")


def _of_an_alert(fact: AlertAdded | AlertResolved | AlertsOverflowed) -> str:
    match fact:
        case AlertAdded():
            return f"{'an alert burns again' if fact.again else 'a further alert'}: {fact.title}"
        case AlertResolved():
            return f"an alert is over, {fact.left} still burn{'s' if fact.left == 1 else ''}"
        case AlertsOverflowed():
            return f"more than {fact.total} different alerts: what is not held is counted, and ends with the incident"


def _bundle(fact: NotificationIntended) -> str:
    later = f" at {fact.not_before:%H:%M:%S} UTC: others rang just now" if fact.not_before else ""
    return later + (f", for {fact.further} more page{'s' if fact.further != 1 else ''}" if fact.further else "")


_AGAIN = {
    PagingReason.RAISED: "it has become worse",
    PagingReason.ESCALATED: "somebody asked for it",
    PagingReason.REASSIGNED: "it is somebody else's now",
    PagingReason.RESPONDERS_ADDED: "help is wanted",
    PagingReason.REOPENED: "it was reopened",
    PagingReason.SNOOZE_ENDED: "its snooze is over",
    PagingReason.SUPPRESSION_ENDED: "it is no longer suppressed",
    PagingReason.ACKNOWLEDGEMENT_TIMED_OUT: "whoever acknowledged it has not resolved it in time",
}


def _of_a_run(fact: Fact) -> str:
    match fact:
        case PriorityRaised():
            return f"raised from {fact.previous} to {fact.priority}"
        case PriorityLowered():
            return f"lowered from {fact.previous} to {fact.priority}"
        case IncidentEdited():
            return f"edited; now: {fact.title}"
        case PagingRequested():
            return f"to be paged again (run {fact.run}): {_AGAIN[fact.reason]}"
        case IncidentSnoozed():
            return f"snoozed until {fact.until:%Y-%m-%d %H:%M:%S} UTC"
        case IncidentSuppressed():
            until = fact.suppression.until
            end = f" until {until:%Y-%m-%d %H:%M:%S} UTC" if until else ""
            return f"suppressed{end}" + (f": {fact.reason}" if fact.reason else "")
        case NoteAdded():
            return f"note: {fact.text}"
        case IncidentReassigned():
            return "reassigned" + (f": {fact.notes}" if fact.notes else "")
        case EscalationRequested():
            to = "the leads" if fact.level is None else f"level {fact.level}"
            return f"escalated to {to}" + (f": {fact.reason}" if fact.reason else "")
        case RespondersAdded():
            people = "1 person" if len(fact.user_ids) == 1 else f"{len(fact.user_ids)} people"
            return f"{people} asked for help" + (f": {fact.notes}" if fact.notes else "")
        case AcknowledgementLimited():
            return f"the acknowledgement stands until {fact.until:%Y-%m-%d %H:%M:%S} UTC"
        case SnoozeEnded():
            return "the snooze is over"
        case SuppressionEnded():
            return "no longer suppressed"
        case ResolutionPlanned():
            quiet = span(timedelta(minutes=fact.quiet_minutes))
            return f"its policy resolves it when nothing has been heard of it for {quiet}"
        case AcknowledgementTimedOut():
            return "the acknowledgement has timed out"
        case IncidentReopened():
            return "reopened" + (f": {fact.notes}" if fact.notes else "")
        case ReviewDrafted():
            return "a review was begun"
        case ReviewChanged():
            done = sum(item.done for item in fact.action_items)
            return f"the review was changed; {done} of {len(fact.action_items)} action items are done"
        case ReviewPublished():
            return "the review was published"
        case ReviewWithdrawn():
            return "the review is a draft again"
        case ReviewDeleted():
            return "the draft of the review was deleted"
        case _:
            return type(fact).__name__
