"""The shell of escalation: gather what a batch needs in a few queries, decide, and let the events write the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any, NamedTuple
from uuid import UUID

from psycopg.types.json import Jsonb

from libs.chassis.consume.arrival import Unreachable
from libs.chassis.store.person_keys import forget_erased
from libs.chassis.store.work import Cause, Work
from libs.chassis.timers import Timer, timer_set
from libs.contracts.auth import UserDeactivated, UserReactivated
from libs.contracts.defaults import DEFAULT_INTEGRATION_ID
from libs.contracts.envelope import Envelope
from libs.contracts.escalation import Paged, PlannedLevel, TargetType
from libs.contracts.incidents import IncidentCreated
from libs.contracts.model import TeamRole
from libs.contracts.notifier import PersonUnreachable, PushTokenRetired
from libs.contracts.teams import TeamMembershipChanged
from libs.contracts.uses import MOST_NAMED, Use, UserKind, UsesView
from services.escalation.choices import choose_policies, wish_of
from services.escalation.deciders import ANY_LANE, ESCALATION, POLICY
from services.escalation.domain import escalations, people, policies
from services.escalation.domain.people import Directory
from services.escalation.domain.requests import Request, request_of
from services.escalation.inputs import ME, NOTHING_COMES, Coming, Inputs, StoredInputs
from services.escalation.projections import INTEGRATION, RUNNING, SCHEMA, TIMER, USING, USING_TEAM
from services.escalation.replicas import FROM_INTEGRATIONS, replicate

Running = escalations.Waiting | escalations.Exhausted
MOST_PASSED = 1000
"""Escalations that are looked at for whoever is deactivated or leaves a team, in one transaction, and pages of theirs
that are passed over: a second's work at most. Of a storm that has paged whole teams two hundred people may leave.
"""


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
    work.load(ANY_LANE, [row["id"] for row in running])
    uses = [_running(work.state(ANY_LANE, row["id"])) for row in running]
    using = work.fetch(USING, id=policy_id, count=MOST_NAMED)
    uses += [Use(type=UserKind.INTEGRATION, id=row["id"], name=row["name"]) for row in using]
    total = sum(rows[0]["total"] for rows in (running, using) if rows)
    work.decide(POLICY, policy_id, policies.DeletePolicy(uses, total), cause)


def team_uses(work: Work, team_id: UUID) -> UsesView:
    """The policies that are a team's, or page it."""
    paging = [{"targets": [{"type": str(TargetType.TEAM), "id": str(team_id)}]}]
    rows = work.fetch(USING_TEAM, id=team_id, paging=Jsonb(paging), count=MOST_NAMED)
    uses = tuple(Use(type=UserKind.POLICY, id=row["id"], name=row["name"]) for row in rows)
    return UsesView(uses=uses, total=rows[0]["total"] if rows else 0)


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
    work.expect_new(ANY_LANE, begun)
    work.load(ANY_LANE, entities)
    start = _starter(work, [asked for _, asked in said if isinstance(asked, Request)], inputs or StoredInputs(work))
    for entity, (event, asked) in zip(entities, said, strict=True):
        command = start(asked) if isinstance(asked, Request) else asked
        work.decide(ESCALATION[event.lane], entity, command, Cause.event(event, ME))


def fire(work: Work, timers: Sequence[Timer], inputs: Inputs | None = None) -> None:
    """Page the next level of each escalation whose time has come."""
    inputs = inputs or StoredInputs(work)
    work.load(ANY_LANE, (t.entity for t in timers))
    due: list[tuple[Timer, Running]] = []
    for timer in timers:
        state = work.state(ANY_LANE, timer.entity)
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
    work.load(ANY_LANE, entities)
    told: list[tuple[UUID, Envelope[PersonUnreachable], escalations.Run]] = []
    unreached = {event.data.user_id for event in reports}
    for entity, event in zip(entities, reports, strict=True):
        state = work.state(ANY_LANE, entity)
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
    """Keep who exists, with which roles and in which teams, and active or not; no names and no addresses.

    Whoever is deactivated is passed over at once where they were paged, and whoever leaves a team where they were paged
    as one of it: nobody waits for their answer. Escalations run
    while nobody has answered, and are few; nothing else says whom each of them has paged last. In a storm of more than
    `MOST_PASSED`, or where they were paged more often together, the rest waits for its time-out: nobody else is paged
    while these are decided.
    """
    forget_erased(work, events)
    for event in events:
        work.put(*replicate(event))
    news = _news(events)
    if not (news.gone or news.roles):
        return
    inputs = inputs or StoredInputs(work)
    running = inputs.running(MOST_PASSED)
    work.load(ANY_LANE, running)
    paged = list(islice(_passed_over(work, running, news), MOST_PASSED))
    if not paged:
        return
    around = _around(work, [run for *_, run in paged], inputs, news.coming)
    causes = inputs.causes([entity for entity, *_ in paged])
    for entity, event, why, run in paged:
        command = escalations.PassOver(event.data.user_id, around.plan(run), around.everybody, work.now, why)
        cause = Cause.event(event, ME)
        if entity in causes:  # it belongs to the incident's story, and its cause is a person's
            cause = replace(cause, correlation_id=causes[entity].correlation_id)
        work.decide(ESCALATION[run.brief.priority.lane], entity, command, cause)


