"""The requests that escalation answers: policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from libs.chassis.consume.arrival import Arrival
from libs.chassis.requests.auditing import add_audit
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.audit import Trail
from libs.chassis.store.listing import Page
from libs.chassis.store.work import Work
from libs.contracts.erasure import ExportPage, ExportQuery
from libs.contracts.escalation import (
    ChangePolicy,
    CreatePolicy,
    Level,
    PoliciesQuery,
    PolicyList,
    PolicyView,
    TargetType,
)
from libs.contracts.permissions import Action
from libs.contracts.requests import ById, Invalid, NoSuchTeam, NoTeamToListBy, Nothing
from libs.contracts.uses import UsesView
from services.escalation import application
from services.escalation.deciders import POLICY
from services.escalation.domain import policies
from services.escalation.export import exported
from services.escalation.projections import POLICIES, POLICIES_OF, POLICIES_SEEN, audit, policy_row
from services.escalation.projections import POLICY as POLICY_ROW
from services.escalation.replicas import inactive_people, is_team, unknown_targets


def api(arrival: Arrival) -> Requests:
    """Managers write their team's policies, leads the organisation's; who sees one sees whom it pages.

    `arrival`: how a command waits for users, schedules and teams that were made a moment ago.
    """
    requests = Requests("escalation")
    add_audit(requests, Trail(audit))

    async def targets_arrive(body: CreatePolicy | ChangePolicy, caller: Caller) -> None:
        if isinstance(body, CreatePolicy) or body.team_id is not None:
            caller.require(Action.POLICIES_WRITE, body.team_id)
        levels, team_id = body.levels or (), body.team_id

        def missing(work: Work) -> bool:
            # Also somebody who is deactivated as far as is known here: they may be back.
            named = unknown_targets(work, levels) or inactive_people(work, _people(levels))
            return bool(named) or (team_id is not None and not is_team(work, team_id))

        await arrival.of(missing, "auth", "oncall")

    @requests.handle("create_policy", CreatePolicy, action=Action.POLICIES_WRITE, before=targets_arrive)
    def create_policy(work: Work, body: CreatePolicy, caller: Caller) -> PolicyView:
        caller.require(Action.POLICIES_WRITE, body.team_id)
        _check_team(work, body.team_id)
        _check_targets(work, body.levels, ())
        policy_id = work.new_id()
        command = policies.CreatePolicy(policy_id, _plan(body), created_by=caller.actor.id, now=work.now)
        work.decide(POLICY, policy_id, command, caller.cause(work))
        state = work.state(POLICY, policy_id)
        assert isinstance(state, policies.Policy)  # noqa: S101 - just made
        return _view(work, policy_row(state, updated_at=work.now))

    @requests.handle(
        "change_policy", ChangePolicy, action=Action.POLICIES_WRITE, before=targets_arrive, versioned=POLICY
    )
    def change_policy(work: Work, body: ChangePolicy, caller: Caller) -> PolicyView:
        before = _theirs(work, body.id, caller)
        if "team_id" in body.model_fields_set:
            caller.require(Action.POLICIES_WRITE, body.team_id)
            _check_team(work, body.team_id)
        _check_targets(work, body.levels or (), before.plan.levels)
        command = _change(body)
        changed = work.decide(POLICY, body.id, command, caller.cause(work))
        state = work.state(POLICY, body.id)
        if changed and isinstance(state, policies.Policy):
            return _view(work, policy_row(state, updated_at=work.now))
        return _read(work, body)

    async def uses_arrive(_body: ById, _caller: Caller) -> None:
        await arrival.of_everything("incidents")

    @requests.handle("delete_policy", ById, action=Action.POLICIES_WRITE, before=uses_arrive, versioned=POLICY)
    def delete_policy(work: Work, body: ById, caller: Caller) -> Nothing:
        _theirs(work, body.id, caller)
        application.delete_policy(work, body.id, caller.cause(work))
        return Nothing()

    @requests.query("policy", ById, action=Action.POLICIES_READ)
    def policy(work: Work, body: ById, caller: Caller) -> PolicyView:
        found = _read(work, body)
        if not caller.may(Action.POLICIES_READ, found.team_id):
            raise policies.NoSuchPolicy(field="id").hides()
        return found

    async def team_arrives(body: PoliciesQuery, _caller: Caller) -> None:
        if (team_id := body.team_id) is not None:
            await arrival.of(lambda work: not is_team(work, team_id), "auth")

    @requests.query("policies", PoliciesQuery, action=Action.POLICIES_READ, before=team_arrives)
    def policies_(work: Work, body: PoliciesQuery, caller: Caller) -> PolicyList:
        page = _listed(work, body, caller)
        return PolicyList(**page.told("policies", _views(work, page.rows)))

    @requests.query("team_uses", ById, public=True)
    def team_uses(work: Work, body: ById, _caller: None) -> UsesView:
        return application.team_uses(work, body.id)

    @requests.query("export", ExportQuery, action=Action.ME)
    def export(work: Work, query: ExportQuery, caller: Caller) -> ExportPage:
        return exported(work, query, caller)

    return requests


def _plan(body: CreatePolicy) -> policies.Plan:
    limits = (body.acknowledgement_timeout_minutes, body.auto_resolve_minutes)
    return policies.Plan(body.name, body.priority_filter, body.repeat, body.levels, body.team_id, *limits)


def _change(body: ChangePolicy) -> policies.ChangePolicy:
    """What was not given stays, where null says something."""

    def given(field: str) -> Any:
        return getattr(body, field) if field in body.model_fields_set else policies.Keep.KEEP

    limits = (given("acknowledgement_timeout_minutes"), given("auto_resolve_minutes"))
    return policies.ChangePolicy(body.name, body.priority_filter, body.repeat, body.levels, given("team_id"), *limits)


def _listed(work: Work, body: PoliciesQuery, caller: Caller) -> Page:
    """Those that the caller sees. Raises NoTeamToListBy: there is no such team, for them."""
    sight = caller.sight(Action.POLICIES_READ)
    if body.team_id is not None:
        if not is_team(work, body.team_id):
            raise NoTeamToListBy
        if not (sight.everything or body.team_id in sight.teams):
            raise NoTeamToListBy().hides()
        return POLICIES_OF.page(work, body, teams=[body.team_id])
    if sight.everything:
        return POLICIES.page(work, body)
    return (POLICIES_SEEN if sight.organisation else POLICIES_OF).page(work, body, teams=list(sight.teams))


def _theirs(work: Work, policy_id: UUID, caller: Caller) -> policies.Policy:
    """A policy that the caller may change, as it stands.

    Raises:
        NoSuchPolicy: there is none that they see.
        Forbidden, Unsure.
    """
    state = work.state(POLICY, policy_id)
    if not isinstance(state, policies.Policy) or state.deleted:
        raise policies.NoSuchPolicy(field="id")
    if not caller.rights.allow(Action.POLICIES_READ, state.plan.team_id):
        raise policies.NoSuchPolicy(field="id").hides()
    caller.require(Action.POLICIES_WRITE, state.plan.team_id)
    return state


def _check_team(work: Work, team_id: UUID | None) -> None:
    """Raises NoSuchTeam."""
    if team_id is not None and not is_team(work, team_id):
        raise NoSuchTeam(field="teamId")


def _read(work: Work, body: ById | ChangePolicy) -> PolicyView:
    for row in work.fetch(POLICY_ROW, id=body.id):
        return _view(work, row)
    raise policies.NoSuchPolicy(field="id")


def _view(work: Work, row: Mapping[str, Any]) -> PolicyView:
    return next(_views(work, [row]))


def _views(work: Work, rows: Sequence[Mapping[str, Any]]) -> Iterator[PolicyView]:
    views = [PolicyView.model_validate(row) for row in rows]
    inactive = inactive_people(work, (person for view in views for person in _people(view.levels)))
    for view in views:
        left_out = tuple(person for person in dict.fromkeys(_people(view.levels)) if person in inactive)
        erased = tuple(person for person in left_out if inactive[person])
        yield view.model_copy(update={"inactive": left_out, "erased": erased})


def _people(levels: Iterable[Level]) -> Iterator[UUID]:
    """Whom these levels name."""
    yield from (t.id for level in levels for t in level.targets if t.type is TargetType.USER and t.id is not None)


def _check_targets(work: Work, levels: tuple[Level, ...], before: tuple[Level, ...]) -> None:
    """Raises Invalid with the field of the first target that is not known, or who is newly named in vain.

    Whoever was named `before` may stay, though they are deactivated: nobody has to mend that to change something else.
    """
    if missing := unknown_targets(work, levels):
        raise Invalid("there is no such user, schedule or team", field=missing[0])
    inactive = inactive_people(work, _people(levels)).keys() - set(_people(before))
    for i, level in enumerate(levels):
        for j, target in enumerate(level.targets):
            if target.type is TargetType.USER and target.id in inactive:
                raise Invalid("this person is deactivated", field=f"levels.{i}.targets.{j}.id")
