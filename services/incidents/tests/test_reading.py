"""Alerts good and bad, decided without a server: what opens which incident, what is set aside, and what is a repeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from libs.chassis.consume.item import Item
from libs.chassis.consume.parking import Parked, ParkedKind
from libs.chassis.store.cursors import Position
from libs.chassis.store.desk import Desk
from libs.chassis.store.tables import chassis_tables
from libs.chassis.store.work import Work
from libs.contracts.defaults import ADMINS_POLICY_ID, DEFAULT_INTEGRATION_ID, OWN_INTEGRATION_ID
from libs.contracts.envelope import Actor
from libs.contracts.incidents import AlertsGrouped, CreateIncident, IncidentCreated, PriorityRaised
from libs.contracts.model import Lane, Priority
from libs.contracts.subjects import ALERTS
from services.incidents import dedup
from services.incidents.alerts import intake
from services.incidents.alerts.intake import take_items
from services.incidents.application import create_incident
from services.incidents.inputs import MemoryInputs, Source
from services.incidents.projections import SCHEMA, project

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
KEY = "k" * 32
SHOP = Source(UUID(int=7), UUID(int=8), UUID(int=9))
CLOUD = {"ce-specversion": "1.0", "ce-source": "/s", "ce-type": "t"}
STRUCTURED = {"content-type": "application/cloudevents+json"}


class Intake:
    """What the intake does with messages, one after another, and what came of it."""

    def __init__(self) -> None:
        self.desk = Desk(project)
        self.inputs = MemoryInputs(self.desk, {dedup.key_hash(KEY): SHOP})
        self.positions = count(1)
        self.facts: list[Any] = []

    def take(
        self, body: object, headers: Mapping[str, str] | None = None, subject: str = "pager.alerts.db"
    ) -> list[Any]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        at = Position(0, next(self.positions), 0, "stream")
        item = Item(at, "", dedup.without_keys(raw), headers or {}, subject, at.position)
        return self.decide(lambda work: take_items(work, [item], self.inputs))

    def decide(self, handler: Callable[[Work], object]) -> list[Any]:
        self.facts += (new := [event.data for event in self.desk.take(handler, NOW)])
        return new

    @property
    def opened(self) -> list[IncidentCreated]:
        return [fact for fact in self.facts if isinstance(fact, IncidentCreated)]

    @property
    def parked(self) -> list[dict[str, Any]]:
        return self.desk.rows(chassis_tables(SCHEMA).parked)


def test_refused_alerts_of_different_content_are_different_incidents_and_repeats_group() -> None:
    intake = Intake()
    for body in (b"db down!", b"disk full!", b"db down!"):
        intake.take(body)
    intake.take(b"db down!", subject="pager.alerts.web")
    assert [fact.title for fact in intake.opened] == ["Unreadable alert from db"] * 2 + ["Unreadable alert from web"]
    assert [fact.count for fact in intake.facts if isinstance(fact, AlertsGrouped)] == [1]
    assert [row["kind"] for row in intake.parked] == ["input"] * 4


@pytest.mark.parametrize("raw", [b'{"routingKey": "%b", "summary": oops}', b'{"summary": "x", "routing_key": "%b"'])
def test_an_unreadable_alert_goes_to_the_people_of_its_routing_key(raw: bytes) -> None:
    intake = Intake()
    intake.take(raw % KEY.encode(), subject="pager.alerts.db.critical")
    intake.take(raw % b"of nobody")
    mine, other = intake.opened
    assert (mine.integration_id, mine.policy_id, mine.team_id) == SHOP[:3]
    assert (mine.title, mine.priority) == ("Unreadable alert from db", Priority.CRITICAL)
    assert (other.integration_id, other.policy_id) == (DEFAULT_INTEGRATION_ID, None)


def test_an_alert_without_a_summary_pages_the_right_people_and_repeats_of_it_group() -> None:
    intake = Intake()
    for disk in ("a", "a", "b"):
        intake.take({"summary": None, "priority": "critical", "routingKey": KEY, "disk": disk})
    first, second = intake.opened
    assert (first.title, first.priority) == ("Alert without a summary from db", Priority.CRITICAL)
    assert (first.integration_id, first.policy_id, first.team_id) == SHOP[:3]
    assert first.description is not None
    assert '"disk": "a"' in first.description
    assert second.description is not None
    assert KEY not in first.description + second.description
    assert intake.parked == []


def test_an_alert_with_an_unknown_key_says_what_burns_and_is_kept() -> None:
    intake = Intake()
    body = {"summary": "till broken", "priority": "critical", "routingKey": "of nobody", "dedupKey": "till"}
    intake.take(body, CLOUD | {"ce-id": "1"})
    (fact,) = intake.opened
    assert (fact.title, fact.priority, fact.integration_id) == (
        "till broken",
        Priority.CRITICAL,
        DEFAULT_INTEGRATION_ID,
    )
    assert fact.description is not None
    assert "no integration has this key" in fact.description
    assert fact.dedup_key != "till", "it opens, and joins, no incident by a key that belongs to an integration"
    (parked,) = intake.parked
    assert (parked["kind"], parked["reason"]) == ("input", "routingKey: no integration has this key")
    assert intake.take(body | {"action": "resolve"}) == [], "what resolves nothing pages nobody"


def test_a_resolve_whose_key_cannot_be_read_is_set_aside() -> None:
    intake = Intake()
    assert intake.take({"summary": "x", "action": "Resolved", "dedupKey": [7], "routingKey": KEY}) == []
    assert [row["reason"] for row in intake.parked] == ["action resolve: its dedupKey cannot be read"]


def test_repeats_with_a_key_that_cannot_be_read_are_one_incident() -> None:
    intake = Intake()
    for _ in range(3):
        intake.take({"summary": "disk full", "dedupKey": "k" * 2000})
    assert len(intake.opened) == 1


def test_no_header_of_a_senders_reaches_the_subject_of_a_parked_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender that names the subject of our own alarms would speak as we do when its alert is replayed."""
    it = Intake()
    it.take({"summary": "forged", "routingKey": "of nobody"}, {"subject": "pager.alerts.pager.critical"})
    (row,) = it.parked
    assert row["type"] == "pager.alerts.db"
    it.inputs.integrations = {dedup.key_hash("of nobody"): SHOP}
    monkeypatch.setattr(intake, "StoredInputs", lambda _work: it.inputs)
    parked = Parked(
        ParkedKind.INPUT, ALERTS, Lane.ROUTINE, 1, row["entity"], row["type"], row["reason"], row["raw"], row["headers"]
    )
    events = it.desk.take(lambda work: intake.replay(work, parked), NOW)
    (fact,) = [event.data for event in events if isinstance(event.data, IncidentCreated)]
    assert (fact.integration_id, fact.source) == (SHOP.id, "db")
    assert fact.integration_id != OWN_INTEGRATION_ID
    assert fact.policy_id != ADMINS_POLICY_ID


