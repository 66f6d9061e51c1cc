"""Alerts of one key are told apart by their fingerprints: each burns and is over by itself, and the last ends all."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.chassis.store.desk import Desk
from libs.chassis.testing.examples import examples
from libs.contracts.envelope import Actor
from libs.contracts.incident_alerts import AlertAdded, AlertOutcome, AlertResolved, AlertsOverflowed
from libs.contracts.incidents import (
    AlertsGrouped,
    CreateIncident,
    IncidentCreated,
    IncidentReopened,
    IncidentResolved,
    Status,
)
from libs.contracts.model import Lane
from services.incidents import dedup
from services.incidents.alerts.outcomes import late_outcomes
from services.incidents.application import INCIDENT, create_incident
from services.incidents.domain import alerts as its_alerts
from services.incidents.domain.incident import Incident
from services.incidents.projections import alert_repeats, alerts, project, repeats
from services.incidents.tests.lanes import ACKNOWLEDGE, RESOLVE, ROUTINE, SHOP, TRIGGER, URGENT, Lanes

PRINTS = ("pod-1", "pod-2", "pod-3")


def incident_of(lanes: Lanes, key: str = "db") -> Incident:
    row, states = lanes.row(key), list[Incident]()
    assert row is not None
    lanes.desk.take(lambda work: states.append(work.state(INCIDENT, row["incident_id"])), lanes.now)
    return states[0]


def fired(*fingerprints: str | None) -> Lanes:
    """One batch of triggers; None: without a fingerprint."""
    lanes = Lanes()
    for one in fingerprints:
        lanes.send(URGENT, TRIGGER, **({} if one is None else {"fingerprint": one}))
    lanes.read(URGENT)
    return lanes


def then(lanes: Lanes, action: Any, **fields: Any) -> Lanes:
    lanes.send(URGENT, action, **fields)
    lanes.read(URGENT)
    lanes.settle()
    return lanes


def counts(lanes: Lanes) -> dict[str | None, int]:
    """How often each alert of the incident came, as its rows say."""
    tallies = lanes.desk.tables.get(alert_repeats, {})
    return {row["fingerprint"]: tallies[row["id"]]["count"] for row in lanes.desk.rows(alerts)}


def test_three_alerts_of_one_key_are_one_incident_that_ends_with_the_last() -> None:
    lanes = fired(*PRINTS)
    assert [type(fact) for fact in lanes.facts] == [IncidentCreated, AlertAdded, AlertAdded]
    assert incident_of(lanes).alerts.total == 3
    for number, one in enumerate(PRINTS, 1):
        assert lanes.status() is Status.CREATED
        then(lanes, RESOLVE, fingerprint=one)
        assert lanes.count(AlertResolved) == number
    assert lanes.status() is Status.RESOLVED
    assert lanes.count(IncidentResolved) == 1
    over = lanes.facts[-1]
    assert (over.notes, over.by.id) == ("Its last alert is over.", str(SHOP))
    assert all(row["resolved_at"] for row in lanes.desk.rows(alerts))


def test_an_alert_without_a_fingerprint_is_one_for_the_whole_key_and_has_no_row() -> None:
    lanes = fired(None, None, None)
    assert (lanes.count(AlertAdded), lanes.desk.rows(alerts), lanes.desk.rows(alert_repeats)) == (0, [], [])
    then(lanes, RESOLVE)
    assert (lanes.status(), lanes.count(AlertResolved)) == (Status.RESOLVED, 0)
    assert incident_of(lanes).resolved.notes is None  # type: ignore[union-attr] # it is resolved


def test_an_only_alert_that_has_a_fingerprint_ends_its_incident_without_a_word_more() -> None:
    lanes = then(fired("pod-1", "pod-1"), RESOLVE, fingerprint="pod-1")
    assert (lanes.status(), lanes.count(AlertAdded, AlertResolved)) == (Status.RESOLVED, 0)
    assert lanes.desk.rows(alerts) == []


def test_repeats_are_counted_each_by_itself_and_together() -> None:
    lanes = fired("pod-1", "pod-1", "pod-2", "pod-2", "pod-2", "pod-1", "pod-3")
    then(then(lanes, TRIGGER, fingerprint="pod-2"), TRIGGER, fingerprint="pod-1")
    assert counts(lanes) == {"pod-1": 4, "pod-2": 4, "pod-3": 1}
    [row] = lanes.desk.rows(repeats)
    assert 1 + row["count"] == 9


def test_a_resolve_of_the_key_ends_all_its_alerts_with_one_event() -> None:
    lanes = then(fired(*PRINTS), RESOLVE)
    assert (lanes.status(), lanes.count(AlertResolved), lanes.count(IncidentResolved)) == (Status.RESOLVED, 0, 1)


def test_a_resolve_that_names_another_alert_ends_nothing() -> None:
    lanes = then(fired("pod-1", "pod-2"), RESOLVE, fingerprint="pod-9")
    assert (lanes.status(), lanes.count(AlertResolved)) == (Status.CREATED, 0)
    assert lanes.outcomes[3].outcome is AlertOutcome.UNMATCHED


def test_a_resolve_whose_fingerprint_cannot_be_read_ends_nothing_and_is_set_aside() -> None:
    lanes = then(fired("pod-1", "pod-2"), RESOLVE, fingerprint=["pod-1"])
    assert lanes.status() is Status.CREATED
    assert lanes.outcomes[3].outcome is AlertOutcome.REFUSED


def test_an_alert_that_was_over_burns_again_and_is_no_other_one() -> None:
    lanes = then(fired("pod-1", "pod-2"), RESOLVE, fingerprint="pod-2")
    then(lanes, TRIGGER, fingerprint="pod-2")
    its = incident_of(lanes).alerts
    assert (its.total, len(its.burning), lanes.facts[-1].again) == (2, 2, True)
    assert counts(lanes) == {"pod-1": 1, "pod-2": 2}
    # All within one batch: nothing of it is in a row yet.
    lanes.send(URGENT, RESOLVE, fingerprint="pod-2")
    lanes.send(URGENT, TRIGGER, fingerprint="pod-3")
    lanes.send(URGENT, RESOLVE, fingerprint="pod-3")
    lanes.send(URGENT, TRIGGER, fingerprint="pod-3")
    lanes.read(URGENT)
    assert incident_of(lanes).alerts.total == 3
    assert counts(lanes) == {"pod-1": 1, "pod-2": 2, "pod-3": 2}


def test_a_late_resolve_ends_its_alert_although_another_has_fired_since() -> None:
    """What fires of another alert says nothing of this one."""
    lanes = Lanes()
    lanes.send(URGENT, TRIGGER, fingerprint="pod-1")
    lanes.send(URGENT, TRIGGER, fingerprint="pod-2")
    lanes.send(ROUTINE, RESOLVE, fingerprint="pod-1")
    lanes.send(URGENT, TRIGGER, fingerprint="pod-2")
    lanes.read(URGENT)
    lanes.read(ROUTINE)
    lanes.settle()
    assert [fact.left for fact in lanes.facts if isinstance(fact, AlertResolved)] == [1]
    lanes.send(ROUTINE, RESOLVE, fingerprint="pod-2")
    lanes.send(URGENT, TRIGGER, fingerprint="pod-2")
    lanes.read(URGENT)
    lanes.read(ROUTINE)
    lanes.settle()
    assert lanes.status() is Status.CREATED, "it has fired since"
    assert Counter(b.outcome for b in lanes.outcomes.values())[AlertOutcome.OVERTAKEN] == 1


def test_a_late_resolve_of_the_key_ends_what_has_not_fired_since() -> None:
    lanes = Lanes()
    lanes.send(URGENT, TRIGGER, fingerprint="pod-1")
    lanes.send(URGENT, TRIGGER, fingerprint="pod-2")
    lanes.send(ROUTINE, RESOLVE)
    lanes.send(URGENT, TRIGGER, fingerprint="pod-2")
    lanes.read(URGENT)
    lanes.read(ROUTINE)
    lanes.settle()
    burning = incident_of(lanes).alerts.burning
    assert list(burning) == [dedup.alert_id(lanes.row("db")["incident_id"], "pod-2")]  # type: ignore[index] # there is one


def test_what_was_answered_and_fired_again_is_paged_again_when_its_resolve_comes_late() -> None:
    lanes = fired("pod-1")
    lanes.acknowledge()
    lanes.send(ROUTINE, RESOLVE, fingerprint="pod-1")
    lanes.send(URGENT, TRIGGER, fingerprint="pod-1")
    lanes.read(URGENT)
    lanes.read(ROUTINE)
    lanes.settle()
    assert (lanes.status(), lanes.count(IncidentReopened)) == (Status.CREATED, 1)


def test_what_a_person_resolves_and_reopens_burns_as_it_did() -> None:
    lanes = then(fired(*PRINTS), RESOLVE, fingerprint="pod-3")
    lanes.resolve()
    assert incident_of(lanes).alerts.burning
    lanes.reopen()
    for one in PRINTS[:2]:
        lanes.now += timedelta(minutes=1)
        then(lanes, RESOLVE, fingerprint=one)
    assert lanes.status() is Status.RESOLVED


def reported(lanes: Lanes) -> UUID:
    """A person opens an incident that alerts of the integration share the key of."""
    made: list[UUID] = []

    def decide(work: Any) -> None:
        body, me = CreateIncident(title="I see smoke", dedup_key="db"), Actor.user(UUID(int=1))
        made.append(create_incident(work, body, work.begin(me), lanes.inputs))

    lanes._decide(decide)
    return made[0]


def of_a_person(monkeypatch: pytest.MonkeyPatch) -> Lanes:
    monkeypatch.setattr("services.incidents.application.DEFAULT_INTEGRATION_ID", SHOP)
    lanes = Lanes()
    reported(lanes)
    return lanes


def test_what_a_person_opened_ends_with_none_of_its_alerts(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = of_a_person(monkeypatch)
    then(lanes, TRIGGER, fingerprint="pod-1")
    then(lanes, RESOLVE, fingerprint="pod-1")
    assert (lanes.status(), lanes.count(AlertResolved)) == (Status.CREATED, 1)
    then(then(lanes, TRIGGER, fingerprint="pod-1"), RESOLVE)
    assert lanes.status() is Status.CREATED
    assert not incident_of(lanes).alerts.burning
    lanes.resolve()
    assert lanes.status() is Status.RESOLVED


def test_what_a_person_reports_of_an_open_incident_is_one_alert_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.incidents.application.DEFAULT_INTEGRATION_ID", SHOP)
    lanes = fired("pod-1", "pod-1")
    reported(lanes)
    reported(lanes)
    assert counts(lanes) == {"pod-1": 2, None: 2}
    assert then(lanes, RESOLVE, fingerprint="pod-1").status() is Status.CREATED


def test_an_acknowledgement_is_of_the_whole_incident() -> None:
    lanes = then(fired(*PRINTS), ACKNOWLEDGE, fingerprint="pod-2")
    assert lanes.status() is Status.ACKNOWLEDGED


def test_the_newest_text_of_each_is_kept_and_told_once_a_minute() -> None:
    lanes = then(fired("pod-1", "pod-2"), TRIGGER, fingerprint="pod-2", summary="it burns high")
    lanes.now += timedelta(minutes=2)
    then(lanes, TRIGGER, fingerprint="pod-2", summary="it burns higher")
    [row] = [row for row in lanes.desk.rows(alerts) if row["fingerprint"] == "pod-2"]
    assert row["title"] == "it burns higher"
    assert incident_of(lanes).title == "it burns", "the other one says what it said"
    then(lanes, TRIGGER, fingerprint="pod-2", summary="it burns highest")
    assert lanes.count(AlertsGrouped) == 2


def test_more_alerts_than_are_held_are_counted_told_of_once_and_keep_the_incident_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(its_alerts, "OPEN_AT_ONCE", 3)
    lanes = fired(*(f"pod-{n}" for n in range(9)))
    assert (lanes.count(AlertAdded), lanes.count(AlertsOverflowed)) == (2, 1)
    assert its_alerts.totals(incident_of(lanes).alerts, is_open=True).more
    assert Counter(b.outcome for b in lanes.outcomes.values()) == {"created": 1, "added": 2, "crowded": 6}
    [row] = lanes.desk.rows(repeats)
    assert 1 + row["count"] == 9
    for n in range(9):
        then(lanes, RESOLVE, fingerprint=f"pod-{n}")
    assert lanes.status() is Status.CREATED, "nobody knows which of the others burns"
    assert then(lanes, RESOLVE).status() is Status.RESOLVED


def test_an_alert_that_comes_and_goes_for_ever_is_not_told_of_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(its_alerts, "ADDED_IN_ALL", 10)
    lanes = fired("pod-1")
    for _ in range(50):
        then(then(lanes, TRIGGER, fingerprint="pod-2"), RESOLVE, fingerprint="pod-2")
    assert (lanes.count(AlertAdded), lanes.count(AlertResolved), lanes.count(AlertsOverflowed)) == (10, 10, 1)
    [row] = lanes.desk.rows(repeats)
    assert 1 + row["count"] == 51


def test_labels_make_a_fingerprint_in_any_order_and_a_named_one_comes_first() -> None:
    lanes = Lanes()
    lanes.send(URGENT, TRIGGER, labels={"pod": "1", "zone": "a"})
    lanes.send(URGENT, TRIGGER, labels={"zone": "a", "pod": "1"})
    lanes.send(URGENT, TRIGGER, labels={"zone": "a", "pod": 2})
    lanes.send(URGENT, TRIGGER, fingerprint="mine", labels={"zone": "a", "pod": "1"})
    lanes.read(URGENT)
    assert [b.outcome.value for _, b in sorted(lanes.outcomes.items())] == ["created", "folded", "added", "added"]


# --- Whatever happens ------------------------------------------------------------------------------------------------

SENT = st.tuples(
    st.sampled_from(Lane),
    st.sampled_from([TRIGGER, TRIGGER, RESOLVE]),
    st.sampled_from([*PRINTS, None]),
    st.booleans(),
)
"""A message, and whether it comes twice (its sender repeats what it did not see confirmed)."""
READ = st.tuples(st.sampled_from(Lane), st.integers(1, 5), st.booleans())
"""A lane reads so many, and perhaps dies before its commit and reads them again."""


class Crash(Exception):
    """The process dies."""


@dataclass
class Watched:
    """Lanes whose events are heard, and whose process may die after it has decided and before it commits."""

    lanes: Lanes = field(default_factory=Lanes)
    events: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._take = self.lanes.desk.take
        self.lanes.desk.take = self.take  # type: ignore[method-assign] # to hear all events

    def take(self, handler: Any, now: Any) -> Any:
        self.events.extend(made := self._take(handler, now))
        return made

    def die(self, handler: Any, now: Any) -> Any:
        def decide(work: Any) -> None:
            handler(work)
            raise Crash

        return self._take(decide, now)

    def read(self, lane: Lane, limit: int, *, dies: bool) -> None:
        if dies:
            self.lanes.desk.take = self.die  # type: ignore[method-assign]
            with suppress(Crash):
                self.lanes.read(lane, limit)
            self.lanes.desk.take = self.take  # type: ignore[method-assign]
        self.lanes.read(lane, limit)
        self.lanes.settle()

    def finish(self) -> None:
        for lane in Lane:
            self.lanes.read(lane)
        self.lanes.settle()


@given(sent=st.lists(SENT, max_size=25), reads=st.lists(READ, max_size=25))
@settings(max_examples=examples(150), deadline=None)
def test_whatever_comes_in_whatever_order_what_burns_is_what_was_sent_last_and_every_count_is_exact(
    sent: list[tuple[Lane, Any, str | None, bool]], reads: list[tuple[Lane, int, bool]]
) -> None:
    watched = Watched()
    lanes, burning = watched.lanes, set[str | None]()
    for number, (lane, action, one, twice) in enumerate(sent):
        for _ in range(1 + twice):
            lanes.send(lane, action, message_id=f"m{number}", **({} if one is None else {"fingerprint": one}))
        if action is TRIGGER:
            burning.add(one)
        else:
            burning = set() if one is None else burning - {one}
    for lane, limit, dies in reads:
        watched.read(lane, limit, dies=dies)
    watched.finish()

    row = lanes.row("db")
    if row is None:
        assert not burning
    else:
        state = incident_of(lanes)
        assert state.is_open is bool(burning)
        if burning:
            assert set(state.alerts.burning) == {dedup.alert_id(row["incident_id"], one) for one in burning}
    triggers = sum(action is TRIGGER for _, action, _, _ in sent)
    balance(watched, repeated=len(lanes.stream) - len(sent), triggers=triggers)
    totals = count(watched, triggers)
    rebuild(watched, totals)


def balance(watched: Watched, repeated: int, triggers: int) -> None:
    """Each message has one outcome, and they add up."""
    lanes = watched.lanes
    final = {n: b.outcome for n, b in lanes.outcomes.items()}
    late = {r["sequence"]: AlertOutcome(r["outcome"]) for r in lanes.desk.rows(late_outcomes)}
    assert {n for n, outcome in final.items() if outcome is AlertOutcome.WAITING} == late.keys()
    told = Counter((final | late).values())
    facts = Counter(type(event.data) for event in watched.events)
    assert told.total() == len(lanes.stream)
    assert told[AlertOutcome.REPEATED] == repeated
    assert told[AlertOutcome.CREATED] == facts[IncidentCreated]
    assert told[AlertOutcome.ADDED] == facts[AlertAdded]
    assert told[AlertOutcome.CREATED] + told[AlertOutcome.ADDED] + told[AlertOutcome.FOLDED] == triggers


def count(watched: Watched, triggers: int) -> dict[UUID, int]:
    """The alerts of each incident: exact, in all and each."""
    desk = watched.lanes.desk
    again, tallies = desk.tables.get(repeats, {}), desk.tables.get(alert_repeats, {})
    incidents = [event.entity for event in watched.events if isinstance(event.data, IncidentCreated)]
    totals = {i: 1 + (again[i]["count"] if i in again else 0) for i in incidents}
    assert sum(totals.values()) == triggers
    each = Counter[UUID]()
    for row in desk.rows(alerts):
        each[row["incident_id"]] += tallies[row["id"]]["count"]
    assert each == {i: totals[i] for i in each}
    return totals


def rebuild(watched: Watched, totals: dict[UUID, int]) -> None:
    """The log says no more than there were, and the rows again."""
    rebuilt, states = Desk(project), dict[UUID, Incident]()
    for event in watched.events:
        state = states[event.entity] = INCIDENT.evolve(states.get(event.entity, INCIDENT.initial()), event.data)
        assert state.alert_count <= totals[event.entity]
        for change in project(event, state):
            rebuilt._apply(change)
    assert rebuilt.tables.get(alerts, {}) == watched.lanes.desk.tables.get(alerts, {})
