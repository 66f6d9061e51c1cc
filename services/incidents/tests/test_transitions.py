"""The table of transitions: every act in every state leads where it says, or is refused as it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.envelope import Actor, ActorKind, Fact
from libs.contracts.incidents import (
    AcknowledgementLimited,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEscalated,
    IncidentReassigned,
    IncidentResolved,
    IncidentSnoozed,
    IncidentSuppressed,
    PagingReason,
    PagingRequested,
    ResolutionPlanned,
    Suppression,
)
from libs.contracts.model import Priority
from services.incidents.application import INCIDENT
from services.incidents.domain import commands
from services.incidents.domain.incident import Incident
from services.incidents.domain.transitions import (
    TIMES,
    TRANSITIONS,
    AlreadyOver,
    Illegal,
    Overtaken,
    Phase,
    TooLongAgo,
    phase_of,
)

AT = datetime(2026, 3, 29, 2, 30, tzinfo=UTC)
LATER, SOON, UNTIL = AT + timedelta(minutes=5), AT + timedelta(minutes=10), AT + timedelta(hours=1)
ID = UUID(int=1)
ANA, BO, CY = (Actor.user(uuid4()) for _ in range(3))

CREATED = IncidentCreated(
    incident_id=ID,
    number=7,
    title="db down",
    priority=Priority.HIGH,
    source="db",
    created_by=Actor(kind=ActorKind.INTEGRATION, id="i"),
    created_at=AT,
)
ESCALATED = IncidentEscalated(incident_id=ID, level=2, round=1, user_ids=(UUID(BO.id),), next_at=None)
ACKNOWLEDGED = IncidentAcknowledged(incident_id=ID, by=ANA, at=LATER)
HELD = ACKNOWLEDGED.model_copy(update={"resolves_at": UNTIL})
SNOOZED = IncidentSnoozed(incident_id=ID, by=ANA, at=LATER, until=UNTIL)
SUPPRESSED = IncidentSuppressed(incident_id=ID, suppression=Suppression(by="a rule", until=UNTIL), by=ANA, at=LATER)
RESOLVED = IncidentResolved(incident_id=ID, by=ANA, at=LATER)
CLOSED = IncidentClosed(incident_id=ID, by=ANA, at=LATER)
LIMITED = AcknowledgementLimited(incident_id=ID, at=LATER, until=UNTIL)

WAYS: dict[Phase, list[list[Fact]]] = {
    Phase.CREATED: [[CREATED]],
    Phase.ESCALATED: [[CREATED, ESCALATED]],
    Phase.ACKNOWLEDGED: [[CREATED, HELD, LIMITED], [CREATED, ESCALATED, HELD, LIMITED]],
    Phase.SNOOZED: [[CREATED, SNOOZED], [CREATED, ESCALATED, SNOOZED], [CREATED, HELD, LIMITED, SNOOZED]],
    Phase.SUPPRESSED: [[CREATED, SUPPRESSED], [CREATED, ESCALATED, SUPPRESSED], [CREATED, SNOOZED, SUPPRESSED]],
    Phase.RESOLVED: [[CREATED, RESOLVED], [CREATED, SNOOZED, RESOLVED], [CREATED, SUPPRESSED, RESOLVED]],
    Phase.CLOSED: [[CREATED, RESOLVED, CLOSED]],
}
"""Ways into each state."""
QUIET = Suppression(by=BO.id, until=UNTIL + timedelta(minutes=1))
ACTS: dict[str, list[commands.Act]] = {
    "acknowledge": [commands.Acknowledge(BO, SOON)],
    "resolve": [commands.Resolve(BO, SOON)],
    "close": [commands.Close(BO, SOON)],
    "reopen": [commands.Reopen(BO, SOON)],
    "reassign": [commands.Reassign(UUID(CY.id), BO, SOON), commands.Reassign(UUID(BO.id), BO, SOON)],
    "snooze": [commands.Snooze(BO, SOON, UNTIL + timedelta(minutes=1))],
    "escalate": [commands.AskLevel(None, BO, SOON), commands.AskLevel(2, BO, SOON)],
    "suppress": [commands.Suppress(QUIET, BO, SOON)],
    "responders": [commands.AddResponders((UUID(CY.id),), BO, SOON)],
    "notes": [commands.AddNote(UUID(int=9), "the disk", BO, SOON)],
    "edit": [commands.Edit("db up", None, {}, Priority.HIGH, BO, SOON)],
}
RAISING = commands.Edit("db down", None, {}, Priority.CRITICAL, BO, SOON)
BY_THEMSELVES: dict[str, list[commands.Command]] = {
    "the snooze ends": [commands.EndSnooze(UNTIL, UNTIL)],
    "the suppression ends": [commands.LiftSuppression(UNTIL, UNTIL)],
    "the acknowledgement times out": [commands.TimeOutAcknowledgement(UNTIL, UNTIL)],
    "nothing has happened for long": [commands.ResolveQuiet(Actor.service("incidents"), UNTIL, "nothing")],
    "a worse alert comes": [commands.Raise(Priority.CRITICAL, Actor(kind=ActorKind.INTEGRATION, id="i"), SOON)],
    "a level fires": [commands.Escalate(1, 2, 1, (UUID(BO.id),), None)],
}


def given(*facts: Fact) -> Given[Incident]:
    return Given(INCIDENT, facts)


def test_the_table_knows_every_act_and_every_state() -> None:
    assert TRANSITIONS.keys() == ACTS.keys()
    assert TIMES.keys() == BY_THEMSELVES.keys()
    for cells in (*TRANSITIONS.values(), *TIMES.values()):
        assert cells.keys() == set(Phase)


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("phase", Phase)
def test_an_act_leads_where_the_table_says_or_is_refused_with_what_is_allowed(phase: Phase, act: str) -> None:
    cell = TRANSITIONS[act][phase]
    for way in WAYS[phase]:
        before = given(*way)
        assert phase_of(before.state()) is phase
        for command in ACTS[act]:
            if isinstance(cell, tuple):
                after = before.when(command).then(before.when(command).facts)
                assert phase_of(after.state()) in cell, (way, command)
                continue
            refused = before.when(command).then_rejected(cell)
            assert refused.details is not None
            assert refused.details["state"] == phase
            assert act not in refused.details["allowed"]
            assert str(refused).startswith(f"the incident is {phase}: ")


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("phase", Phase)
def test_an_act_that_comes_twice_leads_to_the_same_state(phase: Phase, act: str) -> None:
    for way in WAYS[phase]:
        for command in ACTS[act]:
            try:
                once = given(*way).when(command).then(given(*way).when(command).facts)
                twice = once.when(command).then(once.when(command).facts)
            except Illegal:
                continue
            assert phase_of(twice.state()) is phase_of(once.state()), (way, command)


@pytest.mark.parametrize("what", BY_THEMSELVES)
@pytest.mark.parametrize("phase", Phase)
def test_times_and_alerts_lead_where_the_table_says_and_are_never_refused(phase: Phase, what: str) -> None:
    for way in WAYS[phase]:
        for command in BY_THEMSELVES[what]:
            after = given(*way).when(command).then(given(*way).when(command).facts)
            cell = TIMES[what][phase]
            assert isinstance(cell, tuple)
            assert phase_of(after.state()) in cell, (way, command)


def test_a_higher_priority_pages_again_where_the_table_says_so() -> None:
    for phase in (Phase.CREATED, Phase.ESCALATED, Phase.ACKNOWLEDGED, Phase.SNOOZED, Phase.SUPPRESSED):
        for way in WAYS[phase]:
            after = given(*way).when(RAISING).then(given(*way).when(RAISING).facts)
            assert phase_of(after.state()) in TRANSITIONS["edit"][phase]  # type: ignore[operator]
    given(CREATED, RESOLVED).when(RAISING).then_rejected(AlreadyOver)


def test_who_is_given_an_incident_is_paged_first_and_whoever_takes_it_is_not() -> None:
    [fact, request] = given(CREATED, ACKNOWLEDGED).when(ACTS["reassign"][0]).facts
    assert isinstance(fact, IncidentReassigned)
    assert (fact.previous, fact.assigned_to) == (UUID(ANA.id), UUID(CY.id))
    assert isinstance(request, PagingRequested)
    assert (request.run, request.reason, request.assigned_to) == (2, PagingReason.REASSIGNED, UUID(CY.id))
    assert request.start is not None
    assert (request.start.user_ids, request.start.alone) == ((UUID(CY.id),), False)
    taken = given(CREATED, ACKNOWLEDGED).when(ACTS["reassign"][1]).then_types(IncidentReassigned)
    assert taken.state().assigned_to == UUID(BO.id)
    given(CREATED, SUPPRESSED).when(ACTS["reassign"][0]).then_types(IncidentReassigned)


def test_help_is_asked_for_beside_what_goes_on() -> None:
    command = ACTS["responders"][0]
    [_, beside] = given(CREATED).when(command).facts
    assert isinstance(beside, PagingRequested)
    assert beside.start is not None
    assert (beside.run, beside.start.alone, beside.start.goes_on) == (2, False, True)
    for way in (ACKNOWLEDGED, SNOOZED, SUPPRESSED):
        decided = given(CREATED, way).when(command)
        [_, alone] = decided.facts
        assert isinstance(alone, PagingRequested)
        assert alone.start is not None
        assert (alone.start.alone, alone.start.goes_on) == (True, False)
        after = decided.then(decided.facts).state()
        assert after.responders == (UUID(CY.id),)
        assert phase_of(after) is phase_of(given(CREATED, way).state())
    held = given(CREATED, ACKNOWLEDGED).when(command).then(given(CREATED, ACKNOWLEDGED).when(command).facts)
    assert [a.user_id for a in held.state().acknowledged] == [ANA.id], "whoever has it keeps it"
    both = held.when(commands.Acknowledge(CY, SOON)).then_types(IncidentAcknowledged).state()
    assert both.assigned_to == UUID(ANA.id)
    assert [a.user_id for a in both.acknowledged] == [ANA.id, CY.id]


def test_an_acknowledgement_is_limited_once_and_by_the_policy_of_its_own_levels() -> None:
    limit = commands.LimitAcknowledgement(1, timedelta(minutes=30), SOON)
    [limited] = given(CREATED, ACKNOWLEDGED).when(limit).facts
    assert isinstance(limited, AcknowledgementLimited)
    assert limited.until == LATER + timedelta(minutes=30), "from when it was acknowledged"
    given(CREATED, ACKNOWLEDGED, limited).when(limit).then_nothing()
    given(CREATED).when(limit).then_nothing()
    again = given(CREATED, ACKNOWLEDGED).when(commands.AskLevel(2, BO, SOON))
    later = again.then(again.facts).when(commands.Acknowledge(BO, SOON))
    later.then(later.facts).when(limit).then_nothing()


def test_what_was_resolved_long_ago_is_not_reopened() -> None:
    within = timedelta(hours=24)
    late = commands.Reopen(BO, LATER + within + timedelta(seconds=1), within=within)
    assert "24 hours" in str(given(CREATED, RESOLVED).when(late).then_rejected(TooLongAgo))
    in_time = commands.Reopen(BO, LATER + within, within=within)
    assert given(CREATED, RESOLVED, CLOSED).when(in_time).facts


def test_what_comes_late_is_taken_or_refused_by_what_has_happened_since() -> None:
    then, now = AT + timedelta(minutes=1), UNTIL
    late = commands.Late(commands.Acknowledge(BO, now), then)
    [taken] = given(CREATED).when(late).facts
    assert isinstance(taken, IncidentAcknowledged)
    assert (taken.at, taken.occurred_at) == (now, then)
    refused = given(CREATED, RESOLVED).when(late).then_rejected(AlreadyOver)
    assert refused.details is not None
    assert (refused.details["by"], refused.details["at"]) == (ANA.id, "2026-03-29T02:35:00Z")
    again = given(CREATED, RESOLVED).when(commands.Reopen(ANA, SOON))
    reopened = again.then(again.facts)
    assert "02:40" in str(reopened.when(late).then_rejected(Overtaken))
    reopened.when(commands.Late(commands.Resolve(BO, now), then)).then_rejected(Overtaken)
    reopened.when(commands.Late(commands.Acknowledge(BO, now), SOON)).then_types(IncidentAcknowledged)
    given(CREATED, ACKNOWLEDGED, SNOOZED).when(late).then_nothing()


def test_what_is_quiet_for_long_is_resolved_and_nothing_else_is() -> None:
    quiet = commands.ResolveQuiet(Actor.service("incidents"), UNTIL, "nothing")
    given(CREATED, HELD).when(quiet).then_types(IncidentResolved)
    given(CREATED, ACKNOWLEDGED).when(quiet).then_nothing()
    given(CREATED, HELD, SNOOZED).when(quiet).then_nothing()
    given(CREATED).when(quiet).then_nothing()
    again = given(CREATED, HELD).when(commands.AskLevel(None, BO, SOON))
    again.then(again.facts).when(quiet).then_nothing()


def test_a_policy_says_after_which_quiet_it_is_resolved_and_whoever_answers_later_begins_it_anew() -> None:
    hour, two = timedelta(hours=1), timedelta(hours=2)
    plan = commands.LimitAcknowledgement(1, None, SOON, hour)
    planned = given(CREATED, ACKNOWLEDGED).when(plan).then_types(ResolutionPlanned)
    assert planned.state().resolves_at == LATER + hour, "from when it was acknowledged"
    planned.when(plan).then_nothing()
    given(CREATED).when(plan).then_nothing()
    given(CREATED, HELD).when(plan).then_types(ResolutionPlanned)
    both = commands.LimitAcknowledgement(1, two, SOON, hour)
    given(CREATED, ACKNOWLEDGED).when(both).then_types(AcknowledgementLimited, ResolutionPlanned)
    [again] = planned.when(commands.Acknowledge(BO, SOON, resolves_at=SOON + two)).facts
    assert isinstance(again, IncidentAcknowledged)
    assert again.resolves_at == SOON + hour, "the policy's, not the installation's"
    early = commands.ResolveQuiet(Actor.service("incidents"), LATER + hour - timedelta(seconds=1), "nothing")
    planned.when(early).then_nothing()
    in_time = commands.ResolveQuiet(Actor.service("incidents"), LATER + hour, "nothing")
    planned.when(in_time).then_types(IncidentResolved)
    paged = planned.when(commands.AskLevel(None, BO, SOON))
    assert (state := paged.then(paged.facts).state()).quiet is None, state
    given(CREATED, ACKNOWLEDGED, *planned.facts[2:], SNOOZED).when(in_time).then_nothing()
