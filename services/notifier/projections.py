"""The notifier's tables, what each of its events writes into them, and the queries on them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    all_,
    any_,
    bindparam,
    column,
    func,
    or_,
    select,
    true,
)

from libs.chassis.store.changes import Change, Gone, Patch, Row
from libs.contracts.auth import Platform
from libs.contracts.envelope import Envelope
from libs.contracts.notifier import AttemptFailed, MethodKind, NotificationAccepted, PushTokenRetired
from services.notifier.domain.notification import Notification, paging_since

METADATA = MetaData(schema="notifier")
_MOMENT = DateTime(timezone=True)

DEVICES = Table(
    "devices",
    METADATA,
    Column("user_id", Uuid, primary_key=True),
    Column("device_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("push_token", Text, nullable=False),
    Column("registered_at", _MOMENT, nullable=False),
)
"""Replica of AUTH; `kind` is that of the method which a device is."""

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
    Column("paging_since", _MOMENT, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("description", Text),
    Column("priority", Text, nullable=False),
    Index("notifications_incident_id_idx", "incident_id"),
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
)

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


def provider_of(platform: Platform) -> MethodKind:
    """Apple's phones are reached through APNs, everything else through FCM."""
    return MethodKind.APNS if platform is Platform.IOS else MethodKind.FCM


def project(event: Envelope[Any], state: Any) -> Iterable[Change]:
    """A notification's whole row once and then its state; whole rows of everything else."""
    fact = event.data
    if isinstance(fact, PushTokenRetired):
        key = {"user_id": fact.user_id, "device_id": fact.device_id}
        return (Row(RETIRED_TOKENS, key | {"dead_at": fact.at, "reason": fact.reason}),)
    if not isinstance(state, Notification):
        return ()
    changes: list[Change] = [_notification(state, is_new=event.version == 1), _outbox(event, state)]
    if isinstance(fact, NotificationAccepted):
        changes.append(Row(ATTEMPTS, _attempt(fact) | {"outcome": "accepted", "vendor_id": fact.vendor_id}))
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
            "paging_since": paging_since(intent),
            "number": intent.brief.number,
            "title": _storable(intent.brief.title),
            "description": _storable(intent.brief.description),
            "priority": str(intent.brief.priority),
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


def _attempt(fact: NotificationAccepted | AttemptFailed) -> dict[str, Any]:
    return {
        "notification_id": fact.notification_id,
        "attempt": fact.attempt,
        "at": fact.at,
        "provider": fact.provider,
        "kind": str(fact.kind),
    }


def ids_parameter(name: str = "ids") -> Any:
    """A parameter that takes any number of ids."""
    return bindparam(name, type_=ARRAY(Uuid))


ALIVE = or_(RETIRED_TOKENS.c.dead_at.is_(None), RETIRED_TOKENS.c.dead_at <= DEVICES.c.registered_at)
SAME_DEVICE = (RETIRED_TOKENS.c.user_id == DEVICES.c.user_id) & (RETIRED_TOKENS.c.device_id == DEVICES.c.device_id)

NEXT_DUE = (
    select(OUTBOX.c.due_at).where(OUTBOX.c.due_at > bindparam("moment", type_=_MOMENT)).order_by(OUTBOX.c.due_at)
).limit(1)

_N, _D = NOTIFICATIONS.c, DEVICES.c
# A device whose kind has changed is another one: what its new kind takes is not what was intended.
_OF_DEVICE = (_D.user_id == _N.user_id) & (_D.device_id == _N.method_id) & (_D.kind == _N.method_kind)
_INTENT = (_N.incident_id, _N.user_id, _N.method_id, _N.run, _N.level, _N.paging_since)
_SAID = (_N.number, _N.title, _N.description, _N.priority)

_WANTED = (
    func.unnest(
        bindparam("providers", type_=ARRAY(Text)),
        bindparam("lanes", type_=ARRAY(Text)),
        bindparam("rooms", type_=ARRAY(Integer)),
    )
    .table_valued(column("provider", Text), column("lane", Text), column("room", Integer))
    .render_derived("wanted")
)
_DUE = (
    select(OUTBOX)
    .where(
        OUTBOX.c.due_at <= bindparam("moment", type_=_MOMENT),
        OUTBOX.c.provider == _WANTED.c.provider,
        OUTBOX.c.lane == _WANTED.c.lane,
        OUTBOX.c.notification_id != all_(ids_parameter("busy")),
    )
    .order_by(OUTBOX.c.due_at)
    .limit(_WANTED.c.room)
    .lateral("due")
)
SENDABLE = (
    select(_DUE, *_INTENT, *_SAID, _D.push_token, _D.registered_at, func.coalesce(ALIVE, False).label("alive"))
    .select_from(
        _WANTED.join(_DUE, true())
        .join(NOTIFICATIONS, _N.id == _DUE.c.notification_id)
        .outerjoin(DEVICES, _OF_DEVICE)
        .outerjoin(RETIRED_TOKENS, SAME_DEVICE)
    )
    .order_by(_DUE.c.lane.desc(), _DUE.c.due_at)
)
"""What is due and not `busy`, urgent first, with the device's token as it is now.

Of each provider of `providers` and its lane of `lanes` at most as many as it has in `rooms`.
"""

NOTIFICATIONS_OF = (
    select(NOTIFICATIONS)
    .where(NOTIFICATIONS.c.incident_id == bindparam("incident_id", type_=Uuid))
    .order_by(NOTIFICATIONS.c.created_at, NOTIFICATIONS.c.id)
)

ATTEMPTS_OF = (
    select(ATTEMPTS)
    .where(ATTEMPTS.c.notification_id == any_(ids_parameter()))
    .order_by(ATTEMPTS.c.notification_id, ATTEMPTS.c.attempt)
)
