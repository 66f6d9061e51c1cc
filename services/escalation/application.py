"""The shell of escalation: gather what a batch needs in a few queries, decide, and let the events write the rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, get_args
from uuid import UUID

from libs.chassis.consume.arrival import Unreachable
from libs.chassis.store.snapshots import Shape
from libs.chassis.store.work import Cause, Decider, Work
from libs.chassis.timers import Timer, timer_set
from libs.contracts.auth import UserDeactivated, UserReactivated
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID, DEFAULT_POLICY_ID
from libs.contracts.envelope import Envelope
from libs.contracts.escalation import PlannedLevel
from libs.contracts.incidents import IncidentCreated
from libs.contracts.model import Lane, Priority
from libs.contracts.notifier import PersonUnreachable, PushTokenRetired
from libs.contracts.uses import MOST_NAMED, Use, UserKind
from services.escalation.domain import decisions, escalations, people, policies
from services.escalation.domain.people import Directory
from services.escalation.domain.requests import Request, request_of
from services.escalation.inputs import ME, Inputs, StoredInputs
from services.escalation.projections import INTEGRATION, RUNNING, SCHEMA, TIMER, USING
from services.escalation.replicas import FROM_INTEGRATIONS, replicate

POLICY: Decider[policies.State, policies.Command] = Decider(
    policies.initial,
    policies.evolve,
    policies.decide,
    version=lambda state: state.version if isinstance(state, policies.Policy) else 0,
)


def _team(state: escalations.State) -> UUID | None:
    match state:
        case escalations.NotStarted() | escalations.Cancelled(run=None):
            return None
        case _:
            return state.run.brief.team_id if state.run else None


_SHAPE: Shape[escalations.State] = Shape(escalations.evolve, *get_args(escalations.State))


def _escalation(lane: Lane) -> Decider[escalations.State, escalations.Command]:
    return Decider(
        escalations.initial, escalations.evolve, decisions.decide, lane=lambda _: lane, team=_team, shape=_SHAPE
    )


ESCALATION = {lane: _escalation(lane) for lane in Lane}
"""An escalation travels in its incident's present lane, also one that is cancelled before we know the incident."""
_ANY = ESCALATION[Lane.ROUTINE]
"""For reading: the lanes differ in nothing that folds."""

Running = escalations.Waiting | escalations.Exhausted
MOST_PASSED = 1000
"""Escalations that are looked at for whoever is deactivated, in one transaction: a second's work at most."""


def make_first_policies(work: Work) -> None:
    """The policies "Default" and "Admins" under their fixed ids; does nothing when they are there."""
    for command in (policies.default_policy(work.now), policies.admins_policy(work.now)):
        work.decide(POLICY, command.id, command, work.begin(ME))


def delete_policy(work: Work, policy_id: UUID, cause: Cause) -> None:
    """Unless somebody is paged by it now, or an integration has its incidents run it.

    One that was made to run it at this moment pages by Default, and says so (docs/adr/0045).

    Raises:
        NoSuchPolicy, Needed, InUse.
        Unreachable: not even the integration Default is known here, which every installation has.
    """
    if not work.fetch(INTEGRATION, id=DEFAULT_INTEGRATION_ID):
        raise Unreachable
    work.lock_appends()
    running = work.fetch(RUNNING, id=policy_id, count=MOST_NAMED)
    work.load(_ANY, [row["id"] for row in running])
    uses = [_running(work.state(_ANY, row["id"])) for row in running]
    using = work.fetch(USING, id=policy_id, count=MOST_NAMED)
    uses += [Use(type=UserKind.INTEGRATION, id=row["id"], name=row["name"]) for row in using]
    total = sum(rows[0]["total"] for rows in (running, using) if rows)
    work.decide(POLICY, policy_id, policies.DeletePolicy(uses, total), cause)


def _running(state: escalations.State) -> Use:
    assert isinstance(state, Running)  # noqa: S101 - its row says so, and nobody else appends
    brief = state.run.brief
    return Use(type=UserKind.INCIDENT, id=brief.incident_id, name=f"#{brief.number}")


