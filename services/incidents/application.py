"""The shell of incidents: what to load, whom to ask, what to write; every function runs inside one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from libs.chassis.store.cursors import Position
from libs.chassis.store.snapshots import Shape
from libs.chassis.store.work import Cause, Decider, Work
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID
from libs.contracts.envelope import Actor, Envelope, Fact
from libs.contracts.escalation import EscalationCancelled, EscalationDue, EscalationExhausted
from libs.contracts.incident_alerts import AlertAdded
from libs.contracts.incidents import AlertPlace, CreateIncident, EditIncident, IncidentCreated
from libs.contracts.labels import brief
from libs.contracts.slots import slot_of, thread_of
from services.incidents import dedup
from services.incidents.domain import alerts, commands, decisions, incident
from services.incidents.inputs import NOTHING_REPEATED, Inputs, Repeats, StoredInputs, Thread
from services.incidents.places import latest, place_at
from services.incidents.projections import SCHEMA, alert_repeated, repeated
from services.incidents.references import FROM_POLICIES, replicate_reference
from services.incidents.replicas import is_for_help, people_of, replicate

SERVICE = Actor.service(SCHEMA)


def _slot(state: incident.Incident) -> int:
    """Of what an incident's alerts share, so that all generations of a key have one."""
    created = state.created
    assert created is not None  # noqa: S101 - the first event is the creation
    if created.integration_id is None or created.dedup_key is None:
        return slot_of(created.incident_id)
    return slot_of(thread_of(created.integration_id, created.dedup_key))


INCIDENT: Decider[incident.Incident, commands.Command] = Decider(
    incident.initial,
    incident.evolve,
    decisions.decide,
    lane=lambda state: state.lane,
    team=lambda state: state.created.team_id if state.created else None,
    shape=Shape(incident.evolve, incident.Incident, parts=(alerts.evolve,)),
    slot=_slot,
)


def count_repeats(
    work: Work,
    incident_id: UUID,
    command: commands.GroupAlerts,
    cause: Cause,
    before: Repeats,
    place: Position | None = None,
    told: alerts.AddAlert | None = None,
) -> tuple[int, Repeats]:
    """Add repeats to the rows that count them, and tell of them where that is due; its alerts with them.

    `told`: it is not a repeat but a further alert, and this is to be decided on it.
    `before`: what the rows say of earlier ones, exactly where an older release has counted some of them. Returned, too:
    what they say of these now.
    """
    state = work.state(INCIDENT, incident_id)
    counted, placed = decisions.alerts_after(command, state), command.more
    unknown, by = _counted_elsewhere(before, state, command.counted)
    unplaced_at = None
    if unknown and not _is_of_a_stream_before(place, before.place):
        # From now on the time of the last repeat says nothing of them: it moves on with each.
        placed, unplaced_at = placed + unknown, by
        before = before._replace(placed=before.times, unplaced_at=by)
    wanted = command if told is None else commands.Counted(told, counted)
    work.decide(INCIDENT, incident_id, wanted, cause)
    # What is counted without an event is a repeat only while nobody ends the incident.
    work.hold(incident_id)
    work.put(repeated(incident_id, counted - command.counted, placed, command.last_at, place, unplaced_at))
    return counted, before


def count_alert(work: Work, incident_id: UUID, alert_id: UUID, times: int, place: Position | None) -> None:
    """Repeats of one alert beside those of its incident, where that has had several and holds this one."""
    its = work.state(INCIDENT, incident_id).alerts
    if its.added and alert_id in its.burning:
        work.put(alert_repeated(alert_id, times, work.now, place))


def add_alert(
    work: Work,
    fact: AlertAdded,
    cause: Cause,
    counted: int,
    before: Repeats,
    first: Repeats,
    place: Position | None = None,
) -> tuple[int, Repeats]:
    """A further alert of an open incident, which is counted in any case; returned is what `count_repeats` returns.

    `first`: of its first alert, which with the second one gets a row of its own. Until then all repeats are its, and
    must be exact: whoever asks holds the append lock.
    """
    incident_id = fact.incident_id
    its = work.state(INCIDENT, incident_id).alerts
    again = commands.GroupAlerts(counted, 1, work.now, fact.title, fact.description, fact.alert_id)
    alone = counted
    counted, before = count_repeats(work, incident_id, again, cause, before, place, alerts.AddAlert(fact))
    if not its.added and its.first is not None and work.state(INCIDENT, incident_id).alerts.added:
        work.put(alert_repeated(its.first, alone, first.last_at or work.now, first.place, first.unplaced_at))
    count_alert(work, incident_id, fact.alert_id, 1, place)
    return counted, before


