"""An alert that comes again and again: what its millionth repeat costs is what its tenth cost, and all are counted."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.consume.item import Item
from libs.chassis.store.changes import Change
from libs.chassis.store.cursors import Position
from libs.chassis.store.snapshots import EVERY
from libs.chassis.store.work import Decider, Work
from libs.chassis.testing.examples import examples
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.incidents import AlertsGrouped, CountedFact, IncidentResolved
from services.escalation.domain.escalations import escalation_id
from services.incidents.alerts.intake import take_items
from services.incidents.application import INCIDENT, SERVICE
from services.incidents.domain.commands import (
    Acknowledge,
    Resolve,
)
from services.incidents.domain.incident import Incident, evolve, initial
from services.incidents.inputs import NOTHING_REPEATED, MemoryInputs, Thread
from services.incidents.projections import repeated, repeats
from tests.flows.flow import START, Flow

MONTH = 30 * 24 * 3600


@pytest.fixture
def flow() -> Flow:
    flow = Flow()
    flow.person("ana")
    flow.policy((5, "ana"))
    return flow


class Asked(MemoryInputs):
    """Counts the questions, each of which would be a statement."""

    asked: int = 0

    def __getattribute__(self, name: str) -> Any:
        if name in ("threads", "repeats", "alert_repeats", "seen", "sources", "numbers"):
            self.asked += 1
        return super().__getattribute__(name)


class Cost(NamedTuple):
    """What one batch of alerts costs."""

    questions: int
    events_read: int
    events: int
    rows: list[str]


def cost(flow: Flow, *bodies: dict[str, Any]) -> Cost:
    """Of alerts that are taken together."""
    desk, inputs, written = flow.desks["incidents"], Asked(flow.incidents_inputs.desk), list[Change]()
    read = desk.log.events_read

    def handler(work: Work) -> None:
        take_items(work, list(items(flow, bodies)), inputs)
        _, changes = work.new_events()
        written.extend(changes)

    events = flow.take("incidents", handler)
    return Cost(inputs.asked, desk.log.events_read - read, len(events), sorted(c.table.name for c in written))


def items(flow: Flow, bodies: Iterable[dict[str, Any]]) -> Iterable[Item]:
    for body in bodies:
        flow._alerts += 1
        at = Position(0, flow._alerts, 0, "flow")
        yield Item(at, "", json.dumps(body).encode(), {}, "pager.alerts.db.critical", flow._alerts)


BODY = {"summary": "db down", "priority": "critical", "dedupKey": "db"}


@pytest.mark.thorough
def test_a_month_of_one_repeat_a_second_costs_the_last_one_what_it_cost_the_first(flow: Flow) -> None:
    incident, desk = flow.fire(**{**BODY, "summary": "db down"}), flow.desks["incidents"]
    early: list[Cost] = []
    for second in range(1, 61):
        flow.now = START + timedelta(seconds=second)
        early.append(cost(flow, BODY))
    taken = 60
    # Batches of the other lane, as their transactions leave them, and one of this lane between each two.
    while taken < MONTH:
        flow.now += timedelta(seconds=5_000)
        desk.take(lambda work: work.put(repeated(incident, 4_999, 4_999, work.now)), flow.now)
        last = cost(flow, BODY)
        taken += 5_000
    assert flow.alerts(incident) == 1 + taken
    of_it = [e for e in flow.history if e.entity == incident]
    assert [alerts - 1 for alerts in told_by(of_it)][:6] == [1, 2, 5, 10, 20, 50]
    assert len(of_it) < 30, "2.6 million repeats are some 20 events"
    assert last.events_read <= len(of_it) < EVERY
    assert (last.events, last.rows) == (0, ["repeats"])
    # The third repeat, which has no event either.
    assert last._replace(events_read=0) == early[2]._replace(events_read=0)


def told_by(events: Iterable[Envelope[Any]]) -> list[int]:
    """The numbers of alerts that events tell of which are only about them."""
    return [e.data.alert_count or 0 for e in events if isinstance(e.data, AlertsGrouped)]


def test_repeats_of_a_batch_are_one_row_whatever_they_say(flow: Flow) -> None:
    incident = flow.fire(**BODY)
    cost(flow, BODY)
    flow.now += timedelta(seconds=1)
    measured = [BODY | {"summary": f"db at {n} %"} for n in range(400)]
    assert cost(flow, *measured).rows == ["incidents", "repeats", "timeline"]
    again = cost(flow, *measured[:9])
    assert (again.events, again.rows) == (0, ["repeats"])
    assert flow.alerts(incident) == 1 + 1 + 400 + 9
    assert flow.incident(incident).title == "db at 399 %"


def test_a_first_alert_costs_no_row_more(flow: Flow) -> None:
    assert cost(flow, BODY).rows == ["dedup_keys", "incidents", "timeline"]


def test_what_fingerprints_cost_is_paid_where_there_are_several_alerts(flow: Flow) -> None:
    first = cost(flow, BODY)
    named = cost(flow, BODY | {"dedupKey": "web", "fingerprint": "pod-1"})
    assert named == first, "a first alert costs what it did"
    plain = [cost(flow, BODY) for _ in range(3)][-1]
    again = [cost(flow, BODY | {"dedupKey": "web", "fingerprint": "pod-1"}) for _ in range(3)][-1]
    assert again == plain == Cost(plain.questions, plain.events_read, 0, ["repeats"]), "and so does its repeat"

    added = cost(flow, BODY | {"dedupKey": "web", "fingerprint": "pod-2"})
    assert added.rows == [*("alert_repeats",) * 2, *("alerts",) * 2, "incidents", "repeats", "timeline"]
    assert added.questions == plain.questions + 2, "the count, exactly, and whether it was there before"
    third = cost(flow, BODY | {"dedupKey": "web", "fingerprint": "pod-3"})
    assert third.rows == ["alert_repeats", "alerts", "incidents", "repeats", "timeline"]
    assert third.questions == plain.questions + 1
    several = [BODY | {"dedupKey": "web", "fingerprint": f"pod-{n}"} for n in (1, 2, 2, 3)]
    costs = [cost(flow, *several) for _ in range(12)]
    folded = next(c for c in reversed(costs) if c.events == 0)
    # One statement for all rows of a table.
    assert folded.rows == ["alert_repeats"] * 3 + ["repeats"]
    assert folded.questions == plain.questions


@pytest.mark.thorough
def test_repeats_never_cost_the_fold_of_a_history(flow: Flow) -> None:
    """A text that changes with every alert, for ever; people and levels besides."""
    incident = flow.fire(**BODY)
    for minute in range(1, 400):
        flow.now = START + timedelta(minutes=minute)
        found = cost(flow, BODY | {"summary": f"db at {minute} %"})
        assert (found.events, found.events_read) <= (1, EVERY)
    assert flow.alerts(incident) == 400


@pytest.mark.thorough
def test_an_exhausted_policy_pages_for_ever_at_one_price(flow: Flow) -> None:
    incident = flow.fire(**BODY)
    flow.advance(5)
    escalation, desk = escalation_id(incident), flow.desks["escalation"]
    for _ in range(3 * EVERY):
        read = desk.log.events_read
        flow.advance(30)
        # Its events and its policy's: the escalation's timer, and what is heard of the page.
        assert desk.log.events_read - read < 3 * EVERY
    assert len([e for e in flow.history if e.entity == escalation]) > 3 * EVERY


def test_what_becomes_of_it_says_how_many_there_were_in_every_batch(flow: Flow) -> None:
    incident = flow.fire("db slow", "low", dedupKey="db")
    for _ in range(6):
        flow.fire("db slow", "low", dedupKey="db")
    flow.fire("db down", "critical", dedupKey="db")
    flow.settle()
    flow.advance(5)
    flow.fire("db down", "critical", dedupKey="db")
    flow.ask(incident, Acknowledge(Actor.user(flow.people["ana"]), flow.now))
    flow.fire("db down", "critical", dedupKey="db")
    flow.ask(incident, Resolve(Actor.user(flow.people["ana"]), flow.now))
    counted = [
        (e.name, e.data.alert_count)
        for e in flow.history
        if isinstance(e.data, CountedFact) and e.entity == incident and e.name != "IncidentEscalated"
    ]
    assert counted == [("PriorityRaised", 8), ("IncidentAcknowledged", 9), ("IncidentResolved", 10)]
    assert flow.alerts(incident) == 10


def test_an_alert_that_finds_its_incident_ended_opens_the_next(flow: Flow) -> None:
    """The rows were read a moment before the resolve was committed, the events a moment after."""
    incident = flow.fire(**BODY)
    stale = flow.incidents_inputs.threads

    class Late(MemoryInputs):
        def threads(self, keys: Any) -> dict[UUID, Thread]:
            return {key: thread._replace(is_open=True) for key, thread in stale(keys).items()}

    flow.ask(incident, Resolve(Actor.user(flow.people["ana"]), flow.now))
    late = Late(flow.desks["incidents"])
    (event,) = flow.take("incidents", lambda work: take_items(work, list(items(flow, [BODY])), late))
    assert (event.name, event.data.generation) == ("IncidentCreated", 2)
    assert flow.alerts(incident) == 1


def test_a_count_that_is_older_than_the_events_is_read_again_before_it_is_added_to(flow: Flow) -> None:
    """The other lane has counted, and told of it, between the two reads: nothing is missing in the rows."""
    incident = flow.fire(**BODY)
    stale = flow.incidents_inputs.threads

    class Late(MemoryInputs):
        def threads(self, keys: Any) -> dict[UUID, Thread]:
            return {key: thread._replace(repeats=NOTHING_REPEATED) for key, thread in stale(keys).items()}

    for _ in range(10):
        flow.fire(**BODY)
    late = Late(flow.desks["incidents"])
    flow.take("incidents", lambda work: take_items(work, list(items(flow, [BODY])), late))
    assert flow.alerts(incident) == 12


def test_what_becomes_of_it_counts_what_the_other_lane_has_counted_since_the_rows_were_read(flow: Flow) -> None:
    quiet = BODY | {"priority": "low"}
    incident = flow.fire(**quiet)
    for _ in range(4):
        flow.fire(**quiet)
    stale = flow.incidents_inputs.threads

    class Late(MemoryInputs):
        def threads(self, keys: Any) -> dict[UUID, Thread]:
            return {
                key: thread._replace(repeats=thread.repeats._replace(times=thread.repeats.times - 1))
                for key, thread in stale(keys).items()
            }

    late = Late(flow.desks["incidents"])
    flow.take("incidents", lambda work: take_items(work, list(items(flow, [BODY])), late))
    raised = [e.data.alert_count for e in flow.history if e.entity == incident and e.name == "PriorityRaised"]
    assert (raised, flow.alerts(incident)) == ([6], 6)


def test_the_first_alert_gets_all_that_the_other_lane_has_counted_when_a_second_one_comes(flow: Flow) -> None:
    """The rows were read before that was committed: they are read again under the lock that whoever counts takes."""
    incident = flow.fire(**BODY)
    for _ in range(4):
        flow.fire(**BODY)
    stale = flow.incidents_inputs.threads

    class Late(MemoryInputs):
        def threads(self, keys: Any) -> dict[UUID, Thread]:
            return {
                key: thread._replace(repeats=thread.repeats._replace(times=thread.repeats.times - 2))
                for key, thread in stale(keys).items()
            }

    late, second = Late(flow.desks["incidents"]), BODY | {"fingerprint": "pod-2"}
    flow.take("incidents", lambda work: take_items(work, list(items(flow, [second])), late))
    assert flow.incidents_inputs.alert_repeats([incident])[incident].times == 5
    assert flow.alerts(incident) == 6


def test_what_an_older_release_has_counted_in_the_log_alone_is_added_once(flow: Flow) -> None:
    incident = flow.fire(**BODY)
    told: Decider[Incident, AlertsGrouped] = Decider(
        initial, evolve, lambda fact, _: [fact], INCIDENT.lane, INCIDENT.team
    )
    old = AlertsGrouped(incident_id=incident, count=6, last_at=flow.now)
    flow.take("incidents", lambda work: work.decide(told, incident, old, work.begin(SERVICE)))
    for _ in range(3):
        flow.fire(**BODY)
    assert flow.alerts(incident) == 10


def test_a_repeat_without_an_event_holds_its_incident(flow: Flow) -> None:
    """So that nobody can end it beside the count: the commit would find that out."""
    incident = flow.fire(**BODY)
    for _ in range(2):
        flow.fire(**BODY)
    held: list[Any] = []

    def handler(work: Work) -> None:
        take_items(work, list(items(flow, [BODY, {"summary": "other", "dedupKey": "new"}])), flow.incidents_inputs)
        held.append(work.held)

    flow.take("incidents", handler)
    assert held == [{incident: 3}]


@given(
    st.lists(
        st.tuples(st.sampled_from(["alert", "batch", "other lane", "acknowledge", "resolve"]), st.integers(1, 40)),
        max_size=40,
    )
)
@settings(max_examples=examples(60))
def test_whatever_happens_the_count_is_exact_and_events_say_no_more_than_there_were(
    happened: list[tuple[str, int]],
) -> None:
    flow = Flow()
    ana = Actor.user(flow.person("ana"))
    flow.policy((5, "ana"))
    incident, alerts = flow.fire(**BODY), 1
    for what, number in happened:
        flow.now += timedelta(seconds=number)
        match what:
            case "alert" | "batch":
                bodies = [BODY] * (1 if what == "alert" else number)
                flow.take("incidents", lambda w, b=bodies: take_items(w, list(items(flow, b)), flow.incidents_inputs))  # type: ignore[misc]
                alerts += len(bodies)
            case "other lane":
                flow.desks["incidents"].take(lambda w, n=number: w.put(repeated(incident, n, n, w.now)), flow.now)  # type: ignore[misc]
                alerts += number
            case "acknowledge":
                flow.ask(incident, Acknowledge(ana, flow.now))
            case _:
                flow.ask(incident, Resolve(ana, flow.now))
                break
        assert flow.alerts(incident) == alerts
        assert flow.incident(incident).alert_count <= alerts
    for event in flow.history:
        if isinstance(event.data, IncidentResolved):
            assert event.data.alert_count == alerts
    told = told_by(flow.history)
    assert told == sorted(set(told))
    row = flow.desks["incidents"].tables.get(repeats, {}).get(incident)
    assert (row["count"] if row else 0) == alerts - 1
