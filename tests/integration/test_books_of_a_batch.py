"""Incidents keeps the same books of its upstreams whether it takes events one by one or many at once, and twice."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from libs.chassis.store.changes import Row, apply_changes
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.escalation import (
    RESPONDER,
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    Paged,
    PagingSuppressed,
    PlannedLevel,
)
from libs.contracts.incidents import IncidentBrief
from libs.contracts.model import Lane, Priority
from libs.contracts.notifier import (
    AttemptFailed,
    Method,
    MethodKind,
    NotificationAccepted,
    NotificationIntended,
    NotificationKind,
    NotificationReplaced,
    NotificationWithdrawn,
    PersonUnreachable,
    ReceiptRecorded,
    ReceiptState,
)
from services.incidents.projections import ORGANISATION, incidents
from services.incidents.replicas import FROM_ESCALATION, FROM_NOTIFIER, replicate
from tests.servers import Servers

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
POLICY, TEAM, ANN, BEN = (UUID(int=number) for number in range(1, 5))
_SCHEMA = "incidents"
_ALL = sql.SQL("SELECT * FROM {}")
_TABLES = ("timeline", "incidents", "running_escalations", "responders", "fired_levels", "sent_pages")


def _of(number: int) -> Iterator[Fact]:
    """All that can be heard of one incident; the second one is of a team, the third was suppressed."""
    incident, at = UUID(int=100 + number), START + timedelta(seconds=number)
    team = TEAM if number == 2 else None
    brief = IncidentBrief(
        incident_id=incident, number=number, title="disk", priority=Priority.HIGH, team_id=team, paging_since=at
    )
    planned = (PlannedLevel(level=1, people=(Paged(user_id=ANN, via="user"), Paged(user_id=BEN, via="lead"))),)
    first = {"incident_id": incident, "policy_id": POLICY, "policy_version": 3, "brief": brief, "planned": planned}
    if number == 3:
        yield PagingSuppressed.model_validate(first)
    yield EscalationStarted.model_validate(first)
    later = at + timedelta(minutes=5)
    level = {"incident_id": incident, "round": 1, "brief": brief, "next_due_at": later}
    for step, people in ((1, (ANN,)), (2, (BEN, ANN)), (3, ())):
        paged = tuple(Paged(user_id=person, via="user") for person in people)
        yield EscalationDue.model_validate(level | {"level": step, "people": paged, "passed": (BEN,) * (step == 3)})
    help_ = level | {"level": 4, "people": (Paged(user_id=BEN, via=RESPONDER),)}
    yield EscalationDue.model_validate(help_)
    yield EscalationExhausted.model_validate(
        level | {"level": 3, "round": 2, "people": (Paged(user_id=ANN, via="admin"),)}
    )
    page = uuid5(incident, "page")
    about = {"notification_id": page, "incident_id": incident, "user_id": ANN, "at": at}
    intended = {"method": Method(id="phone", kind=MethodKind.FCM), "round": 1, "level": 1, "lane": Lane.URGENT}
    intended |= {"decided_at": at, "expires_at": later, "brief": brief}
    yield NotificationIntended.model_validate(about | intended)
    tried = {"attempt": 1, "provider": "fcm"}
    failed = about | tried | {"verdict": "later", "reason": "busy"}
    yield AttemptFailed.model_validate(failed | {"retry_at": later})
    yield AttemptFailed.model_validate(failed)
    yield NotificationAccepted.model_validate(about | tried)
    yield NotificationReplaced.model_validate(about | {"kind": NotificationKind.ACKNOWLEDGED})
    yield NotificationAccepted.model_validate(about | tried | {"kind": NotificationKind.ACKNOWLEDGED, "at": later})
    yield NotificationWithdrawn.model_validate(about | {"reason": "expired"})
    yield ReceiptRecorded.model_validate(about | {"state": ReceiptState.OPENED, "seen_at": later})
    yield PersonUnreachable(incident_id=incident, user_id=BEN, level=1, round=1, reason="no device", at=at)
    test = about | {"incident_id": page}
    yield NotificationIntended.model_validate(test | intended)
    yield EscalationCancelled(incident_id=incident, by=Actor.user(ANN), at=later, cause="acknowledged")


def _events() -> list[Envelope[Any]]:
    """Of three incidents, mixed, each incident's in their order."""
    told = [list(_of(number)) for number in (1, 2, 3)]
    facts = [fact for turn in range(max(map(len, told))) for one in told for fact in one[turn : turn + 1]]
    return [
        Envelope(
            id=uuid5(POLICY, f"event {number}"),
            type=fact.type,
            time=START + timedelta(seconds=number),
            entity=UUID(int=500),
            version=number,
            lane=Lane.URGENT,
            actor=Actor.service(fact.type.split(".")[1]),
            correlation_id=UUID(int=600),
            data=fact,
        )
        for number, fact in enumerate(facts, 1)
    ]


def _rows(connection: psycopg.Connection[Any], batches: Sequence[Sequence[Envelope[Any]]]) -> dict[str, list[Any]]:
    """What the tables hold after these; nothing stays."""
    with connection.transaction(force_rollback=True):
        begun = {"status": "created", "priority": "high", "created_at": START, "team_id": ORGANISATION, "view": {}}
        here = [Row(incidents, begun | {"id": UUID(int=100 + n), "number": n}) for n in (1, 2, 3)]
        apply_changes(lambda: psycopg.Cursor(connection), here)
        for batch in batches:
            changes = [change for event in batch for change in replicate(event)]
            apply_changes(lambda: psycopg.Cursor(connection), changes)
        return {
            table: sorted(map(str, connection.execute(_ALL.format(sql.Identifier(_SCHEMA, table)))))
            for table in _TABLES
        }


def test_these_are_all_there_are() -> None:
    assert {type(event.data) for event in _events()} == {*FROM_ESCALATION, *FROM_NOTIFIER}


async def test_many_at_once_are_as_one_after_the_other(servers: Servers) -> None:
    events = _events()
    async with servers.fresh() as database:
        url = servers.database_url("superuser", database)
        with psycopg.connect(url, row_factory=dict_row) as connection:
            wanted = _rows(connection, [[event] for event in events])
            tests = [event for event in events if getattr(event.data, "notification_id", 0) == event.data.incident_id]
            assert len(wanted["timeline"]) == len(events) - len(tests), "one of each, but for tests"
            assert [len(wanted[table]) for table in _TABLES[1:]] == [3, 3, 2, 9, 3], (
                "a level that reaches nobody has not fired"
            )
            for size in (2, 7, len(events)):
                batches = [events[at : at + size] for at in range(0, len(events), size)]
                assert _rows(connection, batches) == wanted, size
                assert _rows(connection, [*batches, *batches]) == wanted, "heard of twice"
            assert _rows(connection, [events, events[::-1]]) == wanted


@pytest.mark.parametrize("seed", range(5))
async def test_what_is_heard_of_in_another_order_is_written_as_it_happened(servers: Servers, seed: int) -> None:
    """Of an incident that was raised the lanes of two streams are read as they come."""
    events = _events()
    mixed = random.Random(seed).sample(events, len(events))
    async with servers.fresh() as database:
        with psycopg.connect(servers.database_url("superuser", database), row_factory=dict_row) as connection:
            assert _rows(connection, [mixed[at : at + 9] for at in range(0, len(mixed), 9)]) == _rows(
                connection, [events]
            )
