"""The decision table of paging, row by row."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid5

import pytest

from libs.contracts.envelope import Actor
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    Paged,
    PlannedLevel,
)
from libs.contracts.model import Role
from services.escalation.domain.people import MOST_PLANNED, Directory
from services.escalation.tests.world import (
    ADMINS_LEVEL,
    ANN,
    BO,
    BRIEF,
    CY,
    DEE,
    EVERYBODY,
    INCIDENT,
    NOTHING,
    NOW,
    ON_CALL_LEVEL,
    ONLY_AN_ADMIN,
    PLAN,
    POLICY,
    SCHEDULE,
    TEAM_LEVEL,
    after_timers,
    due_of,
    fire,
    minutes,
    only_due,
    start,
    take,
)


def test_a_new_incident_pages_whoever_is_on_call_at_once() -> None:
    NOTHING.when(start()).then(
        [
            EscalationStarted(
                incident_id=INCIDENT,
                policy_id=POLICY,
                policy_version=1,
                brief=BRIEF,
                planned=(
                    PlannedLevel(level=1, people=(Paged(user_id=ANN, via=f"schedule:{SCHEDULE}"),)),
                    PlannedLevel(level=2, people=(Paged(user_id=CY, via="role:lead"),)),
                    PlannedLevel(level=3, people=(Paged(user_id=DEE, via="role:admin"),)),
                ),
            ),
            EscalationDue(
                incident_id=INCIDENT,
                level=1,
                round=1,
                people=(Paged(user_id=ANN, via=f"schedule:{SCHEDULE}"),),
                next_due_at=NOW + minutes(15),
                schedule_versions={str(SCHEDULE): 4},
                brief=BRIEF,
            ),
        ]
    )


def test_a_start_names_everybody_on_the_policy_once_and_never_more_than_fit_into_a_message() -> None:
    crowd = tuple(uuid5(INCIDENT, str(n)) for n in range(2 * MOST_PLANNED))
    directory = replace(EVERYBODY, by_role={**EVERYBODY.by_role, Role.LEAD: (ANN, *crowd)})
    started = NOTHING.when(start(directory=directory)).facts[0]
    assert isinstance(started, EscalationStarted)
    named = [p.user_id for level in started.planned for p in level.people]
    assert len(named) == len(set(named)) == MOST_PLANNED
    assert [p.user_id for p in started.planned[0].people] == [ANN]
    assert ANN not in [p.user_id for p in started.planned[1].people]


def test_a_new_incident_is_started_only_once() -> None:
    NOTHING.when(start()).then_types(EscalationStarted, EscalationDue).when(start()).then_nothing()


def test_nobody_on_any_level_pages_the_leads_and_says_why() -> None:
    plan = replace(PLAN, levels=(ON_CALL_LEVEL,))
    due = only_due(NOTHING.when(start(plan=plan, directory=replace(EVERYBODY, on_call={}))).facts)
    assert due.people == (Paged(user_id=CY, via="leads"),)
    assert due.reason is not None
    assert "no level reaches anybody" in due.reason
    assert str(SCHEDULE) in due.reason
    assert due.next_due_at == NOW + minutes(15)


def test_nobody_on_any_level_and_no_lead_pages_the_admins() -> None:
    plan = replace(PLAN, levels=(ON_CALL_LEVEL,))
    due = only_due(NOTHING.when(start(plan=plan, directory=ONLY_AN_ADMIN)).facts)
    assert due.people == (Paged(user_id=DEE, via="admins"),)


def test_without_leads_and_admins_everyone_is_paged_before_nobody_is() -> None:
    directory = Directory(everyone=(ANN, BO))
    due = only_due(NOTHING.when(start(directory=directory)).facts)
    assert [p.via for p in due.people] == ["everyone", "everyone"]


def test_when_nobody_exists_the_event_says_so_and_the_timer_looks_again() -> None:
    given = NOTHING.when(start(directory=Directory())).then_types(EscalationStarted, EscalationDue)
    due = only_due(list(given.facts))
    assert due.people == ()
    assert due.reason is not None
    assert "nobody at all" in due.reason
    assert only_due(given.when(fire(due_of(given))).facts).people == (Paged(user_id=CY, via="role:lead"),)


def test_a_fallback_that_did_not_answer_is_joined_by_the_admins() -> None:
    plan = replace(PLAN, levels=(TEAM_LEVEL,))
    given = NOTHING.when(start(plan=plan)).then_types(EscalationStarted, EscalationDue)
    again = only_due(given.when(fire(due_of(given), plan=plan)).facts)
    assert [(p.user_id, p.via) for p in again.people] == [(CY, "leads"), (DEE, "admins")]
    assert (again.level, again.round) == (1, 2)


def test_its_timer_pages_the_next_level() -> None:
    given = NOTHING.when(start()).then_types(EscalationStarted, EscalationDue)
    due = only_due(given.when(fire(NOW + minutes(15))).facts)
    assert (due.level, due.round, due.people) == (2, 1, (Paged(user_id=CY, via="role:lead"),))
    assert due.next_due_at == NOW + minutes(25)


def test_an_empty_level_is_passed_at_once() -> None:
    plan = replace(PLAN, levels=(ON_CALL_LEVEL, TEAM_LEVEL, ADMINS_LEVEL))
    given = NOTHING.when(start(plan=plan)).then_types(EscalationStarted, EscalationDue)
    due = only_due(given.when(fire(due_of(given), plan=plan)).facts)
    assert (due.level, [p.user_id for p in due.people]) == (3, [DEE])
    assert due.reason is not None
    assert "level 2 reaches nobody and is passed" in due.reason


def test_an_empty_first_level_is_passed_at_once() -> None:
    due = only_due(NOTHING.when(start(directory=ONLY_AN_ADMIN)).facts)
    assert (due.level, [p.user_id for p in due.people]) == (3, [DEE])
    assert due.next_due_at == NOW + minutes(5)


def test_the_last_level_repeats_from_the_first() -> None:
    given = after_timers(NOTHING.when(start()).then_types(EscalationStarted, EscalationDue), 2)
    due = only_due(given.when(fire(due_of(given))).facts)
    assert (due.level, due.round, due.people[0].user_id) == (1, 2, ANN)


def test_three_repeats_run_the_levels_four_times() -> None:
    plan = replace(PLAN, repeat=3, levels=(ON_CALL_LEVEL,))
    given = NOTHING.when(start(plan=plan)).then_types(EscalationStarted, EscalationDue)
    for _ in range(3):
        given = given.when(fire(due_of(given), plan=plan)).then_types(EscalationDue)
    given.when(fire(due_of(given), plan=plan)).then_types(EscalationExhausted)


def test_an_exhausted_policy_pages_the_admins() -> None:
    given = after_timers(NOTHING.when(start()).then_types(EscalationStarted, EscalationDue), 5)
    now = due_of(given)
    given.when(fire(now)).then(
        [
            EscalationExhausted(
                incident_id=INCIDENT,
                level=3,
                round=3,
                people=(Paged(user_id=DEE, via="admins"),),
                next_due_at=now + minutes(30),
                brief=BRIEF,
            )
        ]
    )


def test_an_exhausted_policy_pages_its_last_level_every_half_hour_without_end() -> None:
    given = after_timers(NOTHING.when(start()).then_types(EscalationStarted, EscalationDue), 6)
    for round_ in range(4, 60):
        now = due_of(given)
        due = only_due(given.when(fire(now)).facts)
        assert (due.level, due.round, due.people[0].user_id) == (3, round_, DEE)
        assert due.next_due_at == now + minutes(30)
        given = after_timers(given, 1)


def test_an_exhausted_policy_whose_last_level_is_empty_falls_back() -> None:
    plan = replace(PLAN, repeat=0, levels=(ON_CALL_LEVEL, TEAM_LEVEL))
    given = NOTHING.when(start(plan=plan)).then_types(EscalationStarted, EscalationDue)
    given = given.when(fire(due_of(given), plan=plan)).then_types(EscalationExhausted)
    due = only_due(given.when(fire(due_of(given), plan=plan)).facts)
    assert [p.via for p in due.people] == ["leads", "admins"]
    assert due.next_due_at == NOW + minutes(15 + 30 + 30)


def test_no_two_pages_share_level_and_round() -> None:
    given = after_timers(NOTHING.when(start()).then_types(EscalationStarted, EscalationDue), 12)
    pages = [(f.level, f.round) for f in given.facts if isinstance(f, EscalationDue | EscalationExhausted)]
    assert len(pages) == len(set(pages)) == 13


def test_a_timer_that_was_already_served_decides_nothing() -> None:
    given = after_timers(NOTHING.when(start()).then_types(EscalationStarted, EscalationDue), 1)
    given.when(fire(NOW + minutes(15))).then_nothing()


def test_an_old_timer_of_an_exhausted_escalation_decides_nothing() -> None:
    given = after_timers(NOTHING.when(start()).then_types(EscalationStarted, EscalationDue), 6)
    given.when(fire(due_of(given) - minutes(30))).then_nothing()


def test_a_timer_that_was_put_off_after_a_failure_still_pages() -> None:
    given = NOTHING.when(start()).then_types(EscalationStarted, EscalationDue)
    given.when(fire(due_of(given) + minutes(0.5))).then_types(EscalationDue)


def test_the_next_level_is_timed_from_when_the_last_one_really_fired() -> None:
    given = NOTHING.when(start()).then_types(EscalationStarted, EscalationDue)
    late = NOW + minutes(120)
    assert only_due(given.when(fire(due_of(given), now=late)).facts).next_due_at == late + minutes(10)


@pytest.mark.parametrize("cause", ["acknowledged", "resolved", "closed"])
def test_whoever_takes_the_incident_ends_the_paging(cause: str) -> None:
    given = NOTHING.when(start()).then_types(EscalationStarted, EscalationDue)
    ended = given.when(take(cause)).then(
        [EscalationCancelled(incident_id=INCIDENT, by=Actor.user(ANN), at=NOW, cause=cause)]
    )
    ended.when(fire(NOW + minutes(15))).then_nothing()
    ended.when(take("resolved")).then_nothing()


def test_whoever_takes_an_exhausted_incident_ends_the_paging() -> None:
    given = after_timers(NOTHING.when(start()).then_types(EscalationStarted, EscalationDue), 6)
    given.when(take()).then_types(EscalationCancelled).when(fire(NOW + minutes(999))).then_nothing()


def test_a_creation_that_arrives_after_the_acknowledgement_starts_nothing() -> None:
    NOTHING.when(take()).then_types(EscalationCancelled).when(start()).then_nothing()


def test_a_timer_of_an_escalation_that_never_started_decides_nothing() -> None:
    NOTHING.when(fire(NOW)).then_nothing()
