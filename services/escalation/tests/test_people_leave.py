"""Somebody is deactivated: a level passes them over, and nobody waits for them where they were paged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from libs.chassis.store.changes import Patch
from libs.chassis.testing.given import Given
from libs.contracts.auth import RolesChanged, UserDeactivated, UserReactivated, UserRegistered
from libs.contracts.envelope import Actor
from libs.contracts.escalation import (
    EscalationCancelled,
    EscalationDue,
    EscalationExhausted,
    EscalationStarted,
    Paged,
    ResponderUnreachable,
    Target,
    TargetType,
)
from libs.contracts.model import Role
from services.escalation import application
from services.escalation.application import follow_people
from services.escalation.domain.escalations import Exhausted, PassOver, State, Waiting
from services.escalation.domain.people import OnCall
from services.escalation.replicas import replicate
from services.escalation.tests.desk import EscalationDesk, created, names, said
from services.escalation.tests.world import (
    ANN,
    BO,
    CY,
    DEE,
    EVERYBODY,
    INCIDENT,
    NOTHING,
    NOW,
    ON_CALL_LEVEL,
    PLAN,
    SCHEDULE,
    after_timers,
    due_of,
    fire,
    minutes,
    only_due,
    start,
    take,
    unreachable,
)

FIRST = NOTHING.when(start()).then_types(EscalationStarted, EscalationDue)
BOTH = NOTHING.when(start(assigned=BO)).then_types(EscalationStarted, EscalationDue)
SOON = NOW + minutes(1)


def passed(user: UUID, **changes: Any) -> PassOver:
    without = replace(
        EVERYBODY,
        on_call={SCHEDULE: OnCall(None if user == ANN else ANN, BO, 4, ANN if user == ANN else None)},
        by_role={role: tuple(u for u in people if u != user) for role, people in EVERYBODY.by_role.items()},
        active=frozenset(EVERYBODY.active) - {user},
    )
    values: dict[str, Any] = {"plan": PLAN, "directory": without, "now": SOON}
    return PassOver(user, **(values | changes))


def gone(user: UUID) -> UserDeactivated:
    return UserDeactivated(user_id=user, by=Actor.user(DEE), at=NOW)


def back(user: UUID) -> UserReactivated:
    return UserReactivated(user_id=user, by=Actor.user(DEE), at=NOW)


def test_the_next_participant_is_paged_and_the_event_says_who_was_passed() -> None:
    directory = passed(ANN).directory
    due = only_due(NOTHING.when(start(directory=directory)).facts)
    assert due.people == (Paged(user_id=BO, via=f"schedule:{SCHEDULE}:next"),)
    assert due.passed == (ANN,)
    assert due.reason == f"{ANN} is deactivated, who is on call on schedule {SCHEDULE}: its next participant is paged"


def test_whoever_a_level_or_an_incident_names_is_passed_too() -> None:
    target = Target(type=TargetType.USER, id=ANN)
    plan = replace(PLAN, levels=(ON_CALL_LEVEL.model_copy(update={"targets": (target,)}), *PLAN.levels[1:]))
    due = only_due(NOTHING.when(start(directory=passed(ANN).directory, assigned=ANN, plan=plan)).facts)
    assert (due.level, due.passed, [p.user_id for p in due.people]) == (2, (ANN,), [CY])


def test_where_nobody_of_the_page_is_left_it_goes_on_as_if_its_time_had_come() -> None:
    due = only_due(FIRST.when(passed(ANN)).facts)
    assert (due.round, due.level, [p.user_id for p in due.people]) == (1, 2, [CY])
    assert due.reason == f"{ANN} is deactivated, and nobody else of level 1 is left"
    assert due.next_due_at == SOON + minutes(10)
    last = after_timers(FIRST, 2)
    again = only_due(last.when(passed(DEE)).facts)
    assert (again.round, again.level, [p.user_id for p in again.people]) == (2, 1, [ANN]), "the next round"


def test_the_last_page_of_a_policy_is_followed_by_its_exhaustion_and_that_by_the_last_level() -> None:
    last = after_timers(FIRST, 5)
    exhausted = last.when(passed(DEE)).then_types(EscalationExhausted)
    assert isinstance(exhausted.state(), Exhausted)
    given: Given[State] = after_timers(last, 1)
    due = only_due(given.when(passed(DEE)).facts)
    assert due.people == (Paged(user_id=CY, via="leads"),), "no admin is left"
    assert due.next_due_at == SOON + minutes(30)


def test_while_others_of_the_page_are_left_it_is_only_remembered() -> None:
    given = BOTH.when(passed(BO)).then(
        [ResponderUnreachable(incident_id=INCIDENT, run=1, level=1, round=1, user_id=BO)]
    )
    assert due_of(given) == due_of(BOTH)
    given.when(passed(BO)).then_nothing()
    assert only_due(given.when(unreachable(ANN, given)).facts).level == 2


def test_whichever_of_both_reports_comes_first_the_other_decides_nothing() -> None:
    report = unreachable(ANN, FIRST)
    FIRST.when(report).then_types(EscalationDue).when(passed(ANN)).then_nothing()
    FIRST.when(passed(ANN)).then_types(EscalationDue).when(report).then_nothing()
    after = FIRST.when(passed(ANN)).then_types(EscalationDue)
    after.when(fire(due_of(FIRST), now=SOON)).then_nothing()


def test_somebody_who_has_no_page_and_what_was_answered_are_no_matter() -> None:
    FIRST.when(passed(CY)).then_nothing()
    NOTHING.when(passed(ANN)).then_nothing()
    FIRST.when(take()).then_types(EscalationCancelled).when(passed(ANN)).then_nothing()


def test_people_are_patched_and_twice_is_once() -> None:
    def rows(*facts: Any) -> dict[UUID, dict[str, Any]]:
        table: dict[UUID, dict[str, Any]] = {}
        for fact in facts:
            for change in replicate(said(fact)):
                if isinstance(change, Patch) and change.key not in table:
                    continue
                table[change.key] = table.get(change.key, {}) | dict(change.values)
        return table

    registered = UserRegistered(
        user_id=ANN, email="a@x.test", first_name="A", last_name="B", timezone="UTC", roles=(Role.USER,)
    )
    roles = RolesChanged(user_id=ANN, roles=(Role.LEAD,), by=Actor.user(DEE), at=NOW, version=2)
    once = rows(registered, roles, gone(ANN))
    [row] = once.values()
    assert (row["roles"], row["active"]) == (["lead"], False)
    assert rows(registered, roles, roles, gone(ANN), gone(ANN)) == once
    assert rows(registered, roles, gone(ANN), back(ANN))[next(iter(once))]["active"] is True
    assert rows(roles, gone(BO)) == {}, "nobody is made of a change"


def _told(desk: EscalationDesk, *facts: Any) -> list[str]:
    events = [said(fact) for fact in facts]
    handler: Callable[[Any], None] = lambda work: follow_people(work, events, desk.inputs)  # noqa: E731
    return names(desk._take(handler, SOON))


def test_one_transaction_pages_on_without_whoever_has_just_left() -> None:
    desk = EscalationDesk()
    desk.told(said(created()))
    assert _told(desk, gone(ANN)) == ["EscalationDue"]
    state = desk.state()
    assert isinstance(state, Waiting)
    assert ANN not in {p.user_id for p in state.people}
    event = desk.log[-1]
    assert event.correlation_id == desk.log[-2].correlation_id, "it is the incident's story"
    assert event.causation_id == said(gone(ANN)).id


def test_whoever_left_and_came_back_in_one_batch_is_waited_for() -> None:
    desk = EscalationDesk()
    desk.told(said(created()))
    assert _told(desk, gone(ANN), back(ANN)) == []
    assert _told(desk, gone(BO)) == [], "he was not paged"


def test_who_leaves_is_not_paged_by_what_their_leaving_leads_to() -> None:
    """Their own row says that they are active until the transaction that pages on has ended."""
    desk = EscalationDesk()
    desk.told(said(created()))
    while desk.row["state"] != "exhausted":
        desk.due(desk.row["next_due_at"])
    state = desk.state()
    assert isinstance(state, Exhausted)
    assert [p.user_id for p in state.people] == [DEE]
    assert _told(desk, gone(DEE)) == ["EscalationDue"]
    assert [p.user_id for p in desk.log[-1].data.people] == [CY]


def test_in_a_storm_so_many_are_passed_over_as_one_transaction_holds_and_the_longest_waits_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(application, "MOST_PASSED", 2)
    desk = EscalationDesk()
    incidents = [UUID(int=900 + n) for n in range(3)]
    for n, incident in enumerate(incidents):
        desk.told(said(created(incident_id=incident, number=n + 1)), now=NOW + minutes(n / 10))
    before = len(desk.log)
    assert _told(desk, gone(ANN)) == ["EscalationDue"] * 2
    assert {e.data.incident_id for e in desk.log[before:]} == set(incidents[1:])
    assert incidents[0] in {e.data.incident_id for e in desk.due(NOW + minutes(15))}, "its time-out stands"
