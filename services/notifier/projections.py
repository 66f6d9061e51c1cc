"""The notifier's tables, and what each of its events writes into them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    literal_column,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.chassis.store.changes import Change, Gone, Newest, Patch, Row
from libs.chassis.store.person_keys import person_keys
from libs.chassis.store.personal import PersonalText
from libs.contracts.auth import Platform
from libs.contracts.envelope import Envelope
from libs.contracts.incidents import IncidentBrief
from libs.contracts.notifier import (
    AttemptFailed,
    MethodKind,
    NotificationAccepted,
    PersonUnreachable,
    PushTokenRetired,
    ReceiptRecorded,
)
from services.notifier.domain.notification import Notification, paging_since

METADATA = MetaData(schema="notifier")
_MOMENT = DateTime(timezone=True)

DEVICES = Table(
    "devices",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("push_token", PersonalText("user_id"), nullable=False),
    Column("registered_at", _MOMENT, nullable=False),
)
"""Replica of AUTH; `kind` is that of the method which a device is."""

PERSON_KEYS = person_keys("notifier")
"""By which push tokens are read while auth is away."""

INACTIVE = Table("inactive", METADATA, Column("user_id", Uuid, primary_key=True))
"""Replica of AUTH: who is deactivated. Their devices stay, for the day on which they come back."""

RETIRED_TOKENS = Table(
    "retired_tokens",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("dead_at", _MOMENT, nullable=False),
    Column("reason", Text, nullable=False),
)
"""A table of its own, so that it can be rebuilt without the replica: it holds of tokens registered before `dead_at`."""

STOPPED = Table(
    "stopped",
    METADATA,
    Column("incident_id", Uuid, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("at", _MOMENT, nullable=False),
    Column("reason", Text, nullable=False),
)
"""Replica of INCIDENTS: the last answer, and up to which run it stops paging."""

PAGING = Table(
    "paging",
    METADATA,
    Column("incident_id", Uuid, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("level", Integer, nullable=False),
)
"""Replica of ESCALATION: the highest place that was heard of, where it is not the lowest one there is."""

RESPONDERS = Table(
    "responders",
    METADATA,
    Column("incident_id", Uuid, primary_key=True),
    Column("user_id", Uuid, primary_key=True),
    Column("team_id", Uuid, nullable=False),
)
"""Replica of ESCALATION and INCIDENTS: whom an incident of a team has paged, and who has taken it.

What is the organisation's has no rows here: everybody may see whom it paged.
"""

NOTIFICATIONS = Table(
    "notifications",
    METADATA,
    Column("id", Uuid, primary_key=True),
    Column("incident_id", Uuid, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("method_id", Text, nullable=False),
    Column("method_kind", Text, nullable=False),
    Column("run", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("level", Integer, nullable=False),
    Column("step", Integer, nullable=False),
    Column("state", Text, nullable=False),
    Column("created_at", _MOMENT, nullable=False),
    Column("not_before", _MOMENT),
    Column("further", Integer, nullable=False, server_default="0"),
    Column("paging_since", _MOMENT, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("priority", Text, nullable=False),
    Column("thread", Uuid),
    Index("notifications_incident_idx", "incident_id", "created_at", "id"),
)

# Only what comes of a key again has a thread: a storm of new alerts costs nothing here.
Index(
    "notifications_thread_idx",
    NOTIFICATIONS.c.thread,
    NOTIFICATIONS.c.created_at,
    postgresql_where=NOTIFICATIONS.c.thread.is_not(None),
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("notification_id", Uuid, primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("at", _MOMENT, nullable=False),
    Column("provider", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("reason", Text),
    Column("vendor_id", Text),
    Column("credentials", Text),
)

RECEIPTS = Table(
    "receipts",
    METADATA,
    Column("notification_id", Uuid, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("seen_at", _MOMENT, nullable=False),
)

LAST_RECEIPTS = Table(
    "last_receipts",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("at", _MOMENT, nullable=False),
)
"""When a device was last heard of: whether it would wake somebody, as far as it can be known."""

ACCEPTED = "accepted"
# Who was reached lately: it is looked at only when a vendor refuses a token (`suspects.py`).
Index(
    "attempts_accepted_idx",
    ATTEMPTS.c.provider,
    ATTEMPTS.c.credentials,
    ATTEMPTS.c.at,
    postgresql_where=ATTEMPTS.c.outcome == literal_column("'accepted'"),
)

UNREACHABLE = Table(
    "unreachable",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("incident_id", Uuid, primary_key=True),
    Column("run", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("level", Integer, nullable=False),
    Column("lane", Text, nullable=False),
    Column("brief", JSONB, nullable=False),
)
"""The last place at which a person could not be reached, and what they were to be told."""

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("notification_id", Uuid, primary_key=True),
    Column("provider", Text, nullable=False),
    Column("lane", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("due_at", _MOMENT, nullable=False),
    Column("deadline", _MOMENT, nullable=False),
    Column("correlation_id", Uuid, nullable=False),
    Column("causation_id", Uuid, nullable=False),
    Column("traceparent", Text),
    Index("outbox_next_idx", "provider", "lane", "due_at"),
    Index("outbox_due_at_idx", "due_at"),
)
"""What is still to be sent; `attempt` numbers the next one."""


_PROVIDERS: Final = {
    Platform.IOS: MethodKind.APNS,
    Platform.ANDROID: MethodKind.FCM,
    Platform.WEB: MethodKind.WEBPUSH,
}


def provider_of(platform: Platform) -> MethodKind:
    """What carries a push to a device of this platform."""
    return _PROVIDERS[platform]


def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """A notification's whole row once and then its state; whole rows of everything else."""
    fact = event.data
    if isinstance(fact, PushTokenRetired):
        key = {"user_id": fact.user_id, "device_id": fact.device_id}
        return (Row(RETIRED_TOKENS, key | {"dead_at": fact.at, "reason": fact.reason}),)
    if isinstance(fact, PersonUnreachable):
        return _unreachable(event, fact)
    if not isinstance(state, Notification):
        return ()
    if isinstance(fact, ReceiptRecorded):
        return _receipt(fact, state)
    changes: list[Change] = [_notification(state, is_new=event.version == 1), _outbox(event, state)]
    if isinstance(fact, NotificationAccepted):
        changes.append(Row(ATTEMPTS, _attempt(fact) | _accepted(fact)))
    elif isinstance(fact, AttemptFailed):
        changes.append(Row(ATTEMPTS, _attempt(fact) | {"outcome": fact.verdict, "reason": fact.reason}))
    return changes


