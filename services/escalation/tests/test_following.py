"""Events of INCIDENTS and NOTIFIER as they arrive, and what escalation publishes and keeps because of them."""

from __future__ import annotations

from typing import Any, NoReturn
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.store.desk import MemoryLog
from libs.chassis.store.memory import Memory
from libs.chassis.store.work import Work
from libs.chassis.testing.examples import examples
from libs.contracts.defaults import ADMINS_POLICY_ID, DEFAULT_POLICY_ID
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.incidents import IncidentClosed, IncidentResolved, IncidentSnoozed, PagingStart
from libs.contracts.model import Lane, Priority, Role
from libs.contracts.notifier import PushTokenRetired
from services.escalation.application import follow_incidents
from services.escalation.deciders import POLICY
from services.escalation.domain.escalations import Cancelled, Waiting
from services.escalation.domain.people import MOST_OTHERS
from services.escalation.domain.policies import ChangePolicy, CreatePolicy, DeletePolicy, Plan
from services.escalation.inputs import ME
from services.escalation.projections import project, retired_tokens
from services.escalation.tests.desk import (
    ESCALATION_ID,
    TIMERS,
    EscalationDesk,
    acknowledged,
    brief,
    created,
    names,
    not_reached,
    requested,
    said,
)
from services.escalation.tests.world import (
    ADMINS_LEVEL,
    ANN,
    BO,
    CY,
    DEE,
    INCIDENT,
    LEADS_LEVEL,
    NOW,
    an_id,
    minutes,
)


@pytest.fixture
def desk() -> EscalationDesk:
    return EscalationDesk()


def test_a_new_incident_is_run_one_and_pages_whoever_is_on_call(desk: EscalationDesk) -> None:
    event = said(created())
    started, due = desk.told(event)
    assert (started.name, due.name) == ("EscalationStarted", "EscalationDue")
    assert (started.data.run, started.data.policy_id, due.data.run) == (1, DEFAULT_POLICY_ID, 1)
    assert [p.user_id for p in due.data.people] == [ANN]
    assert {e.causation_id for e in (started, due)} == {event.id}
    assert {(e.lane, e.slot, e.correlation_id) for e in (started, due)} == {(Lane.URGENT, 7, event.correlation_id)}
    assert (desk.row["run"], desk.row["state"], desk.row["event_id"]) == (1, "waiting", due.id)


def test_a_suppressed_incident_starts_nothing_until_it_is_asked_for(desk: EscalationDesk) -> None:
    [quiet] = desk.told(said(created(suppressed=True)))
    assert (quiet.name, quiet.data.policy_id) == ("PagingSuppressed", DEFAULT_POLICY_ID)
    assert [p.user_id for p in quiet.data.planned[0].people] == [ANN], "who would have been paged"
    assert desk.told(said(created(suppressed=True))) == []
    assert desk.told(said(acknowledged(0))) == []
    assert desk.row["state"] == "cancelled"
    assert names(desk.told(said(requested(1)))) == ["EscalationStarted", "EscalationDue"]


def test_a_request_brings_all_that_a_page_needs(desk: EscalationDesk) -> None:
    since = NOW - minutes(1)
    fact = requested(3, since=since, policy_id=ADMINS_POLICY_ID, assigned_to=BO, first_timeout_minutes=2.0)
    started, due = desk.told(said(fact))
    assert (started.data.run, started.data.policy_id, started.data.first_timeout_minutes) == (3, ADMINS_POLICY_ID, 2.0)
    assert [p.user_id for p in due.data.people] == [BO, DEE]
    assert due.data.next_due_at == NOW + minutes(2)
    assert due.data.brief == brief().model_copy(update={"paging_since": since})


def test_a_policy_that_does_not_exist_is_said_in_each_run(desk: EscalationDesk) -> None:
    unknown = an_id("no policy")
    for fact in (created(policy_id=unknown), requested(2, policy_id=unknown)):
        due = desk.told(said(fact))[-1].data
        assert due.reason == f"policy {unknown} does not exist: Default is used"