def _passed_over(
    work: Work, running: Iterable[UUID], news: _News
) -> Iterator[tuple[UUID, Envelope[Any], str, escalations.Run]]:
    """Whom of each escalation's last page the news are about, and why they are not waited for."""
    for entity in running:
        state = work.state(ANY_LANE, entity)
        if isinstance(state, Running):
            yield from ((entity, event, why, state.run) for p in state.people for event, why in news.over(p))


class _News(NamedTuple):
    """What a batch of AUTH says last of people: who is deactivated, and who is not what they were in a team."""

    gone: Mapping[UUID, Envelope[Any]]
    roles: Mapping[tuple[UUID, UUID], Envelope[Any]]
    """By (team, person)."""

    @property
    def coming(self) -> Coming:
        return Coming(tuple(self.gone), {key: event.data.role for key, event in self.roles.items()})

    def over(self, paged: Paged) -> Iterator[tuple[Envelope[Any], str]]:
        """Why somebody who was paged is passed over, if they are."""
        if (event := self.gone.get(paged.user_id)) is not None:
            yield event, "is deactivated"
            return
        kind, _, team = paged.via.partition(":")
        team, _, role = team.partition(":")
        event = self.roles.get((UUID(team), paged.user_id)) if kind == TargetType.TEAM else None
        if event is not None and (event.data.role is None or (role and event.data.role != role)):
            yield event, f"is no {role or TeamRole.MEMBER} of team {team} any more"


def _news(events: Sequence[Envelope[Any]]) -> _News:
    last = {e.data.user_id: e for e in events if isinstance(e.data, UserDeactivated | UserReactivated)}
    gone = {user: event for user, event in last.items() if isinstance(event.data, UserDeactivated)}
    changed = {(e.data.team_id, e.data.user_id): e for e in events if isinstance(e.data, TeamMembershipChanged)}
    # Whoever manages a team is whatever they were before, and more.
    return _News(gone, {key: event for key, event in changed.items() if event.data.role is not TeamRole.MANAGER})


def _starter(
    work: Work, requests: Sequence[Request], inputs: Inputs
) -> Callable[[Request], escalations.StartEscalation]:
    """How to start each of these requests, with one look at policies and people for all of them."""
    chosen = choose_policies(work, requests, inputs)
    plans = {policy.id: policy.plan for policy, _ in chosen.values()}
    asked = {user for r in requests for user in (r.assigned, *(r.start.user_ids if r.start else ())) if user}
    # Of whoever asks for the leads of a team's incident its managers are meant.
    managed = {r.brief.team_id for r in requests if r.start and r.start.leads and r.brief.team_id}
    everybody = inputs.directory(plans.values(), asked, work.now, teams=managed) if requests else Directory()

    @cache  # the same for many incidents of a storm
    def planned(policy: UUID, assigned: UUID | None) -> tuple[PlannedLevel, ...]:
        return people.planned(plans[policy].levels, everybody, assigned)

    def start(request: Request) -> escalations.StartEscalation:
        policy, note = chosen[wish_of(request)]
        first, assigned = request.first_timeout_minutes, request.assigned
        limits = (policy.plan.acknowledgement_timeout_minutes, policy.plan.auto_resolve_minutes)
        run = escalations.Run(request.run, request.brief, policy.id, policy.version, first, assigned, *limits)
        # Whoever asks for help for what somebody has wants no level to be paged.
        then = () if request.start and request.start.alone else planned(policy.id, assigned)
        return escalations.StartEscalation(run, policy.plan, everybody, then, work.now, note, request.start)

    return start


class _Around(NamedTuple):
    """What runs that go on are decided with: the versions of policies that they began with, and the people."""

    plans: Mapping[tuple[UUID, int], policies.Plan]
    everybody: Directory

    def plan(self, run: escalations.Run) -> policies.Plan:
        return self.plans[run.policy_id, run.policy_version]


def _around(work: Work, runs: Sequence[escalations.Run], inputs: Inputs, coming: Coming = NOTHING_COMES) -> _Around:
    work.load(POLICY, (run.policy_id for run in runs))
    plans = {}
    for key in {(run.policy_id, run.policy_version) for run in runs}:
        policy = work.state(POLICY, key[0])
        assert isinstance(policy, policies.Policy)  # noqa: S101 - an escalation starts with one that exists
        plans[key] = policy.plans[key[1] - 1]
    assigned = [run.assigned for run in runs if run.assigned is not None]
    return _Around(plans, inputs.directory(plans.values(), assigned, work.now, coming))
