"""What may happen to an incident: every row of its decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.testing.given import Given
from libs.contracts.envelope import Actor, ActorKind, Fact
from libs.contracts.incidents import (
    AcknowledgementLimited,
    AlertsGrouped,
    IncidentAcknowledged,
    IncidentClosed,
    IncidentCreated,
    IncidentEdited,
    IncidentEscalated,
    IncidentReopened,
    IncidentResolved,
    IncidentSnoozed,
    PagingReason,
    PagingRequested,
    PriorityLowered,
    PriorityRaised,
    Status,
    SuppressionEnded,
)
from libs.contracts.model import Lane, Priority
from libs.contracts.requests import Invalid
from services.incidents.application import INCIDENT
from services.incidents.domain.commands import (
    Acknowledge,
    Close,
    Command,
    Counted,
    Edit,
    EndSnooze,
    Escalate,
    GroupAlerts,
    LiftSuppression,
    OpenIncident,
    Raise,
    Reopen,
    Resolve,
    Snooze,
    TimeOutAcknowledgement,
)
from services.incidents.domain.decisions import NoSuchIncident, alerts_after
from services.incidents.domain.incident import Incident
from services.incidents.domain.transitions import AlreadyOver, NotResolvedYet

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
LIMITED = AcknowledgementLimited(incident_id=ID, at=LATER, until=LATER + timedelta(hours=1))


def given(*facts: Fact) -> Given[Incident]:
    return Given(INCIDENT, facts)


def test_an_alert_opens_an_incident_once() -> None:
    given().when(OpenIncident(CREATED)).then([CREATED]).when(OpenIncident(CREATED)).then_nothing()


def test_repeats_are_counted_while_it_is_open_and_never_after() -> None:
    grouped = AlertsGrouped(incident_id=ID, count=3, last_at=LATER, alert_count=4)
    after = given(CREATED).when(again(1, 3)).then([grouped])
    assert after.state().alert_count == 4
    given(CREATED, RESOLVED).when(again(1, 3)).then_nothing()


def test_repeats_have_events_at_1_2_5_10_20_and_so_on_however_many_come_at_once() -> None:
    told = {first: steps(first) for first in (1, 3, 7, 1000)}
    assert told[1] == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
    assert told[3] == [3, 6, 12, 21, 51, 102, 201, 501, 1002, 2001, 5001]
    assert told[7] == [7, 14, 21, 56, 105, 203, 504, 1001, 2002, 5005]
    assert told[1000] == [1000, 2000, 5000]


def steps(at_once: int) -> list[int]:
    """How many repeats each event tells of, when so many come at once, up to 6,000 of them."""
    state, found = INCIDENT.evolve(INCIDENT.initial(), CREATED), list[int]()
    for repeats in range(0, 6000, at_once):
        for fact in INCIDENT.decide(again(1 + repeats, at_once), state):
            state = INCIDENT.evolve(state, fact)
            found.append(fact.alert_count - 1)  # type: ignore[attr-defined]
    return found


def test_what_an_alert_says_anew_is_told_once_a_minute() -> None:
    """A text with a measured value in it is another one with every alert."""
    state, told = INCIDENT.evolve(INCIDENT.initial(), CREATED), list[tuple[int, str | None]]()
    for second in range(1, 3601):
        command = GroupAlerts(second, 1, AT + timedelta(seconds=second), f"disk at {second} %")
        for fact in INCIDENT.decide(command, state):
            assert isinstance(fact, AlertsGrouped)
            state = INCIDENT.evolve(state, fact)
            told.append((second, fact.title))
    assert all(title == f"disk at {second} %" for second, title in told)
    assert [second for second, _ in told][:8] == [1, 2, 5, 10, 20, 50, 100, 160]
    assert len(told) < 60 + 12


def test_what_is_said_again_unchanged_is_not_told_again() -> None:
    news = AlertsGrouped(incident_id=ID, count=1, last_at=LATER, alert_count=8, title="db slow", description="again")
    hour = timedelta(hours=1)
    state = given(CREATED, news)
    state.when(GroupAlerts(8, 1, LATER + hour, "db slow", "again")).then_nothing()
    back = AlertsGrouped(incident_id=ID, count=1, last_at=LATER + hour, alert_count=9, title="db down")
    state.when(GroupAlerts(8, 1, LATER + hour, "db down")).then([back])


def test_what_becomes_of_it_says_how_many_alerts_there_were() -> None:
    taken = ACKNOWLEDGED.model_copy(update={"alert_count": 1234})
    after = given(CREATED).when(Counted(Acknowledge(ANA, LATER), 1234)).then([taken])
    assert after.state().alert_count == 1234
    after.when(again(1234, 1)).then_nothing()
    given(CREATED, RESOLVED).when(Counted(Reopen(ANA, LATER), 5)).then_types(IncidentReopened, PagingRequested)
    given().when(Counted(Acknowledge(ANA, LATER), 5)).then_rejected(NoSuchIncident)


def test_what_an_older_release_counted_in_the_log_alone_counts() -> None:
    older = AlertsGrouped(incident_id=ID, count=7, last_at=AT)
    state = given(CREATED, older).state()
    assert [alerts_after(again(counted, 2), state) for counted in (1, 8, 9)] == [10, 10, 11]
    whole = AlertsGrouped(incident_id=ID, count=3, last_at=LATER, alert_count=11)
    given(CREATED, older).when(again(1, 3)).then([whole])
    given(CREATED, older).when(again(1, 2)).then_nothing()


def test_a_state_does_not_grow_with_the_people_who_answered() -> None:
    answers = [ACKNOWLEDGED.model_copy(update={"by": Actor.user(uuid4())}) for _ in range(100)]
    assert [a.user_id for a in given(CREATED, *answers).state().acknowledgements] == [a.by.id for a in answers[-20:]]


def again(counted: int, more: int) -> GroupAlerts:
    """It comes again, saying the same."""
    return GroupAlerts(counted, more, LATER, CREATED.title)


def test_an_acknowledgement_is_decided_once_for_each_person() -> None:
    after = given(CREATED).when(Acknowledge(ANA, LATER)).then([ACKNOWLEDGED])
    assert after.state().status is Status.ACKNOWLEDGED
    assert after.state().assigned_to == UUID(ANA.id)
    after.when(Acknowledge(ANA, LATER)).then_nothing()
    after.when(Acknowledge(BO, LATER)).then_types(IncidentAcknowledged)


def test_what_somebody_adds_to_their_acknowledgement_is_kept_beside_it() -> None:
    looking = Acknowledge(ANA, LATER, "looking at the disk")
    after = (
        given(CREATED).when(Acknowledge(ANA, LATER)).then([ACKNOWLEDGED]).when(looking).then_types(IncidentAcknowledged)
    )
    assert [(a.user_id, a.notes) for a in after.state().acknowledgements] == [
        (ANA.id, None),
        (ANA.id, "looking at the disk"),
    ]
    after.when(looking).then_nothing()
    after.when(Acknowledge(ANA, LATER)).then_nothing()
    both = after.when(Acknowledge(BO, LATER, "looking at the disk")).then_types(IncidentAcknowledged).state()
    assert [(a.user_id, a.notes) for a in both.acknowledgements][2:] == [(BO.id, "looking at the disk")]


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
    [again(1, 1), Acknowledge(ANA, AT), Resolve(ANA, AT), Close(ANA, AT), Escalate(1, 1, 1, (), AT)],
)
def test_nothing_happens_to_an_incident_that_does_not_exist(command: Command) -> None:
    given().when(command).then_rejected(NoSuchIncident)


def escalated(level: int, round_: int = 1, *, run: int = 1, exhausted: bool = False) -> Escalate:
    return Escalate(run, level, round_, (UUID(BO.id),), LATER, exhausted)


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
def test_the_lane_is_that_of_the_priority(priority: Priority, lane: Lane) -> None:
    assert given(CREATED.model_copy(update={"priority": priority})).state().lane is lane


# --- Runs of paging ---------------------------------------------------------------------------------------------------

LOW = CREATED.model_copy(update={"priority": Priority.LOW})
QUIET = CREATED.model_copy(update={"suppressed": True})
UNTIL = LATER + timedelta(hours=1)


def requests(facts: list[Fact]) -> list[tuple[int, PagingReason]]:
    return [(f.run, f.reason) for f in facts if isinstance(f, PagingRequested)]


def test_worse_raises_it_into_the_urgent_lane_and_pages_anew_as_for_the_new_priority() -> None:
    decision = given(LOW).when(Raise(Priority.CRITICAL, ANA, LATER))
    raised, request = decision.facts
    assert isinstance(raised, PriorityRaised)
    assert isinstance(request, PagingRequested)
    assert (request.run, request.since, request.brief.priority) == (2, LATER, Priority.CRITICAL)
    after = decision.then([raised, request])
    assert (after.state().lane, after.state().priority) == (Lane.URGENT, Priority.CRITICAL)
    after.when(Raise(Priority.CRITICAL, ANA, LATER)).then_nothing()


@pytest.mark.parametrize("priority", [Priority.CRITICAL, Priority.LOW])
def test_it_is_never_lowered_by_an_alert(priority: Priority) -> None:
    given(CREATED).when(Raise(priority, ANA, LATER)).then_nothing()
    given(CREATED, RESOLVED).when(Raise(priority, ANA, LATER)).then_nothing()


def test_an_acknowledged_incident_that_is_raised_needs_somebody_again_and_the_same_person_may_take_it() -> None:
    after = given(LOW, ACKNOWLEDGED).when(Raise(Priority.HIGH, BO, LATER)).then_types(PriorityRaised, PagingRequested)
    assert after.state().status is Status.ESCALATED
    [taken] = after.when(Acknowledge(ANA, UNTIL)).facts
    assert isinstance(taken, IncidentAcknowledged)
    assert taken.run == 2


def edit(state: Incident, **fields: Any) -> Edit:
    created = state.created
    assert created is not None
    said = {"title": created.title, "description": created.description, "metadata": created.metadata}
    return Edit(**({**said, "priority": state.priority, "by": ANA, "at": LATER} | fields))


def test_what_is_edited_is_said_from_then_on_and_pages_of_a_higher_priority_say_it_too() -> None:
    before = given(LOW)
    words = {"title": "disk full", "description": None, "metadata": {"host": "db-1"}}
    decision = before.when(edit(before.state(), **words, priority=Priority.HIGH))
    decision.then_types(IncidentEdited, PriorityRaised, PagingRequested)
    request = decision.facts[-1]
    assert isinstance(request, PagingRequested)
    assert (request.run, request.brief.title, request.brief.description) == (2, "disk full", None)
    after = decision.then(decision.facts)
    assert after.state().created == LOW.model_copy(update=words)
    assert (after.state().priority, after.state().title) == (Priority.HIGH, LOW.title), "its alerts say what they say"
    after.when(edit(after.state())).then_nothing()


def test_what_a_person_lowers_pages_nobody_and_is_raised_by_an_alert_only_beyond_its_worst() -> None:
    before = given(CREATED.model_copy(update={"priority": Priority.HIGH}))
    lowered = before.when(edit(before.state(), priority=Priority.LOW)).then_types(PriorityLowered)
    assert (lowered.state().priority, lowered.state().lane) == (Priority.LOW, Lane.URGENT), (
        "nothing overtakes its pages"
    )
    lowered.when(Raise(Priority.HIGH, ANA, LATER)).then_nothing()
    lowered.when(Raise(Priority.CRITICAL, ANA, LATER)).then_types(PriorityRaised, PagingRequested)
    again = lowered.when(edit(lowered.state(), priority=Priority.MEDIUM)).then_types(PriorityRaised, PagingRequested)
    assert (again.state().priority, again.state().worst) == (Priority.MEDIUM, Priority.HIGH)


def test_of_what_is_over_the_words_can_be_mended_but_its_priority_would_page_nobody() -> None:
    over = given(CREATED, RESOLVED)
    over.when(edit(over.state(), title="disk full")).then_types(IncidentEdited)
    worse = edit(over.state(), title="disk full", priority=Priority.LOW)
    assert over.when(worse).then_rejected(AlreadyOver).field == "priority"


def test_a_suppressed_incident_that_a_person_raises_still_pages_nobody() -> None:
    quiet = given(QUIET.model_copy(update={"priority": Priority.LOW}))
    quiet.when(edit(quiet.state(), priority=Priority.CRITICAL)).then_types(PriorityRaised)


def test_an_answer_says_which_runs_it_stops() -> None:
    for command in (Acknowledge(ANA, LATER), Resolve(ANA, LATER), Snooze(ANA, LATER, UNTIL)):
        [answer] = given(QUIET).when(command).facts
        assert answer.run == 0  # type: ignore[attr-defined]


def test_a_suppressed_incident_pages_nobody_until_its_first_request_which_is_run_1() -> None:
    given(QUIET).when(Raise(Priority.CRITICAL, ANA, LATER)).then_nothing()
    low = QUIET.model_copy(update={"priority": Priority.LOW})
    given(low).when(Raise(Priority.CRITICAL, ANA, LATER)).then_types(PriorityRaised)
    facts = given(QUIET).when(LiftSuppression(LATER)).facts
    assert requests(facts) == [(1, PagingReason.SUPPRESSION_ENDED)]
    given(QUIET, *facts).when(LiftSuppression(LATER)).then_nothing()


def test_whoever_acknowledged_a_suppressed_incident_is_not_paged_when_it_no_longer_is() -> None:
    taken = ACKNOWLEDGED.model_copy(update={"run": 0})
    given(QUIET, taken).when(LiftSuppression(LATER)).then_types(SuppressionEnded)


def test_a_snooze_ends_once_and_only_the_one_that_was_meant() -> None:
    snoozed = given(CREATED).when(Snooze(ANA, AT, LATER)).then_types(IncidentSnoozed)
    snoozed.when(Snooze(ANA, AT, LATER)).then_nothing()
    snoozed.when(EndSnooze(UNTIL, UNTIL)).then_nothing()
    ended = snoozed.when(EndSnooze(LATER, LATER))
    assert requests(ended.facts) == [(2, PagingReason.SNOOZE_ENDED)]
    ended.then(ended.facts).when(EndSnooze(LATER, LATER)).then_nothing()


def test_a_snooze_that_ends_in_the_past_is_refused_and_so_is_one_of_what_is_over() -> None:
    assert given(CREATED).when(Snooze(ANA, LATER, AT)).then_rejected(Invalid).field == "minutes"
    given(CREATED, RESOLVED).when(Snooze(ANA, AT, LATER)).then_rejected(AlreadyOver)


def test_an_acknowledgement_times_out_only_for_its_own_run() -> None:
    taken = given(CREATED, ACKNOWLEDGED, LIMITED)
    late = taken.when(TimeOutAcknowledgement(UNTIL, UNTIL))
    assert requests(late.facts) == [(2, PagingReason.ACKNOWLEDGEMENT_TIMED_OUT)]
    late.then(late.facts).when(TimeOutAcknowledgement(UNTIL, UNTIL)).then_nothing()
    taken.when(TimeOutAcknowledgement(LATER, UNTIL)).then_nothing()
    given(CREATED).when(TimeOutAcknowledgement(UNTIL, UNTIL)).then_nothing()
    given(CREATED, ACKNOWLEDGED).when(TimeOutAcknowledgement(UNTIL, UNTIL)).then_nothing()


def test_whoever_has_taken_it_is_the_first_to_be_asked_again() -> None:
    [_, request] = given(CREATED, ACKNOWLEDGED, LIMITED).when(TimeOutAcknowledgement(UNTIL, UNTIL)).facts
    assert isinstance(request, PagingRequested)
    assert request.assigned_to == UUID(ANA.id)


def test_what_is_over_can_be_reopened_once() -> None:
    again = given(CREATED, RESOLVED, CLOSED).when(Reopen(ANA, UNTIL))
    assert requests(again.facts) == [(2, PagingReason.REOPENED)]
    after = again.then(again.facts)
    assert after.state().status is Status.CREATED
    after.when(Reopen(ANA, UNTIL)).then_nothing()
    after.when(Resolve(ANA, UNTIL)).then_types(IncidentResolved)


def test_levels_of_an_earlier_run_or_a_lower_place_are_no_news() -> None:
    later = given(LOW).when(Raise(Priority.HIGH, ANA, LATER)).then_types(PriorityRaised, PagingRequested)
    later.when(escalated(2)).then_nothing()
    after = later.when(escalated(2, run=2)).then_types(IncidentEscalated)
    after.when(escalated(2, run=2)).then_nothing()
    after.when(escalated(1, run=2)).then_nothing()
    after.when(escalated(1, 2, run=2)).then_types(IncidentEscalated)