def follow_incidents(work: Work, events: Sequence[Envelope[Any]], inputs: Inputs | None = None) -> None:
    """Page about incidents that need people, stop for those that somebody has taken."""
    for event in events:
        if isinstance(event.data, FROM_INTEGRATIONS):
            work.put(*replicate(event))
    said = [(event, asked) for event in events if (asked := request_of(event.data)) is not None]
    entities = [escalations.escalation_id(event.data.incident_id) for event, _ in said]
    begun = (e for e, (event, _) in zip(entities, said, strict=True) if isinstance(event.data, IncidentCreated))
    work.expect_new(_ANY, begun)
    work.load(_ANY, entities)
    start = _starter(work, [asked for _, asked in said if isinstance(asked, Request)], inputs or StoredInputs(work))
    for entity, (event, asked) in zip(entities, said, strict=True):
        command = start(asked) if isinstance(asked, Request) else asked
        work.decide(ESCALATION[event.lane], entity, command, Cause.event(event, ME))


def fire(work: Work, timers: Sequence[Timer], inputs: Inputs | None = None) -> None:
    """Page the next level of each escalation whose time has come."""
    inputs = inputs or StoredInputs(work)
    work.load(_ANY, (t.entity for t in timers))
    due: list[tuple[Timer, Running]] = []
    for timer in timers:
        state = work.state(_ANY, timer.entity)
        if timer.name == TIMER and isinstance(state, Running):
            due.append((timer, state))
    if not due:
        return
    around = _around(work, [state.run for _, state in due], inputs)
    causes = inputs.causes([timer.entity for timer, _ in due])
    for timer, state in due:
        command = escalations.FireTimer(timer.due_at, around.plan(state.run), around.everybody, work.now)
        decider = ESCALATION[state.run.brief.priority.lane]
        events = work.decide(decider, timer.entity, command, causes.get(timer.entity) or work.begin(ME))
        if not events and state.due_at is not None:
            # A served timer is taken away; the one that this escalation waits for has the same key and must stay.
            work.put(timer_set(SCHEMA, Timer(timer.entity, TIMER, state.due_at)))


def follow_notifier(work: Work, events: Sequence[Envelope[Any]], inputs: Inputs | None = None) -> None:
    """Page the next level as soon as nobody of the present one can be reached, or else others who can."""
    for event in events:
        if isinstance(event.data, PushTokenRetired):
            work.put(*replicate(event))
    reports: list[Envelope[PersonUnreachable]] = [e for e in events if isinstance(e.data, PersonUnreachable)]
    entities = [escalations.escalation_id(event.data.incident_id) for event in reports]
    work.load(_ANY, entities)
    told: list[tuple[UUID, Envelope[PersonUnreachable], escalations.Run]] = []
    unreached = {event.data.user_id for event in reports}
    for entity, event in zip(entities, reports, strict=True):
        state = work.state(_ANY, entity)
        if isinstance(state, Running):
            told.append((entity, event, state.run))
            unreached |= state.unreachable
    if not told:
        return
    inputs = inputs or StoredInputs(work)
    around = _around(work, [run for *_, run in told], inputs)
    others = inputs.others(unreached, work.now)
    for entity, event, run in told:
        fact = event.data
        command = escalations.ReportUnreachable(
            fact.run, fact.level, fact.round, fact.user_id, around.plan(run), around.everybody, work.now, others
        )
        work.decide(ESCALATION[run.brief.priority.lane], entity, command, Cause.event(event, ME))


def follow_people(work: Work, events: Sequence[Envelope[Any]], inputs: Inputs | None = None) -> None:
    """Keep who exists, with which roles, and active or not; no names and no addresses.

    Whoever is deactivated is passed over at once where they were paged: nobody waits for their answer. Escalations run
    while nobody has answered, and are few; nothing else says whom each of them has paged last. In a storm of more than
    `MOST_PASSED` the rest waits for its time-out: nobody else is paged while these are decided.
    """
    for event in events:
        work.put(*replicate(event))
    last = {e.data.user_id: e for e in events if isinstance(e.data, UserDeactivated | UserReactivated)}
    gone = {user: event for user, event in last.items() if isinstance(event.data, UserDeactivated)}
    if not gone:
        return
    inputs = inputs or StoredInputs(work)
    running = inputs.running(MOST_PASSED)
    work.load(_ANY, running)
    paged: list[tuple[UUID, UUID, escalations.Run]] = []
    for entity in running:
        state = work.state(_ANY, entity)
        if isinstance(state, Running):
            paged.extend((entity, p.user_id, state.run) for p in state.people if p.user_id in gone)
    if not paged:
        return
    around = _around(work, [run for *_, run in paged], inputs, without=gone)
    causes = inputs.causes([entity for entity, *_ in paged])
    for entity, user, run in paged:
        command = escalations.PassOver(user, around.plan(run), around.everybody, work.now)
        cause = Cause.event(gone[user], ME)
        if entity in causes:  # it belongs to the incident's story, and its cause is a person's
            cause = replace(cause, correlation_id=causes[entity].correlation_id)
        work.decide(ESCALATION[run.brief.priority.lane], entity, command, cause)


