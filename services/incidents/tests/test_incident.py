"""What may happen to an incident: every row of its decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.envelope import Actor, ActorKind, Fact
from libs.contracts.incidents import (
    AlertsGrouped,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEscalated,
    IncidentResolved,
    IntegrationCreated,
    IntegrationKind,
    Status,
)
from libs.contracts.model import Lane, Priority
from services.incidents import domain
from services.incidents.application import INCIDENT, INTEGRATION
from services.incidents.domain import (
    Acknowledge,
    AlreadyOver,
    Close,
    CreateIntegration,
    Escalate,
    GroupAlerts,
    Incident,
    NoSuchIncident,
    NotResolvedYet,
    OpenIncident,
    Resolve,
)

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
ID = UUID("00000000-0000-4000-8000-000000000001")
ANA, BO = Actor.user(uuid4()), Actor.user(uuid4())

CREATED = IncidentCreated(
    incident_id=ID,
    number=7,
    title="db down",
    priority=Priority.CRITICAL,
    source="db",
    created_by=Actor(kind=ActorKind.INTEGRATION, id="i"),
    created_at=AT,
)
ACKNOWLEDGED = IncidentAcknowledged(incident_id=ID, by=ANA, at=LATER)
RESOLVED = IncidentResolved(incident_id=ID, by=ANA, at=LATER)
CLOSED = IncidentClosed(incident_id=ID, by=ANA, at=LATER)


def given(*facts: Fact) -> Given[Incident]:
    return Given(INCIDENT, facts)


def test_an_alert_opens_an_incident_once() -> None:
    given().when(OpenIncident(CREATED)).then([CREATED]).when(OpenIncident(CREATED)).then_nothing()


def test_repeats_are_counted_while_it_is_open_and_never_after() -> None:
    grouped = AlertsGrouped(incident_id=ID, count=3, last_at=LATER)
    after = given(CREATED).when(GroupAlerts(3, LATER)).then([grouped])
    assert after.state().alert_count == 4
    given(CREATED, RESOLVED).when(GroupAlerts(3, LATER)).then_nothing()


def test_an_acknowledgement_is_decided_once_for_each_person() -> None:
    after = given(CREATED).when(Acknowledge(ANA, LATER)).then([ACKNOWLEDGED])
    assert after.state().status is Status.ACKNOWLEDGED
    assert after.state().assigned_to == UUID(ANA.id)
    after.when(Acknowledge(ANA, LATER)).then_nothing()
    after.when(Acknowledge(BO, LATER)).then_types(IncidentAcknowledged)


def test_what_is_over_cannot_be_acknowledged() -> None:
    given(CREATED, RESOLVED).when(Acknowledge(BO, LATER)).then_rejected(AlreadyOver)


@pytest.mark.parametrize("facts", [(CREATED,), (CREATED, ACKNOWLEDGED)])
def test_whatever_is_open_can_be_resolved_once(facts: tuple[Fact, ...]) -> None:
    given(*facts).when(Resolve(ANA, LATER)).then([RESOLVED]).when(Resolve(BO, LATER)).then_nothing()


def test_only_what_is_resolved_can_be_closed_and_only_once() -> None:
    given(CREATED).when(Close(ANA, LATER)).then_rejected(NotResolvedYet)
    given(CREATED, RESOLVED).when(Close(ANA, LATER)).then([CLOSED]).when(Close(ANA, LATER)).then_nothing()


@pytest.mark.parametrize(
    "command",
    [GroupAlerts(1, AT), Acknowledge(ANA, AT), Resolve(ANA, AT), Close(ANA, AT), Escalate(1, 1, (), AT)],
)
def test_nothing_happens_to_an_incident_that_does_not_exist(command: domain.Command) -> None:
    given().when(command).then_rejected(NoSuchIncident)


def escalated(level: int, round_: int = 1, *, exhausted: bool = False) -> Escalate:
    return Escalate(level, round_, (UUID(BO.id),), LATER, exhausted)


@pytest.mark.parametrize("command", [escalated(2), escalated(1, 2), escalated(1, exhausted=True)])
def test_every_further_level_escalates(command: Escalate) -> None:
    state = given(CREATED).when(command).then_types(IncidentEscalated).state()
    assert (state.status, state.assigned_to) == (Status.ESCALATED, UUID(BO.id))


def test_a_level_that_fired_before_the_acknowledgement_was_seen_takes_nothing_away() -> None:
    state = given(CREATED, ACKNOWLEDGED).when(escalated(2)).then_types(IncidentEscalated).state()
    assert (state.status, state.assigned_to) == (Status.ACKNOWLEDGED, UUID(ANA.id))


def test_a_level_that_fires_after_the_resolve_changes_nothing() -> None:
    given(CREATED, RESOLVED).when(escalated(2)).then_nothing()


@pytest.mark.parametrize(
    ("priority", "lane"), [(Priority.CRITICAL, Lane.URGENT), (Priority.HIGH, Lane.URGENT), (Priority.LOW, Lane.ROUTINE)]
)
def test_the_lane_is_fixed_by_the_priority_at_creation(priority: Priority, lane: Lane) -> None:
    assert given(CREATED.model_copy(update={"priority": priority})).state().lane is lane


def test_an_integration_is_created_once() -> None:
    command = CreateIntegration(ID, "prom", IntegrationKind.GENERIC)
    Given(INTEGRATION, []).when(command).then_types(IntegrationCreated).when(command).then_nothing()
