"""What incidents keeps of ESCALATION and NOTIFIER: timeline rows, and where escalations stand. Pure, for rebuilds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final
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


def replicate(event: Envelope[Any]) -> Iterable[Change]:
    """The rows that an event of ESCALATION or NOTIFIER writes here."""
    rows = _ROWS.get(type(event.data))
    return () if rows is None else rows(event)


def people_of(fact: EscalationDue | EscalationExhausted) -> tuple[UUID, ...]:
    """Whom a level pages."""
    return tuple(p.user_id for p in fact.people)


def is_for_help(fact: EscalationDue | EscalationExhausted) -> bool:
    """Whether it only asks some for help, beside whoever has the incident or is paged for it."""
    return bool(fact.people) and all(paged.via == RESPONDER for paged in fact.people)


def _notification(event: Envelope[Any]) -> Iterable[Change]:
    fact, kind = event.data, event.data.__class__
    if is_test(fact):
        return  # it is about no incident
    yield from measured(event)
    notification = str(fact.notification_id)
    final = not isinstance(fact, AttemptFailed) or fact.retry_at is None
    told = {name: value for name in _told_by(kind) if (value := getattr(fact, name)) is not None}
    yield timeline_row(event, fact.incident_id, (fact.user_id,), notification=notification, final=final, **told)


@cache
def _told_by(kind: type[Fact]) -> tuple[str, ...]:
    """Asking a contract for a field that it has not costs more than the row that is made of it."""
    return tuple(name for name in ("reason", "run", "state") if name in kind.model_fields)


def _unreachable(event: Envelope[PersonUnreachable]) -> Iterable[Change]:
    fact = event.data
    told = {"reason": fact.reason, "run": fact.run}
    yield timeline_row(event, fact.incident_id, (fact.user_id,), notification="", final=True, **told)


def _planned(event: Envelope[EscalationStarted | PagingSuppressed]) -> Iterable[Change]:
    fact = event.data
    people = [(p, one.level) for one in fact.planned for p in one.people]
    planned = {str(p.user_id): [level, p.via] for p, level in people}
    told = {"run": getattr(fact, "run", 0), "planned": planned, "policyVersion": fact.policy_version}
    yield timeline_row(event, fact.incident_id, [p.user_id for p, _ in people], **told)


def _level(event: Envelope[EscalationDue | EscalationExhausted]) -> Iterable[Change]:
    fact = event.data
    people = people_of(fact)
    told: dict[str, Any] = {"run": fact.run, "level": fact.level, "via": {str(p.user_id): p.via for p in fact.people}}
    if isinstance(fact, EscalationDue) and fact.passed:
        told["passed"] = [str(person) for person in fact.passed]
    yield from measured(event)
    yield from _running_rows(fact, people, event.time)
    yield timeline_row(event, fact.incident_id, people, **told)


def _cancelled(event: Envelope[EscalationCancelled]) -> Iterable[Change]:
    yield timeline_row(event, event.data.incident_id, (), run=event.data.run)


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


_Rows = Callable[[Envelope[Any]], Iterable[Change]]

_OF_ESCALATION: Final[Mapping[type[Fact], _Rows]] = {
    EscalationStarted: _planned,
    PagingSuppressed: _planned,
    EscalationDue: _level,
    EscalationExhausted: _level,
    EscalationCancelled: _cancelled,
}
_OF_NOTIFIER: Final[Mapping[type[Fact], _Rows]] = {
    NotificationIntended: _notification,
    NotificationAccepted: _notification,
    AttemptFailed: _notification,
    NotificationReplaced: _notification,
    NotificationWithdrawn: _notification,
    ReceiptRecorded: _notification,
    PersonUnreachable: _unreachable,
}
# A look into a dictionary: to ask an event of a storm for one kind after the other costs more than to make its row.
_ROWS: Final = {**_OF_ESCALATION, **_OF_NOTIFIER}

FROM_ESCALATION: Final[tuple[type[Fact], ...]] = tuple(_OF_ESCALATION)
"""What it says of incidents."""
FROM_NOTIFIER: Final[tuple[type[Fact], ...]] = tuple(_OF_NOTIFIER)