def test_a_policy_that_is_deleted_while_it_is_asked_for_is_replaced_by_default_and_what_runs_it_goes_on(
    desk: EscalationDesk,
) -> None:
    ours = an_id("our policy")
    plan = Plan("Ours", (), repeat=0, levels=(ADMINS_LEVEL, LEADS_LEVEL))
    desk.desk.take(lambda work: work.decide(POLICY, ours, CreatePolicy(ours, plan, "x", NOW), work.begin(ME)), NOW)
    desk.told(said(created(policy_id=ours)))
    # It began on the policy that somebody was about to delete.
    desk.desk.take(lambda work: work.decide(POLICY, ours, DeletePolicy(), work.begin(ME)), NOW)
    assert (desk.row["policy_id"], desk.row["state"]) == (ours, "waiting")
    [level_2] = desk.due(NOW + minutes(5))
    assert (level_2.data.level, [p.user_id for p in level_2.data.people]) == (2, [CY])
    # And what comes later begins on Default.
    started, due = desk.told(said(requested(2, policy_id=ours)))
    assert started.data.policy_id == DEFAULT_POLICY_ID
    assert due.data.reason == f"policy {ours} was deleted: Default is used"
    assert [p.user_id for p in due.data.people] == [ANN]


@pytest.mark.parametrize(
    ("answer", "cause"), [(IncidentResolved, "resolved"), (IncidentClosed, "closed"), (IncidentSnoozed, "snoozed")]
)
def test_each_answer_ends_the_run_and_says_which_it_was(desk: EscalationDesk, answer: Any, cause: str) -> None:
    desk.told(said(created()))
    until = {"until": NOW} if answer is IncidentSnoozed else {}
    [ended] = desk.told(said(answer(incident_id=INCIDENT, run=1, by=Actor.user(ANN), at=NOW, **until)))
    assert (ended.name, ended.data.run, ended.data.cause) == ("EscalationCancelled", 1, cause)
    assert (desk.row["run"], desk.row["state"]) == (1, "cancelled")
    assert desk.desk.rows(TIMERS) == []


def test_a_raised_incident_travels_in_its_new_lane_and_so_do_its_timers(desk: EscalationDesk) -> None:
    desk.told(said(created(priority=Priority.LOW), Lane.ROUTINE))
    routine = desk.due(NOW + minutes(15))
    assert {e.lane for e in routine} == {Lane.ROUTINE}
    raised = desk.told(said(requested(2), Lane.URGENT), now=NOW + minutes(16))
    later = desk.due(NOW + minutes(31))
    assert {e.lane for e in (*raised, *later)} == {Lane.URGENT}
    assert {e.data.run for e in (*raised, *later)} == {2}
    assert {e.slot for e in (*routine, *raised, *later)} == {7}


def test_a_timer_names_the_page_that_set_it(desk: EscalationDesk) -> None:
    first = desk.told(said(created(assigned_to=BO)))[-1]
    # What is only remembered sets no timer: the chain goes on from page to page.
    assert names(desk.told(said(not_reached(BO)))) == ["ResponderUnreachable"]
    [second] = desk.due(NOW + minutes(15))
    assert (second.causation_id, second.correlation_id) == (first.id, first.correlation_id)


def test_a_timer_of_an_earlier_run_is_gone_when_the_next_one_starts(desk: EscalationDesk) -> None:
    desk.told(said(created()))
    desk.told(said(requested(2)), now=NOW + minutes(5))
    assert [row["due_at"] for row in desk.desk.rows(TIMERS)] == [NOW + minutes(20)]
    assert desk.due(NOW + minutes(15)) == []
    assert [e.data.level for e in desk.due(NOW + minutes(20))] == [2]


def test_the_notifiers_report_pages_the_next_level_with_the_report_as_its_cause(desk: EscalationDesk) -> None:
    desk.told(said(created()))
    report = said(not_reached(ANN))
    [due] = desk.told(report, now=NOW + minutes(0.1))
    assert (due.data.level, [p.user_id for p in due.data.people], due.causation_id) == (2, [CY], report.id)
    assert [row["due_at"] for row in desk.desk.rows(TIMERS)] == [NOW + minutes(15.1)]
    assert desk.told(report) == []


def test_reports_of_one_batch_count_together(desk: EscalationDesk) -> None:
    desk.told(said(created(assigned_to=BO)))
    decided = desk.told(said(not_reached(BO)), said(not_reached(ANN)), said(not_reached(CY, level=2)))
    assert names(decided) == ["ResponderUnreachable", "EscalationDue", "EscalationDue"]
    assert [e.data.level for e in decided] == [1, 2, 3]


