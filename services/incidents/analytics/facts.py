"""What numbers are made of: narrow rows, each written by one event, whose order does not matter (docs/adr/0070).

Events of one incident may be heard of in another order than they happened: a raised one has changed its lane.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Boolean, Column, DateTime, Index, Integer, Table, Text, Uuid, text

from libs.chassis.store.changes import Change, Row
from libs.contracts.auth import UserChanged, UserRegistered
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.escalation import RESPONDER, EscalationDue, EscalationExhausted
from libs.contracts.incidents import (
    IncidentAcknowledged,
    IncidentCreated,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    PagingRequested,
    PriorityLowered,
    PriorityRaised,
)
from libs.contracts.notifier import NotificationAccepted, NotificationIntended, NotificationKind, is_test
from services.incidents.dedup import shown_key, stands_alone
from services.incidents.projections import ORGANISATION, metadata

_MOMENT: Final = DateTime(timezone=True)

openings = Table(
    "incident_openings",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("created_at", _MOMENT, nullable=False),
    Column("team_id", Uuid, nullable=False),
    Column("integration_id", Uuid),
    Column("priority", Text, nullable=False),
    Column("dedup_key", Text),
    Column("suppressed", Boolean, nullable=False),
    Index("incident_openings_created_at_idx", "created_at"),
)
# What became of an incident, by the versions of its log.
turns = Table(
    "incident_turns",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("at", _MOMENT, nullable=False),
    Column("run", Integer),
    Column("actor_kind", Text),
    Column("actor_id", Text),
    Column("priority", Text),
    # They come about in the order of time, so that a few bytes a thousand rows say which are of a period.
    Index("incident_turns_at_idx", "at", postgresql_using="brin"),
)
fired_levels = Table(
    "fired_levels",
    metadata,
    Column("incident_id", Uuid, primary_key=True),
    Column("run", Integer, primary_key=True),
    Column("round", Integer, primary_key=True),
    Column("level", Integer, primary_key=True),
    Column("at", _MOMENT, nullable=False),
    Index("fired_levels_at_idx", "at", postgresql_using="brin"),
)
# A message, from two events: what it was about, and when the vendor first took it.
sent_pages = Table(
    "sent_pages",
    metadata,
    Column("notification_id", Uuid, primary_key=True),
    Column("user_id", Uuid, nullable=False),
    Column("incident_id", Uuid, nullable=False),
    Column("team_id", Uuid),
    Column("run", Integer),
    Column("round", Integer),
    Column("level", Integer),
    Column("accepted_at", _MOMENT),
    Index("sent_pages_accepted_at_idx", "accepted_at", postgresql_where=text("accepted_at IS NOT NULL")),
)
# By which clock somebody lived, from when on.
time_zones = Table(
    "time_zones",
    metadata,
    Column("user_id", Uuid, primary_key=True),
    Column("since", _MOMENT, primary_key=True),
    Column("timezone", Text, nullable=False),
)

LEVELS: Final = (EscalationDue, EscalationExhausted)
MESSAGES: Final = (NotificationIntended, NotificationAccepted)
ZONES: Final = (UserRegistered, UserChanged)

ACKNOWLEDGED, SNOOZED, RESOLVED, REOPENED = "acknowledged", "snoozed", "resolved", "reopened"
SUPPRESSED, PAGING = "suppressed", "paging"
ANSWERS: Final = (ACKNOWLEDGED, SNOOZED, RESOLVED)


def measured(event: Envelope[Any]) -> Iterable[Change]:
    """The rows that an event of ours, of ESCALATION, NOTIFIER or AUTH writes here; pure, for rebuilds.

    Ours are written with the event (docs/adr/0078), what others say when it is heard of.
    """
    match event.data:
        # What a storm is full of stands first: a case that does not match costs as much as one that does.
        case IncidentCreated() as fact:
            yield _opening(fact)
        case EscalationDue(people=people) | EscalationExhausted(people=people):
            # Whom somebody has asked for help is no level of a policy.
            if any(paged.via != RESPONDER for paged in people):
                yield _fired(event.data, event.time)
        case (NotificationIntended() | NotificationAccepted()) as fact if not is_test(fact):
            yield from _page(fact)
        case IncidentAcknowledged(by=by, at=at, run=run):
            yield _turn(event, ACKNOWLEDGED, at, by, run=run)
        case IncidentSnoozed(by=by, at=at, run=run):
            yield _turn(event, SNOOZED, at, by, run=run)
        case IncidentResolved(by=by, at=at, run=run):
            yield _turn(event, RESOLVED, at, by, run=run)
        case IncidentReopened(by=by, at=at):
            yield _turn(event, REOPENED, at, by)
        case IncidentSuppressed(by=by, at=at, run=run):
            yield _turn(event, SUPPRESSED, at, by, run=run)
        case PagingRequested(since=since, run=run):
            yield _turn(event, PAGING, since, None, run=run)
        case PriorityRaised(by=by, at=at, priority=priority) | PriorityLowered(by=by, at=at, priority=priority):
            yield _turn(event, "priority", at, by, priority=str(priority))
        case UserRegistered(user_id=user_id, timezone=timezone) | UserChanged(user_id=user_id, timezone=timezone):
            yield Row(time_zones, {"user_id": user_id, "since": event.time, "timezone": timezone})


def _opening(fact: IncidentCreated) -> Row:
    named = fact.dedup_key is not None and not stands_alone(fact.dedup_key)
    return Row(
        openings,
        {
            "incident_id": fact.incident_id,
            "created_at": fact.created_at,
            "team_id": fact.team_id or ORGANISATION,
            "integration_id": fact.integration_id,
            "priority": str(fact.priority),
            "dedup_key": shown_key(fact.dedup_key, fact.team_id) if named else None,
            "suppressed": fact.suppressed,
        },
    )


def _turn(
    event: Envelope[Fact],
    kind: str,
    at: datetime,
    by: Actor | None,
    *,
    run: int | None = None,
    priority: str | None = None,
) -> Row:
    return Row(
        turns,
        {
            "incident_id": event.entity,
            "version": event.version,
            "kind": kind,
            "at": at,
            "run": run,
            "actor_kind": None if by is None else str(by.kind),
            "actor_id": None if by is None else by.id,
            "priority": priority,
        },
    )


def _fired(fact: EscalationDue | EscalationExhausted, at: datetime) -> Row:
    place = {"incident_id": fact.incident_id, "run": fact.run, "round": fact.round, "level": fact.level}
    return Row(fired_levels, place | {"at": at})


def _page(fact: NotificationIntended | NotificationAccepted) -> Iterable[Row]:
    """Each says its part of the row, whichever comes first. A page's replacement on the phone wakes nobody."""
    row: dict[str, Any] = {
        "notification_id": fact.notification_id,
        "user_id": fact.user_id,
        "incident_id": fact.incident_id,
    }
    if isinstance(fact, NotificationIntended):
        team_id = fact.brief.team_id or ORGANISATION
        yield Row(sent_pages, row | {"team_id": team_id, "run": fact.run, "round": fact.round, "level": fact.level})
    elif fact.kind is NotificationKind.PAGE:
        yield Row(sent_pages, row | {"accepted_at": fact.at})