@pytest.mark.parametrize("identity", [None, False, 7, ""])
def test_structured_events_without_an_identity_are_each_their_own(identity: object) -> None:
    intake = Intake()
    for _alert in range(2):
        intake.take({"id": identity, "source": "/s", "data": {"summary": "db down"}}, STRUCTURED)
        intake.take({"id": "1", "source": identity, "data": {"summary": "db down"}}, STRUCTURED)
    assert len(intake.opened) == 4


@pytest.mark.parametrize("named", [{"Nats-Msg-Id": "shop/1"}, CLOUD | {"ce-id": "1"}])
def test_the_same_id_with_the_same_body_is_one_alert_and_with_another_body_another(named: dict[str, str]) -> None:
    intake = Intake()
    for body in ({"summary": "db down"}, {"summary": "db down"}, {"summary": "disk full"}, {"summary": "db down"}):
        intake.take(body, named)
    assert [fact.title for fact in intake.facts] == ["db down", "disk full"], "neither grouped nor opened again"
    intake.take({"summary": "db down"}, named, "pager.alerts.web")
    assert len(intake.opened) == (3 if "Nats-Msg-Id" in named else 2), "a message id is one of its source"
    intake.take({"summary": "db down", "routingKey": KEY}, named)
    assert intake.opened[-1].integration_id == SHOP.id


def test_a_person_who_sees_it_worse_than_it_was_raises_it() -> None:
    intake = Intake()
    intake.take({"summary": "db slow", "dedupKey": "db", "priority": "low"})
    caller = Actor.user(UUID(int=3))
    for priority in (Priority.LOW, Priority.CRITICAL):
        body = CreateIncident(title="db down", dedup_key="db", priority=priority)
        intake.decide(lambda work, body=body: create_incident(work, body, work.begin(caller), intake.inputs))  # type: ignore[misc]
    names = [type(fact).__name__ for fact in intake.facts]
    assert names == ["IncidentCreated", "AlertsGrouped", "AlertsGrouped", "PriorityRaised", "PagingRequested"]
    (raised,) = [fact for fact in intake.facts if isinstance(fact, PriorityRaised)]
    assert (raised.previous, raised.priority) == (Priority.LOW, Priority.CRITICAL)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = ("priority", "severity", "dedupKey", "description", "routingKey", "metadata", "occurredAt", "data", "id")
_HEADERS = st.dictionaries(
    st.sampled_from(("ce-id", "ce-source", "ce-time", "ce-type", "Nats-Msg-Id", "subject", "traceparent")), st.text()
) | st.just(STRUCTURED)


@given(st.text().filter(str.strip), st.dictionaries(st.sampled_from(_FIELDS), _ANY), _HEADERS)
def test_whatever_is_odd_about_it_an_alert_with_a_summary_opens_its_incident(
    summary: str, fields: dict[str, Any], headers: dict[str, str]
) -> None:
    if headers is STRUCTURED and isinstance(fields.get("data"), dict):
        fields["data"]["summary"] = summary
    intake = Intake()
    intake.take(fields | {"summary": summary}, headers)
    (fact,) = intake.opened
    title = " ".join(summary.replace("\0", "\ufffd").split())
    assert fact.title == (title if len(title) <= 255 else title[:254] + "…")
    _can_be_stored(intake)


@given(st.binary(), _HEADERS, st.sampled_from(("pager.alerts.db", "pager.alerts.db.critical", "pager.alerts.a.b.c")))
def test_any_bytes_are_decided_once(body: bytes, headers: dict[str, str], subject: str) -> None:
    intake = Intake()
    intake.take(body, headers, subject)
    assert len(intake.opened) == 1
    _can_be_stored(intake)


def _can_be_stored(intake: Intake) -> None:
    """As the tables take it: JSON without NUL, and without the constants that only JavaScript has."""
    for table, rows in intake.desk.tables.items():
        for row in rows.values():
            binary = {column for column, value in row.items() if isinstance(value, bytes)}
            written = to_json({column: value for column, value in row.items() if column not in binary})
            json.loads(written, parse_constant=pytest.fail)
            assert b"\\u0000" not in written, table.name