def test_those_who_were_reported_before_leave_their_places_among_the_others(desk: EscalationDesk) -> None:
    """Few others are paged: of whom it is known that a page does not reach them is none of these few."""
    ours, last = an_id("our policy"), UUID(int=2**128 - 1)
    admins = [an_id(f"admin {n}") for n in range(MOST_OTHERS + 5)]
    desk.people = dict.fromkeys(admins, frozenset((Role.ADMIN,))) | {last: frozenset((Role.USER,))}
    desk.reachable = frozenset(desk.people)
    plan = Plan("Ours", (), repeat=0, levels=(ADMINS_LEVEL,))
    desk.desk.take(lambda work: work.decide(POLICY, ours, CreatePolicy(ours, plan, "x", NOW), work.begin(ME)), NOW)
    desk.told(said(created(policy_id=ours)))
    for admin in admins:
        decided = desk.told(said(not_reached(admin)))
    [due] = decided
    assert (due.name, [p.user_id for p in due.data.people]) == ("EscalationDue", [last])


def test_a_token_that_its_vendor_refuses_comes_beside_the_report(desk: EscalationDesk) -> None:
    desk.told(said(created()))
    token = PushTokenRetired(user_id=ANN, device_id="phone", reason="Unregistered", at=NOW)
    assert names(desk.told(said(token), said(not_reached(ANN)))) == ["EscalationDue"]
    assert desk.desk.rows(retired_tokens) == [{"user_id": ANN, "device_id": "phone", "dead_at": NOW}]


def test_reports_of_other_runs_and_of_what_we_never_paged_are_dropped(desk: EscalationDesk) -> None:
    assert desk.told(said(not_reached(ANN))) == []
    desk.told(said(created()))
    desk.told(said(requested(2)))
    assert desk.told(said(not_reached(ANN))) == []
    assert names(desk.told(said(not_reached(ANN, run=2)))) == ["EscalationDue"]


def test_a_run_keeps_the_version_of_the_policy_it_began_with_and_the_next_takes_the_newest(
    desk: EscalationDesk,
) -> None:
    desk.told(said(created()))
    change = ChangePolicy(levels=(ADMINS_LEVEL,))
    desk.desk.take(lambda w: w.decide(POLICY, DEFAULT_POLICY_ID, change, w.begin(Actor.user(DEE))), NOW)
    assert [p.user_id for p in desk.due(NOW + minutes(15))[0].data.people] == [CY]
    started, due = desk.told(said(requested(2)))
    assert started.data.policy_version == 2
    assert [p.user_id for p in due.data.people] == [DEE]


def _help(run: int, user_id: UUID, *, alone: bool) -> Any:
    start = PagingStart(user_ids=(user_id,), alone=alone, goes_on=not alone)
    return said(requested(run).model_copy(update={"start": start}))


def test_help_is_paged_where_the_levels_stand_and_they_go_on_as_they_were(desk: EscalationDesk) -> None:
    _, first = desk.told(said(created()))
    started, due = desk.told(_help(2, DEE, alone=False))
    assert started.data.planned
    assert [(p.user_id, p.via) for p in due.data.people] == [(DEE, "responder")]
    place = (due.data.run, due.data.round, due.data.level, due.data.next_due_at)
    assert place == (2, 1, 1, first.data.next_due_at)
    assert names(desk.told(said(not_reached(DEE, run=2)))) == ["ResponderUnreachable"], "others are waited for"
    assert desk.told(_help(2, DEE, alone=False)) == []
    [later] = desk.due(NOW + minutes(15))
    assert (later.data.run, later.data.level) == (2, 2)


def test_help_for_what_somebody_has_pages_nobody_after_them(desk: EscalationDesk) -> None:
    desk.told(said(created()))
    desk.told(said(acknowledged(1)))
    _, due = desk.told(_help(2, DEE, alone=True))
    assert (due.data.level, due.data.next_due_at) == (0, None)
    assert names(desk.told(said(not_reached(DEE, run=2, level=0)))) == ["ResponderUnreachable"]
    assert desk.due(NOW + minutes(600)) == []
    assert names(desk.told(said(acknowledged(2)))) == ["EscalationCancelled"]