def _is_of_a_stream_before(place: Position | None, newest: Position | None) -> bool:
    """Then the row takes over nothing but the number."""
    return place is not None and newest is not None and newest.incarnation.startswith(f"{place.incarnation}/")


def _counted_elsewhere(before: Repeats, state: incident.Incident, counted: int) -> tuple[int, datetime | None]:
    """How many repeats an older release has counted, in the rows or in the log alone, and by when they had come."""
    in_rows, in_log = max(before.times - before.placed, 0), max(state.alert_count - counted, 0)
    moments = (before.unplaced_at, before.last_at if in_rows else None, state.told_at if in_log else None)
    return in_rows + in_log, max(filter(None, moments), default=None)


def change(
    work: Work,
    incident_id: UUID,
    command: commands.Change | commands.Late,
    cause: Cause,
    inputs: Inputs,
) -> None:
    """Something becomes of an incident; the event says how many alerts there were by then.

    Raises:
        NoSuchIncident, Illegal, Overtaken, TooLongAgo, Invalid.
    """
    again = repeats_of(work, [incident_id], inputs)[incident_id]
    created = work.state(INCIDENT, incident_id).created
    opened = created.place if created else None
    newest = latest(place_at(opened.incarnation, opened.sequence) if opened else None, again.place)
    place = AlertPlace(incarnation=newest.incarnation, sequence=newest.position) if newest else None
    work.decide(INCIDENT, incident_id, commands.Counted(command, 1 + again.times, place), cause)


def edit(work: Work, body: EditIncident, cause: Cause, inputs: Inputs) -> None:
    """What was not given stays as it is.

    Raises:
        NoSuchIncident; AlreadyOver: nobody pages for the priority of what is over.
    """
    state = work.state(INCIDENT, body.id)
    if state.created is None:
        raise decisions.NoSuchIncident
    command = commands.Edit(
        title=body.title or state.created.title,
        description=body.description if "description" in body.model_fields_set else state.created.description,
        metadata=state.created.metadata if body.metadata is None else body.metadata,
        priority=body.priority or state.priority,
        by=cause.actor,
        at=work.now,
    )
    change(work, body.id, command, cause, inputs)


def repeats_of(work: Work, incidents: Sequence[UUID], inputs: Inputs) -> dict[UUID, Repeats]:
    """Of each of them, exactly until this transaction ends: whoever counts one needs the lock, too."""
    work.lock_appends()
    rows = inputs.repeats(incidents)
    return {i: rows.get(i, NOTHING_REPEATED) for i in incidents}


def thread_wanted(body: CreateIncident) -> UUID | None:
    """What a person's incident is to be grouped by; None: it stands alone."""
    if not body.dedup_key:
        return None
    return thread_of(DEFAULT_INTEGRATION_ID, dedup.named_key(body.dedup_key, body.team_id))


def create_incident(work: Work, body: CreateIncident, cause: Cause, inputs: Inputs) -> UUID:
    """A person opens an incident; with a dedup key that is open already, it is grouped into that one.

    What is worse than the open one raises it.
    """
    dedup_key = dedup.named_key(body.dedup_key, body.team_id) if body.dedup_key else None
    fact = IncidentCreated(
        incident_id=work.new_id(),
        number=inputs.numbers(1)[0],
        title=body.title,
        description=body.description,
        priority=body.priority,
        source="api",
        integration_id=DEFAULT_INTEGRATION_ID if dedup_key else None,
        dedup_key=dedup_key,
        policy_id=body.policy_id,
        team_id=body.team_id,
        assigned_to=body.assigned_to,
        created_by=cause.actor,
        created_at=work.now,
        escalation_timeout_minutes=body.escalation_timeout_minutes,
        metadata=body.metadata,
    )
    if dedup_key is None:
        work.decide(INCIDENT, fact.incident_id, commands.OpenIncident(fact), cause)
        return fact.incident_id
    key = thread_of(DEFAULT_INTEGRATION_ID, dedup_key)
    work.lock_appends()
    thread = inputs.threads([key]).get(key)
    if thread is not None and thread.is_open:
        counted = _joined(work, body, thread, cause)
        # Worse than it was: its people are paged as for the new priority, as by an alert.
        worse = commands.Raise(body.priority, cause.actor, work.now)
        work.decide(INCIDENT, thread.incident_id, commands.Counted(worse, counted), cause)
        return thread.incident_id
    generation = thread.generation + 1 if thread else 1
    incident_id = dedup.incident_id(DEFAULT_INTEGRATION_ID, dedup_key, generation)
    fact = fact.model_copy(update={"incident_id": incident_id, "generation": generation})
    work.decide(INCIDENT, incident_id, commands.OpenIncident(fact), cause)
    return incident_id


