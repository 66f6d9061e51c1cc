"""Explanations and timelines from rows, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.incidents import Outcome
from services.incidents import dedup
from services.incidents.explain import explain
from services.incidents.projections import causal_order

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ANA = uuid4()


def row(
    kind: str, cause: dict[str, Any] | None = None, *users: UUID, after: float = 0, **detail: Any
) -> dict[str, Any]:
    return {
        "event_id": uuid4(),
        "at": AT + timedelta(seconds=after),
        "type": kind,
        "actor": {"kind": "service", "id": "x"},
        "summary": kind,
        "causation_id": cause["event_id"] if cause else None,
        "user_ids": list(users),
        "detail": detail,
    }


def test_a_cause_stands_before_its_effect_also_at_one_moment() -> None:
    created = row("IncidentCreated")
    due = row("EscalationDue", created, ANA)
    intended = row("NotificationIntended", due, ANA)
    late = row("IncidentAcknowledged", None, after=1)
    for shuffled in ([intended, late, due, created], [late, created, intended, due]):
        assert causal_order(shuffled) == [created, due, intended, late]


def test_each_outcome_has_its_reason() -> None:
    created = row("IncidentCreated")
    due = row("EscalationDue", created, ANA, via={str(ANA): "schedule:x"})
    cases = {
        Outcome.PAGED: row("NotificationAccepted", due, ANA),
        Outcome.SUPPRESSED: row("NotificationWithdrawn", due, ANA),
        Outcome.UNREACHABLE: row("PersonUnreachable", due, ANA),
        Outcome.NOT_PAGED: row("NotificationIntended", due, ANA),
    }
    for outcome, last in cases.items():
        (person,) = explain([created, due, last]).people
        assert (person.outcome, person.user_id) == (outcome, ANA)
        assert [link.type for link in person.chain] == ["IncidentCreated", "EscalationDue", last["type"]]


def test_a_send_that_failed_for_good_means_unreachable_and_one_to_be_repeated_does_not() -> None:
    due = row("EscalationDue", None, ANA)
    again, final = row("AttemptFailed", due, ANA, final=False), row("AttemptFailed", due, ANA, final=True)
    assert explain([due, again]).people[0].outcome is Outcome.NOT_PAGED
    assert explain([due, again, final]).people[0].outcome is Outcome.UNREACHABLE


def test_somebody_whom_no_level_named_was_not_paged() -> None:
    (person,) = explain([row("IncidentCreated")], uuid4()).people
    assert person.outcome is Outcome.NOT_PAGED


def test_keys_that_look_alike_when_joined_stay_apart() -> None:
    integration = uuid4()
    assert dedup.incident_id(integration, "c1", 1234) != dedup.incident_id(integration, "c11", 234)
    assert dedup.event_identity(integration, "a", "bc") != dedup.event_identity(integration, "ab", "c")
    assert dedup.sequence_key("x", 1, "2") != dedup.sequence_key("x", 12, "")