def _notification(state: Notification, *, is_new: bool) -> Change:
    intent, current = state.intent, {"id": state.intent.notification_id, "state": str(state.stage)}
    if not is_new:
        return Patch(NOTIFICATIONS, current)
    return Row(
        NOTIFICATIONS,
        current
        | {
            "incident_id": intent.incident_id,
            "user_id": intent.user_id,
            "method_id": intent.method.id,
            "method_kind": str(intent.method.kind),
            "run": intent.run,
            "round": intent.round,
            "level": intent.level,
            "step": intent.step,
            "created_at": intent.at,
            "not_before": intent.not_before,
            "further": intent.further,
            "paging_since": paging_since(intent),
            "number": intent.brief.number,
            "title": _storable(intent.brief.title),
            "description": _storable(intent.brief.description),
            "priority": str(intent.brief.priority),
            "thread": intent.brief.thread,
        },
    )


def _storable(text: str | None) -> str | None:
    # PostgreSQL's text holds every character but this one, and a page must not fail for it.
    return None if text is None else text.replace("\x00", "")


def _outbox(event: Envelope[Any], state: Notification) -> Change:
    key = {"notification_id": state.intent.notification_id}
    sending = state.sending
    if sending is None:
        return Gone(OUTBOX, key)
    return Row(
        OUTBOX,
        key
        | {
            "provider": str(state.intent.method.kind),
            "lane": str(state.intent.lane),
            "kind": str(sending.kind),
            "attempt": state.attempts + 1,
            "due_at": sending.due_at,
            "deadline": sending.deadline,
            "correlation_id": event.correlation_id,
            "causation_id": event.id,
            "traceparent": event.traceparent,
        },
    )


def _receipt(fact: ReceiptRecorded, state: Notification) -> Iterable[Change]:
    yield Row(RECEIPTS, {"notification_id": fact.notification_id, "state": str(fact.state), "seen_at": fact.seen_at})
    # Several pages' may be written down in another order than they were heard in.
    device = {"user_id": fact.user_id, "device_id": state.intent.method.id}
    yield Newest(LAST_RECEIPTS, device | {"at": fact.at}, by=("at",))


def _attempt(fact: NotificationAccepted | AttemptFailed) -> dict[str, Any]:
    return {
        "notification_id": fact.notification_id,
        "attempt": fact.attempt,
        "at": fact.at,
        "provider": fact.provider,
        "kind": str(fact.kind),
    }


def _accepted(fact: NotificationAccepted) -> dict[str, Any]:
    return {"outcome": ACCEPTED, "vendor_id": fact.vendor_id, "credentials": fact.credentials}


def _unreachable(event: Envelope[Any], fact: PersonUnreachable) -> Iterable[Change]:
    if fact.brief is None:
        return ()
    row = {"user_id": fact.user_id, "incident_id": fact.incident_id, "lane": str(event.lane)}
    place = {"run": fact.run, "round": fact.round, "level": fact.level}
    # An earlier place may be given up after a later one had nobody to tell.
    return (Newest(UNREACHABLE, row | place | {"brief": _told(fact.brief)}, by=("run", "round", "level")),)


def _told(brief: IncidentBrief) -> dict[str, Any]:
    # Neither holds PostgreSQL's JSON that character.
    texts = {"title": _storable(brief.title), "description": _storable(brief.description)}
    return brief.model_copy(update=texts).model_dump(mode="json", by_alias=True)
