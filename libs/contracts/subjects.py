"""Subjects, streams and headers: the names on the bus."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from uuid import UUID

from libs.contracts.model import Lane, Priority

ALERTS = "ALERTS"
ALERT_SUBJECTS = "pager.alerts.>"
ALERTS_KEPT = timedelta(days=7)
OWN_SOURCE = "pager"
"""The source of Pager's own alarms."""
OWN_ALERT_SUBJECTS = (f"pager.alerts.{OWN_SOURCE}", f"pager.alerts.{OWN_SOURCE}.>")
"""Nobody but our services may publish on these: an alert from there is believed to be ours (promise 8)."""
ALERTS_PROBE = "pager.probe.alerts"
"""A subject of ALERTS that no reader of alerts reads: whoever watches writes there and reads it back, since nothing but
a write into the stream itself proves that it stores (docs/adr/0038)."""
ALERT_LIMIT = 512 * 1024
"""Bytes of one alert; of longer ones the texts are shortened with a mark (docs/adr/0015)."""

SERVICES = ("auth", "oncall", "incidents", "escalation", "notifier")
"""The event-sourced services, in the order in which they are started."""

_ACTIVE = ("UserDeactivated", "UserReactivated", "PersonErased")
_TEAMS = ("TeamCreated", "TeamDeleted")
_ANSWERED = (
    *("IncidentAcknowledged", "IncidentResolved", "IncidentClosed", "IncidentSnoozed"),
    "IncidentSuppressed",
)
_RUNS = (
    *("EscalationStarted", "EscalationDue", "EscalationExhausted", "EscalationCancelled", "ResponderUnreachable"),
    "PagingSuppressed",
)
_POLICIES = ("PolicyCreated", "PolicyChanged", "PolicyDeleted")
_PAGED = ("NotificationIntended", "NotificationAccepted", "AttemptFailed", "NotificationReplaced")
_SHOWN = (
    *("IncidentCreated", "PagingRequested", "PriorityRaised", "PriorityLowered", "IncidentEdited", "AlertsGrouped"),
    *("IncidentAcknowledged", "IncidentEscalated", "IncidentResolved", "IncidentClosed", "IncidentReopened"),
    *("IncidentSnoozed", "SnoozeEnded", "IncidentSuppressed", "SuppressionEnded"),
    *("AcknowledgementLimited", "AcknowledgementTimedOut", "ResolutionPlanned", "NoteAdded"),
    *("IncidentReassigned", "EscalationRequested", "RespondersAdded"),
    *("AlertAdded", "AlertResolved", "AlertsOverflowed"),
    *("ReviewDrafted", "ReviewChanged", "ReviewPublished", "ReviewWithdrawn", "ReviewDeleted"),
)
"""What is about an incident."""
READS: dict[str, dict[str, tuple[str, ...]]] = {
    "auth": {},
    "oncall": {
        "auth": ("UserRegistered", "UserChanged", *_ACTIVE, "DeviceAdded", "DeviceRemoved", *_TEAMS),
        "escalation": _POLICIES,
    },
    "incidents": {
        "auth": ("UserRegistered", "UserChanged", *_ACTIVE, *_TEAMS),
        "escalation": (*_RUNS, *_POLICIES),
        "notifier": (*_PAGED, "NotificationWithdrawn", "ReceiptRecorded", "PersonUnreachable"),
    },
    "escalation": {
        "auth": (
            *("UserRegistered", "RolesChanged", *_ACTIVE, "DeviceAdded", "DeviceRemoved"),
            *(*_TEAMS, "TeamMembershipChanged"),
        ),
        "oncall": ("ScheduleCreated", "ShiftsPlanned", "ScheduleDeleted"),
        "incidents": (
            *("IncidentCreated", "PagingRequested", *_ANSWERED),
            *("IntegrationCreated", "IntegrationChanged", "IntegrationDeleted"),
        ),
        "notifier": ("PersonUnreachable", "PushTokenRetired"),
    },
    "notifier": {
        "auth": ("DeviceRegistered", "DeviceRemoved", *_ACTIVE),
        "incidents": _ANSWERED,
        "escalation": ("EscalationDue", "EscalationExhausted"),
    },
    "gateway": {"incidents": _SHOWN, "escalation": ("EscalationDue",)},
}
"""Whose events each one takes, and which: what the bus lets it read comes of this table, and a test holds it against
the consumers that run. Everybody beside that follows which tokens are revoked (`REVOCATIONS`)."""

SPARSE = frozenset({("escalation", "notifier"), ("oncall", "escalation"), ("gateway", "escalation")})
"""(reader, upstream): it gets these facts alone of the stream, and not whole lanes."""

UPSTREAMS: dict[str, tuple[str, ...]] = {reader: tuple(upstreams) for reader, upstreams in READS.items()}
"""Whose events each one consumes; it may ask these for their events and `position` (promise 13)."""

PRIVATE = frozenset({"pager.auth.DeviceRegistered"})
"""Facts that only those read who take them: they hold push tokens. They stand in their lane as all others do, and are
published on subjects of their own, where the bus can tell who reads (docs/adr/0048)."""

_PERSON_KEYS = ("auth", "person_keys")
QUESTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "auth": tuple((owner, "team_uses") for owner in ("oncall", "incidents", "escalation")),
    "oncall": (_PERSON_KEYS,),
    "incidents": (_PERSON_KEYS,),
    "escalation": (_PERSON_KEYS, ("notifier", "reachable")),
    "notifier": (_PERSON_KEYS,),
}
"""What a service asks of another beside its events: (service, operation)."""

LANED = ("incidents", "escalation", "notifier")
"""Services with events in both lanes; the events of the others are all routine."""


