"""The requests that escalation answers: policies."""

from __future__ import annotations

from typing import Any

from libs.chassis.consume.arrival import Arrival
from libs.chassis.requests.callers import Caller
from libs.chassis.requests.server import Requests
from libs.chassis.store.work import Work
from libs.contracts.escalation import ChangePolicy, CreatePolicy, Level, PolicyList, PolicyView, TargetType
from libs.contracts.model import Role
from libs.contracts.requests import ById, Invalid, ListPage, NoSuchTeam, Nothing
from services.escalation import application
from services.escalation.application import POLICY
from services.escalation.domain import policies
from services.escalation.projections import POLICIES, policy_row
from services.escalation.projections import POLICY as POLICY_ROW
from services.escalation.replicas import unknown_targets


def api(arrival: Arrival) -> Requests:
    """Leads and admins write policies; everybody may read whom they page.

    `arrival`: how a command waits for users and schedules that were made a moment ago.
    """
    requests = Requests("escalation")

    async def targets_arrive(body: CreatePolicy | ChangePolicy, caller: Caller) -> None:
        caller.require(Role.LEAD)
        levels = body.levels or ()
        _check_teams(levels)
        await arrival.of(lambda work: bool(unknown_targets(work, levels)), "auth", "oncall")

    @requests.handle("create_policy", CreatePolicy, before=targets_arrive)
    def create_policy(work: Work, body: CreatePolicy, caller: Caller) -> PolicyView:
        caller.require(Role.LEAD)
        _check_targets(work, body.levels)
        plan = policies.Plan(body.name, body.priority_filter, body.repeat, body.levels)
        policy_id = work.new_id()
        command = policies.CreatePolicy(policy_id, plan, created_by=str(caller.user_id), now=work.now)
        work.decide(POLICY, policy_id, command, caller.cause(work))
        state = work.state(POLICY, policy_id)
        assert isinstance(state, policies.Policy)  # noqa: S101 - just made
        return _view(policy_row(state, updated_at=work.now))

    @requests.handle("change_policy", ChangePolicy, before=targets_arrive, versioned=POLICY)
    def change_policy(work: Work, body: ChangePolicy, caller: Caller) -> PolicyView:
        caller.require(Role.LEAD)
        _check_targets(work, body.levels or ())
        command = policies.ChangePolicy(body.name, body.priority_filter, body.repeat, body.levels)
        changed = work.decide(POLICY, body.id, command, caller.cause(work))
        state = work.state(POLICY, body.id)
        if changed and isinstance(state, policies.Policy):
            return _view(policy_row(state, updated_at=work.now))
        return _read(work, body)

    async def uses_arrive(_body: ById, caller: Caller) -> None:
        caller.require(Role.LEAD)
        await arrival.of_everything("incidents")

    @requests.handle("delete_policy", ById, before=uses_arrive, versioned=POLICY)
    def delete_policy(work: Work, body: ById, caller: Caller) -> Nothing:
        caller.require(Role.LEAD)
        application.delete_policy(work, body.id, caller.cause(work))
        return Nothing()

    @requests.query("policy", ById)
    def policy(work: Work, body: ById, _caller: Caller) -> PolicyView:
        return _read(work, body)

    @requests.query("policies", ListPage)
    def policies_(work: Work, body: ListPage, _caller: Caller) -> PolicyList:
        page = POLICIES.page(work, body)
        return PolicyList(**page.told("policies", map(_view, page.rows)))

    return requests


def _read(work: Work, body: ById | ChangePolicy) -> PolicyView:
    for row in work.fetch(POLICY_ROW, id=body.id):
        return _view(row)
    raise policies.NoSuchPolicy(field="id")


def _view(row: dict[str, Any]) -> PolicyView:
    return PolicyView.model_validate(row)


def _check_teams(levels: tuple[Level, ...]) -> None:
    """Raises Invalid with the field of the first team that is named: there are none."""
    for i, level in enumerate(levels):
        for j, target in enumerate(level.targets):
            if target.type is TargetType.TEAM:
                raise NoSuchTeam(field=f"levels.{i}.targets.{j}.id")


def _check_targets(work: Work, levels: tuple[Level, ...]) -> None:
    """Raises Invalid with the field of the first user or schedule that is not known."""
    if missing := unknown_targets(work, levels):
        raise Invalid("there is no such user or schedule", field=missing[0])
