"""Whom a level pages, and how long it waits for them."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from libs.contracts.codec import EVENT_LIMIT
from libs.contracts.escalation import (
    EscalationDue,
    EscalationStarted,
    Level,
    Paged,
    Target,
    TargetType,
)
from libs.contracts.model import Priority, Role
from services.escalation.domain.escalations import escalation_id
from services.escalation.domain.pages import MOST_PAGED
from services.escalation.domain.people import Directory, OnCall, reach
from services.escalation.tests.world import (
    ANN,
    BO,
    BRIEF,
    EVERYBODY,
    INCIDENT,
    NOTHING,
    NOW,
    ON_CALL_LEVEL,
    ONLY_AN_ADMIN,
    PLAN,
    SCHEDULE,
    after_timers,
    due_of,
    fire,
    minutes,
    only_due,
    start,
)


def test_the_assigned_person_is_paged_with_level_one_and_again_with_its_repeats() -> None:
    given = NOTHING.when(start(assigned=BO)).then_types(EscalationStarted, EscalationDue)
    assert [(p.user_id, p.via) for p in only_due(list(given.facts)).people] == [
        (BO, "assigned"),
        (ANN, f"schedule:{SCHEDULE}"),
    ]
    given = after_timers(given, 1)
    assert BO not in {p.user_id for f in given.facts[2:] if isinstance(f, EscalationDue) for p in f.people}
    assert BO in {p.user_id for p in only_due(list(after_timers(given, 2).facts[-1:])).people}


def test_what_a_level_reaches_is_found_once_in_a_directory_and_anew_in_the_next() -> None:
    level = Level(timeout_minutes=5, targets=(Target(type=TargetType.USER, id=ANN),))
    here, gone = Directory(active={ANN, BO}), Directory(active={BO})
    assert reach(level, here) is reach(level.model_copy(update={"timeout_minutes": 9}), here)
    assert [p.user_id for p in reach(level, here, BO).people] == [BO, ANN]
    assert [p.user_id for p in reach(level, here).people] == [ANN]
    assert (reach(level, gone).people, reach(level, gone).passed) == ((), (ANN,))


def test_an_assigned_person_who_is_also_on_call_is_paged_once() -> None:
    due = only_due(NOTHING.when(start(assigned=ANN)).facts)
    assert due.people == (Paged(user_id=ANN, via="assigned"),)


def test_an_assigned_person_who_is_gone_does_not_hide_the_one_on_call() -> None:
    due = only_due(NOTHING.when(start(assigned=INCIDENT)).facts)
    assert [p.user_id for p in due.people] == [ANN]
    assert due.reason is not None
    assert "not active" in due.reason


def test_the_next_participant_is_paged_when_nobody_is_on_call() -> None:
    directory = replace(EVERYBODY, on_call={SCHEDULE: OnCall(None, BO, version=9)})
    due = only_due(NOTHING.when(start(directory=directory)).facts)
    assert due.people == (Paged(user_id=BO, via=f"schedule:{SCHEDULE}:next"),)
    assert due.schedule_versions == {str(SCHEDULE): 9}
    assert due.reason is not None
    assert "nobody is on call" in due.reason


def test_the_reason_why_another_policy_is_used_is_said_first() -> None:
    due = only_due(NOTHING.when(start(policy_note="policy X does not exist", directory=ONLY_AN_ADMIN)).facts)
    assert due.reason is not None
    assert due.reason.startswith("policy X does not exist; ")


def test_the_incident_overrides_the_time_out_of_level_one_only() -> None:
    given = NOTHING.when(start(first_timeout_minutes=0.05)).then_types(EscalationStarted, EscalationDue)
    assert due_of(given) == NOW + minutes(0.05)
    assert (due_of(given) - NOW).total_seconds() == 3.0
    now = due_of(given)
    assert only_due(given.when(fire(now)).facts).next_due_at == now + minutes(10)


def test_a_nonsensical_override_is_not_used() -> None:
    for odd in (0.0, -5.0, float("nan"), float("inf")):
        due = only_due(NOTHING.when(start(first_timeout_minutes=odd)).facts)
        assert due.next_due_at == NOW + minutes(15)


def test_a_level_may_have_a_time_out_of_its_own_for_a_priority() -> None:
    level = ON_CALL_LEVEL.model_copy(update={"timeout_minutes_by_priority": {Priority.CRITICAL: 1.0}})
    plan = replace(PLAN, levels=(level,))
    assert only_due(NOTHING.when(start(plan=plan)).facts).next_due_at == NOW + minutes(1)
    low = BRIEF.model_copy(update={"priority": Priority.LOW})
    assert only_due(NOTHING.when(start(plan=plan, brief=low)).facts).next_due_at == NOW + minutes(15)


def test_an_escalation_never_shares_the_id_of_its_incident() -> None:
    assert escalation_id(INCIDENT) != INCIDENT
    assert escalation_id(INCIDENT) == escalation_id(INCIDENT)


def test_a_level_of_many_thousands_pages_as_many_as_an_event_can_name() -> None:
    crowd = tuple(UUID(int=i) for i in range(11_000))
    level = Level(timeout_minutes=5, targets=(Target(type=TargetType.ROLE, role=Role.USER),))
    directory = replace(EVERYBODY, by_role={**EVERYBODY.by_role, Role.USER: crowd}, active=set(crowd))
    due = only_due(NOTHING.when(start(plan=replace(PLAN, levels=(level,)), directory=directory)).facts)
    assert [p.user_id for p in due.people] == list(crowd[:MOST_PAGED])
    assert due.reason == f"the first {MOST_PAGED} of 11000 people are paged"
    assert len(due.to_json()) < EVENT_LIMIT
