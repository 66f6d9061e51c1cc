"""What incidents keeps of ESCALATION and NOTIFIER: timeline rows, and where escalations stand. Pure, for rebuilds."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

from libs.chassis.store.changes import Change, Newest, NewestPatch
from libs.contracts.envelope import Envelope, Fact
from libs.contracts.escalation import (
    RESPONDER,
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    PagingSuppressed,
)
from libs.contracts.notifier import (
    AttemptFailed,
    NotificationAccepted,
    NotificationIntended,
    NotificationReplaced,
    NotificationWithdrawn,
    PersonUnreachable,
    ReceiptRecorded,
    is_test,
)
from services.incidents.analytics.facts import measured
from services.incidents.projections import incidents, responder_rows, running, timeline_row

FROM_ESCALATION = (EscalationStarted, PagingSuppressed, EscalationDue, EscalationExhausted, EscalationCancelled)
"""What it says of incidents."""
FROM_NOTIFIER = (
    NotificationIntended,
    NotificationAccepted,
    AttemptFailed,
    NotificationReplaced,
    NotificationWithdrawn,
    ReceiptRecorded,
    PersonUnreachable,
)


def replicate(event: Envelope[Any]) -> Iterable[Change]:
    """The rows that an event of ESCALATION or NOTIFIER writes here."""
    yield from measured(event)
    if isinstance(event.data, FROM_ESCALATION):
        yield from _escalation(event)
    elif isinstance(event.data, FROM_NOTIFIER):
        fact = event.data
        if not isinstance(fact, PersonUnreachable) and is_test(fact):
            return  # it is about no incident
        has = _fields_of(type(fact))
        final = not isinstance(fact, AttemptFailed) or fact.retry_at is None
        notification = "" if isinstance(fact, PersonUnreachable) else str(fact.notification_id)
        told = {n: value for n in ("reason", "run", "state") if n in has and (value := getattr(fact, n)) is not None}
        yield timeline_row(event, fact.incident_id, (fact.user_id,), notification=notification, final=final, **told)


@cache
def _fields_of(kind: type[Fact]) -> frozenset[str]:
    """Asking a contract for a field that it has not costs more than the row that is made of it."""
    return frozenset(kind.model_fields)


def people_of(fact: EscalationDue | EscalationExhausted) -> tuple[UUID, ...]:
    """Whom a level pages."""
    return tuple(p.user_id for p in fact.people)


def is_for_help(fact: EscalationDue | EscalationExhausted) -> bool:
    """Whether it only asks some for help, beside whoever has the incident or is paged for it."""
    return bool(fact.people) and all(paged.via == RESPONDER for paged in fact.people)


def _escalation(event: Envelope[Any]) -> Iterable[Change]:
    fact = event.data
    people: tuple[UUID, ...] = ()
    detail: dict[str, Any] = {"run": getattr(fact, "run", 0)}
    match fact:
        case EscalationStarted() | PagingSuppressed():
            planned = {str(p.user_id): [one.level, p.via] for one in fact.planned for p in one.people}
            people = tuple(p.user_id for one in fact.planned for p in one.people)
            detail |= {"planned": planned, "policyVersion": fact.policy_version}
        case EscalationDue() | EscalationExhausted():
            people = people_of(fact)
            detail |= {"level": fact.level, "via": {str(p.user_id): p.via for p in fact.people}}
            yield from _running_rows(fact, people, event.time)
            if passed := [str(person) for person in getattr(fact, "passed", ())]:
                detail["passed"] = passed
    yield timeline_row(event, fact.incident_id, people, **detail)


def _running_rows(
    fact: EscalationDue | EscalationExhausted, people: tuple[UUID, ...], at: datetime
) -> Iterable[Change]:
    """Also with the incident itself, where an index finds whose it is.

    A raised incident changes its lane: what is read later may have happened earlier.
    """
    values = {
        "incident_id": fact.incident_id,
        "run": fact.run,
        "round": fact.round,
        "level": fact.level,
        "next_at": fact.next_due_at,
        "exhausted": isinstance(fact, EscalationExhausted),
        "assigned_to": next(iter(people), None),
        "timeout_minutes": None if fact.next_due_at is None else (fact.next_due_at - at) / timedelta(minutes=1),
    }
    paged = {"id": fact.incident_id, "paged": values["assigned_to"], "paged_in": [fact.run, fact.round, fact.level]}
    if not is_for_help(fact):
        yield Newest(running, values, by=("run", "round", "level"))
        yield NewestPatch(incidents, paged, by=("paged_in",))
    yield from responder_rows(fact.incident_id, fact.brief.team_id, people)
