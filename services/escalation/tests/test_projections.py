"""What events write, and what a plan of shifts leaves of the ones before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from libs.chassis.store.changes import Change, Gone, Row
from libs.chassis.store.desk import Desk
from libs.chassis.store.tables import chassis_tables
from libs.chassis.testing.given import Given
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.model import Lane
from libs.contracts.oncall import Shift, ShiftsPlanned
from services.escalation.deciders import ESCALATION, POLICY
from services.escalation.domain.escalations import escalation_id
from services.escalation.domain.policies import default_policy
from services.escalation.origins import ORIGINS
from services.escalation.projections import Span, escalations, policies, project, replan
from services.escalation.tests.desk import EscalationDesk, acknowledged, created, not_reached, requested, said
from services.escalation.tests.world import ANN, BO, CY, INCIDENT, NOW, SCHEDULE, minutes, start, take

DECIDER = ESCALATION[Lane.URGENT]
TIMERS = chassis_tables("escalation").timers


def envelope(fact: Fact) -> Envelope[Any]:
    return Envelope(
        id=uuid4(),
        type=fact.type,
        time=NOW,
        entity=escalation_id(INCIDENT),
        version=1,
        lane=Lane.URGENT,
        actor=Actor.service("escalation"),
        correlation_id=uuid4(),
        data=fact,
    )


def changes(given: Given[Any]) -> list[Change]:
    return list(project(envelope(given.facts[-1]), given.state()))


def test_a_page_sets_its_timer_and_says_whence_it_came() -> None:
    given = Given(DECIDER, Given(DECIDER, []).when(start()).facts)
    event = envelope(given.facts[-1])
    row, timer = project(event, given.state())
    assert isinstance(row, Row)
    assert isinstance(timer, Row)
    assert row.table is escalations
    assert (row.values["state"], row.values["level"], row.values["event_id"]) == ("waiting", 1, event.id)
    assert row.values["correlation_id"] == event.correlation_id
    assert timer.table is TIMERS
    assert timer.values["due_at"] == row.values["next_due_at"] == NOW + minutes(15)


def test_the_end_takes_the_timer_away() -> None:
    given = Given(DECIDER, []).when(take()).then([*Given(DECIDER, []).when(take()).facts])
    row, timer = changes(given)
    assert row.values["state"] == "cancelled"
    assert isinstance(timer, Gone)
    assert timer.table is TIMERS


def test_every_row_is_whole_so_that_the_last_of_several_says_everything() -> None:
    begun = Given(DECIDER, Given(DECIDER, []).when(start()).facts)
    ended = Given(DECIDER, [*begun.facts, *begun.when(take()).facts])
    for given in (begun, ended):
        assert set(changes(given)[0].values) == {c.name for c in escalations.columns}
    policy = Given(POLICY, Given(POLICY, []).when(default_policy(NOW)).facts)
    assert set(changes(policy)[0].values) == {c.name for c in policies.columns}


def test_a_start_on_top_of_an_earlier_run_writes_the_new_one_in_its_place() -> None:
    first = Given(DECIDER, Given(DECIDER, []).when(start()).facts)
    again = Given(DECIDER, [*first.facts, *first.when(start(2, now=NOW + minutes(5))).facts])
    row, timer = changes(again)
    assert (row.values["run"], row.values["state"], row.values["round"], row.values["level"]) == (2, "waiting", 1, 1)
    assert timer.values["due_at"] == NOW + minutes(20)
    assert list(project(envelope(again.facts[-2]), Given(DECIDER, again.facts[:-1]).state())) == []


def test_an_answer_before_its_start_is_the_row_of_its_run() -> None:
    row, _ = changes(Given(DECIDER, Given(DECIDER, []).when(take(number=2)).facts))
    assert (row.values["run"], row.values["state"], row.values["policy_id"]) == (2, "cancelled", None)


def test_the_log_alone_gives_the_same_rows_and_timers_again() -> None:
    desk = EscalationDesk()
    for happened in (created(assigned_to=BO), not_reached(BO), requested(2), not_reached(ANN, 2), not_reached(CY, 2)):
        desk.told(said(happened))
    for at in (15, 30, 31, 60):
        desk.due(NOW + minutes(at))
    desk.told(said(acknowledged(1)), said(requested(4)))
    again = Desk(project)
    states: dict[UUID, Any] = {}
    for event in desk.log:
        fold = ORIGINS.fold_of(type(event.data))
        states[event.entity] = fold.evolve(states.get(event.entity, fold.initial()), event)
        again.take(lambda work, e=event: work.put(*project(e, states[e.entity])), NOW)  # type: ignore[misc]
    assert again.tables == {table: rows for table, rows in desk.desk.tables.items() if rows}


def hours(n: float) -> timedelta:
    return timedelta(hours=n)


def span(begin: float, end: float, user: UUID) -> Span:
    return Span(NOW + hours(begin), NOW + hours(end), user)


def plan(begin: float, end: float, *spans: Span) -> ShiftsPlanned:
    return ShiftsPlanned(
        schedule_id=SCHEDULE,
        schedule_version=2,
        from_time=NOW + hours(begin),
        to_time=NOW + hours(end),
        shifts=tuple(Shift(user_id=s.user_id, start_time=s.start, end_time=s.end, layer=0) for s in spans),
    )


def test_a_plan_replaces_its_range_and_leaves_what_is_outside() -> None:
    before = [span(-8, 0, ANN), span(0, 8, BO), span(8, 16, ANN)]
    after = replan(before, plan(2, 10, span(2, 10, CY)), NOW)
    assert after == [span(-8, 0, ANN), span(0, 2, BO), span(2, 10, CY), span(10, 16, ANN)]


def test_an_empty_plan_leaves_nobody_on_call() -> None:
    assert replan([span(0, 8, BO)], plan(0, 8), NOW) == []


def test_a_shift_inside_of_which_a_plan_lies_is_cut_in_two() -> None:
    assert replan([span(0, 8, BO)], plan(2, 4, span(2, 4, CY)), NOW) == [span(0, 2, BO), span(2, 4, CY), span(4, 8, BO)]


def test_a_plan_reaches_no_further_than_its_range() -> None:
    assert replan([], plan(0, 4, span(-2, 6, CY)), NOW) == [span(0, 4, CY)]


def test_a_plan_that_begins_months_ahead_leaves_who_is_on_call_now() -> None:
    before = [span(-8, 0, ANN), span(0, 8, BO)]
    assert replan(before, plan(2000, 2008, span(2000, 2008, CY)), NOW) == [*before, span(2000, 2008, CY)]


def test_what_ended_long_ago_is_forgotten() -> None:
    assert replan([span(-72, -48, ANN), span(-8, 0, BO)], plan(0, 8), NOW) == [span(-8, 0, BO)]