def lanes_of(service: str) -> tuple[Lane, ...]:
    return (Lane.URGENT, Lane.ROUTINE) if service in LANED else (Lane.ROUTINE,)


def alert_subject(source: str, priority: Priority | None = None) -> str:
    """Where to publish an alert; critical and high enter the urgent lane by their suffix."""
    suffix = f".{priority}" if priority is not None and priority.lane is Lane.URGENT else ""
    return f"pager.alerts.{source}{suffix}"


def stream_of(service: str) -> str:
    return service.upper()


def is_private(type_name: str) -> bool:
    """Whether it is one of the private facts, in any version."""
    return type_name.rpartition(".")[0] in PRIVATE


def has_private(service: str) -> bool:
    return any(fact.split(".")[1] == service for fact in PRIVATE)


def sees_all(upstream: str, types: Iterable[str]) -> bool:
    """Whether nothing of this upstream is kept from whoever takes these facts: none is private, or it takes those."""
    return not has_private(upstream) or any(map(is_private, types))


def reads_all(reader: str, upstream: str) -> bool:
    """The same of a service, as the table says."""
    return sees_all(upstream, (f"pager.{upstream}.{fact}.v1" for fact in READS[reader].get(upstream, ())))


def event_subject(type_name: str, lane: Lane, entity: UUID) -> str:
    """`pager.events.<service>.<lane>.<Event>.<id>`; of a private fact `private` stands instead of its lane."""
    return f"{_facts_of(type_name, lane)}.{entity}"


@cache  # types are as few as there are in the code
def _facts_of(type_name: str, lane: Lane) -> str:
    _, service, name, _ = type_name.split(".")
    return f"pager.events.{service}.{'private' if is_private(type_name) else lane}.{name}"


def lane_filter(service: str, lane: Lane) -> str:
    """All of a lane, the private facts too: whoever has these has one lane."""
    return f"pager.events.{service}.>" if has_private(service) else public_filter(service, lane)


def public_filter(service: str, lane: Lane) -> str:
    """What of a lane is not private."""
    return f"pager.events.{service}.{lane}.>"


def fact_filter(type_name: str, lane: Lane) -> str:
    """Every event of this type in any version."""
    _, service, name, _ = type_name.split(".")
    return f"pager.events.{service}.{lane}.{name}.*"


REVOKING = tuple(
    f"pager.auth.{fact}.v1"
    for fact in ("SessionEnded", "RolesChanged", "TeamMembershipChanged", "PasswordChanged", "TokenRevoked")
)
"""Facts by which access tokens are refused before they end."""
REVOCATIONS = tuple(fact_filter(type_name, Lane.ROUTINE) for type_name in REVOKING)
"""What everybody who checks tokens follows, each by itself: the bus holds one filter against what somebody may read."""
REVOKED = "pager.revoked.>"
"""Where auth says the same at each commit, past its stream."""


SPENT = "pager.gateway.spent"
"""Where replicas of the gateway tell each other what they have let in."""


def revoked_subject(type_name: str) -> str:
    """`pager.revoked.<Event>`."""
    return f"pager.revoked.{type_name.split('.')[2]}"


def rpc_subject(service: str, operation: str) -> str:
    return f"pager.rpc.{service}.{operation}"


def wake_subject(service: str) -> str:
    return f"pager.wake.{service}"


class Header:
    """Header names of ours; the CloudEvents ones are in `cloudevents.py`."""

    MESSAGE_ID = "Nats-Msg-Id"
    EXPECTED_LAST_SEQUENCE = "Nats-Expected-Last-Sequence"
    POSITION = "Pager-Position"
    PREVIOUS = "Pager-Previous"
    TOKEN = "Pager-Token"  # noqa: S105 - the name of a header
    IDEMPOTENCY_KEY = "Pager-Idempotency-Key"
    IF_MATCH = "Pager-If-Match"
    DEADLINE = "Pager-Deadline"
    FROM = "Pager-From"
    NETWORKS = "Pager-Networks"
    ADDRESS = "Pager-Address"
    AGENT = "Pager-Agent"
    CLIENT = "Pager-Client"
    TRACEPARENT = "traceparent"


def message_id(service: str, epoch: int, position: int) -> str:
    return f"{service}/{epoch}/{position}"


def place_of_id(message: str) -> tuple[int, int]:
    """(epoch, position) of what `message_id` has made; raises ValueError for anything else."""
    _, epoch, position = message.split("/")
    return int(epoch), int(position)


@dataclass(frozen=True)
class StreamSpec:
    """How a stream is declared, by `pager up` and by the Helm hook alike."""

    name: str
    subjects: tuple[str, ...]
    max_age: timedelta
    max_bytes: int = 10 * 1024**3
    synced: bool = False
    """True: a PubAck means "on disk". False: the owner's log is the truth and its relay repairs a lost tail."""
    duplicate_window: timedelta = timedelta(milliseconds=100)
    """The smallest useful one: ids outlive purged messages (nats-server #6782), and a relay could
    not fill a purged stream before the window has passed. The fence is the expected last sequence."""
    discard_new: bool = False


STREAMS: tuple[StreamSpec, ...] = (
    # The window is the smallest useful one: a stream-wide message id must never swallow another sender's alert.
    StreamSpec(
        ALERTS, (ALERT_SUBJECTS, ALERTS_PROBE), ALERTS_KEPT, synced=True,
        duplicate_window=timedelta(milliseconds=100), discard_new=True,
    ),
    *(StreamSpec(stream_of(s), (f"pager.events.{s}.>",), timedelta(days=30)) for s in SERVICES),
)  # fmt: skip
