"""From an alert to the phones that ring, decided without a server."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from libs.chassis.store.tables import chassis_tables
from libs.chassis.timers import Timer
from libs.contracts.envelope import Actor, ActorKind
from libs.contracts.escalation import EscalationDue, EscalationExhausted, EscalationStarted
from libs.contracts.incidents import IncidentResolved, Outcome, PagingRequested, ResolutionPlanned, Status
from libs.contracts.model import Lane, Role
from libs.contracts.notifier import NotificationAccepted
from libs.contracts.slots import NO_INCIDENT, slot_of, thread_of
from services.incidents import timing
from services.incidents.domain.commands import (
    Acknowledge,
    LimitAcknowledgement,
    Reopen,
    Resolve,
    Snooze,
)
from services.incidents.explain import explain
from services.incidents.projections import timeline
from services.incidents.words import summary_of
from services.notifier.projections import NOTIFICATIONS
from tests.flows.flow import Flow, Page

TIMERS = chassis_tables("incidents").timers


@pytest.fixture
def flow() -> Flow:
    """Ana is level 1, Bo is level 2, five minutes each; Cy is the admin."""
    made = Flow()
    for name in ("ana", "bo"):
        made.person(name)
    made.person("cy", Role.ADMIN)
    made.policy((5, "ana"), (5, "bo"))
    return made


def taken_by(flow: Flow, name: str) -> Acknowledge:
    return Acknowledge(Actor.user(flow.people[name]), flow.now)


def resolved_by(flow: Flow, name: str) -> Resolve:
    return Resolve(Actor.user(flow.people[name]), flow.now)


def test_an_alert_pages_the_first_level_and_time_the_next_one(flow: Flow) -> None:
    flow.fire()
    flow.settle()
    assert flow.names(flow.intended()) == ["ana"]
    flow.advance(5)
    assert flow.names(flow.intended()) == ["ana", "bo"]


def test_whoever_acknowledges_stops_the_next_level(flow: Flow) -> None:
    incident = flow.fire()
    flow.settle()
    flow.ask(incident, taken_by(flow, "ana"))
    flow.advance(60)
    assert flow.names(flow.intended()) == ["ana"]
    assert flow.incident(incident).status is Status.ACKNOWLEDGED


def test_a_page_that_was_not_sent_yet_is_withdrawn_and_one_that_was_is_replaced(flow: Flow) -> None:
    flow.person("dee", phones=2)
    flow.policy((5, "dee"))
    sent, unsent = flow.fire("a"), flow.fire("b", dedupKey="other")
    flow.settle()
    assert len(flow.intended(sent)) == 2
    flow.send()
    assert set(flow.states().values()) == {"accepted"}
    late = flow.fire("c", dedupKey="third")
    flow.settle()
    for incident in (sent, unsent, late):
        flow.ask(incident, resolved_by(flow, "dee"))
    flow.settle()
    states = [row["state"] for row in flow.desks["notifier"].rows(NOTIFICATIONS)]
    assert sorted(states) == ["replaced"] * 4 + ["withdrawn"] * 2


def test_nobody_answers_and_the_admins_are_paged_in_the_end(flow: Flow) -> None:
    incident = flow.fire()
    flow.advance(10)
    assert any(isinstance(e.data, EscalationExhausted) for e in flow.history)
    assert flow.names(flow.intended()) == ["ana", "bo", "cy"]
    flow.advance(61)
    assert flow.names(flow.intended()) == ["ana", "bo", "cy", "bo", "bo"]
    assert flow.incident(incident).status is Status.ESCALATED


def test_the_same_key_is_one_incident_and_one_page(flow: Flow) -> None:
    first, second = flow.fire(dedupKey="db"), flow.fire(dedupKey="db")
    flow.settle()
    assert first == second
    assert (len(flow.intended()), flow.incident(first).alert_count) == (1, 2)


def test_worse_raises_the_incident_and_pages_anew(flow: Flow) -> None:
    incident = flow.fire(priority="low", dedupKey="db")
    flow.settle()
    flow.fire(priority="critical", dedupKey="db")
    flow.settle()
    ana = flow.people["ana"]
    assert flow.intended() == [Page(1, 1, 1, ana), Page(2, 1, 1, ana)]
    assert flow.incident(incident).lane is Lane.URGENT


def test_the_answer_of_a_raised_incident_stops_it_however_late_its_creation_is_read(flow: Flow) -> None:
    """Created low, raised, acknowledged; its creation stands behind thousands of others in the routine lane."""
    incident = flow.fire(priority="low", dedupKey="db")
    flow.fire(priority="critical", dedupKey="db")
    flow.ask(incident, taken_by(flow, "ana"))
    while urgent := [pipe for pipe in flow.waiting() if pipe[2] is Lane.URGENT]:
        flow.deliver(urgent[0])
    assert {page.run for page in flow.intended()} == {2}
    assert set(flow.states().values()) == {"withdrawn"}
    flow.advance(120)
    assert [e.data.run for e in flow.history if isinstance(e.data, EscalationStarted)] == [2]
    assert not [e for e in flow.history if isinstance(e.data, EscalationDue) and e.data.level > 1]


def test_a_level_of_an_earlier_run_that_is_heard_of_late_makes_no_page(flow: Flow) -> None:
    flow.fire(priority="low", dedupKey="db")
    flow.deliver(("incidents", "escalation", Lane.ROUTINE))
    flow.fire(priority="critical", dedupKey="db")
    while urgent := [pipe for pipe in flow.waiting() if pipe[2] is Lane.URGENT]:
        flow.deliver(urgent[0])
    assert ("escalation", "notifier", Lane.ROUTINE) in flow.waiting()
    flow.settle()
    assert flow.intended() == [Page(2, 1, 1, flow.people["ana"])]


def test_an_acknowledgement_between_two_runs_stops_the_first_and_not_the_second(flow: Flow) -> None:
    incident = flow.fire(priority="low", dedupKey="db")
    flow.settle()
    flow.ask(incident, taken_by(flow, "ana"))
    flow.fire(priority="critical", dedupKey="db")
    for pipe in sorted(flow.waiting(), key=lambda p: p[2] is Lane.ROUTINE):  # the request overtakes the answer
        flow.deliver(pipe)
    flow.settle()
    flow.advance(5)
    assert flow.names([page for page in flow.intended() if page.run == 2]) == ["ana", "bo"]


def test_a_snooze_keeps_quiet_until_its_end_and_then_pages_again(flow: Flow) -> None:
    incident = flow.fire()
    flow.settle()
    until = flow.now + timedelta(hours=1)
    flow.ask(incident, Snooze(Actor.user(flow.people["ana"]), flow.now, until))
    flow.advance(59)
    assert flow.names(flow.intended()) == ["ana"]
    flow.advance(1)
    assert flow.intended()[-1] == Page(2, 1, 1, flow.people["ana"])


def test_whoever_took_it_and_forgot_it_is_asked_again(flow: Flow) -> None:
    incident = flow.fire()
    flow.settle()
    flow.ask(incident, taken_by(flow, "bo"))
    flow.settle()
    flow.ask(incident, LimitAcknowledgement(1, timedelta(minutes=30), flow.now))
    flow.advance(29)
    assert [page.run for page in flow.intended()] == [1]
    flow.advance(2)
    flow.settle()
    again = [page for page in flow.intended() if page.run == 2]
    assert sorted(flow.names(again)) == ["ana", "bo"]


def test_a_snooze_ends_also_where_its_timer_was_put_off(flow: Flow) -> None:
    incident = flow.fire()
    flow.settle()
    until = flow.now + timedelta(minutes=30)
    flow.ask(incident, Snooze(Actor.user(flow.people["ana"]), flow.now, until))
    [row] = flow.desks["incidents"].rows(TIMERS)
    row["due_at"] = until + timedelta(seconds=30)
    flow.advance(31)
    assert [page.run for page in flow.intended()] == [1, 2]


def test_a_clock_that_is_set_back_ends_nothing_early(flow: Flow) -> None:
    incident = flow.fire()
    flow.settle()
    until = flow.now + timedelta(minutes=30)
    flow.ask(incident, Snooze(Actor.user(flow.people["ana"]), flow.now, until))
    early = [Timer(incident, "snooze", flow.now)]
    flow.desks["incidents"].tables[TIMERS].clear()
    flow.take("incidents", lambda work: timing.fire(work, early, flow.incidents_inputs))
    flow.settle()
    assert [page.run for page in flow.intended()] == [1]
    assert [row["due_at"] for row in flow.desks["incidents"].rows(TIMERS)] == [until]


def test_what_was_acknowledged_and_forgotten_is_resolved_after_its_last_alert(flow: Flow) -> None:
    flow.quiet_for = timedelta(hours=1)
    incident = flow.fire(dedupKey="db")
    flow.settle()
    flow.ask(incident, Acknowledge(Actor.user(flow.people["ana"]), flow.now, resolves_at=flow.now + flow.quiet_for))
    flow.advance(50)
    flow.fire(dedupKey="db")
    flow.advance(59)
    assert flow.incident(incident).status is Status.ACKNOWLEDGED
    flow.advance(1)
    assert flow.incident(incident).status is Status.RESOLVED
    assert [page.run for page in flow.intended()] == [1]


def test_a_policy_resolves_what_somebody_has_and_nothing_is_heard_of(flow: Flow) -> None:
    flow.policy((5, "ana"), (5, "bo"), auto_resolve=60)
    incident = flow.fire(dedupKey="db")
    flow.settle()
    flow.ask(incident, taken_by(flow, "ana"))
    flow.advance(59)
    flow.fire(dedupKey="db")
    flow.advance(30)
    flow.ask(incident, taken_by(flow, "bo"))
    flow.advance(59)
    assert flow.incident(incident).status is Status.ACKNOWLEDGED, "an alert and an answer are news"
    [row] = flow.desks["incidents"].rows(TIMERS)
    row["due_at"] += timedelta(minutes=5)
    flow.advance(10)
    [resolved] = [e for e in flow.history if isinstance(e.data, IncidentResolved)]
    assert (resolved.actor.kind, resolved.data.notes) == (
        ActorKind.SERVICE,
        "nothing has been heard of it for 1 hour, after which its policy resolves what somebody has",
    )
    [planned] = [e for e in flow.history if isinstance(e.data, ResolutionPlanned)]
    assert resolved.causation_id == planned.id
    late = [Timer(incident, "quiet", flow.now)]
    twice = flow.take("incidents", lambda work: timing.fire(work, late, flow.incidents_inputs))
    assert twice == []
    assert [page.run for page in flow.intended()] == [1]


def test_a_policy_that_changes_meanwhile_resolves_what_begins_after_it(flow: Flow) -> None:
    flow.policy((5, "ana"), auto_resolve=60)
    incident = flow.fire()
    flow.settle()
    flow.ask(incident, taken_by(flow, "ana"))
    flow.settle()
    flow.policy((5, "ana"), auto_resolve=None)
    other = flow.fire("web down")
    flow.settle()
    flow.ask(other, taken_by(flow, "ana"))
    flow.advance(600)
    assert [flow.incident(i).status for i in (incident, other)] == [Status.RESOLVED, Status.ACKNOWLEDGED]


def test_what_nobody_has_acknowledged_is_never_resolved_by_itself(flow: Flow) -> None:
    flow.quiet_for = timedelta(hours=1)
    flow.policy((5, "ana"), auto_resolve=60)
    incident = flow.fire()
    flow.advance(300)
    assert flow.incident(incident).is_open


def test_what_is_reopened_pages_again(flow: Flow) -> None:
    incident = flow.fire()
    flow.settle()
    flow.ask(incident, resolved_by(flow, "ana"))
    flow.ask(incident, Reopen(Actor.user(flow.people["ana"]), flow.now))
    flow.settle()
    assert [page.run for page in flow.intended()] == [1, 2]


def test_a_run_that_is_asked_for_twice_or_late_pages_once(flow: Flow) -> None:
    incident = flow.fire(priority="low", dedupKey="db")
    flow.settle()
    flow.fire(priority="critical", dedupKey="db")
    pipe = ("incidents", "escalation", Lane.URGENT)
    [request] = [e for e in flow.pipes[pipe] if isinstance(e.data, PagingRequested)]
    flow.pipes[pipe].append(request)
    flow.settle()
    flow.ask(incident, taken_by(flow, "ana"))
    flow.settle()
    flow.pipes[pipe].append(request)
    flow.advance(60)
    assert [page.run for page in flow.intended()] == [1, 2]


def test_a_request_pages_without_its_incident_ever_having_been_seen(flow: Flow) -> None:
    flow.fire(priority="low", dedupKey="db")
    flow.fire(priority="critical", dedupKey="db")
    flow.pipes[("incidents", "escalation", Lane.ROUTINE)].clear()  # it is parked, and stays so
    flow.advance(5)
    assert flow.names(flow.intended()) == ["ana", "bo"]


def test_a_level_whose_phones_are_all_dead_is_passed_when_the_vendor_says_so(flow: Flow) -> None:
    flow.fire()
    flow.settle()
    flow.send(accepted=False)
    flow.settle()
    assert flow.unreachable() == [flow.people["ana"]]
    assert flow.names(flow.intended()) == ["ana", "bo"]


def test_a_person_without_a_phone_costs_no_time(flow: Flow) -> None:
    flow.person("eve", phones=0)
    flow.policy((5, "eve"), (5, "bo"))
    flow.fire()
    flow.settle()
    assert flow.names(flow.intended()) == ["bo"]


def test_a_policy_whose_people_have_no_phones_pages_others_who_have_and_the_timeline_says_why() -> None:
    flow = Flow()
    for name, role in (("eve", Role.USER), ("lena", Role.LEAD), ("root", Role.ADMIN)):
        flow.person(name, role, phones=0)
    flow.policy((5, "eve"), (5, "lena"), repeat=1)
    incident = flow.fire()
    flow.settle()
    assert flow.intended() == [], "nobody has one"
    flow.person("cy", Role.ADMIN)
    flow.person("bo")
    flow.advance(5)
    assert flow.names(flow.intended()) == ["cy"], "in the second round, at once"
    told = [e.data for e in flow.history if isinstance(e.data, EscalationDue)][-1]
    assert summary_of(told) == (
        "level 3 is due: admins (nobody of level 2 could be reached, and no level is left: others are paged)"
    )
    flow.send(accepted=False)
    flow.settle()
    assert flow.names(flow.intended()) == ["cy", "bo"], "their phone was dead"
    assert flow.incident(incident).status is Status.ESCALATED
    flow.ask(incident, taken_by(flow, "bo"))
    flow.advance(120)
    assert flow.names(flow.intended()) == ["cy", "bo"]


def test_everything_of_a_problem_has_one_slot_and_nothing_else_has_it_by_chance(flow: Flow) -> None:
    incident = flow.fire(dedupKey="db")
    flow.settle()
    flow.send(accepted=False)
    flow.settle()
    flow.advance(5)
    flow.ask(incident, taken_by(flow, "ana"))
    flow.settle()
    integration = flow.incident(incident).created.integration_id  # type: ignore[union-attr]
    assert isinstance(integration, UUID)
    slot = slot_of(thread_of(integration, "db"))
    of_it = [e for e in flow.history if getattr(e.data, "incident_id", None) == incident]
    assert len(of_it) > 8
    assert {e.slot for e in of_it} == {slot}
    assert {e.slot for e in flow.history if e not in of_it} == {NO_INCIDENT}


@pytest.mark.thorough
def test_a_sender_that_fires_and_resolves_in_turn_rings_a_few_times_a_minute(flow: Flow) -> None:
    start = flow.now
    for second in range(180):
        flow.now = start + timedelta(seconds=second)
        incident = flow.fire(dedupKey="db")
        flow.settle()
        flow.send()
        flow.ask(incident, resolved_by(flow, "bo"))
        flow.settle()
    rang = [e.time for e in flow.history if isinstance(e.data, NotificationAccepted) and e.data.kind == "page"]
    assert len(rang) == 1 + 3 * 6, "the first incident of the key, and six of the others a minute"
    assert flow.fire(dedupKey="another") != incident
    flow.settle()
    flow.send()
    assert [e.time for e in flow.history if isinstance(e.data, NotificationAccepted)][-1] == flow.now


def test_whoever_is_deactivated_before_it_burns_is_passed_and_the_timeline_says_why(flow: Flow) -> None:
    flow.deactivate("ana")
    flow.settle()
    flow.fire()
    flow.settle()
    assert flow.names(flow.intended()) == ["bo"]
    due = next(e.data for e in flow.history if isinstance(e.data, EscalationDue))
    assert f"user {flow.people['ana']} is not active" in summary_of(due)
    assert due.passed == (flow.people["ana"],)
    told = explain(flow.desks["incidents"].rows(timeline), flow.people["ana"]).people[0]
    assert (told.outcome, told.reason) == (Outcome.NOT_PAGED, "deactivated when level 2 was paged: passed over")


@pytest.mark.parametrize("first", ["escalation", "notifier"])
def test_a_page_that_is_pending_is_withdrawn_and_the_next_level_paged_at_once(flow: Flow, first: str) -> None:
    flow.fire()
    flow.settle()
    flow.deactivate("ana")
    flow.deliver(("auth", first, Lane.ROUTINE))
    flow.settle()
    assert flow.names(flow.intended()) == ["ana", "bo"]
    assert list(flow.states().values()) == ["withdrawn", "intended"]
    flow.advance(4)
    assert flow.names(flow.intended()) == ["ana", "bo"], "each level is paged once"


def test_nobody_waits_for_whoever_has_the_page_and_is_deactivated(flow: Flow) -> None:
    flow.fire()
    flow.settle()
    flow.send()
    flow.deactivate("ana")
    flow.settle()
    assert flow.names(flow.intended()) == ["ana", "bo"]
    flow.deactivate("bo")
    flow.settle()
    assert flow.names(flow.intended()) == ["ana", "bo", "cy"], "nobody is left but the admins"
    flow.reactivate("ana")
    flow.settle()
    assert flow.names(flow.intended()) == ["ana", "bo", "cy"], "she was told"


def test_after_an_answer_nobody_is_paged_because_somebody_leaves(flow: Flow) -> None:
    incident = flow.fire()
    flow.settle()
    flow.send()
    flow.ask(incident, taken_by(flow, "ana"))
    flow.settle()
    flow.deactivate("ana")
    flow.settle()
    flow.advance(60)
    assert flow.names(flow.intended()) == ["ana"]


def test_whoever_comes_back_is_paged_again_from_the_next_round_on(flow: Flow) -> None:
    flow.policy((5, "ana"), (5, "bo"), repeat=1)
    flow.fire()
    flow.settle()
    flow.deactivate("ana")
    flow.settle()
    flow.reactivate("ana")
    flow.settle()
    assert flow.names(flow.intended()) == ["ana", "bo"]
    flow.advance(5)
    assert flow.names(flow.intended()) == ["ana", "bo", "ana"]
