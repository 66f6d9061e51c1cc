"""Explanations and timelines from rows, without a database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.incidents import Outcome
from services.incidents.explain import explain
from services.incidents.views import causal_order

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


def test_a_page_that_another_one_speaks_for_is_no_reason_of_its_own() -> None:
    due = row("EscalationDue", None, ANA)
    gone = row("NotificationWithdrawn", due, ANA, notification="n1", reason="bundled")
    spoken = row("NotificationIntended", due, ANA, notification="n2")
    assert explain([due, spoken, gone]).people[0].outcome is Outcome.NOT_PAGED
    assert explain([due, spoken, gone, row("PersonUnreachable", due, ANA)]).people[0].outcome is Outcome.UNREACHABLE
    assert explain([due, row("PersonUnreachable", due, ANA), gone]).people[0].outcome is Outcome.UNREACHABLE


def test_of_several_runs_the_newest_that_concerned_somebody_is_explained() -> None:
    bo = uuid4()
    created = row("IncidentCreated")
    first = row("EscalationStarted", created, ANA, bo, after=1, run=1, planned={str(bo): [2, "user:bo"]})
    due = row("EscalationDue", first, ANA, after=1, run=1, level=1, via={str(ANA): "schedule:x"})
    page = row("NotificationIntended", due, ANA, after=2, run=1, notification="n1")
    taken = row("NotificationAccepted", page, ANA, after=2, notification="n1")
    again = row("PagingRequested", created, after=3)
    second = row("EscalationStarted", again, ANA, bo, after=4, run=2, planned={str(bo): [2, "user:bo"]})
    due_again = row("EscalationDue", second, ANA, after=4, run=2, level=1, via={str(ANA): "schedule:x"})
    late = row("NotificationIntended", due_again, ANA, after=5, run=2, notification="n2")
    gone = row("NotificationWithdrawn", late, ANA, after=6, notification="n2", reason="acknowledged")
    rows = [created, first, due, page, taken, again, second, due_again, late, gone]
    people = {p.user_id: p for p in explain(rows).people}
    assert (people[ANA].outcome, people[ANA].run) == (Outcome.SUPPRESSED, 2)
    assert (people[bo].outcome, people[bo].run) == (Outcome.NOT_PAGED, 2)
    assert [link.type for link in people[ANA].chain].count("EscalationStarted") == 1
    (before,) = explain(rows[:5], ANA).people
    assert (before.outcome, before.run) == (Outcome.PAGED, 1)


def test_who_would_have_been_paged_is_told_where_it_was_to_page_nobody() -> None:
    bo, cy = uuid4(), uuid4()
    created = row("IncidentCreated")
    quiet = row("PagingSuppressed", created, ANA, run=0, planned={str(ANA): [1, "schedule:x"]})
    [ana] = explain([created, quiet]).people
    assert (ana.outcome, ana.reason.startswith("level 1 through schedule:x")) == (Outcome.SUPPRESSED, True)
    assert explain([created, quiet], cy).people[0].outcome is Outcome.NOT_PAGED
    started = row("EscalationStarted", created, ANA, bo, run=1, planned={str(bo): [2, "user:bo"]})
    later = row("IncidentSuppressed", created, after=1)
    assert explain([created, started, later], bo).people[0].outcome is Outcome.SUPPRESSED
    assert explain([created, quiet, started], bo).people[0].outcome is Outcome.NOT_PAGED


def test_somebody_whom_no_level_named_was_not_paged() -> None:
    (person,) = explain([row("IncidentCreated")], uuid4()).people
    assert person.outcome is Outcome.NOT_PAGED