def test_a_run_may_begin_with_a_level_or_with_the_leads(desk: EscalationDesk) -> None:
    desk.told(said(created()))
    at_two = requested(2).model_copy(update={"start": PagingStart(level=2)})
    assert [due.data.level for due in desk.told(said(at_two))[1:]] == [2]
    beyond = requested(3).model_copy(update={"start": PagingStart(level=20)})
    [due] = desk.told(said(beyond))[1:]
    assert due.data.level == 3, "it has no more"
    [due] = desk.told(said(requested(4).model_copy(update={"start": PagingStart(leads=True)})))[1:]
    assert (due.data.level, [p.via for p in due.data.people]) == (0, ["leads"] * len(due.data.people))
    [then] = desk.due(NOW + minutes(15))
    assert (then.data.run, then.data.level) == (4, 1)


class _NoTables:
    """Inputs of a batch that may ask for nothing."""

    def directory(self, *_: object) -> NoReturn:
        raise AssertionError("asked for people")

    def others(self, *_: object) -> NoReturn:
        raise AssertionError("asked for others")

    def running(self, *_: object) -> NoReturn:
        raise AssertionError("asked for what runs")

    def causes(self, *_: object) -> NoReturn:
        raise AssertionError("asked for causes")

    def policies_of(self, *_: object) -> NoReturn:
        raise AssertionError("asked for policies")


def test_a_batch_without_requests_asks_for_nobody(desk: EscalationDesk) -> None:
    answers = [said(acknowledged(1))]
    assert names(desk.desk.take(lambda work: follow_incidents(work, answers, _NoTables()), NOW)) == [
        "EscalationCancelled"
    ]


def test_two_runs_that_are_decided_at_once_meet_at_one_version(desk: EscalationDesk) -> None:
    def decide(event: Envelope[Any]) -> list[tuple[object, int]]:
        log: MemoryLog = desk.desk.log
        work = Work(NOW, log, None, project, memory=Memory())  # type: ignore[arg-type] # no query is asked
        follow_incidents(work, [event], desk.inputs)
        return [(e.originator_id, e.originator_version) for e in work.new_events()[0]]

    # Neither has seen the other's events: one of the appends fails, and is decided again on what the other wrote.
    first, second = decide(said(created(), Lane.ROUTINE)), decide(said(requested(2), Lane.URGENT))
    assert first == second == [(ESCALATION_ID, 1), (ESCALATION_ID, 2)]


@st.composite
def histories(draw: st.DrawFn) -> list[Envelope[Any]]:
    """What happened to one incident, in its order: runs that are asked for, answers to the newest, once raised."""
    lane, run = Lane.ROUTINE, 0 if draw(st.booleans()) else 1
    events = [said(created(priority=Priority.LOW, suppressed=run == 0), lane)]
    for what in draw(st.lists(st.sampled_from(["raise", "again", "answer"]), max_size=6)):
        if what == "answer":
            events.append(said(acknowledged(run), lane))
            continue
        lane = Lane.URGENT if what == "raise" else lane
        run += 1
        priority = Priority.HIGH if lane is Lane.URGENT else Priority.LOW
        events.append(said(requested(run, brief=brief(priority)), lane))
    return events


def interleaved(draw: st.DrawFn, events: list[Envelope[Any]]) -> list[list[Envelope[Any]]]:
    """Batches of either lane, each lane in its order; some come twice."""
    lanes = {lane: [e for e in events if e.lane is lane] for lane in Lane}
    batches: list[list[Envelope[Any]]] = []
    while any(lanes.values()):
        lane = draw(st.sampled_from([lane for lane, rest in lanes.items() if rest]))
        size = draw(st.integers(1, 3))
        batches.extend([lanes[lane][:size]] * draw(st.integers(1, 2)))
        lanes[lane] = lanes[lane][size:]
    return batches


@settings(max_examples=examples(60))
@given(st.data())
def test_the_lanes_may_arrive_in_any_order_and_in_any_batches(data: st.DataObject) -> None:
    events = data.draw(histories())
    straight, mixed = EscalationDesk(), EscalationDesk()
    for event in events:
        straight.told(event)
    for batch in data.draw(st.composite(interleaved)(events)):
        mixed.told(*batch)
    expected, state = straight.state(), mixed.state()
    assert type(state) is type(expected)
    match state, expected:
        case Waiting(), Waiting():
            assert state == expected
            assert mixed.desk.rows(TIMERS) == straight.desk.rows(TIMERS) != []
        case Cancelled(), Cancelled():
            assert state.answered == expected.answered
            assert mixed.desk.rows(TIMERS) == []
