"""The shell of escalation: gather what a batch needs in a few queries, decide, and let the events write the rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import compress
from typing import Any
from uuid import UUID

from libs.chassis.store.work import Cause, Decider, Work
from libs.chassis.timers import Timer, timer_set
from libs.contracts.defaults import DEFAULT_POLICY_ID
from libs.contracts.envelope import Actor, Envelope
from libs.contracts.escalation import IncidentBrief, PlannedLevel
from libs.contracts.incidents import IncidentAcknowledged, IncidentClosed, IncidentCreated, IncidentResolved
from libs.contracts.model import Lane
from services.escalation.domain import escalations, people, policies
from services.escalation.domain.people import Directory
from services.escalation.projections import CAUSES, SCHEMA, TIMER
from services.escalation.replicas import directory

ME = Actor.service("escalation")
_DESCRIPTION = 500
"""Characters of an incident's description that a page carries along."""

POLICY: Decider[policies.State, policies.Command] = Decider(policies.initial, policies.evolve, policies.decide)


def _team(state: escalations.State) -> UUID | None:
    match state:
        case escalations.NotStarted() | escalations.Cancelled(run=None):
            return None
        case _:
            return state.run.brief.team_id if state.run else None


def _escalation(lane: Lane) -> Decider[escalations.State, escalations.Command]:
    return Decider(escalations.initial, escalations.evolve, escalations.decide, lane=lambda _: lane, team=_team)


ESCALATION = {lane: _escalation(lane) for lane in Lane}
"""An escalation travels in its incident's lane, also one that is cancelled before we know the incident."""

Ended = IncidentAcknowledged | IncidentResolved | IncidentClosed


def make_first_policies(work: Work) -> None:
    """The policies "Default" and "Admins" under their fixed ids; does nothing when they are there."""
    for command in (policies.default_policy(work.now), policies.admins_policy(work.now)):
        work.decide(POLICY, command.id, command, Cause.new(ME))


def follow_incidents(work: Work, events: Sequence[Envelope[Any]]) -> None:
    """Page about incidents that are new, stop for those that somebody has taken."""
    entities = [escalations.escalation_id(event.data.incident_id) for event in events]
    begun = [isinstance(event.data, IncidentCreated) for event in events]
    work.expect_new(ESCALATION[Lane.ROUTINE], compress(entities, begun))
    work.load(ESCALATION[Lane.ROUTINE], entities)
    created = [event.data for event in compress(events, begun)]
    chosen = _choose_policies(work, created)
    plans = {policy.id: policy.plan for policy, _ in chosen.values()}
    assigned = (incident.assigned_to for incident in created if incident.assigned_to is not None)
    everybody = directory(work, plans.values(), assigned) if created else Directory()

    @cache  # the same for many incidents of a storm
    def planned(policy: UUID, assigned: UUID | None) -> tuple[PlannedLevel, ...]:
        return people.planned(plans[policy].levels, everybody, assigned)

    for entity, event in zip(entities, events, strict=True):
        match event.data:
            case IncidentCreated() as incident:
                policy, note = chosen[incident.incident_id]
                command: escalations.Command = _start(work, incident, policy, note, everybody, planned)
            case _:
                command = _cancel(event.data)
        work.decide(ESCALATION[event.lane], entity, command, Cause.event(event, ME))


def fire(work: Work, timers: Sequence[Timer]) -> None:
    """Page the next level of each escalation whose time has come."""
    work.load(ESCALATION[Lane.ROUTINE], (t.entity for t in timers))
    due: list[tuple[Timer, escalations.Waiting | escalations.Exhausted]] = []
    for timer in timers:
        state = work.state(ESCALATION[Lane.ROUTINE], timer.entity)
        if timer.name == TIMER and isinstance(state, escalations.Waiting | escalations.Exhausted):
            due.append((timer, state))
    if not due:
        return
    plans = _plans(work, [state.run for _, state in due])
    assigned = (state.run.assigned for _, state in due if state.run.assigned is not None)
    everybody = directory(work, plans.values(), assigned)
    causes = _causes(work, [timer.entity for timer, _ in due])
    for timer, state in due:
        plan = plans[state.run.policy_id, state.run.policy_version]
        command = escalations.FireTimer(timer.due_at, plan, everybody, work.now)
        decider = ESCALATION[state.run.brief.priority.lane]
        events = work.decide(decider, timer.entity, command, causes.get(timer.entity) or Cause.new(ME))
        if not events and state.due_at is not None:
            # A served timer is taken away; the one that this escalation waits for has the same key and must stay.
            work.put(timer_set(SCHEMA, Timer(timer.entity, TIMER, state.due_at)))