def _joined(work: Work, body: CreateIncident, thread: Thread, cause: Cause) -> int:
    """What a person reports of an open incident is the alert of it that has no fingerprint. How many there are then."""
    incident_id, again, before = thread.incident_id, thread.repeats, 1 + thread.repeats.times
    its = work.state(INCIDENT, incident_id).alerts
    alert_id = dedup.alert_id(incident_id, None)
    if alert_id in its.burning or alerts.is_full(its):
        said = commands.GroupAlerts(before, 1, work.now, body.title, body.description, alert_id)
        counted, _ = count_repeats(work, incident_id, said, cause, again)
        count_alert(work, incident_id, alert_id, 1, None)
        return counted
    fact = AlertAdded(
        incident_id=incident_id,
        alert_id=alert_id,
        again=alert_id == its.first,
        title=body.title,
        description=brief(body.description),
        priority=body.priority,
        source="api",
        by=cause.actor,
        at=work.now,
    )
    first = again._replace(place=latest(thread.place, again.place))
    counted, _ = add_alert(work, fact, cause, before, again, first)
    return counted


def follow_escalation(work: Work, events: Sequence[Envelope[Any]], inputs: Inputs | None = None) -> None:
    """Where the escalation stands is a replica; that nobody answered the first level is an event of the incident."""
    further = list(dict.fromkeys(e.data.incident_id for e in events if _is_further(e.data)))
    work.load(INCIDENT, further)
    again = repeats_of(work, further, inputs or StoredInputs(work)) if further else {}
    for event in events:
        fact = event.data
        work.put(*(replicate_reference(event) if isinstance(fact, FROM_POLICIES) else replicate(event)))
        # A log that was restored to before this incident's creation knows nothing of it.
        if further and _is_further(fact) and work.state(INCIDENT, fact.incident_id).created is not None:
            exhausted = isinstance(fact, EscalationExhausted)
            command = commands.Escalate(fact.run, fact.level, fact.round, people_of(fact), fact.next_due_at, exhausted)
            counted = commands.Counted(command, 1 + again[fact.incident_id].times)
            work.decide(INCIDENT, fact.incident_id, counted, Cause.event(event, SERVICE))
    for event in events:
        _limit(work, event)


def _limit(work: Work, event: Envelope[Any]) -> None:
    """The policy that ran says how long an acknowledgement may stand, and what quiet ends the incident."""
    fact = event.data
    if not isinstance(fact, EscalationCancelled):
        return
    time, quiet = _span(fact.acknowledgement_timeout_minutes), _span(fact.auto_resolve_minutes)
    if (time is None and quiet is None) or work.state(INCIDENT, fact.incident_id).created is None:
        return
    command = commands.LimitAcknowledgement(fact.run, time, work.now, quiet)
    work.decide(INCIDENT, fact.incident_id, command, Cause.event(event, SERVICE))


def _span(minutes: float | None) -> timedelta | None:
    return None if minutes is None else timedelta(minutes=minutes)


def _is_further(fact: Fact) -> bool:
    """Not the first page of an escalation, and not one that only asks for help: nobody has answered so far."""
    if not isinstance(fact, EscalationDue | EscalationExhausted) or is_for_help(fact):
        return False
    return isinstance(fact, EscalationExhausted) or fact.level > 1 or fact.round > 1


def follow_notifier(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """What was sent to whom, for the timeline and for explanations."""
    for event in events:
        work.put(*replicate(event))