def _starter(
    work: Work, requests: Sequence[Request], inputs: Inputs
) -> Callable[[Request], escalations.StartEscalation]:
    """How to start each of these requests, with one look at policies and people for all of them."""
    chosen = _choose_policies(work, requests)
    plans = {policy.id: policy.plan for policy, _ in chosen.values()}
    assigned = [r.assigned for r in requests if r.assigned is not None]
    everybody = inputs.directory(plans.values(), assigned, work.now) if requests else Directory()

    @cache  # the same for many incidents of a storm
    def planned(policy: UUID, assigned: UUID | None) -> tuple[PlannedLevel, ...]:
        return people.planned(plans[policy].levels, everybody, assigned)

    def start(request: Request) -> escalations.StartEscalation:
        policy, note = chosen[_wish(request)]
        first, assigned = request.first_timeout_minutes, request.assigned
        run = escalations.Run(request.run, request.brief, policy.id, policy.version, first, assigned)
        return escalations.StartEscalation(run, policy.plan, everybody, planned(policy.id, assigned), work.now, note)

    return start


def _choose_policies(
    work: Work, requests: Sequence[Request]
) -> Mapping[tuple[UUID | None, Priority], tuple[policies.Policy, str | None]]:
    """The policy for each wish, and why it is not the one asked for: its own where it fits, else Default."""
    if not requests:
        return {}
    # Whoever asks can name any id; escalations of this batch are loaded before, so that none is taken for a policy.
    work.load(POLICY, (DEFAULT_POLICY_ID, *(r.policy_id for r in requests if r.policy_id is not None)))
    default = work.state(POLICY, DEFAULT_POLICY_ID)
    assert isinstance(default, policies.Policy)  # noqa: S101 - made before anything is served
    chosen: dict[tuple[UUID | None, Priority], tuple[policies.Policy, str | None]] = {}
    for wish in {_wish(r) for r in requests}:
        asked, priority = wish
        policy, note = default, None
        if asked is not None:
            own = work.state(POLICY, asked)
            if not isinstance(own, policies.Policy):
                note = f"policy {asked} does not exist: Default is used"
            elif own.deleted:
                note = f"policy {asked} was deleted: Default is used"
            elif own.is_default or own.plan.takes(priority):
                policy = own
            else:
                note = f"policy {asked} does not take priority {priority}: Default is used"
        chosen[wish] = (policy, note)
    return chosen


def _wish(request: Request) -> tuple[UUID | None, Priority]:
    """What the choice of a policy depends on."""
    return request.policy_id, request.brief.priority


class _Around(NamedTuple):
    """What runs that go on are decided with: the versions of policies that they began with, and the people."""

    plans: Mapping[tuple[UUID, int], policies.Plan]
    everybody: Directory

    def plan(self, run: escalations.Run) -> policies.Plan:
        return self.plans[run.policy_id, run.policy_version]


def _around(work: Work, runs: Sequence[escalations.Run], inputs: Inputs, without: Collection[UUID] = ()) -> _Around:
    work.load(POLICY, (run.policy_id for run in runs))
    plans = {}
    for key in {(run.policy_id, run.policy_version) for run in runs}:
        policy = work.state(POLICY, key[0])
        assert isinstance(policy, policies.Policy)  # noqa: S101 - an escalation starts with one that exists
        plans[key] = policy.plans[key[1] - 1]
    assigned = [run.assigned for run in runs if run.assigned is not None]
    return _Around(plans, inputs.directory(plans.values(), assigned, work.now, without))