def _choose_policies(
    work: Work, created: Sequence[IncidentCreated]
) -> Mapping[UUID, tuple[policies.Policy, str | None]]:
    """The policy of each incident, and why it is not the one asked for: its own where it fits, else Default."""
    if not created:
        return {}
    # Whoever asks can name any id; escalations of this batch are loaded before, so that none is taken for a policy.
    asked = {c.policy_id for c in created if c.policy_id is not None}
    work.load(POLICY, (DEFAULT_POLICY_ID, *asked))
    default = work.state(POLICY, DEFAULT_POLICY_ID)
    assert isinstance(default, policies.Policy)  # noqa: S101 - made before anything is served
    chosen: dict[UUID, tuple[policies.Policy, str | None]] = {}
    for incident in created:
        policy, note = default, None
        if incident.policy_id is not None:
            own = work.state(POLICY, incident.policy_id)
            if not isinstance(own, policies.Policy):
                note = f"policy {incident.policy_id} does not exist: Default is used"
            elif own.is_default or own.plan.takes(incident.priority):
                policy = own
            else:
                note = f"policy {incident.policy_id} does not take priority {incident.priority}: Default is used"
        chosen[incident.incident_id] = (policy, note)
    return chosen


def _start(
    work: Work,
    incident: IncidentCreated,
    policy: policies.Policy,
    note: str | None,
    everybody: Directory,
    planned: Callable[[UUID, UUID | None], tuple[PlannedLevel, ...]],
) -> escalations.StartEscalation:
    brief = IncidentBrief(
        incident_id=incident.incident_id,
        number=incident.number,
        title=incident.title,
        description=incident.description[:_DESCRIPTION] if incident.description else None,
        priority=incident.priority,
        team_id=incident.team_id,
        paging_since=incident.created_at,
    )
    return escalations.StartEscalation(
        brief=brief,
        policy_id=policy.id,
        policy_version=policy.version,
        plan=policy.plan,
        directory=everybody,
        planned=planned(policy.id, incident.assigned_to),
        now=work.now,
        first_timeout_minutes=incident.escalation_timeout_minutes,
        assigned=incident.assigned_to,
        policy_note=note,
    )


def _cancel(fact: Ended) -> escalations.CancelEscalation:
    match fact:
        case IncidentAcknowledged():
            cause = "acknowledged"
        case IncidentResolved():
            cause = "resolved"
        case IncidentClosed():
            cause = "closed"
    return escalations.CancelEscalation(fact.incident_id, fact.by, fact.at, cause)


def _plans(work: Work, runs: Sequence[escalations.Run]) -> Mapping[tuple[UUID, int], policies.Plan]:
    """The versions that these escalations began with."""
    work.load(POLICY, (run.policy_id for run in runs))
    plans = {}
    for key in {(run.policy_id, run.policy_version) for run in runs}:
        policy = work.state(POLICY, key[0])
        assert isinstance(policy, policies.Policy)  # noqa: S101 - an escalation starts with one that exists
        plans[key] = policy.plans[key[1] - 1]
    return plans


def _causes(work: Work, ids: Sequence[UUID]) -> Mapping[UUID, Cause]:
    """The events that set the timers: correlation and trace of an incident run through all its levels."""
    rows = work.fetch(CAUSES, ids=list(ids))
    return {row["id"]: Cause(ME, row["correlation_id"], row["event_id"], row["traceparent"]) for row in rows}
